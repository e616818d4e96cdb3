/** Answers whether a boot would be allowed, by the rules of the KMS on proven state: the answer of `assent app why`. */
import { useQuery } from '@tanstack/react-query'
import { useId, useState } from 'react'

import { kinds, stateAt } from '../../../src/chain/approval.ts'
import { formatDeadline } from '../../../src/chain/governance/format-time.ts'
import { explainApp, type KnownBoot } from '../../../src/chain/why/explain-boot.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { escapeText } from '../../../src/lib/printable.ts'
import { tcbStatuses } from '../../../src/quote/verdict.ts'
import type { Checked } from '../data/checks.ts'
import { useHead, useList, useSources } from '../data/context.tsx'
import { useAgreedBlock, useNames } from '../data/facts.ts'
import type { At, Row } from '../data/indexer.ts'
import { readPinned } from '../data/pinned.ts'
import { Conditions, Mark, Next } from './conditions.tsx'
import { Origin } from './origin.tsx'
import { provenApproval } from './parts.tsx'

interface Props {
  readonly id: Hex
  readonly at: At | undefined
  readonly releases: readonly Row<'approvals'>[]
  readonly checked: Checked | undefined
}

export function WouldItBoot({ id, at, releases, checked }: Props) {
  const { settings } = useSources()
  const head = useHead()
  const now = head.data?.time ?? 0
  const nameOf = useNames()
  const images = useList('approvals', {
    registry: settings.addresses.kmsAuth,
    kind: String(kinds.osImage),
  })
  const names = useList('images')
  const hosts = useList('hosts')
  const newest = [...releases]
    .sort((a, b) => b.position - a.position)
    .find((row) => stateAt(provenApproval(row, checked), now) === 'active')
  const [chosen, setChosen] = useState<KnownBoot>({})
  const boot: KnownBoot = {
    ...(newest === undefined ? {} : { composeHash: newest.subject }),
    tcbStatus: 'UpToDate',
    ...chosen,
  }
  const block = useAgreedBlock(at)
  const explained = useQuery({
    queryKey: ['boot', id, boot, block.data?.header.hash],
    queryFn: async () => {
      const { state, header } = block.data as NonNullable<typeof block.data>
      const reader = state.read()
      const pinned = await readPinned(reader, settings.addresses.kmsAuth as Hex)
      const times = { block: header.timestamp, now: header.timestamp }
      return explainApp(reader, pinned, { ...boot, appId: id }, times)
    },
    enabled: block.data !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
  const choose = (name: keyof KnownBoot) => (value: string) => {
    setChosen((before) => {
      const { [name]: _, ...others } = before
      return value === ''
        ? ({ ...others, [name]: undefined } as KnownBoot)
        : { ...others, [name]: value as Hex }
    })
  }
  const imageName = (subject: string) =>
    escapeText(names.data?.rows.find((row) => row.id === subject)?.name ?? '') ||
    nameOf(subject) ||
    short(subject)
  return (
    <div className="body">
      <div className="fields">
        <Choice
          label="Release"
          value={boot.composeHash ?? ''}
          onChange={choose('composeHash')}
          options={releases.map(({ subject, position }) => [
            subject,
            `${position === 0 ? 'revoked' : `release ${position}`}, ${short(subject)}`,
          ])}
        />
        <Choice
          label="Base image"
          value={boot.osImageHash ?? ''}
          onChange={choose('osImageHash')}
          options={(images.data?.rows ?? []).map(({ subject }) => [subject, imageName(subject)])}
        />
        <Choice
          label="Machine"
          value={boot.deviceId ?? ''}
          onChange={choose('deviceId')}
          options={(hosts.data?.rows ?? [])
            .slice(0, 500)
            .map((row) => [row.id, nameOf(row.id) ?? short(row.id)])}
        />
        <Choice
          label="TCB status of the quote"
          value={boot.tcbStatus ?? ''}
          onChange={choose('tcbStatus')}
          options={tcbStatuses.map((each) => [each, each])}
        />
      </div>
      {explained.data === undefined ? (
        <p className="none" role="status">
          {explained.error === null && block.error === null ? (
            'Reading storage proofs …'
          ) : (
            <>
              <span className="state" data-tone="unproven">
                no answer
              </span>{' '}
              {(explained.error ?? block.error)?.message}
            </>
          )}
        </p>
      ) : (
        <Answer explanation={explained.data} nameOf={nameOf} />
      )}
    </div>
  )
}

const titles = {
  allowed: 'The boot would be allowed',
  denied: 'The boot would be denied',
  unknown: 'Not decided: values are missing',
} as const

const tones = { allowed: 'good', denied: 'bad', unknown: 'wait' } as const

function Answer({
  explanation,
}: {
  explanation: Awaited<ReturnType<typeof explainApp>>
  nameOf: (id: string) => string | undefined
}) {
  const { answer, reason, conditions, host, at, timeline, epochs } = explanation
  const later = timeline.slice(1)
  return (
    <>
      <p className="answer" role="status">
        <span className="state" data-tone={tones[answer]}>
          {titles[answer]}
          {reason === '' ? '' : `: ${reason}`}
        </span>
        <Origin name="proof" details="All values below are from storage proofs at one block." />
        {epochs === null || epochs.write === 0 ? null : (
          <span className="soft">
            It writes with the keys of epoch {epochs.write} and reads from epoch {epochs.read}.
          </span>
        )}
      </p>
      <ul className="conditions">
        {conditions.map(({ denial, state, found, nextStep, until }) => (
          <li key={denial} data-state={state}>
            <Mark state={state} />
            <span>
              {found}
              {until === null || state !== 'met' ? null : (
                <span className="soft"> Holds until {formatDeadline(until, at)}.</span>
              )}
            </span>
            {nextStep === null || state === 'met' ? null : <Next step={nextStep} />}
            {denial === 'hostNotRegistered' && host.length > 0 ? (
              <div className="next">
                <Conditions conditions={host} />
              </div>
            ) : null}
          </li>
        ))}
      </ul>
      {later.length === 0 ? null : (
        <ul className="small soft">
          {later.map(({ from, answer: then, reason: why }) => (
            <li key={from}>
              From {formatDeadline(from, at)}: {then}
              {why === '' ? '' : ` (${why})`}
            </li>
          ))}
        </ul>
      )}
    </>
  )
}

function Choice({
  label,
  value,
  options,
  onChange,
}: {
  label: string
  value: string
  options: readonly (readonly [string, string])[]
  onChange: (value: string) => void
}) {
  const id = useId()
  return (
    <label className="field" htmlFor={id}>
      {label}
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">not given</option>
        {options.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}

function short(id: string): string {
  return `${id.slice(0, 8)}…${id.slice(-4)}`
}

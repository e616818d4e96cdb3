/** One app: its rules, releases and devices, its history, and whether a boot would be allowed. */
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { lazy, Suspense, useMemo } from 'react'

import { appKey, kinds, stateAt } from '../../../src/chain/approval.ts'
import { formatVariants } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { formatDuration } from '../../../src/chain/governance/format-time.ts'
import { describeApproval } from '../../../src/chain/why/describe-approval.ts'
import { supersessionOf } from '../../../src/chain/why/describe-conditions.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import {
  appClaims,
  approvalClaims,
  type Checked,
  type Claim,
  countClaim,
  provenApp,
} from '../data/checks.ts'
import { useChecks, useHead, useList, useSources } from '../data/context.tsx'
import { useAgreedBlock, useNames } from '../data/facts.ts'
import type { At, Row } from '../data/indexer.ts'
import { isOwnApp, readPinned } from '../data/pinned.ts'
import { CheckOrigin, Origin, originOf } from '../ui/origin.tsx'
import {
  ApprovalState,
  Hash,
  Heading,
  Panel,
  PendingPage,
  provenApproval,
  StateBadge,
  Table,
} from '../ui/parts.tsx'
import { ReleaseTimeline } from '../ui/release-timeline.tsx'
import { SubjectHistory } from '../ui/subject-history.tsx'
import { WouldItBoot } from '../ui/would-it-boot.tsx'

/** Reading manifests needs code that most readers of this page do not. */
const NewRelease = lazy(async () => ({
  default: (await import('../ui/new-release.tsx')).NewRelease,
}))

const noClaims: readonly Claim[] = []

export function Page() {
  const { id: given } = useParams({ strict: false }) as { id: string }
  const id = given.toLowerCase() as Hex
  if (!/^0x[0-9a-f]{40}$/.test(id)) return <p role="alert">{given} is not an address.</p>
  return <App key={id} id={id} />
}

function App({ id }: { id: Hex }) {
  const head = useHead()
  const { settings, indexer } = useSources()
  const kmsAuth = settings.addresses.kmsAuth as Hex
  const nameOf = useNames()
  const releases = useList('approvals', useFilters(id, kinds.release))
  const devices = useList('approvals', useFilters(id, kinds.device))
  const at = releases.data?.at
  const found = useQuery({
    queryKey: ['app', id, head.data?.block, head.data?.hash],
    queryFn: async () => {
      const [app, registration] = await Promise.all([
        indexer.one('apps', id),
        indexer.one('approvals', `${kmsAuth}:${kinds.app}:${appKey(id)}`),
      ])
      return { app, registration }
    },
    enabled: head.data !== undefined,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
  })
  const own = useOwnCode(id, at)
  const { app, registration } = found.data ?? {}

  const claims = useMemo(() => {
    const rows = [...(releases.data?.rows ?? []), ...(devices.data?.rows ?? [])]
    if (own.data !== true || releases.data === undefined || devices.data === undefined)
      return noClaims
    return [
      ...approvalClaims(rows),
      countClaim(id, 'release', releases.data.rows.length),
      countClaim(id, 'device', devices.data.rows.length),
    ]
  }, [releases.data, devices.data, own.data, id])
  const checked = useChecks(`app ${id}`, at, claims)
  const checkedApp = useChecks(
    `rules ${id}`,
    app?.at,
    useMemo(
      () => (app === undefined || own.data !== true ? noClaims : appClaims(app.row)),
      [app, own.data],
    ),
  )
  const checkedRegistration = useChecks(
    `registration ${id}`,
    registration?.at,
    useMemo(
      () => (registration === undefined ? noClaims : approvalClaims([registration.row])),
      [registration],
    ),
  )
  const now = head.data?.time ?? 0
  if (found.data === undefined)
    return <PendingPage title="App" error={found.error ?? head.error} what="the app" />
  return (
    <>
      <Heading title={nameOf(id) ?? 'App'}>
        <Hash value={id} digits={20} />
        {registration === undefined ? (
          <span className="state" data-tone="unproven">
            the indexer knows no registration
          </span>
        ) : (
          <ApprovalState row={registration.row} checked={checkedRegistration} now={now} />
        )}
      </Heading>
      {own.data === false ? (
        <div className="notice">
          This contract does not have the code of Assent’s apps. Its rules cannot be proven, and a
          KMS refuses it unless its settings say otherwise.
        </div>
      ) : null}
      {own.error === null ? null : (
        <div className="notice bad" role="alert">
          The code of the app cannot be checked, so nothing of it is proven: {own.error.message}
        </div>
      )}
      <div className="grid">
        <Releases
          id={id}
          rows={releases.data?.rows ?? []}
          app={app === undefined ? undefined : provenApp(app.row, checkedApp)}
          checked={checked}
          now={now}
        />
        {own.data === true ? <Rules app={app?.row} checked={checkedApp} /> : null}
        <Panel
          title="Would it boot?"
          span={own.data === true ? 'span-8' : ''}
          note="by the rules of the KMS, on state that this browser proved"
        >
          <WouldItBoot id={id} at={at} releases={releases.data?.rows ?? []} checked={checked} />
        </Panel>
        {own.data === true ? (
          <Suspense fallback={null}>
            <NewRelease id={id} rows={releases.data?.rows ?? []} at={at} />
          </Suspense>
        ) : null}
        <Devices
          id={id}
          rows={devices.data?.rows ?? []}
          anyDevice={app?.row.allowAnyDevice}
          checked={checked}
          now={now}
        />
        <SubjectHistory contract={id} of="the app" />
      </div>
    </>
  )
}

function useFilters(registry: Hex, kind: number) {
  return useMemo(() => ({ registry, kind: String(kind) }), [registry, kind])
}

/** Whether the app has the code of Assent’s apps, by storage proofs. */
function useOwnCode(id: Hex, at: At | undefined) {
  const { settings } = useSources()
  const block = useAgreedBlock(at)
  return useQuery({
    queryKey: ['own code', id, block.data?.header.hash],
    queryFn: async () => {
      const reader = (block.data as NonNullable<typeof block.data>).state.read()
      return isOwnApp(reader, await readPinned(reader, settings.addresses.kmsAuth as Hex), id)
    },
    enabled: block.data !== undefined,
    placeholderData: (previous) => previous,
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })
}

function Rules({
  app: told,
  checked,
}: {
  app: Row<'apps'> | undefined
  checked: Checked | undefined
}) {
  if (told === undefined) return null
  const app = provenApp(told, checked)
  const { noticePeriod } = app
  return (
    <Panel
      title="Rules"
      span="span-4"
      aside={<CheckOrigin id={app.id} checked={checked} />}
      note="set by the owner"
    >
      <dl className="body facts">
        <dt>Devices</dt>
        <dd>{app.allowAnyDevice ? 'any admitted host' : 'approved ones only'}</dd>
        <dt>TCB</dt>
        <dd>{app.requireTcbUpToDate ? 'must be up to date' : 'any status'}</dd>
        <dt>Notice</dt>
        <dd>
          {noticePeriod === 0
            ? 'none: changes of the owner take effect immediately'
            : formatDuration(noticePeriod)}
        </dd>
        <dt>Key epoch</dt>
        <dd>{app.epoch}</dd>
        <dt>Hardware</dt>
        <dd>{formatVariants(app.variants)}</dd>
        <dt>Code</dt>
        <dd>{app.upgradesDisabled ? 'can never be replaced' : 'the owner can replace it'}</dd>
        <dt>Created by</dt>
        <dd>
          {app.deployer === null ? (
            <span className="soft">deployed alone</span>
          ) : (
            <>
              <Hash value={app.deployer} /> <Origin name="event" />
            </>
          )}
        </dd>
      </dl>
    </Panel>
  )
}

interface ListProps {
  readonly id: Hex
  readonly rows: readonly Row<'approvals'>[]
  readonly checked: Checked | undefined
  readonly now: number
}

function Releases({ id, rows, app, checked, now }: ListProps & { app: Row<'apps'> | undefined }) {
  const sorted = useMemo(() => [...rows].sort((a, b) => b.position - a.position), [rows])
  const supersessionFor = (row: Row<'approvals'>) =>
    app === undefined
      ? undefined
      : supersessionOf(
          provenApproval(row, checked),
          { oldest: app.oldest, nextOldest: app.nextOldest, supersededAt: app.endFrom },
          now,
        )
  return (
    <Panel
      title="Releases"
      note={
        <>
          {rows.length} <CheckOrigin id={`${id}:${kinds.release}`} checked={checked} />
        </>
      }
    >
      {rows.length === 0 ? (
        <p className="none">No release was approved.</p>
      ) : (
        <>
          <div className="body">
            <ReleaseTimeline
              now={now}
              releases={sorted.slice(0, 12).map((row) => {
                const approval = provenApproval(row, checked)
                const supersession = supersessionFor(row)
                const state = stateAt(approval, now)
                const ends = [approval.expiresAt, approval.endedAt, supersession?.from ?? 0].filter(
                  (time) => time > 0,
                )
                return {
                  id: row.id,
                  name: approval.index === 0 ? 'revoked' : `release ${approval.index}`,
                  state:
                    state === 'active' &&
                    supersession !== undefined &&
                    (supersession.from ?? 0) <= now
                      ? 'superseded'
                      : state,
                  isProven: checked?.checks.get(row.id)?.state === 'proven',
                  from: approval.activeFrom,
                  to: ends.length === 0 ? undefined : Math.min(...ends),
                }
              })}
            />
          </div>
          <Table columns={[{ name: 'No.', isNumber: true }, 'Compose hash', 'State', 'In words']}>
            {sorted.map((row) => {
              const approval = provenApproval(row, checked)
              const supersession = supersessionFor(row)
              const state = stateAt(approval, now)
              const isSuperseded =
                state === 'active' && supersession !== undefined && (supersession.from ?? 0) <= now
              return (
                <tr key={row.id}>
                  <td className="number">{approval.index === 0 ? '–' : approval.index}</td>
                  <td>
                    <Hash value={row.subject} />
                  </td>
                  <td>
                    <span className="hash">
                      <StateBadge
                        state={isSuperseded ? 'superseded' : state}
                        origin={originOf(checked?.checks.get(row.id))}
                      />
                      <CheckOrigin id={row.id} checked={checked} />
                    </span>
                  </td>
                  <td className="soft words">{describeApproval(approval, now, supersession)}</td>
                </tr>
              )
            })}
          </Table>
        </>
      )}
    </Panel>
  )
}

function Devices({
  id,
  rows,
  anyDevice,
  checked,
  now,
}: ListProps & { anyDevice: boolean | undefined }) {
  const nameOf = useNames()
  return (
    <Panel
      title="Devices"
      note={
        <>
          {anyDevice === true
            ? 'The app allows any device, so these approvals have no effect. '
            : `${rows.length} approved or once approved `}
          <CheckOrigin id={`${id}:${kinds.device}`} checked={checked} />
        </>
      }
    >
      {rows.length === 0 ? (
        <p className="none">No device was approved.</p>
      ) : (
        <Table columns={['Device', 'State', 'In words']}>
          {rows.map((row) => (
            <tr key={row.id}>
              <td>
                <Hash
                  value={row.subject}
                  name={nameOf(row.subject)}
                  to={`/machines/${row.subject}`}
                />
              </td>
              <td>
                <ApprovalState row={row} checked={checked} now={now} />
              </td>
              <td className="soft words">{describeApproval(provenApproval(row, checked), now)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  )
}

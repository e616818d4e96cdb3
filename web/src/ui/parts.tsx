/** Small parts that all pages use. */
import { Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'

import { decodeApproval, type State, stateAt } from '../../../src/chain/approval.ts'
import { formatDeadline, formatTime } from '../../../src/chain/governance/format-time.ts'
import type { Checked } from '../data/checks.ts'
import { approvalClaims } from '../data/checks.ts'
import type { Row } from '../data/indexer.ts'
import { Icon } from './icons.tsx'
import { CheckOrigin, originOf } from './origin.tsx'

/** The title of a page, which is also the title of the tab. */
export function Heading({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="heading">
      <h1>{title}</h1>
      {children}
      <title>{`${title} · Assent`}</title>
    </div>
  )
}

/** A part of a page with a heading. */
export function Panel({
  title,
  note,
  aside,
  span = '',
  children,
}: {
  title: string
  note?: ReactNode
  aside?: ReactNode
  span?: string
  children: ReactNode
}) {
  return (
    <section className={`panel ${span}`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note === undefined ? null : <p>{note}</p>}
        {aside === undefined ? null : <div className="aside">{aside}</div>}
      </header>
      {children}
    </section>
  )
}

/** A column of a table: its heading, or its heading over numbers. */
type Column = string | { readonly name: string; readonly isNumber: true }

/** A table that scrolls sideways if it is too wide; the children are its rows. */
export function Table({ columns, children }: { columns: readonly Column[]; children: ReactNode }) {
  return (
    <div className="scroll">
      <table>
        <thead>
          <tr>
            {columns.map((column) =>
              typeof column === 'string' ? (
                <th scope="col" key={column}>
                  {column}
                </th>
              ) : (
                <th scope="col" className="number" key={column.name}>
                  {column.name}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  )
}

/** A hash or address: shortened in the middle, complete for a screen reader and for copying. */
export function Hash({
  value,
  name,
  to,
  digits = 6,
}: {
  value: string
  name?: string | undefined
  to?: string | undefined
  digits?: number
}) {
  const [isCopied, setCopied] = useState(false)
  const short =
    value.length <= 2 * digits + 4 ? value : `${value.slice(0, digits + 2)}…${value.slice(-digits)}`
  const shown = name ?? <code title={value}>{short}</code>
  return (
    <span className="hash">
      {to === undefined ? (
        <span title={value}>{shown}</span>
      ) : (
        <Link to={to} title={value}>
          {shown}
        </Link>
      )}
      <button
        type="button"
        className="plain"
        aria-label={`Copy ${value}`}
        onClick={async () => {
          await navigator.clipboard?.writeText(value)
          setCopied(true)
          setTimeout(() => setCopied(false), 1_200)
        }}
      >
        <Icon name={isCopied ? 'done' : 'copy'} size={13} />
      </button>
    </span>
  )
}

/** A time with its distance from the time of the chain. */
export function Time({ at, now }: { at: number; now?: number | undefined }) {
  if (at === 0) return <span className="zero">–</span>
  return <time dateTime={new Date(at * 1000).toISOString()}>{formatDeadline(at, now)}</time>
}

/** Only the date; the complete time is in its title. */
export function Day({ at }: { at: number }) {
  return (
    <time className="day" dateTime={new Date(at * 1000).toISOString()} title={formatTime(at)}>
      {formatTime(at).slice(0, 10)}
    </time>
  )
}

const tones: Record<State | 'superseded', 'good' | 'wait' | 'bad' | 'quiet'> = {
  active: 'good',
  pending: 'wait',
  suspended: 'bad',
  expired: 'quiet',
  withdrawn: 'quiet',
  revoked: 'bad',
  none: 'quiet',
  superseded: 'quiet',
}

/** A state. It has a colour only if it is proven. */
export function StateBadge({
  state,
  origin,
}: {
  state: State | 'superseded'
  origin: ReturnType<typeof originOf>
}) {
  const isProven = origin === 'proof' || origin === 'agreed'
  const tone = isProven ? tones[state] : origin === 'differs' ? 'differs' : 'unproven'
  return (
    <span className="state" data-tone={tone}>
      {state}
      {isProven ? null : (
        <span className="hidden-text">
          {origin === 'differs' ? ' (the indexer said something else)' : ' (not proven)'}
        </span>
      )}
    </span>
  )
}

/** The approval of a row, as the proof shows it; without a proof, as the indexer says it. */
export function provenApproval(row: Row<'approvals'>, checked: Checked | undefined) {
  const [claim] = approvalClaims([row])
  const word = claim && checked?.words.get(`${claim.address}:${claim.slot}`)
  return decodeApproval(word ?? BigInt(row.word))
}

/** The state of an approval with the mark of its origin. */
export function ApprovalState({
  row,
  checked,
  now,
}: {
  row: Row<'approvals'>
  checked: Checked | undefined
  now: number
}) {
  const state = stateAt(provenApproval(row, checked), now)
  return (
    <span className="hash">
      <StateBadge state={state} origin={originOf(checked?.checks.get(row.id))} />
      <CheckOrigin id={row.id} checked={checked} />
    </span>
  )
}

/** What is shown while a query runs, or after it failed. */
export function Pending({ error, what }: { error: Error | null; what: string }) {
  if (error !== null) {
    return (
      <div className="notice bad" role="alert">
        {what} cannot be read: {error.message}
      </div>
    )
  }
  return (
    <p className="none" role="status">
      Reading {what} …
    </p>
  )
}

/** What is shown instead of a page while its query runs, or after it failed. */
export function PendingPage({
  title,
  ...query
}: {
  title: string
  error: Error | null
  what: string
}) {
  return (
    <>
      <Heading title={title} />
      <Pending {...query} />
    </>
  )
}

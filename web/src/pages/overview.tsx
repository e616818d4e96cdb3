/** The fleet at a glance: what is approved, what changes next, and what waits for a decision. */
import { Link } from '@tanstack/react-router'
import { lazy, Suspense, useMemo } from 'react'

import {
  type Kind,
  kinds,
  noEnd,
  type State,
  stateAt,
  states,
} from '../../../src/chain/approval.ts'
import { onChainStatuses } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { formatDeadline } from '../../../src/chain/governance/format-time.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import {
  approvalClaims,
  type Checked,
  type Claim,
  countClaim,
  hostClaims,
  kindOf,
  statusClaims,
} from '../data/checks.ts'
import { useChecks, useHead, useList, useSources } from '../data/context.tsx'
import { titleOf, useNames, useProposalStates } from '../data/facts.ts'
import type { Row } from '../data/indexer.ts'
import {
  changesOfApproval,
  changesOfHosts,
  changesOfProposals,
  changesOfRules,
  type Upcoming,
} from '../data/upcoming.ts'
import { Calendar } from '../ui/calendar.tsx'
import { CheckOrigin, Origin } from '../ui/origin.tsx'
import { Heading, Panel, Pending, PendingPage, provenApproval, Table } from '../ui/parts.tsx'
import { ProposalState } from '../ui/proposal-state.tsx'

/** A wallet comes after the first view. */
const Waiting = lazy(async () => ({ default: (await import('../ui/waiting.tsx')).Waiting }))

/** Rows of one kind that are checked here one by one; of a longer list only the number is. */
const maxChecked = 200
/** Coming changes that are listed. */
const maxUpcoming = 10

/** Kinds of the registries of the DAO, with the page that lists them. */
const listedKinds: readonly (readonly [Kind, string, string])[] = [
  ['osImage', 'Base images', '/images'],
  ['measurements', 'Measurement sets', '/images'],
  ['kmsMeasurement', 'KMS measurements', '/kms'],
  ['kmsDevice', 'KMS devices', '/kms'],
  ['rootKey', 'Root keys', '/kms'],
  ['host', 'Hosts', '/machines'],
  ['app', 'Apps', '/apps'],
]

export function Overview() {
  const head = useHead()
  const approvals = useList('approvals')
  const hosts = useList('hosts')
  const rules = useList('host-rules')
  const proposals = useList('proposals')
  const { settings } = useSources()
  const { addresses } = settings
  const nameOf = useNames()

  const ofDao = useMemo(
    () => (approvals.data?.rows ?? []).filter(({ kind }) => isOfDao(kind)),
    [approvals.data],
  )
  const checked = useChecks(
    'approvals',
    approvals.data?.at,
    useMemo(() => claimsOf(ofDao, settings.addresses), [ofDao, settings]),
  )
  const hostRows = hosts.data?.rows ?? []
  const checkedHosts = useChecks(
    'hosts',
    hosts.data?.at,
    useMemo(
      () =>
        addresses.hosts === undefined || hostRows.length > maxChecked
          ? []
          : hostClaims(addresses.hosts as Hex, hostRows),
      [hostRows, addresses],
    ),
  )
  const checkedRules = useChecks(
    'rules',
    rules.data?.at,
    useMemo(
      () =>
        addresses.hosts === undefined
          ? []
          : statusClaims(addresses.hosts as Hex, rules.data?.rows ?? []),
      [rules.data, addresses],
    ),
  )
  const now = head.data?.time ?? 0
  const upcoming = useMemo(() => {
    const changes: Upcoming[] = [
      ...(approvals.data?.rows ?? []).flatMap((row) =>
        changesOfApproval(provenApproval(row, checked), now, nameOfThing(row, nameOf), pathOf(row)),
      ),
      ...changesOfHosts(hosts.data?.rows ?? [], now, (id) => nameOf(id) ?? shorten(id)),
      ...changesOfRules(rules.data?.rows ?? [], now),
      ...changesOfProposals(proposals.data?.rows ?? [], now, titleOf),
    ]
    return changes.sort((a, b) => a.at - b.at)
  }, [approvals.data, hosts.data, rules.data, proposals.data, checked, now, nameOf])

  if (head.data === undefined)
    return <PendingPage title="Overview" error={head.error} what="the indexer" />
  return (
    <>
      <Heading title="Overview">
        <p>What is approved now, and what changes next.</p>
      </Heading>
      {approvals.data === undefined ? (
        <Pending error={approvals.error} what="the approvals" />
      ) : (
        <>
          <Unread errors={[hosts.error, rules.error, proposals.error]} />
          <Figures rows={ofDao} checked={checked} now={now} />
          <div className="grid">
            <div className="stack span-7">
              <Decisions rows={proposals.data?.rows ?? []} at={proposals.data?.at} now={now} />
              <Panel
                title="Next 90 days"
                note="Changes that need no transaction, by the day on which they happen"
              >
                <div className="body">
                  <Calendar changes={upcoming} now={now} days={90} />
                </div>
              </Panel>
              <Machines
                rows={hostRows}
                rules={rules.data?.rows ?? []}
                checked={checkedHosts}
                checkedRules={checkedRules}
                now={now}
              />
            </div>
            <div className="stack span-5">
              <Suspense fallback={null}>
                <Waiting open={openOf(proposals.data?.rows ?? [])} at={proposals.data?.at} />
              </Suspense>
              <Next upcoming={upcoming} now={now} />
            </div>
            <Approvals rows={ofDao} checked={checked} now={now} />
          </div>
        </>
      )}
    </>
  )
}

/** A list that cannot be read is not an empty list. */
function Unread({ errors }: { errors: readonly (Error | null)[] }) {
  const messages = new Set(errors.flatMap((error) => error?.message ?? []))
  if (messages.size === 0) return null
  return (
    <div className="notice bad" role="alert">
      This page is not complete: {[...messages].join(' ')}
    </div>
  )
}

function isOfDao(kind: number): boolean {
  return kind !== kinds.release && kind !== kinds.device
}

/** Registry of each kind of the DAO. */
function registryOf(kind: Kind, addresses: ReturnType<typeof useSources>['settings']['addresses']) {
  if (kind === 'host') return addresses.hosts
  if (kind === 'rootKey') return addresses.rootKeys
  return kind === 'measurements' ? addresses.images : addresses.kmsAuth
}

/** The words of all approvals of short lists, and the number of approvals of every kind. */
function claimsOf(
  rows: readonly Row<'approvals'>[],
  addresses: ReturnType<typeof useSources>['settings']['addresses'],
): Claim[] {
  return listedKinds.flatMap(([kind]) => {
    const registry = registryOf(kind, addresses)
    if (registry === undefined) return []
    const some = rows.filter((row) => row.kind === kinds[kind] && row.registry === registry)
    return [
      countClaim(registry as Hex, kind, some.length),
      ...(some.length <= maxChecked ? approvalClaims(some) : []),
    ]
  })
}

function shorten(id: string): string {
  return `${id.slice(0, 8)}…${id.slice(-4)}`
}

const words: Record<Kind, string> = {
  osImage: 'base image',
  kmsMeasurement: 'KMS measurement',
  kmsDevice: 'KMS device',
  app: 'app',
  release: 'release',
  device: 'device',
  host: 'host',
  rootKey: 'root key',
  measurements: 'measurement set',
}

function nameOfThing(row: Row<'approvals'>, nameOf: (id: string) => string | undefined): string {
  const kind = kindOf(row.kind)
  const id = kind === 'app' ? `0x${row.subject.slice(26)}` : row.subject
  return `${kind === undefined ? 'approval' : words[kind]} ${nameOf(id) ?? shorten(id)}`
}

function pathOf({ kind, subject, registry }: Row<'approvals'>): string {
  const name = kindOf(kind)
  if (name === 'app') return `/apps/0x${subject.slice(26)}`
  if (name === 'release' || name === 'device') return `/apps/${registry}`
  if (name === 'host') return `/machines/${subject}`
  if (name === 'osImage') return `/images/${subject}`
  if (name === 'rootKey') return `/kms/root-keys/${subject}`
  return name === 'measurements' ? '/images' : '/kms'
}

interface ApprovalsProps {
  readonly rows: readonly Row<'approvals'>[]
  readonly checked: Checked | undefined
  readonly now: number
}

/** Active things of each kind. A number counts as proven if the number of all and each of them is. */
function Figures({ rows, checked, now }: ApprovalsProps) {
  const { settings } = useSources()
  return (
    <div className="figures">
      {listedKinds.map(([kind, title, path]) => {
        const registry = registryOf(kind, settings.addresses)
        if (registry === undefined) return null
        const some = rows.filter((row) => row.kind === kinds[kind])
        const active = some.filter((row) => stateAt(provenApproval(row, checked), now) === 'active')
        const id = `${registry}:${kinds[kind]}`
        return (
          <div key={kind}>
            <div className="label">
              <Link to={path}>{title}</Link>
            </div>
            <div className="number">
              {active.length}{' '}
              {some.length <= maxChecked ? (
                <CheckOrigin id={worstOf(id, some, checked)} checked={checked} />
              ) : (
                <Origin name="event" details="The number of all of them is proven, not each." />
              )}
            </div>
            <div className="note">
              active{some.length === active.length ? '' : ` of ${some.length}`}
            </div>
          </div>
        )
      })}
    </div>
  )
}

/** The id of the worst check among the rows and their number. */
function worstOf(
  id: string,
  rows: readonly Row<'approvals'>[],
  checked: Checked | undefined,
): string {
  const ids = [id, ...rows.map((row) => row.id)]
  const stateOf = (each: string) => checked?.checks.get(each)?.state
  return (
    ids.find((each) => stateOf(each) === 'differs') ??
    ids.find((each) => stateOf(each) !== 'proven') ??
    id
  )
}

/** The newest proposals that are neither executed nor canceled. */
function openOf(rows: readonly Row<'proposals'>[]) {
  return rows.filter(({ isExecuted, isCanceled }) => !isExecuted && !isCanceled).slice(-50)
}

function Decisions({
  rows,
  at,
  now,
}: {
  rows: readonly Row<'proposals'>[]
  at: Parameters<typeof useProposalStates>[1]
  now: number
}) {
  const open = useMemo(() => openOf(rows), [rows])
  const ids = useMemo(() => open.map(({ id }) => id), [open])
  const found = useProposalStates(ids, at)
  const shown = open.filter(({ id }) => {
    const state = found.data?.get(id)
    return state === undefined || ['pending', 'active', 'succeeded', 'queued'].includes(state)
  })
  return (
    <Panel title="Open proposals" aside={<Link to="/proposals">All proposals</Link>}>
      {shown.length === 0 ? (
        <p className="none">No proposal is open.</p>
      ) : (
        <Table columns={['Proposal', 'State', 'Next']}>
          {shown.map((row) => (
            <tr key={row.id}>
              <td>
                <Link to={`/proposals/${row.id}`}>{titleOf(row)}</Link> <Origin name="claim" />
              </td>
              <td>
                <ProposalState state={found.data?.get(row.id)} error={found.error} />
              </td>
              <td className="soft">{nextTime(row, now)}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  )
}

function nextTime({ voteStart, voteEnd, eta }: Row<'proposals'>, now: number): string {
  if (now <= voteStart) return `voting begins ${formatDeadline(voteStart + 1, now)}`
  if (now <= voteEnd) return `voting ends ${formatDeadline(voteEnd, now)}`
  if (eta === 0) return 'anyone can queue it, if it succeeded'
  return eta > now ? `can be executed ${formatDeadline(eta, now)}` : 'anyone can execute it now'
}

function Next({ upcoming, now }: { upcoming: readonly Upcoming[]; now: number }) {
  return (
    <Panel title="Changes next" note="without a transaction">
      {upcoming.length === 0 ? (
        <p className="none">Nothing ends or begins at a set time.</p>
      ) : (
        <div className="body">
          <ul className="upcoming">
            {upcoming.slice(0, maxUpcoming).map(({ at, what, path }) => (
              <li key={`${at} ${what}`}>
                <time dateTime={new Date(at * 1000).toISOString()} title={formatDeadline(at, now)}>
                  {distanceOf(at - now)}
                </time>
                <Link to={path}>{what}</Link>
              </li>
            ))}
          </ul>
          {upcoming.length > maxUpcoming ? (
            <p className="small soft">and {upcoming.length - maxUpcoming} more</p>
          ) : null}
        </div>
      )}
    </Panel>
  )
}

function distanceOf(seconds: number): string {
  if (seconds < 3_600) return `in ${Math.max(1, Math.round(seconds / 60))} min`
  if (seconds < 2 * 86_400) return `in ${Math.round(seconds / 3_600)} h`
  return `in ${Math.round(seconds / 86_400)} days`
}

function Machines({
  rows,
  rules,
  checked,
  checkedRules,
  now,
}: {
  rows: readonly Row<'hosts'>[]
  rules: readonly Row<'host-rules'>[]
  checked: Checked | undefined
  checkedRules: Checked | undefined
  now: number
}) {
  const proven = rows.filter(({ expiresAt }) => (expiresAt ?? 0) > now)
  const byStatus = Map.groupBy(proven, ({ status }) => status ?? 0)
  const without = rows.length - proven.length
  const ids = rows.map(({ id }) => id)
  const worst =
    ids.find((id) => checked?.checks.get(id)?.state === 'differs') ??
    ids.find((id) => checked?.checks.get(id)?.state !== 'proven') ??
    ids[0]
  return (
    <Panel
      title="Machines by TCB status"
      aside={
        <>
          <Link to="/machines">All machines</Link>{' '}
          {rows.length > maxChecked ? (
            <Origin
              name="event"
              details="More machines than are checked here. The page of the machines checks each one that it shows."
            />
          ) : worst === undefined ? null : (
            <CheckOrigin id={worst} checked={checked} />
          )}
        </>
      }
    >
      {rows.length === 0 ? (
        <p className="none">No machine has a host proof.</p>
      ) : (
        <div className="body bars">
          {[...byStatus].map(([status, some]) => {
            const rule = rules.find((each) => each.status === status)
            return (
              <div className="bar" key={status}>
                <span>{onChainStatuses[status] ?? status}</span>
                <div className="track" aria-hidden="true">
                  <div
                    className="fill"
                    style={{ width: `${(100 * some.length) / rows.length}%` }}
                  />
                </div>
                <span>
                  {some.length}{' '}
                  <span className="soft small">
                    {rule?.until == null || rule.until === 0
                      ? 'not accepted'
                      : rule.until >= noEnd
                        ? 'accepted, without an end'
                        : `accepted until ${formatDeadline(rule.until, now)}`}{' '}
                    {rule === undefined ? null : (
                      <CheckOrigin id={rule.id} checked={checkedRules} />
                    )}
                  </span>
                </span>
              </div>
            )
          })}
          {without === 0 ? null : (
            <p className="small soft">{without} without a valid host proof</p>
          )}
        </div>
      )}
    </Panel>
  )
}

const shownStates: readonly State[] = states.filter((state) => state !== 'none')

function Approvals({ rows, checked, now }: ApprovalsProps) {
  const counts = useMemo(() => {
    const all = new Map<string, number>()
    for (const row of rows) {
      const name = `${row.kind}:${stateAt(provenApproval(row, checked), now)}`
      all.set(name, (all.get(name) ?? 0) + 1)
    }
    return all
  }, [rows, checked, now])
  return (
    <Panel
      title="Approvals by state"
      note="of the DAO; releases and devices are decided by each app"
    >
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Kind</th>
              {shownStates.map((state) => (
                <th scope="col" className="number" key={state}>
                  {state}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {listedKinds.map(([kind, title, path]) => (
              <tr key={kind}>
                <td>
                  <Link to={path}>{title}</Link>
                </td>
                {shownStates.map((state) => {
                  const count = counts.get(`${kinds[kind]}:${state}`) ?? 0
                  return (
                    <td key={state} className={count === 0 ? 'number zero' : 'number'}>
                      {count}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

/** All machines. Only the rows on the screen are drawn and checked, so ten thousand are no more work than thirty. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { useId, useMemo, useRef, useState } from 'react'

import { kinds } from '../../../src/chain/approval.ts'
import { onChainStatuses } from '../../../src/chain/governance/call-descriptions/kms.ts'
import { formatDeadline } from '../../../src/chain/governance/format-time.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { approvalClaims, countClaim, hostClaims, provenHost } from '../data/checks.ts'
import { useChecks, useHead, useList, useSources } from '../data/context.tsx'
import { useNames } from '../data/facts.ts'
import type { Row } from '../data/indexer.ts'
import { CheckOrigin } from '../ui/origin.tsx'
import { ApprovalState, Hash, Heading, Panel, PendingPage } from '../ui/parts.tsx'

interface Machine {
  readonly id: Hex
  readonly host: Row<'hosts'> | undefined
  readonly approval: Row<'approvals'> | undefined
}

const rowHeight = 38

export function Page() {
  const { settings } = useSources()
  const hostsRegistry = settings.addresses.hosts
  const head = useHead()
  const now = head.data?.time ?? 0
  const hosts = useList('hosts')
  const filters = useMemo(
    () => ({ registry: hostsRegistry ?? '0x', kind: String(kinds.host) }),
    [hostsRegistry],
  )
  const approvals = useList('approvals', filters)
  const nameOf = useNames()
  const [search, setSearch] = useState('')
  const searchId = useId()

  const machines = useMemo(() => {
    const all = new Map<string, Machine>()
    for (const host of hosts.data?.rows ?? [])
      all.set(host.id, { id: host.id, host, approval: undefined })
    for (const approval of approvals.data?.rows ?? []) {
      const host = all.get(approval.subject)?.host
      all.set(approval.subject, { id: approval.subject, host, approval })
    }
    return [...all.values()]
  }, [hosts.data, approvals.data])
  const shown = useMemo(() => {
    const words = search.trim().toLowerCase()
    if (words === '') return machines
    return machines.filter(
      ({ id, host }) =>
        id.includes(words) ||
        (nameOf(id) ?? '').includes(words) ||
        (host?.operator ?? '').includes(words),
    )
  }, [machines, search, nameOf])
  const count = useChecks(
    'number of hosts',
    approvals.data?.at,
    useMemo(
      () =>
        hostsRegistry === undefined || approvals.data === undefined
          ? []
          : [countClaim(hostsRegistry as Hex, 'host', approvals.data.rows.length)],
      [hostsRegistry, approvals.data],
    ),
  )
  if (hostsRegistry === undefined) return <p role="alert">This deployment has no host registry.</p>
  if (hosts.data === undefined || approvals.data === undefined)
    return (
      <PendingPage title="Machines" error={hosts.error ?? approvals.error} what="the machines" />
    )
  return (
    <>
      <Heading title="Machines">
        <p>
          {machines.length} machines, {approvals.data.rows.length} of them approved or once approved{' '}
          <CheckOrigin id={`${hostsRegistry}:${kinds.host}`} checked={count} />
        </p>
      </Heading>
      <Panel
        title="Hosts"
        note={shown.length === machines.length ? undefined : `${shown.length} found`}
        aside={
          <label htmlFor={searchId} className="search">
            <span>Find</span>
            <input
              id={searchId}
              type="search"
              value={search}
              placeholder="id, name or operator"
              onChange={(event) => setSearch(event.target.value)}
            />
          </label>
        }
      >
        <Table
          machines={shown}
          at={approvals.data.at.hash === hosts.data.at.hash ? hosts.data.at : undefined}
          hosts={hostsRegistry as Hex}
          now={now}
        />
      </Panel>
    </>
  )
}

function Table({
  machines,
  at,
  hosts,
  now,
}: {
  machines: readonly Machine[]
  at: Parameters<typeof useChecks>[1]
  hosts: Hex
  now: number
}) {
  const scroll = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: machines.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  })
  const items = virtual.getVirtualItems()
  const first = items[0]?.index ?? 0
  const last = items.at(-1)?.index ?? -1
  // whole blocks of rows, so that a small movement asks nothing new
  const from = Math.floor(first / 32) * 32
  const to = Math.ceil((last + 1) / 32) * 32
  const claims = useMemo(() => {
    const some = machines.slice(from, to)
    return [
      ...hostClaims(
        hosts,
        some.flatMap(({ host }) => host ?? []),
      ),
      ...approvalClaims(some.flatMap(({ approval }) => approval ?? [])),
    ]
  }, [machines, from, to, hosts])
  const checked = useChecks('machines', at, claims)
  const nameOf = useNames()
  if (machines.length === 0) return <p className="none">No machine was found.</p>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section className="virtual" ref={scroll} tabIndex={0} aria-label="Table of machines">
      {/* biome-ignore lint/a11y/useSemanticElements: a virtual table places its rows itself */}
      <div role="table" aria-rowcount={machines.length + 1} aria-label="Machines">
        {/* biome-ignore lint/a11y/useSemanticElements: see above */}
        <div role="rowgroup" className="virtual-head">
          <VirtualRow index={1}>
            {['Machine', 'Approval', 'TCB status', 'Host proof until', 'Operator'].map((name) => (
              // biome-ignore lint/a11y/useSemanticElements: see above
              // biome-ignore lint/a11y/useFocusableInteractive: a heading is not interactive
              <div role="columnheader" key={name}>
                {name}
              </div>
            ))}
          </VirtualRow>
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: see above */}
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {items.map(({ index, start }) => {
            const { id, host: told, approval } = machines[index] as Machine
            const host = told && provenHost(hosts, told, checked)
            return (
              <VirtualRow key={id} index={index + 2} top={start}>
                <Cell>
                  <Hash value={id} name={nameOf(id)} to={`/machines/${id}`} />
                </Cell>
                <Cell>
                  {approval === undefined ? (
                    <span className="zero">never approved</span>
                  ) : (
                    <ApprovalState row={approval} checked={checked} now={now} />
                  )}
                </Cell>
                <Cell>
                  {host?.status == null || host.status === 0 ? (
                    <span className="zero">–</span>
                  ) : (
                    <>
                      {onChainStatuses[host.status] ?? host.status}{' '}
                      <CheckOrigin id={host.id} checked={checked} />
                    </>
                  )}
                </Cell>
                <Cell>
                  {host?.expiresAt == null || host.expiresAt === 0 ? (
                    <span className="zero">no proof</span>
                  ) : (
                    <span title={formatDeadline(host.expiresAt, now)}>
                      {formatDeadline(host.expiresAt).slice(0, 16)}
                      {host.expiresAt <= now ? ' (ended)' : ''}
                    </span>
                  )}
                </Cell>
                <Cell>
                  {host?.operator == null ? (
                    <span className="zero">–</span>
                  ) : (
                    <Hash value={host.operator} digits={4} />
                  )}
                </Cell>
              </VirtualRow>
            )
          })}
        </div>
      </div>
    </section>
  )
}

function VirtualRow({
  index,
  top,
  children,
}: {
  index: number
  top?: number
  children: React.ReactNode
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a virtual table places its rows itself
    // biome-ignore lint/a11y/useFocusableInteractive: a row is not interactive
    <div
      role="row"
      aria-rowindex={index}
      className="virtual-row"
      style={
        top === undefined
          ? {}
          : { position: 'absolute', transform: `translateY(${top}px)`, height: rowHeight }
      }
    >
      {children}
    </div>
  )
}

function Cell({ children }: { children: React.ReactNode }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a virtual table places its cells itself
    <div role="cell">{children}</div>
  )
}

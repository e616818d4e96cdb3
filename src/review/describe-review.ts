/** A review in words: the same lines for a terminal and for Markdown. */

import { formatTime } from '../chain/governance/format-time.ts'
import type {
  ChangedBoot,
  ChangedBoots,
  ChangedPeriod,
} from '../chain/simulate/changed-boots/compare-boots.ts'
import {
  type ListedBoot,
  unlistedDevice,
  unlistedMeasurements,
} from '../chain/simulate/changed-boots/list-boots.ts'
import { escapeMarkdown, escapeText } from '../lib/printable.ts'
import { formatComparison } from '../manifest/compare-manifests.ts'
import type { ApprovalReview } from './approval-review.ts'
import { type ProposalReview, reviewDigest } from './review-proposal.ts'

/** A part of a review. */
export interface ReviewSection {
  /** Heading, without punctuation. */
  readonly title: string
  /** One point each; the first line of a point, and lines below it. */
  readonly points: readonly (readonly [string, ...string[]])[]
}

/** Most boots that are listed in words. The JSON has all of them. */
const maxBoots = 40
/** Most changed words that are listed in words. */
const maxChanges = 60

/** The sections of a review in their order. Foreign text is one line without control characters. */
export function describeReview(review: ProposalReview): ReviewSection[] {
  const { calls, approvals, warnings, execution, changedBoots } = review
  return [
    {
      title: 'Warnings',
      points: warnings.map(({ code, message }) => [`${code}: ${message}`]),
    },
    {
      title: 'Calls',
      points: calls.map(({ to, contract, effects, irreversible }, index) => [
        `${index + 1}. ${contract ?? 'unknown contract'} ${to}`,
        ...effects,
        ...(irreversible === null ? [] : [`cannot be undone: ${irreversible}`]),
      ]),
    },
    { title: 'What the hashes stand for', points: approvals.map(describeApprovalReview) },
    { title: 'Execution', points: describeExecution(review) },
    {
      title: 'Changed storage',
      points: cut(
        execution.changes.map(({ contract, address, name, slot, before, after }): [string] => [
          `${contract ?? address} ${name ?? slot}: ${before} → ${after}`,
        ]),
        maxChanges,
      ),
    },
    ...(changedBoots === null ? [] : describeChangedBoots(changedBoots)),
  ].map(({ title, points }) => ({
    title,
    points: points.map((lines) => lines.map(escapeText) as [string, ...string[]]),
  }))
}

function describeExecution({
  execution,
  executedFirst,
  block,
}: ProposalReview): [string, ...string[]][] {
  const { failure, assumptions, gasUsed } = execution
  const times = describeTimes(execution)
  const result =
    failure === undefined
      ? `It succeeds (${times}) and uses ${gasUsed} gas.`
      : `It fails (${times}): ${failure.error} in the step ${failure.step}${failure.call === undefined ? '' : `, call ${failure.call}`}.`
  return [
    [result],
    [`State of block ${block.number} (${block.hash}).`],
    ...assumptions.map((each): [string] => [`Assumed: ${each}`]),
    ...(executedFirst.length === 0
      ? []
      : [[`After the queued proposals ${executedFirst.join(', ')}.`] as [string]]),
  ]
}

function describeTimes({ queuedAt, executedAt }: ProposalReview['execution']): string {
  const queue = queuedAt === undefined ? '' : `queued ${formatTime(queuedAt)}, `
  return `${queue}executed ${formatTime(executedAt)}`
}

function describeApprovalReview(approval: ApprovalReview): [string, ...string[]] {
  const { kind, id, registry, evidence, imageName, release, activeFrom, expiresAt } = approval
  const end = expiresAt === 0 ? 'without an end' : `until ${formatTime(expiresAt)}`
  const lines = [`from ${formatTime(activeFrom)} ${end}, in ${registry}`]
  if (imageName !== undefined) lines.push(`named ${imageName}`)
  if (evidence !== undefined) {
    const { repository, commit } = evidence.source
    lines.push(`source ${repository} at commit ${commit}`, `recipe: ${evidence.recipe}`)
  }
  if (release === undefined) return [`${kind} ${id}`, ...lines]
  const { manifest, difference, source } = release
  lines.push(`manifest from the ${source}: ${manifest.name}`)
  for (const { name, image, digest } of manifest.services) {
    lines.push(`service ${name}: ${image}${digest === null ? ' (NOT PINNED)' : ''}`)
  }
  if (manifest.variableNames.length > 0)
    lines.push(`environment: ${manifest.variableNames.join(', ')}`)
  for (const [name, value] of Object.entries(manifest.flags)) {
    lines.push(`${name}: ${JSON.stringify(value)}`)
  }
  if (difference === undefined) lines.push('no other active release with a known manifest')
  else {
    lines.push(`difference from the newest release that can boot, ${difference.from}:`)
    const comparison = {
      before: difference.from,
      after: manifest.composeHash,
      changes: difference.changes,
      result: difference.changes.length === 0 ? ('same-meaning' as const) : ('different' as const),
    }
    lines.push(...formatComparison(comparison))
  }
  return [`${kind} ${id}`, ...lines]
}

function describeChangedBoots({
  losses,
  gains,
  evaluated,
  omitted,
}: ChangedBoots): ReviewSection[] {
  return [
    {
      title: `Boots that it ends (${losses.length})`,
      points: cut(losses.map(describeBoot), maxBoots),
    },
    {
      title: `Boots that it allows (${gains.length})`,
      points: cut(gains.map(describeBoot), maxBoots),
    },
    {
      title: 'Evaluated boots',
      points: [
        [`${evaluated} combinations of registered ids, for TDX.`],
        ...omitted.map((each): [string] => [each]),
      ],
    },
  ]
}

function describeBoot({ boot, periods }: ChangedBoot): [string, ...string[]] {
  return [nameOfBoot(boot), ...periods.map(describePeriod)]
}

function nameOfBoot(boot: ListedBoot): string {
  const device = boot.deviceId === unlistedDevice ? 'any other device' : `device ${boot.deviceId}`
  if (boot.bootOf === 'kms') {
    return `KMS node ${boot.mrAggregated} on image ${boot.osImageHash}, ${device}`
  }
  const measured = boot.mrSystem === unlistedMeasurements ? '' : `, measurements ${boot.mrSystem}`
  const status = boot.tcbStatus === 'UpToDate' ? '' : `, TCB ${boot.tcbStatus}`
  return `app ${boot.appId}, release ${boot.composeHash} on image ${boot.osImageHash}, ${device}${measured}${status}`
}

function describePeriod({ from, until, before, after }: ChangedPeriod): string {
  const end = until === undefined ? 'on' : `until ${formatTime(until)}`
  const words = (answer: ChangedPeriod['before']) =>
    answer.allowed ? 'allowed' : `denied (${answer.reason})`
  return `from ${formatTime(from)} ${end}: ${words(after)}, without the proposal ${words(before)}`
}

function cut<T>(points: readonly T[], most: number): (T | [string])[] {
  if (points.length <= most) return [...points]
  return [...points.slice(0, most), [`… and ${points.length - most} more, in the JSON`]]
}

/** A review as Markdown, with the digest of its JSON. */
export function reviewToMarkdown(review: ProposalReview): string {
  const { proposal, governor, chainId } = review
  const title = proposal === null ? 'Review of calls' : `Review of proposal ${proposal}`
  const sections = describeReview(review).map(({ title: heading, points }) => {
    const lines = points.map(([first, ...rest]) =>
      [`- ${escapeMarkdown(first)}`, ...rest.map((each) => `  - ${escapeMarkdown(each)}`)].join(
        '\n',
      ),
    )
    return `## ${heading}\n\n${lines.length === 0 ? 'None.' : lines.join('\n')}`
  })
  return `${[
    `# ${title}`,
    `Governor ${governor} on chain ${chainId}. SHA-256 of the JSON: \`${reviewDigest(review)}\``,
    ...sections,
  ].join('\n\n')}\n`
}

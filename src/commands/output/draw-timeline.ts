/** Draws the stages of a proposal: blocks on a terminal, lines everywhere. */

import { formatDuration, formatTime } from '../../chain/governance/format-time.ts'
import type { Stage } from '../../chain/governance/timeline.ts'
import { colors as pc } from '../output/colors.ts'

const labels: Record<Stage['name'], string> = {
  review: 'review',
  vote: 'vote',
  queue: 'queue',
  timelock: 'timelock',
  execute: 'execute',
}

const paints: Record<Stage['name'], (text: string) => string> = {
  review: pc.blue,
  vote: pc.magenta,
  queue: pc.yellow,
  timelock: pc.cyan,
  execute: pc.green,
}

/** Most and fewest cells of the smallest block. */
const smallest = { most: 6, fewest: 1 }

/**
 * One block for each stage, the longer the longer the stage takes; the part in the past is filled.
 *
 * @param width of all blocks with the spaces between them, in columns
 */
export function blocksOf(stages: readonly Stage[], now: number, width: number): string {
  const shown = stages.filter(({ status }) => status !== 'skipped')
  // the execution window is much longer than the other stages, so its block has the minimum size
  const length = ({ name, from, to }: Stage) =>
    name === 'execute' || from === undefined || to === undefined ? 0 : to - from
  const whole = shown.reduce((sum, stage) => sum + length(stage), 0) || 1
  const free = width - (shown.length - 1)
  const { most, fewest } = smallest
  const least = Math.max(fewest, Math.min(most, Math.floor(free / shown.length)))
  const rest = Math.max(0, free - least * shown.length)
  return shown
    .map((stage) => {
      const { name, from, to, status } = stage
      const cells = least + Math.floor((rest * length(stage)) / whole)
      const part =
        status === 'done'
          ? 1
          : status === 'upcoming' || from === undefined
            ? 0
            : (now - from) / ((to ?? 2 * now) - from)
      const full = Math.min(cells, Math.floor(cells * part))
      return paints[name]('█'.repeat(full) + '░'.repeat(cells - full))
    })
    .join(' ')
}

/** What the blocks are, in their order and colours. */
export function legendOf(stages: readonly Stage[]): string {
  const names = stages
    .filter(({ status }) => status !== 'skipped')
    .map(({ name }) => paints[name](labels[name]))
  return `${names.join(', ')}; █ is past, ░ is to come`
}

/** One line for each stage: name, begin, end and status. */
export function linesOf(stages: readonly Stage[]): string[] {
  return stages.map(({ name, from, to, status }) => {
    const label = labels[name].padEnd(10)
    if (status === 'skipped') return `${label}  skipped`
    const begin = from === undefined ? 'when the one before is over' : formatTime(from)
    const end =
      to === undefined
        ? 'until somebody does it'
        : from === undefined
          ? ''
          : `${formatTime(to)}, ${formatDuration(to - from)}`
    const text = `${label}  ${status.padEnd(8)}  ${begin}${end === '' ? '' : ` – ${end}`}`
    return status === 'current' ? pc.bold(text) : text
  })
}

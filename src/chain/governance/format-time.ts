/** Formats times and durations as exact text. */
import { noEnd } from '../approval.ts'

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/**
 * Formats a duration without rounding.
 *
 * @example formatDuration(5400) // '1 hour 30 minutes'
 */
export function formatDuration(seconds: number): string {
  let left = Math.abs(seconds)
  const parts: string[] = []
  for (const [name, size] of units) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? '' : 's'}`)
  }
  return parts.length === 0 ? '0 seconds' : parts.join(' ')
}

/** Formats unix seconds, for example `2026-11-21 05:43:12 UTC`. The largest time of contracts gives `no end`. */
export function formatTime(unixSeconds: number): string {
  if (unixSeconds >= noEnd) return 'no end'
  const iso = new Date(unixSeconds * 1000).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}

/** Formats a time with its distance to `now` in the two largest units. Without `now`, for stored texts, only the time. */
export function formatDeadline(unixSeconds: number, now?: number): string {
  if (now === undefined || unixSeconds >= noEnd) return formatTime(unixSeconds)
  const distance = unixSeconds - now
  if (distance === 0) return `${formatTime(unixSeconds)} (now)`
  const about = formatDuration(distance).split(' ').slice(0, 4).join(' ')
  return `${formatTime(unixSeconds)} (${distance > 0 ? `in ${about}` : `${about} ago`})`
}

/** Times and durations as people say them; the exact second stands beside, because it is what binds. */

const units = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** `172800` → `2 days`, `5400` → `1 hour 30 minutes`; never rounded. */
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

/** The last second of a JavaScript date; contracts write later ones for "never". */
const lastSecond = 8_640_000_000_000

/** `2026-11-21 05:43:12 UTC` */
export function formatTime(unixSeconds: number): string {
  if (unixSeconds > lastSecond) return 'never'
  const iso = new Date(unixSeconds * 1000).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}

/** A time and how far it is from `now`, to the two largest units; a text that stays says only the time. */
export function formatDeadline(unixSeconds: number, now?: number): string {
  if (now === undefined) return formatTime(unixSeconds)
  const distance = unixSeconds - now
  if (distance === 0) return `${formatTime(unixSeconds)} (now)`
  const about = formatDuration(distance).split(' ').slice(0, 4).join(' ')
  return `${formatTime(unixSeconds)} (${distance > 0 ? `in ${about}` : `${about} ago`})`
}

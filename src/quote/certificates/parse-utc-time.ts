/** Calendar times in UTC. A day that does not exist is refused and not carried over into the next month. */

const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Unix seconds of a calendar time, or undefined if it does not exist. No leap seconds, as in certificates. */
export function utcSeconds(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const days = month === 2 && isLeap ? 29 : daysInMonth[month - 1]
  if (days === undefined || day < 1 || day > days) return undefined
  if (hour > 23 || minute > 59 || second > 59) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000
}

/** The number in `count` decimal digits at `offset`, or NaN if a character is not a digit. */
export function decimalDigits(bytes: Uint8Array, offset: number, count: number): number {
  let value = 0
  for (let index = offset; index < offset + count; index++) {
    const digit = (bytes[index] as number) - 0x30
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

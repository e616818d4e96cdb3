/** Nested values as aligned lines. */
import { colors as pc } from '../output/colors.ts'

/** One aligned line a field: `report.mrTd  b24d…`. */
export function formatFields(value: object): string[] {
  const lines = flatten(value, '')
  const width = Math.max(0, ...lines.map(([name]) => name.length))
  return lines.map(([name, text]) => `${pc.dim(name.padEnd(width))}  ${text}`)
}

function flatten(value: object, prefix: string): [string, string][] {
  return Object.entries(value).flatMap(([key, field]): [string, string][] => {
    const name = prefix === '' ? key : `${prefix}.${key}`
    if (isShortList(field)) return [[name, field.join(', ')]]
    if (typeof field === 'object' && field !== null) return flatten(field, name)
    return [[name, isTime(name, field) ? `${field} (${formatTime(field)})` : String(field)]]
  })
}

function isShortList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.every((item) => String(item).length <= 32)
}

function isTime(name: string, value: unknown): value is number {
  return typeof value === 'number' && /^at$|expiresAt$|^issuedAt|\.not(?:Before|After)$/.test(name)
}

function formatTime(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().replace('.000Z', 'Z')
}

/** Numbers that a benchmark takes from outside: whole, at least one, or it does not begin. */
import { AssentError } from '../src/errors/index.ts'

/** @throws CONFIG_INVALID, so that no figure is measured over something else than was asked for */
export function benchNumber(name: string, fallback: number, env = process.env): number {
  const text = env[name]
  if (text === undefined) return fallback
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new AssentError('CONFIG_INVALID', `${name} is a whole number from 1 on, not "${text}".`, {
    facts: { name, value: text },
    hint: `Leave it out for ${fallback}.`,
  })
}

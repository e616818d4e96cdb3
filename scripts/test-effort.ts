/**
 * How hard the tests look: a little on every change, much more in a night.
 *
 * `npm run nightly` sets both variables for the commands it runs; by hand they do the same.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** `ASSENT_NIGHTLY=1`: the long runs. */
export const isNightly: boolean = process.env.ASSENT_NIGHTLY === '1'

/** `ASSENT_SEED`: what random inputs are made from; the same seed makes the same inputs. */
export const seed: number = readSeed(process.env.ASSENT_SEED ?? '1')

/** Where inputs that failed are kept, one file each. */
export const failuresFolder: string = path.join(
  path.dirname(import.meta.dirname),
  '.assent',
  'nightly',
  'failures',
)

/** How many inputs a test tries. */
export function inputs(everyDay: number, nightly: number): number {
  return isNightly ? nightly : everyDay
}

/** Keeps what is needed to see a failure again. @returns the file */
export function keepFailure(name: string, content: object): string {
  mkdirSync(failuresFolder, { recursive: true })
  const file = path.join(failuresFolder, `${name}.json`)
  writeFileSync(file, `${JSON.stringify({ seed, ...content }, null, 2)}\n`)
  return file
}

/** A whole number that 32 bits hold: what every generator in use can start from. */
export function readSeed(text: string): number {
  const value = Number(text)
  if (!/^\d{1,10}$/.test(text) || value > 0xffff_ffff) {
    throw new RangeError(`A seed is a whole number below 2^32, not ${text}.`)
  }
  return value
}

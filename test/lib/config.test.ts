/** Errors of a configuration name the wrong field, also inside of alternatives. */
import { expect, test } from 'vitest'
import { z } from 'zod'

import { kmsConfigSchema } from '../../src/kms/config.ts'
import { describeIssues, namesOfIssues } from '../../src/lib/config.ts'

function describeSetting(name: keyof typeof kmsConfigSchema.shape, value: unknown): string {
  const parsed = z.object({ [name]: kmsConfigSchema.shape[name] }).safeParse({ [name]: value })
  if (parsed.success) throw new Error('The value was accepted.')
  return describeIssues(parsed.error)
}

const log = { folder: '/log', node: 'kms-1', entries: 'public', witnesses: 'insecure-none' }

test.each([
  ['a wrong value', { ...log, entries: 'open' }, /^releaseLog\.entries: .*"public"\|"private"/],
  ['a missing field', { ...log, folder: undefined }, /^releaseLog\.folder: .*expected string/],
  ['an unknown field', { ...log, folders: [] }, /^releaseLog: Unrecognized key: "folders"/],
  [
    'a wrong field of an inner alternative',
    { ...log, witnesses: { urls: [], atLeast: 0 } },
    /^releaseLog\.witnesses\.atLeast: /,
  ],
  ['a wrong period', { ...log, keep: { days: 1 } }, /^releaseLog\.keep\.days: .*>=30/],
  [
    'another word',
    'off',
    /^releaseLog: expected object, received string, or expected "insecure-off"$/,
  ],
])('an error of releaseLog names %s', (_, value, message) => {
  expect(describeSetting('releaseLog', value)).toMatch(message)
})

test.each([
  ['chainView', { insecureSingleEndpoint: 'nowhere' }, /^chainView\.insecureSingleEndpoint: /],
  ['finality', { confirmations: -1 }, /^finality\.confirmations: /],
] as const)('an error of %s names the inner field', (name, value, message) => {
  expect(describeSetting(name, value)).toMatch(message)
})

test('the facts of an error list the inner fields of an alternative', () => {
  const schema = z.object({
    either: z.union([z.literal('off'), z.strictObject({ days: z.int() })]),
  })
  const { error } = schema.safeParse({ either: { days: 'two' } })

  expect(namesOfIssues(error as z.ZodError)).toEqual(['either.days'])
})

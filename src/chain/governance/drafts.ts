/** Drafts: files that collect calls for one proposal. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { readBytes, replaceFile } from '../../lib/files.ts'
import { addressSchema } from '../../lib/schema.ts'
import type { Call } from '../call.ts'

const callSchema = z.strictObject({
  to: addressSchema,
  data: z
    .string()
    .regex(/^0x(?:[0-9a-f]{2})*$/)
    .transform((text) => text as Hex),
  /** Wei, as decimal text. */
  value: z.string().regex(/^\d{1,78}$/),
})

const draftSchema = z.strictObject({ chainId: z.int().positive(), calls: z.array(callSchema) })

/** Reads the calls of a draft. @throws FILE_UNREADABLE, INPUT_TOO_LARGE, DRAFT_INVALID also if the draft is for another chain */
export async function readDraft(file: string, chainId: number): Promise<Call[]> {
  const text = (await readBytes(file)).toString('utf8')
  const draft = parseDraft(text, file)
  if (draft.chainId !== chainId) {
    throw new AssentError('DRAFT_INVALID', `${file} is a draft for another chain.`, {
      facts: { file, expected: chainId, found: draft.chainId },
    })
  }
  return draft.calls.map(({ to, data, value }) => ({
    to,
    data,
    value: BigInt(value),
    summary: 'drafted',
  }))
}

/** Appends calls to a draft, which is created if it does not exist. Returns the number of its calls. @throws DRAFT_INVALID */
export async function addToDraft(
  file: string,
  chainId: number,
  calls: readonly Call[],
): Promise<number> {
  const known = await readDraft(file, chainId).catch((error: unknown) => {
    if (error instanceof AssentError && error.code === 'FILE_UNREADABLE') return []
    throw error
  })
  const all = [...known, ...calls].map(({ to, data, value = 0n }) => ({
    to: to.toLowerCase(),
    data: data.toLowerCase(),
    value: value.toString(),
  }))
  await replaceFile(file, `${JSON.stringify({ chainId, calls: all }, null, 2)}\n`)
  return all.length
}

function parseDraft(text: string, file: string): z.infer<typeof draftSchema> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new AssentError('DRAFT_INVALID', `${file} is not JSON.`, { cause, facts: { file } })
  }
  const parsed = draftSchema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('DRAFT_INVALID', `${file}: ${describeIssues(parsed.error)}`, {
    facts: { file },
  })
}

/** The facts about an app that an event log proves, as JSON. Bytes are lower-case hex. */
import { z } from 'zod'

import type { ProvenApp } from '../../audit/prove-app.ts'
import { toHex } from '../../lib/bytes.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})*$/)

/** JSON form of `ProvenApp`; hex without `0x`. */
export const appSchema = z.strictObject({
  appId: hex,
  composeHash: hex,
  instanceId: hex,
  keyProvider: z
    .strictObject({ name: z.string(), id: z.string() })
    .nullable()
    .describe('where it got its keys; null: the log does not say'),
  osImageHash: hex.nullable(),
  image: z
    .enum(['proven', 'claimed', 'unknown'])
    .describe('proven: the registers are those of the image; claimed: the host says so'),
  mrAggregated: hex,
  mrSystem: hex,
})

/** The facts about the app that the event log proves, as `quote verify --json` prints them. */
export type AppJson = z.infer<typeof appSchema>

/** The JSON form of a proven app. */
export function describeApp(app: ProvenApp): AppJson {
  return {
    appId: toHex(app.appId),
    composeHash: toHex(app.composeHash),
    instanceId: toHex(app.instanceId),
    keyProvider: app.keyProvider ?? null,
    osImageHash: app.osImageHash === undefined ? null : toHex(app.osImageHash),
    image: app.image,
    mrAggregated: toHex(app.mrAggregated),
    mrSystem: toHex(app.mrSystem),
  }
}

/** Follows what a wallet sent. A wallet is not believed: the endpoints say what it sent, and whether it succeeded. */
import { z } from 'zod'

import type { Call } from '../../../src/chain/call.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { addressSchema, bytesSchema } from '../../../src/lib/schema.ts'
import type { Chain } from '../data/chain.ts'

/** A sentence about a transaction. */
export interface Status {
  readonly text: string
  readonly isProblem: boolean
}

const transactionSchema = z
  .object({ from: addressSchema, to: addressSchema.nullable(), input: bytesSchema })
  .nullable()
const receiptSchema = z.object({ status: z.enum(['0x0', '0x1']) }).nullable()
const pollMs = 1_500
const maxPolls = 80

/** Waits until an endpoint has the receipt of the transaction, for two minutes at most. */
export async function follow(
  { endpoints }: Chain,
  hash: Hex,
  account: Hex,
  { to, data }: Call,
): Promise<Status> {
  for (let poll = 0; poll < maxPolls; poll++) {
    for (const endpoint of endpoints) {
      const sent = await endpoint
        .request('eth_getTransactionByHash', [hash], transactionSchema)
        .catch(() => null)
      if (sent === null) continue
      const isOther =
        sent.from !== account || sent.to !== to.toLowerCase() || sent.input !== data.toLowerCase()
      if (isOther) {
        return { text: `The wallet sent another transaction: ${hash}.`, isProblem: true }
      }
      const receipt = await endpoint
        .request('eth_getTransactionReceipt', [hash], receiptSchema)
        .catch(() => null)
      if (receipt === null) continue
      return receipt.status === '0x1'
        ? { text: `Done in ${hash}.`, isProblem: false }
        : { text: `The transaction ${hash} failed.`, isProblem: true }
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  return { text: `No endpoint shows the transaction ${hash} yet.`, isProblem: true }
}

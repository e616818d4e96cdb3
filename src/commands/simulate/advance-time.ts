/**
 * `assent simulate advance-time`: moves the clock of a development chain forward and mines a block. Sends
 * `evm_increaseTime`, which public chains refuse.
 */
import { z } from 'zod'
import { toChainError } from '../../chain/call.ts'
import { formatDuration, formatTime } from '../../chain/governance/format-time.ts'
import type { ArgumentsOf } from '../command.ts'
import { readDuration } from '../input/arguments.ts'
import { unixTime } from '../output/json.ts'
import type { ChainContext } from '../session/session.ts'
import type { advanceTime } from '../simulate.ts'

export const schema = z.strictObject({ now: unixTime })

export async function run(args: ArgumentsOf<typeof advanceTime>, context: ChainContext) {
  const seconds = readDuration(args.time, 'time')
  const { publicClient, name, output } = context
  const request = (method: string, ...params: unknown[]) =>
    publicClient.request({ method, params } as never).catch((cause: unknown) => {
      throw toChainError(cause, `${method} of ${name}, which only development chains know`)
    })
  await request('evm_increaseTime', seconds)
  await request('evm_mine')
  const now = Number((await publicClient.getBlock()).timestamp)
  output.line(`Advanced by ${formatDuration(seconds)} to ${formatTime(now)}`)
  return { now }
}

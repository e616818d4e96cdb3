/** `assent simulate pccs`: serves the collateral of a simulated host over HTTP. Reads the folder of the host. */

import { z } from 'zod'

import { aborted } from '../../lib/aborted.ts'
import { systemClock } from '../../lib/clock.ts'
import { listen } from '../../tee/simulator/listen.ts'
import { createPccs } from '../../tee/simulator/pccs.ts'
import type { ArgumentsOf } from '../command.ts'
import { readPort, readTime } from '../input/arguments.ts'
import { unixTime } from '../output/json.ts'
import type { Context } from '../session/context.ts'
import type { pccs as command } from '../simulate.ts'
import { openSimulatedHost } from './host-folder.ts'

export const schema = z.strictObject({
  url: z.url(),
  fmspc: z.string().describe('the platform family, 12 hexadecimal digits'),
  at: unixTime.describe('unix seconds: the documents are valid from one day before'),
})

/** One line as soon as it serves. Ends after SIGTERM or SIGINT. */
export async function* run(args: ArgumentsOf<typeof command>, context: Context) {
  const { output } = context
  const at = args.at === undefined ? systemClock() : readTime(args.at, '--at')
  const port = readPort(args.port, '--port')
  const { simulator } = await openSimulatedHost(args.folder)
  // the clock goes on from `at`
  const offset = at - systemClock()
  const app = createPccs({ simulator, clock: () => systemClock() + offset })
  const stop = context.stopSignal()
  const server = await listen(app, { port })
  output.line(`serving collateral of ${simulator.fmspc} on ${server.address}; Ctrl-C stops it`)
  output.pause()
  yield { url: server.address, fmspc: simulator.fmspc.toLowerCase(), at }
  await aborted(stop)
  await server.close()
}

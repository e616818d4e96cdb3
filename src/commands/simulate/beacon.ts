/** `assent simulate beacon`: serves the beacon API of a simulated beacon chain over the chain of the profile. */
import { dirname, join } from 'node:path'

import { Hono } from 'hono'
import { z } from 'zod'

import { type Network, parseNetwork } from '../../chain/consensus/network.ts'
import { startBeaconNode } from '../../chain/consensus/simulator/beacon-node.ts'
import { createLocalNetwork } from '../../chain/consensus/simulator/local-network.ts'
import { AssentError } from '../../errors/index.ts'
import { to0x } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { makeFolder, readJson, writeNewFile } from '../../lib/files.ts'
import { listen } from '../../tee/simulator/listen.ts'
import type { ArgumentsOf } from '../command.ts'
import { readDuration, readPort } from '../input/arguments.ts'
import { bytes32 } from '../output/json.ts'
import type { ChainContext } from '../session/session.ts'
import type { beacon as command } from '../simulate.ts'

export const schema = z.strictObject({
  url: z.url(),
  network: z.string().describe('file with the description of the network'),
  trustedBlockRoot: bytes32,
  finalizedSlot: z.int().min(0).describe('slot of the trusted block root'),
  secondsPerSlot: z.int().min(1),
})

/** One line as soon as it serves. Ends after SIGTERM or SIGINT. */
export async function* run(args: ArgumentsOf<typeof command>, context: ChainContext) {
  const { output, publicClient, chainId } = context
  const port = readPort(args.port, '--port')
  const file = join(args.folder, 'network.json')
  const network = await openNetwork(file, chainId, readSlot(args.slot))
  const node = await startBeaconNode({ network, publicClient, clock: systemClock })
  const stop = context.stopSignal()
  const server = await listen(createApi(node.answer), { port })
  const value = {
    url: server.address,
    network: file,
    trustedBlockRoot: to0x(node.finalizedRoot),
    finalizedSlot: node.finalizedSlot,
    secondsPerSlot: network.secondsPerSlot,
  }
  for (const [name, text] of Object.entries(value)) output.line(`${name.padEnd(17)} ${text}`)
  output.line('The beacon API serves; Ctrl-C stops it.')
  output.pause()
  yield value
  let isDown = false
  await node.follow(stop, (error) => {
    if (!isDown)
      output.instruction(`The chain does not answer, so new slots have no new block: ${error}`)
    isDown = true
  })
  await server.close()
}

function createApi(answer: (url: URL) => object | undefined): Hono {
  const app = new Hono()
  app.get('*', (request) => {
    const body = answer(new URL(request.req.url))
    return body === undefined ? request.notFound() : request.json(body)
  })
  return app
}

function readSlot(text: string): number {
  const seconds = readDuration(text, '--slot')
  if (seconds >= 1 && seconds <= 60) return seconds
  throw new AssentError('USAGE_INVALID', 'A slot takes between one second and one minute.', {
    facts: { slot: text },
  })
}

/** The network of the folder; a new one if the folder has none. @throws FILE_*, INPUT_INVALID, CONSENSUS_NETWORK_INVALID */
async function openNetwork(
  file: string,
  chainId: number,
  secondsPerSlot: number,
): Promise<Network> {
  const created = createLocalNetwork({ chainId, now: systemClock(), secondsPerSlot })
  await makeFolder(dirname(file))
  try {
    await writeNewFile(file, `${JSON.stringify(created, null, 2)}\n`)
    return created
  } catch (error) {
    if (!(error instanceof AssentError) || error.code !== 'FILE_EXISTS') throw error
  }
  const network = parseNetwork(await readJson(file, 'INPUT_INVALID'))
  if (network.chainId === chainId) return network
  throw new AssentError('INPUT_INVALID', `${file} describes the beacon chain of another chain.`, {
    facts: { found: network.chainId, expected: chainId },
  })
}

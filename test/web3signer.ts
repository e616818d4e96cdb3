/** The part of web3signer's REST API that Assent uses: public keys and signatures in mode `eth1`. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { keccak256 } from 'viem'
import { privateKeyToAccount, sign } from 'viem/accounts'

import { fromHex, type Hex } from '../src/lib/bytes.ts'
import { anvilKeys } from './anvil.ts'

export interface Web3SignerFixtureOptions {
  readonly key?: Hex
  /** Changes a signature before it is sent. */
  readonly sabotage?: (signature: string) => string
}

/** Serves one key, by default the second of anvil's. */
export async function serveWeb3Signer({
  key = anvilKeys[1],
  sabotage,
}: Web3SignerFixtureOptions = {}): Promise<{ readonly url: string; stop(): void }> {
  const { publicKey } = privateKeyToAccount(key)
  const identifier = `0x${publicKey.slice(4)}`
  const server = createServer((incoming, response) => {
    const parts: Buffer[] = []
    incoming.on('data', (part) => parts.push(part))
    incoming.on('end', async () => {
      if (incoming.url === '/api/v1/eth1/publicKeys') {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify([`0x${'ab'.repeat(64)}`, identifier]))
        return
      }
      if (incoming.url !== `/api/v1/eth1/sign/${identifier}`) {
        response.statusCode = 404
        response.end()
        return
      }
      const { data } = JSON.parse(Buffer.concat(parts).toString()) as { data: Hex }
      const hash = keccak256(fromHex(data, 'data'))
      const signature = await sign({ hash, privateKey: key, to: 'hex' })
      response.setHeader('content-type', 'text/plain')
      response.end(sabotage?.(signature) ?? signature)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, stop: () => void server.close() }
}

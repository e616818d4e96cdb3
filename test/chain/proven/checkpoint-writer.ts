/** Writes ever higher blocks into a memory and says so after each, until it is killed. */
import { openCheckpoint } from '../../../src/chain/proven/checkpoint.ts'

const [folder = '', from = '0'] = process.argv.slice(2)
const memory = openCheckpoint({
  folder,
  chainId: 1,
  kms: `0x${'ab'.repeat(20)}`,
  key: new Uint8Array(32).fill(7),
})
for (let number = Number(from); ; number += 2) {
  const hash = `0x${number.toString(16).padStart(64, '0')}` as const
  await memory.write({ number: BigInt(number), hash, timestamp: number * 12 })
  process.stdout.write(`${number}\n`)
}

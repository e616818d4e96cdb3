import { addOsImageHash, readState } from '../src/chain/registry.ts'
import { to0x } from '../src/lib/bytes.ts'
import { connectDevChain } from './demo/chain.ts'
import { foundDao } from './demo/dao.ts'
import { startHardhatNode } from './demo/hardhat-node.ts'

console.time('node')
const n = await startHardhatNode(1787184000)
const c = await connectDevChain(n.url)
console.timeEnd('node')
console.time('dao')
const dao = await foundDao(c)
console.timeEnd('dao')
console.time('decide')
const h = to0x(new Uint8Array(32).fill(7))
const d = await dao.decide([addOsImageHash(dao.addresses.kmsAuth, h)], 'approve')
console.timeEnd('decide')
console.log(d.seconds, await readState(c.client as never, dao.addresses.kmsAuth, 'osImage', h))
await n.stop()

/**
 * One attempt at a deployment, in a process of its own that dies by SIGKILL where it is told to:
 * `node deploy-process.ts <rpc url> <folder> <which creation kills it, 0 = none> <before | after>` it was sent.
 */
import hre from 'hardhat'
import { type EIP1193Provider, http } from 'viem'

import { deploy } from '../../scripts/deploy.ts'
import { connect, hardhatArtifacts, testRules } from './dao.ts'

const [url = '', folder = '', at = '0', when = 'after'] = process.argv.slice(2)
const node = http(url)({ retryCount: 0 })
let left = Number(at)

const request = async (args: { method: string }) => {
  const isHere = args.method === 'eth_sendTransaction' && --left === 0
  if (isHere && when === 'before') die()
  const answer = await node.request(args as never)
  if (isHere) die()
  return answer
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // the signal comes between two instructions; nothing more may happen
  for (;;);
}

const people = await connect({ request } as unknown as EIP1193Provider)
const addresses = await deploy({
  ...people.deployer,
  artifacts: hardhatArtifacts(hre),
  rules: testRules(people.voter, people.guardian),
  record: { folder, commit: 'c0ffee', compiler: { version: '0.8.35', settings: {} } },
})
console.log(JSON.stringify(addresses))

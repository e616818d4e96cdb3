/** One of each thing that random operations rarely reach. */
import {
  type Abi,
  type BaseError,
  ContractFunctionRevertedError,
  encodeFunctionData,
  keccak256,
  toHex,
} from 'viem'

import {
  appAbi,
  assentGovernorAbi,
  assentVotesAbi,
  heartbeatAbi,
  hostBondsAbi,
  hostsAbi,
  imagesAbi,
  kmsAuthAbi,
  rootKeysAbi,
} from '../../src/chain/abi.ts'
import { noEnd } from '../../src/chain/approval.ts'
import { hostReportData } from '../../src/chain/registries/hosts.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { bootstrapReportData } from '../../src/quote/measurements/measure.ts'
import { encodeReport } from '../chain/registries.ts'
import type { RandomHistory } from './random-history.ts'

/** An app with an announcement, a proposal from vote to execution, a host that continues, and a root key. */
export async function takeTour(history: RandomHistory): Promise<void> {
  await announceInApp(history)
  await decideByVote(history)
  await continueHost(history)
  await proveRootKey(history)
  await fillOtherTables(history)
}

/** A bond, a heartbeat, a named image with a measurement set, and a rule for a TCB status. */
async function fillOtherTables({ accounts, addresses, send }: RandomHistory) {
  const { hostBonds, votes, heartbeat, images, hosts, timelock } = addresses
  const [, holder = '0x'] = accounts
  const id = keccak256(toHex('an image'))
  const set = {
    osImageHash: id,
    variant: 0,
    registers: `0x${'11'.repeat(192)}`,
    activeFrom: 0,
    expiresAt: 0,
    evidence: '0x',
  }
  const calls: readonly (readonly [Hex, Hex, unknown, string, readonly unknown[]])[] = [
    [holder, votes, assentVotesAbi, 'approve', [hostBonds, 10n]],
    [holder, hostBonds, hostBondsAbi, 'deposit', [id, 10n]],
    [holder, heartbeat, heartbeatAbi, 'beat', [id]],
    [timelock, images, imagesAbi, 'setImageName', [id, 'an image']],
    [timelock, images, imagesAbi, 'approveMeasurementSets', [[set], noEnd]],
    [timelock, hosts, hostsAbi, 'setStatusAcceptedUntil', [2, noEnd, noEnd]],
  ]
  for (const [from, to, abi, name, args] of calls) {
    await mustSend(send(from, to, abi as Abi, name, args))
  }
}

async function announceInApp({ client, accounts, addresses, send }: RandomHistory) {
  const owner = accounts[3] as Hex
  const none = `0x${'0'.repeat(64)}`
  const args = [owner, false, true, false, none, keccak256(toHex('first release'))]
  await mustSend(send(owner, addresses.kmsAuth, kmsAuthAbi as Abi, 'deployAndRegisterApp', args))
  const [ids] = await client.readContract({
    address: addresses.kmsAuth,
    abi: kmsAuthAbi,
    functionName: 'page',
    args: [3, 0n, 1n],
  })
  const app: Hex = `0x${(ids[0] as Hex).slice(26)}`
  await mustSend(send(owner, app, appAbi as Abi, 'setNoticePeriod', [100]))
  await mustSend(send(owner, app, appAbi as Abi, 'announce', [keccak256(toHex('a call'))]))
}

async function decideByVote({ accounts, addresses, send, rpc }: RandomHistory) {
  const { kmsAuth, governor } = addresses
  const [, voter = '0x'] = accounts
  const abi = assentGovernorAbi as Abi
  const action = encodeFunctionData({
    abi: kmsAuthAbi,
    functionName: 'setGatewayAppId',
    args: ['by vote'],
  })
  const calls = [[kmsAuth], [0n], [action]]
  const description = 'Name the gateway\u0000'
  const hashed = [...calls, keccak256(toHex(description))]
  const pass = async (seconds: number) => {
    await rpc('evm_increaseTime', seconds)
    await rpc('evm_mine')
  }
  await mustSend(send(voter, governor, abi, 'propose', [...calls, description]))
  await pass(20)
  const encoded = encodeFunctionData({ abi, functionName: 'getProposalId', args: hashed })
  const id = BigInt(await rpc<Hex>('eth_call', { to: governor, data: encoded }, 'latest'))
  await mustSend(send(voter, governor, abi, 'castVoteWithReason', [id, 1, 'why\u0000not']))
  await pass(200)
  await mustSend(send(voter, governor, abi, 'queue', hashed))
  await pass(100)
  await mustSend(send(voter, governor, abi, 'execute', hashed))
}

async function register({ client, accounts, addresses, send }: RandomHistory, deviceId: Hex) {
  const operator = accounts[4] as Hex
  const { number, hash, timestamp } = await client.getBlock()
  const binding = {
    chainId: 31337,
    registry: addresses.hosts,
    operator,
    block: { number, hash },
  }
  const quote = encodeReport({
    status: 1,
    deviceId,
    reportData: hostReportData(binding),
    expiresAt: timestamp + 20n * 86_400n,
  })
  await mustSend(send(operator, addresses.hosts, hostsAbi as Abi, 'register', [quote, number]))
}

/** A host moves to a new id, and the DAO moves it back. */
async function continueHost(history: RandomHistory) {
  const { accounts, addresses, send, rpc } = history
  const { hosts, timelock } = addresses
  const abi = hostsAbi as Abi
  const [from, to] = [keccak256(toHex('old id')), keccak256(toHex('new id'))]
  const operator = accounts[4] as Hex
  await mustSend(send(timelock, hosts, abi, 'setContinuityDelay', [60, noEnd]))
  const terms = { kind: 6, id: from, activeFrom: 0, expiresAt: 0, evidence: '0x' }
  await mustSend(send(timelock, hosts, abi, 'approve', [[terms], noEnd]))
  await register(history, from)
  await register(history, to)
  const signature = await rpc<Hex>('eth_signTypedData_v4', operator, {
    domain: { name: 'Assent Hosts', version: '1', chainId: 31337, verifyingContract: hosts },
    types: {
      EIP712Domain: [
        { name: 'name', type: 'string' },
        { name: 'version', type: 'string' },
        { name: 'chainId', type: 'uint256' },
        { name: 'verifyingContract', type: 'address' },
      ],
      HostContinuity: [
        { name: 'from', type: 'bytes32' },
        { name: 'to', type: 'bytes32' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'HostContinuity',
    message: { from, to, deadline: String(noEnd) },
  })
  await mustSend(send(operator, hosts, abi, 'continueAs', [from, to, noEnd, signature]))
  await mustSend(send(timelock, hosts, abi, 'approve', [[terms], noEnd]))
}

async function proveRootKey({ client, accounts, addresses, send }: RandomHistory) {
  const { kmsAuth, rootKeys, timelock } = addresses
  const ca = new Uint8Array(91).fill(0x30)
  const k256 = new Uint8Array(33).fill(2)
  const deviceId = keccak256(toHex('a KMS device'))
  const { timestamp } = await client.getBlock()
  const quote = encodeReport({
    status: 1,
    deviceId,
    reportData: bootstrapReportData(ca, k256),
    expiresAt: timestamp + 20n * 86_400n,
  })
  const prove = {
    address: rootKeys,
    abi: rootKeysAbi,
    functionName: 'prove',
    args: [quote, toHex(ca), toHex(k256)],
  } as const
  // the contract says which measurement it found
  const refusal = await client.simulateContract(prove).catch((error: BaseError) => error)
  const reverted = (refusal as BaseError).walk((e) => e instanceof ContractFunctionRevertedError)
  const measurement = (reverted as ContractFunctionRevertedError).data?.args?.[0]
  const kinds: readonly [number, unknown][] = [
    [1, measurement],
    [2, deviceId],
  ]
  const terms = kinds.map(([kind, id]) => ({
    kind,
    id,
    activeFrom: 0,
    expiresAt: 0,
    evidence: '0x',
  }))
  await mustSend(send(timelock, kmsAuth, kmsAuthAbi as Abi, 'approve', [terms, noEnd]))
  await mustSend(send(accounts[0] as Hex, rootKeys, rootKeysAbi as Abi, 'prove', prove.args))
  const id = keccak256(new Uint8Array([...ca, ...k256]))
  const root = { kind: 7, id, activeFrom: 0, expiresAt: 0, evidence: '0x' }
  await mustSend(send(timelock, rootKeys, rootKeysAbi as Abi, 'approve', [[root], noEnd]))
}

async function mustSend(sent: Promise<boolean>): Promise<void> {
  if (!(await sent)) throw new Error('A call of the tour reverted.')
}

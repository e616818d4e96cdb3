/**
 * Requests with real instances: a simulated CVM proves its key, is chosen, answers an encrypted input, and is paid. The
 * TypeScript view decides as the contract does.
 */
import { x25519 } from '@noble/curves/ed25519.js'
import { type Address, keccak256, parseEventLogs } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'

import { requestsAbi } from '../../src/chain/abi.ts'
import { withdraw } from '../../src/chain/registries/registry.ts'
import {
  assignRequest,
  declineRequest,
  decodeInputReference,
  encodeInputReference,
  fulfilRequest,
  joinWorkers,
  judgeRequest,
  listRequests,
  proveContradiction,
  type RequestRecord,
  type RequestState,
  type RequestsContract,
  readRequest,
  readRequestBalance,
  readRequestTerms,
  readResult,
  readWorker,
  readWorkRecord,
  recordMissed,
  refundRequest,
  requestId,
  requestStates,
  requestWork,
  resultDigest,
  setRequestTerms,
  toContractSignature,
  withdrawFees,
  workerDigest,
} from '../../src/chain/registries/requests.ts'
import { deriveEpochKeys, k256PublicKey } from '../../src/kms/keys/derive.ts'
import { fromHex, type Hex, to0x, utf8ToBytes } from '../../src/lib/bytes.ts'
import { signK256Digest } from '../../src/lib/k256.ts'
import {
  deriveRequestKey,
  requestKeySchema,
  requestKeyToJson,
  stateRequestKey,
  verifyRequestKey,
} from '../../src/worker/request-key.ts'
import { openInput, openResult, sealInput, sealResult } from '../../src/worker/sealed-message.ts'
import {
  addressOf,
  createInstanceSystem,
  type InstanceSystem,
  instanceKey,
} from './instance-system.ts'

const hour = 3_600
const answerTime = 600
const fee = 1_000_000n
const key = instanceKey('worker')
let system: InstanceSystem
let requests: Address
let at: RequestsContract

beforeAll(async () => {
  system = await createInstanceSystem()
  const none: Address = `0x${'0'.repeat(40)}`
  const { account, contracts } = system
  requests = await system.deploy('Requests', [contracts.instances, none, account, 500])
  at = { chainId: system.clients.publicClient.chain?.id ?? 0, requests }
  const terms = {
    payee: `0x${'12'.repeat(20)}`,
    minFee: 100n,
    ownerShare: 2_000,
    answerTime,
  } as const
  await system.send(setRequestTerms(requests, system.app, terms))
  expect(await readRequestTerms(system.clients.publicClient, requests, system.app)).toEqual(terms)
})

async function now(): Promise<number> {
  return Number((await system.clients.publicClient.getBlock()).timestamp)
}

async function ask(input: Uint8Array, seconds = hour) {
  const receipt = await system.send(
    requestWork(requests, {
      app: system.app,
      inputDigest: keccak256(input),
      inputReference: encodeInputReference({ kind: 'inline', input }),
      deadline: (await now()) + seconds,
      fee,
    }),
  )
  const [log] = parseEventLogs({ abi: requestsAbi, eventName: 'Requested', logs: receipt.logs })
  if (log === undefined) throw new Error('no event')
  return log.args
}

async function join() {
  const worker = { app: system.app, operator: system.account, deviceId: system.deviceId }
  const signature = toContractSignature(signK256Digest(key, workerDigest(at, worker)))
  await system.send(
    joinWorkers(requests, { ...worker, key: addressOf(key), capacity: 3 }, signature),
  )
}

async function statesOf(id: Hex) {
  const client = system.clients.publicClient
  const block = await client.getBlock()
  const onChain = await client.readContract({
    address: requests,
    abi: requestsAbi,
    functionName: 'stateOf',
    args: [id],
    blockNumber: block.number,
  })
  const record = await readRequest(client, requests, id, block.number)
  return [requestStates[onChain], judgeRequest(record, Number(block.timestamp))]
}

const both = (state: RequestState) => [state, state]
const sign = (id: Hex, result: Uint8Array) =>
  toContractSignature(signK256Digest(key, resultDigest(at, id, result)))

describe('a request', () => {
  test('has the id and the digests of the contract', async () => {
    const made = await ask(utf8ToBytes('digests'))
    const { number, requester, app, inputDigest, record, id } = made
    const result = utf8ToBytes('result')
    const client = system.clients.publicClient
    const where = { address: requests, abi: requestsAbi } as const

    const identity = { number, requester, app, inputDigest, deadline: record.deadline }
    expect(requestId(at, identity)).toBe(id)
    const digest = await client.readContract({
      ...where,
      functionName: 'resultDigest',
      args: [id, keccak256(result)],
    })
    expect(to0x(resultDigest(at, id, result))).toBe(digest)
    const worker = { app, operator: system.account, deviceId: system.deviceId }
    const named = await client.readContract({
      ...where,
      functionName: 'workerDigest',
      args: [app, worker.operator, worker.deviceId],
    })
    expect(to0x(workerDigest(at, worker))).toBe(named)
    expect(await statesOf(id)).toEqual(both('waiting'))
  })

  test('is answered in secret, paid once, and refused after the release is withdrawn', async () => {
    await system.send(await system.quoteKey(key))
    await join()
    // the requester verifies the key of the app, which leads to the root key on-chain
    const appId = fromHex(system.app, 'app', 20)
    const epochKeys = deriveEpochKeys(system.root, appId, 1)
    const published = requestKeyToJson(stateRequestKey(appId, epochKeys))
    const requestKey = requestKeySchema.parse(JSON.parse(JSON.stringify(published)))
    verifyRequestKey(requestKey, { appId, epoch: 1, root: k256PublicKey(system.root.k256) })
    const reply = x25519.utils.randomSecretKey()
    const context = { ...at, app: system.app, requester: system.account }
    const input = sealInput(
      requestKey,
      context,
      utf8ToBytes('my secret'),
      x25519.getPublicKey(reply),
    )
    const { id, inputReference } = await ask(input)
    expect(await statesOf(id)).toEqual(both('assigned'))

    // inside the CVM
    const reference = decodeInputReference(inputReference)
    if (reference?.kind !== 'inline') throw new Error('inline')
    const opened = openInput(deriveRequestKey(epochKeys.k256Key), context, reference.input)
    expect(Buffer.from(opened.body).toString()).toBe('my secret')
    const result = sealResult(opened.replyKey, { ...at, id }, utf8ToBytes('my answer'))
    await system.send(fulfilRequest(requests, id, to0x(result), sign(id, result)))

    const client = system.clients.publicClient
    const found = await readResult(client, requests, id, 0n)
    expect(found).toMatchObject({ isOnTime: true, operatorPart: 750_000n, ownerPart: 200_000n })
    const answer = openResult(reply, { ...at, id }, fromHex(found?.result ?? '0x', 'result'))
    expect(Buffer.from(answer).toString()).toBe('my answer')
    expect(await statesOf(id)).toEqual(both('fulfilled'))
    // the DAO of this test is the operator too
    expect(await readRequestBalance(client, requests, system.account)).toBe(800_000n)
    await system.send(withdrawFees(requests, system.account))
    expect(await readRequestBalance(client, requests, system.account)).toBe(0n)
    await expect(
      system.send(fulfilRequest(requests, id, to0x(result), sign(id, result))),
    ).rejects.toMatchObject({ code: 'CALL_REVERTED' })
  })

  test('is declined, missed and refunded, and the record of the operator shows it', async () => {
    const client = system.clients.publicClient
    const declined = await ask(utf8ToBytes('declined'))
    await system.send(declineRequest(requests, declined.id))
    expect(await statesOf(declined.id)).toEqual(both('waiting'))
    await system.send(assignRequest(requests, declined.id))
    await system.test.increaseTime({ seconds: answerTime + 1 })
    await system.test.mine({ blocks: 1 })
    expect(await statesOf(declined.id)).toEqual(both('late'))
    await system.test.increaseTime({ seconds: hour })
    await system.test.mine({ blocks: 1 })
    expect(await statesOf(declined.id)).toEqual(both('refundable'))
    await system.send(refundRequest(requests, declined.id))
    await system.send(recordMissed(requests, declined.id))
    expect(await statesOf(declined.id)).toEqual(both('refunded'))
    expect(await readRequestBalance(client, requests, system.account)).toBe(fee)

    const worker = await readWorker(client, requests, addressOf(key))
    expect(worker).toMatchObject({ open: 0, lates: 1, place: 1, capacity: 3 })
    expect(await readWorkRecord(client, requests, system.account, 0n)).toEqual({
      onTime: 1,
      late: 0,
      declined: 1,
      missed: 1,
      excused: 0,
      contradictions: 0,
    })
    const listed = await listRequests(client, requests, system.app, {
      fromBlock: 0n,
      at: await now(),
      most: 10,
    })
    expect(listed.map(({ state }) => state)).toEqual(['refundable', 'fulfilled', 'refunded'])
  })

  test('excludes a worker that contradicts itself', async () => {
    const { id } = await ask(utf8ToBytes('twice'))
    const results = [utf8ToBytes('one'), utf8ToBytes('two')] as const
    const signatures = [sign(id, results[0]), sign(id, results[1])] as const
    await system.send(
      proveContradiction(requests, { id, key: addressOf(key), results, signatures }),
    )
    expect(await readWorker(system.clients.publicClient, requests, addressOf(key))).toMatchObject({
      isExcluded: true,
      place: 0,
    })
  })

  test('is not answered by a release that was withdrawn', async () => {
    const second = instanceKey('second')
    await system.send(await system.issueKey(second))
    const worker = { app: system.app, operator: system.account, deviceId: system.deviceId }
    const signature = toContractSignature(signK256Digest(second, workerDigest(at, worker)))
    const joined = { ...worker, key: addressOf(second), capacity: 3 }
    await system.send(joinWorkers(requests, joined, signature))
    const { id } = await ask(utf8ToBytes('late'))
    expect(await statesOf(id)).toEqual(both('assigned'))
    await system.send(withdraw(system.app, 'release', [system.composeHash]))
    const result = utf8ToBytes('x')
    const signed = toContractSignature(signK256Digest(second, resultDigest(at, id, result)))

    await expect(
      system.send(fulfilRequest(requests, id, to0x(result), signed)),
    ).rejects.toMatchObject({ code: 'CALL_REVERTED', facts: { error: 'ResultUnauthorized' } })
  })
})

describe('the state of a request', () => {
  const worker: Address = `0x${'a1'.repeat(20)}`
  const open: RequestRecord = {
    requester: worker,
    fee: 1n,
    app: worker,
    deadline: 10_000,
    due: 5_000,
    ownerShare: 0,
    worker,
    callbackGas: 0,
    answerTime: 1_000,
    assignments: 1,
    settled: 1,
  }
  const nobody = { worker: `0x${'0'.repeat(40)}` } as const

  test.each<[RequestState, Partial<RequestRecord>, number]>([
    ['unknown', { settled: 0 }, 1],
    ['assigned', {}, 5_000],
    ['late', {}, 5_001],
    ['late', {}, 9_000],
    ['refundable', {}, 9_001],
    ['refundable', { assignments: 5 }, 5_001],
    ['assigned', { assignments: 5 }, 5_000],
    ['waiting', nobody, 9_000],
    ['refundable', nobody, 9_001],
    ['refundable', { ...nobody, assignments: 5 }, 1],
    ['fulfilled', { settled: 5 }, 1],
    ['refunded', { settled: 6 }, 1],
  ])('is %s for %o at %i', (state, changed, time) => {
    expect(judgeRequest({ ...open, ...changed }, time)).toBe(state)
  })
})

describe('a reference to an input', () => {
  test('is the input or an https address, and nothing else', () => {
    const input = utf8ToBytes('x')
    expect(decodeInputReference(encodeInputReference({ kind: 'inline', input }))).toEqual({
      kind: 'inline',
      input,
    })
    const url = 'https://inputs.example/1'
    expect(decodeInputReference(encodeInputReference({ kind: 'url', url }))).toEqual({
      kind: 'url',
      url,
    })
    for (const wrong of [
      '0x',
      '0x02',
      '0x01ff',
      to0x(utf8ToBytes('\x01http://x.example')),
    ] as Hex[]) {
      expect(decodeInputReference(wrong)).toBeUndefined()
    }
    const long = new Uint8Array(4_096)
    expect(() => encodeInputReference({ kind: 'inline', input: long })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    )
  })
})

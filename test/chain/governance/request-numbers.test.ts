/** How many requests it takes to read lists and proposals, counted at the transport. */

import hre from 'hardhat'
import {
  type Address,
  decodeFunctionData,
  type EIP1193Provider,
  type Hex,
  numberToHex,
  type PublicClient,
} from 'viem'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { approvalRegistryAbi } from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { propose } from '../../../src/chain/governance/governance.ts'
import { listProposals, readProposal } from '../../../src/chain/governance/proposals.ts'
import {
  addOsImageHash,
  approve,
  listApprovals,
  pageOfApprovals,
} from '../../../src/chain/registries/registry.ts'
import { createDao, type Dao, daoTimes, hardhatArtifacts } from '../dao.ts'

interface Request {
  readonly method: string
  readonly params?: readonly [{ readonly to?: Address; readonly data?: Hex }, Hex?]
}

let dao: Dao
let client: PublicClient
let request: (method: string, ...params: unknown[]) => Promise<unknown>
const requests: Request[] = []

beforeAll(async () => {
  const { provider } = await hre.network.create()
  const counting = {
    ...provider,
    request: (asked: Request) => {
      requests.push(asked)
      return provider.request(asked as never)
    },
  }
  dao = await createDao({
    provider: counting as unknown as EIP1193Provider,
    artifacts: hardhatArtifacts(hre),
    mode: 'hardhat',
  })
  client = dao.publicClient
  request = (method, ...params) => provider.request({ method, params } as never)
})

beforeEach(() => {
  requests.length = 0
})

const id = (number: number) => numberToHex(number, { size: 32 })

describe('proposals', () => {
  const count = 5
  const ids: bigint[] = []

  beforeAll(async () => {
    const { clients, addresses } = dao
    for (let number = 1; number <= count; number++) {
      const call = addOsImageHash(addresses.kmsAuth, id(number))
      const made = await propose(clients.voter, addresses.governor, [call], `image ${number}`)
      ids.push(made.id)
    }
  })

  test('are listed with two requests, and one for each proposal of the page', async () => {
    const page = await listProposals(client, dao.addresses.governor, { offset: 1, limit: 3 })

    expect(page).toEqual({ total: count, ids: ids.slice(1, 4).reverse() })
    expect(requests).toHaveLength(2 + 3)
  })

  test('cost at most ten requests each, and one more for the quorum once voting has started', async () => {
    const { governor } = dao.addresses
    expect((await readProposal(client, governor, ids[0] as bigint)).quorum).toBeUndefined()
    expect(requests.length).toBeLessThanOrEqual(10)

    await dao.pass(daoTimes.votingDelay + 1)
    requests.length = 0
    expect((await readProposal(client, governor, ids[0] as bigint)).quorum).toBeGreaterThan(0n)
    expect(requests.length).toBeLessThanOrEqual(11)
  })
})

describe('a list of more than 200 approvals', () => {
  const images = Array.from({ length: 450 }, (_, index) => id(10_000 + index))

  /** Offsets and limits of the pages that were requested, and the blocks that they were requested at. */
  function pages() {
    const asked = requests.flatMap(({ method, params = [{}] }) => {
      const [call, block] = params
      if (method !== 'eth_call' || call.data === undefined) return []
      const { functionName, args } = decodeFunctionData({
        abi: approvalRegistryAbi,
        data: call.data,
      })
      if (functionName !== 'page') return []
      return [{ part: [Number(args[1]), Number(args[2])], block }]
    })
    return {
      parts: asked.map(({ part }) => part),
      blocks: new Set(asked.map(({ block }) => block)).size,
    }
  }

  beforeAll(async () => {
    const { kmsAuth, timelock } = dao.addresses
    await request('hardhat_impersonateAccount', timelock)
    await request('hardhat_setBalance', timelock, '0xde0b6b3a7640000')
    for (let from = 0; from < images.length; from += 90) {
      const entries = images
        .slice(from, from + 90)
        .map((each) => ({ kind: 'osImage', id: each }) as const)
      const { to, data } = approve(kmsAuth, entries, noEnd)
      await request('eth_sendTransaction', { from: timelock, to, data })
    }
  })

  test('is read in pages of 200 at one block', async () => {
    const listed = await listApprovals(client, dao.addresses.kmsAuth, 'osImage')

    expect(listed.map((each) => each.id)).toEqual(images)
    expect(pages().parts.every(([, limit]) => (limit as number) <= 200)).toBe(true)
    expect(pages().parts.map(([offset]) => offset)).toEqual([0, 200, 400])
    expect(pages().blocks).toBe(1)
  })

  test('is split in the same way if one page of it is larger', async () => {
    const options = { offset: 30, limit: 401 }
    const listed = await pageOfApprovals(client, dao.addresses.kmsAuth, 'osImage', options)

    expect(listed.map((each) => each.id)).toEqual(images.slice(30, 431))
    expect(pages()).toEqual({
      parts: [
        [30, 200],
        [230, 200],
        [430, 1],
      ],
      blocks: 1,
    })
  })

  test('ends where the list ends', async () => {
    const options = { offset: 440, limit: 300 }
    const listed = await pageOfApprovals(client, dao.addresses.kmsAuth, 'osImage', options)

    expect(listed.map((each) => each.id)).toEqual(images.slice(440))
    expect(
      await pageOfApprovals(client, dao.addresses.kmsAuth, 'osImage', { offset: 450, limit: 300 }),
    ).toEqual([])
  })
})

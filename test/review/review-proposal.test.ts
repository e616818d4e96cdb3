import { encodeFunctionData, keccak256, parseEther, sha256, toBytes, toHex } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kmsAuthAbi, timelockControllerAbi } from '../../src/chain/abi.ts'
import { noEnd } from '../../src/chain/approval.ts'
import { type Call, callOf } from '../../src/chain/call.ts'
import { encodeEvidence } from '../../src/chain/governance/approval-evidence.ts'
import { addressBook, describeCall } from '../../src/chain/governance/describe-call.ts'
import { propose } from '../../src/chain/governance/governance.ts'
import { describeProposal } from '../../src/chain/governance/proposal-text.ts'
import { readProposal } from '../../src/chain/governance/proposals.ts'
import * as settings from '../../src/chain/governance/settings.ts'
import { approveManifest } from '../../src/chain/registries/app.ts'
import {
  addOsImageHash,
  approve,
  textEvidence,
  withdraw,
} from '../../src/chain/registries/registry.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { reviewToMarkdown } from '../../src/review/describe-review.ts'
import {
  encodeReview,
  type ReviewContracts,
  reviewDigest,
  reviewProposal,
} from '../../src/review/review-proposal.ts'
import { hiddenCharacters, lookAlikeWords } from '../../src/review/text-warnings.ts'
import { findAnvil } from '../anvil.ts'
import { createLocalDao, type LocalDao } from '../chain/simulate/local-dao.ts'

const absent = findAnvil() === undefined
const id = (byte: string): Hex => `0x${byte.repeat(32)}`

function manifest(tag: string, env: readonly string[] = []): Uint8Array {
  const compose = `services:\n  web:\n    image: nginx@sha256:${tag.repeat(64)}\n`
  return toBytes(
    JSON.stringify({
      manifest_version: 2,
      name: 'hello',
      runner: 'docker-compose',
      docker_compose_file: compose,
      allowed_envs: env,
    }),
  )
}

describe('warnings about text', () => {
  test.each([
    ['plain', 'Approve image 7 for the fleet.', [], []],
    ['an accent is no look-alike', 'Genève, naïve, Łódź', [], []],
    ['Cyrillic a in a Latin word', 'аpprove the image', [], ['аpprove']],
    ['a whole Cyrillic word', 'одобрить', [], []],
    ['full-width letters', 'ｒｅｖｏｋｅ', [], ['ｒｅｖｏｋｅ']],
    ['right-to-left override', 'safe \u202egpj.exe', ['\\u202e'], []],
    ['zero-width space', 'a\u200bb', ['\\u200b'], []],
  ])('are given for %s', (_, text, hidden, alike) => {
    expect(hiddenCharacters(text)).toEqual(hidden)
    expect(lookAlikeWords(text)).toEqual(alike)
  })
})

describe.skipIf(absent)('a review', () => {
  let dao: LocalDao
  let contracts: ReviewContracts

  beforeAll(async () => {
    dao = await createLocalDao()
    const { addresses } = dao
    contracts = {
      governor: addresses.governor,
      timelock: addresses.timelock,
      addresses,
      book: addressBook(addresses, { apps: [dao.app] }),
      fromBlock: 0n,
    }
    const first = manifest('a', ['TOKEN'])
    await dao.decide(
      [
        approveManifest(dao.app, sha256(first), first, { notAfter: noEnd }),
        addOsImageHash(addresses.kmsAuth, id('a1')),
        { to: dao.app, data: appAnyDevice, summary: 'any device' },
      ],
      'Set up',
    )
  })
  afterAll(() => dao?.anvil.stop())

  const review = (calls: readonly Call[], options = {}) =>
    reviewProposal(dao.publicClient, contracts, { calls }, options)
  const codes = async (calls: readonly Call[]) =>
    (await review(calls)).warnings.map(({ code }) => code)

  test('shows the release behind a hash and its difference from the running one', async () => {
    const next = manifest('b', ['TOKEN', 'REGION'])
    const found = await review([approveManifest(dao.app, sha256(next), next, { notAfter: noEnd })])

    const [approval] = found.approvals
    expect(approval).toMatchObject({
      kind: 'release',
      id: sha256(next),
      release: {
        source: 'proposal',
        manifest: {
          name: 'hello',
          services: [{ name: 'web', digest: `sha256:${'b'.repeat(64)}` }],
          variableNames: ['REGION', 'TOKEN'],
        },
        difference: { from: sha256(manifest('a', ['TOKEN'])) },
      },
    })
    expect(approval?.release?.difference?.changes.map(({ place }) => place)).toEqual(
      expect.arrayContaining(['services.web.image']),
    )
    expect(found.warnings).toEqual([])
    expect(found.changedBoots?.gains.map(({ boot }) => boot.composeHash)).toContain(sha256(next))
  })

  test('takes a manifest from a file only if its hash is the release', async () => {
    const next = manifest('c')
    const call = approve(dao.app, [{ kind: 'release', id: sha256(next) }], noEnd)

    const withFile = await review([call], { files: [manifest('d'), next] })
    const withOther = await review([call], { files: [manifest('d')] })

    expect(withFile.approvals[0]?.release).toMatchObject({ source: 'file' })
    expect(withOther.approvals[0]?.release).toBeUndefined()
    expect(withOther.warnings.map(({ code }) => code)).toEqual(['NO_EVIDENCE'])
  })

  test('warns of an approval that changes nothing, and of no other', async () => {
    const { kmsAuth } = dao.addresses
    const image = (terms: object = {}) =>
      approve(kmsAuth, [{ kind: 'osImage', id: id('a1'), ...terms }], noEnd)
    const first = manifest('a', ['TOKEN'])
    const fresh = approve(kmsAuth, [{ kind: 'kmsDevice', id: id('b7') }], noEnd)
    const isRepeat = async (calls: readonly Call[]) =>
      (await review(calls)).warnings.flatMap(({ code, message }) =>
        code === 'CHANGES_NOTHING' ? [message] : [],
      )

    const sentence = `base image ${id('a1')} is approved by the same terms already.`
    expect(await isRepeat([fresh, image()])).toEqual([`Call 2: ${sentence}`])
    expect(await isRepeat([addOsImageHash(kmsAuth, id('a1'))])).toEqual([`Call 1: ${sentence}`])
    expect(
      await isRepeat([approveManifest(dao.app, sha256(first), first, { notAfter: noEnd })]),
    ).toHaveLength(1)
    expect(await isRepeat([fresh, fresh])).toEqual([
      `Call 2: KMS device ${id('b7')} is approved by the same terms earlier in this list.`,
    ])

    expect(await isRepeat([image({ expiresAt: 9_999_999_999 })])).toEqual([])
    expect(await isRepeat([image({ evidence: textEvidence('why') })])).toEqual([])
    expect(await isRepeat([withdraw(kmsAuth, 'osImage', [id('a1')]), image()])).toEqual([])
    expect(await isRepeat([addOsImageHash(kmsAuth, id('a9'))])).toEqual([])
  })

  test('shows the evidence of an image', async () => {
    const evidence = {
      source: { repository: 'https://example.org/image', commit: '5'.repeat(40) },
      recipe: 'make dist',
    }
    const terms = {
      kind: 'osImage' as const,
      id: id('a2'),
      evidence: encodeEvidence(evidence, 'osImage', id('a2')),
    }
    const found = await review([approve(dao.addresses.kmsAuth, [terms], noEnd)])

    expect(found.approvals[0]).toMatchObject({ kind: 'osImage', evidence })
    expect(found.warnings).toEqual([])
  })

  test('warns of each power that a proposal can take', async () => {
    const { addresses, clients, deploy, app } = dao
    const stranger = clients.stranger.walletClient.account.address
    const role = keccak256(toBytes('PROPOSER_ROLE'))
    const grant = encodeFunctionData({
      abi: timelockControllerAbi,
      functionName: 'grantRole',
      args: [role, stranger],
    })
    const upgrade = settings.upgrade(addresses.kmsAuth, await deploy('KmsAuthV2'))
    const plain = (to: Hex, data: Hex, value = 0n): Call => ({ to, data, value, summary: 'x' })

    expect(await codes([plain(addresses.timelock, grant)])).toEqual(['ROLE', 'IRREVERSIBLE'])
    expect(await codes([upgrade])).toEqual(['UPGRADE', 'IRREVERSIBLE'])
    expect(await codes([settings.transferOwnership(app, stranger)])).toContain('OWNER')
    expect(await codes(settings.setVoting(addresses, { votingDelay: 9 }))).toEqual([
      'RULES_OF_THE_DAO',
    ])
    expect(
      await codes(settings.setGuardianEverywhere(addresses, stranger, 7_200, noEnd)),
    ).toContain('GUARDIAN')
    expect(await codes([plain(stranger, '0x', 5n)])).toEqual(['UNKNOWN_TARGET', 'VALUE'])
    expect(await codes([plain(addresses.kmsAuth, '0x12345678')])).toEqual([
      'REVERTS',
      'UNKNOWN_FUNCTION',
    ])
    expect(
      await codes([callOf(addresses.kmsAuth, kmsAuthAbi, 'addOsImageHash', [id('a4')], 'x')]),
    ).toEqual(['NO_EVIDENCE'])
    const many = Array.from({ length: 11 }, (_, i) =>
      approve(addresses.kmsAuth, [{ kind: 'kmsDevice', id: toHex(i + 1, { size: 32 }) }], noEnd),
    )
    expect(await codes(many)).toEqual(['MANY_CALLS'])
  })

  test('warns of a failing call and names it, and of a short deadline', async () => {
    const { kmsAuth } = dao.addresses
    const now = Number((await dao.publicClient.getBlock()).timestamp)
    const evidence = textEvidence('x')
    const soon = (notAfter: number) =>
      approve(kmsAuth, [{ kind: 'kmsDevice', id: id('d7'), evidence }], notAfter)

    const failing = await review([soon(noEnd), withdraw(kmsAuth, 'osImage', [id('ee')])])
    expect(failing.warnings[0]).toMatchObject({ code: 'REVERTS' })
    expect(failing.warnings[0]?.message).toContain('call 2: ApprovalUnknown')
    expect(failing.changedBoots).toBeNull()
    expect(await codes([soon(now + 3_600)])).toEqual(['DEADLINE_SHORT'])
  })

  test('warns of a text that describes other calls than the proposal has', async () => {
    const { addresses, clients, publicClient } = dao
    const { book, governor } = contracts
    const proposer = clients.voter.walletClient.account.address
    const calls = [approve(addresses.kmsAuth, [{ kind: 'kmsDevice', id: id('d1') }], noEnd)]
    const honest = describeProposal(calls, { book, proposer })
    const other = [approve(addresses.kmsAuth, [{ kind: 'kmsDevice', id: id('d2') }], noEnd)]
    const lying = describeProposal(other, { book, proposer })
    const found = async (text: string) => {
      const { id: proposal } = await propose(clients.voter, governor, calls, text)
      const facts = await readProposal(publicClient, governor, proposal)
      const result = await reviewProposal(publicClient, contracts, { facts, text })
      return result.warnings.map(({ code }) => code)
    }

    expect(await found(honest)).toEqual([])
    expect(await found(lying)).toEqual(['TEXT_OTHER_ID', 'TEXT_OTHER_CALLS'])
    expect(await found('аpprove \u200bit')).toEqual(['TEXT_HIDDEN', 'TEXT_LOOK_ALIKE'])
    expect(describeCall(book, calls[0] as Call).effects.length).toBeGreaterThan(0)
  })

  test('has the same bytes for the same calls and block', async () => {
    const calls = [addOsImageHash(dao.addresses.kmsAuth, id('a6'))]
    const blockNumber = await dao.publicClient.getBlockNumber()

    const first = await review(calls, { blockNumber })
    await dao.clients.stranger.walletClient.sendTransaction({
      to: dao.addresses.timelock,
      value: parseEther('0.1'),
    })
    const second = await review(calls, { blockNumber })

    expect(encodeReview(second)).toEqual(encodeReview(first))
    expect(reviewDigest(second)).toBe(sha256(encodeReview(first)))
    expect(reviewToMarkdown(second)).toBe(reviewToMarkdown(first))
    expect(reviewToMarkdown(first)).toContain(`\`${reviewDigest(first)}\``)
  })
})

const appAnyDevice = encodeFunctionData({
  abi: [
    {
      type: 'function',
      name: 'setAllowAnyDevice',
      inputs: [{ type: 'bool' }],
      outputs: [],
      stateMutability: 'nonpayable',
    },
  ],
  functionName: 'setAllowAnyDevice',
  args: [true],
})

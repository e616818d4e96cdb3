/** Two readers of proofs, one that decides and one that checks decisions later: any difference is a failure. */
import { createMerkleProof, MerklePatriciaTrie, verifyMerkleProof } from '@ethereumjs/mpt'
import fc from 'fast-check'
import { keccak256, toRlp } from 'viem'
import { describe, expect, test } from 'vitest'

import { inputs, seed } from '../../../scripts/test-effort.ts'
import { proofSchema, readWord, verifyProof } from '../../../src/chain/proven/proof.ts'
import { walk } from '../../../src/chain/proven/trie.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { fromHex, type Hex, to0x } from '../../../src/lib/bytes.ts'
import { checkEvidence } from '../../../src/log-verify/evidence.ts'
import { provenValue } from '../../../src/log-verify/trie.ts'
import { buildChain, type SyntheticChain } from './synthetic.ts'

/** What a reader makes of a proof: a value, that there is none, or nothing. */
type Reading = Hex | 'absent' | 'refused'

function readDeciding(root: Hex, key: Hex, nodes: readonly Hex[]): Reading {
  const account = { codeHash: keccak256('0x'), storageHash: root, nonce: '0x0', balance: '0x0' }
  const state = oneAccount(root)
  const answer = proofSchema.safeParse({
    ...account,
    address,
    accountProof: state.nodes,
    storageProof: [{ key, value: '0x0', proof: nodes }],
  })
  if (!answer.success) return 'refused'
  try {
    // the value that it claims is right whatever it is, so that only the proof can be wrong
    const claimed = readWord(valueUnder(root, key, nodes))
    const [slot] = answer.data.storageProof
    const claim = { ...answer.data, storageProof: [{ ...(slot as object), value: claimed }] }
    const proven = verifyProof(claim as never, { stateRoot: state.root, address, slots: [key] })
    return `0x${proven.slots.get(key)?.toString(16)}`
  } catch (error) {
    if (error instanceof RangeError || isAssentError(error, 'CHAIN_PROOF_INVALID')) return 'refused'
    throw error
  }
}

/** By the reader's own walk. */
function valueUnder(root: Hex, key: Hex, nodes: readonly Hex[]): Hex | undefined {
  let next = 0
  const found = walk(root, keccak256(key), () => nodes[next++])
  return 'missing' in found ? undefined : found.value
}

function readChecking(root: Hex, key: Hex, nodes: readonly Hex[]): Reading {
  const state = oneAccount(root)
  const header = toRlp([...Array(3).fill('0x'), state.root, ...Array(11).fill('0x')])
  try {
    const { contracts } = checkEvidence({
      version: 1,
      chainId: 1,
      kmsContract: address,
      header,
      blockHash: keccak256(header),
      agreement: { required: 1, configured: 1, endpoints: ['1'] },
      contracts: { [address]: { accountProof: state.nodes, storage: { [key]: nodes } } },
    })
    return `0x${contracts.get(address)?.slots.get(key)?.toString(16)}`
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return 'refused'
    throw error
  }
}

const address: Hex = `0x${'ab'.repeat(20)}`

/** A state of a single account, so that any root can be its storage. */
function oneAccount(storageRoot: Hex): { root: Hex; nodes: Hex[] } {
  const account = toRlp(['0x', '0x', storageRoot, keccak256('0x')])
  const leaf = toRlp([`0x20${keccak256(address).slice(2)}`, account])
  return { root: keccak256(leaf), nodes: [leaf] }
}

function expectSame(root: Hex, key: Hex, nodes: readonly Hex[]): Reading {
  const deciding = readDeciding(root, key, nodes)
  expect(deciding).toBe(readChecking(root, key, nodes))
  return deciding
}

const wordOf = (seed: number): Hex => keccak256(`0x${seed.toString(16).padStart(8, '0')}`)

/** Real tries of some words, with the proofs of words that are there and of some that are not. */
async function growTrie(words: number) {
  const trie = new MerklePatriciaTrie({ useKeyHashing: true })
  for (let index = 0; index < words; index++) {
    const value = toRlp(index % 3 === 0 ? '0x07' : `0x01${wordOf(index).slice(4)}`, 'bytes')
    await trie.put(fromHex(wordOf(index), 'slot'), value)
  }
  const prove = async (key: Hex) =>
    (await createMerkleProof(trie, fromHex(key, 'slot'))).map((node) => to0x(node))
  const keys = Array.from({ length: words + 8 }, (_, index) => wordOf(index))
  const proofs = await Promise.all(keys.map(async (key) => ({ key, nodes: await prove(key) })))
  return { root: to0x(trie.root()), proofs }
}

describe('an honest proof', () => {
  test.each([1, 2, 17, 300])(
    'in a trie of %i values gives the same result in three readers',
    async (words) => {
      const { root, proofs } = await growTrie(words)
      for (const { key, nodes } of proofs) {
        const third = await verifyMerkleProof(
          fromHex(key, 'slot'),
          nodes.map((node) => fromHex(node, 'node')),
          { root: fromHex(root, 'root'), useKeyHashing: true },
        )
        const value = readWord(third === null ? undefined : to0x(third))
        expect(expectSame(root, key, nodes)).toBe(`0x${value.toString(16)}`)
      }
    },
  )

  test('has only the nodes that it needs, also for an absent key', async () => {
    const { root, proofs } = await growTrie(40)
    const siblings = proofs.flatMap(({ nodes }) => nodes)
    for (const { key, nodes } of proofs) {
      const below = siblings.find((node) => nodes.at(-1)?.includes(`a0${keccak256(node).slice(2)}`))
      for (const more of [below, nodes.at(-1), '0x80'] as const) {
        if (more !== undefined) expect(expectSame(root, key, [...nodes, more])).toBe('refused')
      }
      expect(expectSame(root, key, nodes.slice(0, -1))).toBe('refused')
    }
  })

  test('of an empty trie has no node, or the empty root node', () => {
    const root = keccak256('0x80')
    expect(expectSame(root, wordOf(1), [])).toBe('0x0')
    expect(expectSame(root, wordOf(1), ['0x80'])).toBe('0x0')
    expect(expectSame(root, wordOf(1), ['0x80', '0x80'])).toBe('refused')
    expect(expectSame(root, wordOf(1), ['0xc0'])).toBe('refused')
  })
})

/** A change of a node's bytes. */
type Change = readonly [kind: number, node: number, at: number, byte: number]

const change = fc.tuple(fc.nat(7), fc.nat(8), fc.nat(1200), fc.nat(255))

function mutate(nodes: readonly Hex[], changes: readonly Change[], others: readonly Hex[]): Hex[] {
  const mutated = [...nodes]
  for (const [kind, position, at, byte] of changes) {
    const index = position % Math.max(1, mutated.length)
    const bytes = Buffer.from((mutated[index] ?? '0x').slice(2), 'hex')
    const other = others[at % others.length] as Hex
    if (kind === 0) mutated.splice(index, 1)
    else if (kind === 1) mutated.splice(index, 0, other)
    else if (kind === 2) mutated.push(other)
    else if (kind === 3) mutated[index] = other
    else if (kind === 4) mutated.reverse()
    else {
      if (bytes.length > 0 && kind === 5) bytes[at % bytes.length] = byte
      const cut = kind === 6 ? bytes.subarray(0, at % (bytes.length + 1)) : bytes
      const longer = kind === 7 ? Buffer.concat([cut, Buffer.from([byte])]) : cut
      mutated[index] = to0x(longer)
    }
  }
  return mutated
}

/** Computes the names of the nodes again from the leaf up, so that a mutated node is a node of its trie. */
function reseal(nodes: readonly Hex[], before: readonly Hex[]): { root: Hex; nodes: Hex[] } {
  const sealed = [...nodes]
  for (let index = sealed.length - 1; index > 0; index--) {
    const old = keccak256(before[index] ?? '0x').slice(2)
    const now = keccak256(sealed[index] as Hex).slice(2)
    sealed[index - 1] = (sealed[index - 1] as Hex).replace(`a0${old}`, `a0${now}`) as Hex
  }
  return { root: keccak256(sealed[0] ?? '0x'), nodes: sealed }
}

describe('a changed proof', () => {
  test('gives the same result in both readers', async () => {
    const tries = await Promise.all([1, 2, 5, 40].map(growTrie))
    const others = tries.flatMap(({ proofs }) => proofs.flatMap(({ nodes }) => nodes))
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (which, proof, changes) => {
          const { root, proofs } = tries[which % tries.length] as (typeof tries)[number]
          const { key, nodes } = proofs[proof % proofs.length] as (typeof proofs)[number]
          expectSame(root, key, mutate(nodes, changes, others))
        },
      ),
      { numRuns: inputs(300, 20_000), seed },
    )
  })

  test('with corrected hashes gives the same result in both readers, accepted or refused', async () => {
    const tries = await Promise.all([1, 2, 5, 40].map(growTrie))
    const met = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.array(fc.tuple(fc.constantFrom(5, 5, 5, 6, 7), fc.nat(8), fc.nat(1200), fc.nat(255)), {
          minLength: 1,
          maxLength: 3,
        }),
        (which, proof, changes) => {
          const { proofs } = tries[which % tries.length] as (typeof tries)[number]
          const { key, nodes } = proofs[proof % proofs.length] as (typeof proofs)[number]
          const sealed = reseal(mutate(nodes, changes, ['0x80']), nodes)
          const outcome = expectSame(sealed.root, key, sealed.nodes)
          met[outcome === 'refused' ? 'refused' : 'accepted']++
        },
      ),
      { numRuns: inputs(1_000, 50_000), seed },
    )
    expect(met.accepted).toBeGreaterThan(20)
    expect(met.refused).toBeGreaterThan(20)
  })

  test.each([
    ['an extension of no nibbles', ['0x00', 'child']],
    ['an extension to nothing', ['0x16', '0x']],
    ['a branch of sixteen', Array(16).fill('0x')],
    ['a child of five bytes', [...Array(16).fill('0x0102030405'), '0x']],
    ['a child of 33 bytes', [...Array(16).fill(`0x${'01'.repeat(33)}`), '0x']],
    ['a long node that is not hashed', [...Array(16).fill(['0x20', `0x${'01'.repeat(40)}`]), '0x']],
    ['a short leaf that is not at the end', [...Array(16).fill(['0x20', '0x01']), '0x']],
    ['a value in a branch', [...Array(16).fill('0x'), '0x05']],
    ['a path with a padded flag', ['0x0f', 'child']],
    ['a path whose flag is too large', [`0x40${'00'.repeat(32)}`, '0x01']],
    ['a path that is a list', [['0x20'], '0x01']],
  ] as const)('with the change %s gives the same result', (_, fields) => {
    const leaf = toRlp([`0x20${'00'.repeat(32)}`, '0x01'])
    const named = JSON.parse(JSON.stringify(fields).replaceAll('child', keccak256(leaf)))
    const node = toRlp(named)
    for (const key of [wordOf(1), wordOf(2), wordOf(3)]) {
      expectSame(keccak256(node), key, [node])
      expectSame(keccak256(node), key, [node, leaf])
    }
  })

  test.each([
    ['zero', '0x80'],
    ['a zero byte', '0x00'],
    ['leading zeros', '0x820001'],
    ['33 bytes', `0xa1${'01'.repeat(33)}`],
    ['a list', '0xc101'],
    ['a byte in two forms', '0x8101'],
    ['more than an item', '0x0102'],
    ['nothing', '0x'],
  ] as const)('with a value of %s gives the same result', (_, value) => {
    const key = wordOf(1)
    const leaf = toRlp([`0x20${keccak256(key).slice(2)}`, value])
    expectSame(keccak256(leaf), key, [leaf])
  })
})

test('a storage proof covers the whole key: a changed nibble is another key', async () => {
  const { root, proofs } = await growTrie(3)
  const { key, nodes } = proofs[0] as (typeof proofs)[number]
  expect(
    provenValue(Buffer.from(root.slice(2), 'hex'), Buffer.from(key.slice(2), 'hex'), [
      ...nodes.map((node) => Buffer.from(node.slice(2), 'hex')),
    ]),
  ).toBeDefined()
})

test('the synthetic chain proves accounts whose balance needs more than one byte', async () => {
  const chain = await buildChain({ apps: 1 })
  const address = chain.kmsAuth
  for (let payment = 1; payment <= 300; payment++) {
    await chain.pay(address)
    // RLP changes its form at 128 and at 256
    if (payment !== 1 && payment !== 128 && payment !== 300) continue
    const { stateRoot } = chain.mine().json
    const proof = proofSchema.parse(await chain.proofAt(address, [], stateRoot))
    expect(proof.balance).toBe(BigInt(payment))
    expect(() => verifyProof(proof, { stateRoot, address, slots: [] })).not.toThrow()
  }
})

describe('an account', () => {
  let chain: SyntheticChain
  test('without exactly four fields of the right lengths is refused by both readers', async () => {
    chain = await buildChain({ apps: 1 })
    const root = chain.head().json.stateRoot
    const proof = await chain.proofAt(chain.kmsAuth, [], root)
    const read = () =>
      verifyProof(proofSchema.parse(proof), { stateRoot: root, address: chain.kmsAuth, slots: [] })
    expect(read().account?.codeHash).toBe(chain.pinned.proxy[0])

    const hash = keccak256('0x')
    for (const fields of [
      ['0x', '0x', hash],
      ['0x', '0x', hash, hash, '0x'],
      ['0x', '0x', hash.slice(0, -2), hash],
      ['0x', '0x', hash, `${hash}00`],
      ['0x', ['0x'], hash, hash],
    ]) {
      const leaf = toRlp([`0x20${keccak256(address).slice(2)}`, toRlp(fields as Hex[])])
      const answer = proofSchema.parse({
        address,
        balance: '0x0',
        nonce: '0x0',
        codeHash: hash,
        storageHash: hash,
        accountProof: [leaf],
        storageProof: [],
      })
      const asked = { stateRoot: keccak256(leaf), address, slots: [] }
      expect(() => verifyProof(answer, asked)).toThrow('the leaf is not a valid account')
      const header = toRlp([...Array(3).fill('0x'), asked.stateRoot, ...Array(11).fill('0x')])
      expect(() =>
        checkEvidence({
          version: 1,
          chainId: 1,
          kmsContract: address,
          header,
          blockHash: keccak256(header),
          agreement: { required: 1, configured: 1, endpoints: ['1'] },
          contracts: { [address]: { accountProof: [leaf], storage: {} } },
        }),
      ).toThrow(RangeError)
    }
  })
})

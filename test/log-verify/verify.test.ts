import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { verifyMerkleProof } from '@ethereumjs/mpt'
import { network } from 'hardhat'
import { fromRlp, keccak256, toBytes, toRlp } from 'viem'
import { describe, expect, test, vi } from 'vitest'

import { canonicalJson } from '../../src/chain/boot/evidence.ts'
import { main } from '../../src/cli/main.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { headToJson } from '../../src/kms/log/witness-response.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { checkEvidence, evidenceName } from '../../src/log-verify/evidence.ts'
import { provenValue } from '../../src/log-verify/trie.ts'
import { type LogExpectations, type LogFile, verifyLog } from '../../src/log-verify/verify.ts'
import { begin, denial, named, newLocation, rootKey } from '../kms/log/log-fixture.ts'

const identity = deriveLogKey(rootKey, 'kms-1').identity
const expected: LogExpectations = { rootKey: toHex(identity.rootKey) }

/** A log over several files, as the KMS writes it, and the heads that it showed on the way. */
async function written() {
  const location = await newLocation({ segmentBytes: 2_000 })
  const log = await begin(location)
  const heads = [headToJson(log.head())]
  for (let index = 0; index < 30; index++) {
    await log.append(denial(index))
    heads.push(headToJson(log.head()))
  }
  await log.close()
  return { files: await readFiles(location.folder), heads, folder: location.folder }
}

async function readFiles(folder: string): Promise<LogFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
  return Promise.all(
    names.map(async (name) => ({ name, content: await readFile(join(folder, name)) })),
  )
}

const edit = (files: LogFile[], index: number, change: (text: string) => string) =>
  files.map((file, at) =>
    at === index ? { ...file, content: Buffer.from(change(file.content.toString())) } : file,
  )
const codes = (files: readonly LogFile[], asked: LogExpectations = expected) =>
  [...new Set(verifyLog(files, asked).problems.map(({ code }) => code))].sort()

describe('verifyLog', () => {
  test('accepts a log of the KMS with each of its heads', async () => {
    const { files, heads } = await written()
    const report = verifyLog(files, { ...expected, node: 'kms-1', heads: heads.slice(1) })

    expect(report.problems).toEqual([])
    expect(report).toMatchObject({
      holds: true,
      entries: 30,
      chain: heads.at(-1)?.chain,
      kinds: { denial: 30 },
    })
    expect(files.length).toBeGreaterThan(3)
  })

  test('reports one changed byte at any position', async () => {
    const { files } = await written()
    for (const [index, { content }] of files.entries()) {
      for (let at = 5; at < content.length; at += 97) {
        const changed = Buffer.from(content)
        changed[at] = (content[at] as number) ^ 1
        const copy = files.toSpliced(index, 1, { name: files[index]?.name ?? '', content: changed })
        expect(verifyLog(copy, expected).holds, `${index}:${at}`).toBe(false)
      }
    }
  })

  test('reports a log of another root key, node or log key', async () => {
    const { files } = await written()
    const other = deriveLogKey(new Uint8Array(32).fill(9), 'kms-1').identity

    expect(codes(files, { rootKey: toHex(other.rootKey) })).toEqual(['KEY_NOT_OF_ROOT'])
    expect(codes(files, { ...expected, node: 'kms-2' })).toEqual(['HEADER'])
    const renamed = edit(files, 0, (text) => text.replace('"kms-1"', '"kms-2"'))
    expect(codes(renamed)).toContain('KEY_NOT_OF_ROOT')
  })

  test('reports a missing, a swapped and a repeated segment', async () => {
    const { files } = await written()
    const [a, b, c, ...rest] = files as [LogFile, LogFile, LogFile, ...LogFile[]]

    expect(codes([a, c, ...rest])).toContain('FILES')
    expect(codes([b, c, ...rest])).not.toEqual([])
    expect(codes([a, { ...c, name: b.name }, { ...b, name: c.name }, ...rest])).toContain('HEADER')
    expect(codes([a, { ...a, name: b.name }, c, ...rest])).toContain('HEADER')
    expect(codes([])).toEqual(['NO_LOG'])
  })

  test('reports a cut log only if a later head was observed', async () => {
    const { files, heads } = await written()
    const last = files.length - 1
    const cut = edit(files, last, (text) => `${text.split('\n').slice(0, -3).join('\n')}\n`)

    expect(codes(cut)).toEqual([])
    const seen = heads.at(-1)
    expect(codes(cut, { ...expected, heads: seen ? [seen] : [] })).toEqual(['HEAD_NOT_IN_LOG'])
  })

  test('reports entries after the last seal', async () => {
    const { files } = await written()
    const torn = edit(
      files,
      files.length - 1,
      (text) => `${text}{"seq":30,"at":1787184000,"kind":"x"}\n{"se`,
    )

    expect(codes(torn)).toEqual(['UNSEALED_END'])
  })

  test('reports an observed head with an invalid signature and does not compare it', async () => {
    const { files, heads } = await written()
    const forged = { ...heads[5], entries: 500 } as (typeof heads)[0]

    expect(codes(files, { ...expected, heads: [forged] })).toEqual(['HEAD_UNSIGNED'])
  })
})

describe('inclusion evidence', () => {
  /** What Hardhat’s node proves of a contract with two slots, as the KMS would store it. */
  async function provenByNode() {
    const connection = await network.create()
    const { provider } = connection
    const [from] = (await provider.request({ method: 'eth_accounts' })) as string[]
    // 2a in slot 1, ff…ff in slot 2
    const data = `0x602a60015560001960025560006000f3`
    const hash = await provider.request({
      method: 'eth_sendTransaction',
      params: [{ from, data, gas: '0x100000' }],
    })
    const receipt = (await provider.request({
      method: 'eth_getTransactionReceipt',
      params: [hash],
    })) as {
      contractAddress: string
    }
    const block = (await provider.request({
      method: 'eth_getBlockByNumber',
      params: ['latest', false],
    })) as Record<string, string>
    const slots = [1, 2, 3].map((slot) => `0x${slot.toString(16).padStart(64, '0')}`)
    const address = receipt.contractAddress.toLowerCase()
    const proof = (await provider.request({
      method: 'eth_getProof',
      params: [address, slots, 'latest'],
    })) as { accountProof: string[]; storageProof: { proof: string[] }[] }
    const nobody = (await provider.request({
      method: 'eth_getProof',
      params: [`0x${'11'.repeat(20)}`, [], 'latest'],
    })) as { accountProof: string[] }
    await connection.close()
    const header = headerOf(block)
    const evidence = {
      version: 1,
      chainId: 31_337,
      kmsContract: address,
      header,
      blockHash: block.hash,
      agreement: { required: 1, configured: 1, endpoints: ['a'] },
      contracts: {
        [address]: {
          accountProof: proof.accountProof,
          storage: Object.fromEntries(
            slots.map((slot, at) => [slot, proof.storageProof[at]?.proof]),
          ),
        },
        [`0x${'11'.repeat(20)}`]: { accountProof: nobody.accountProof, storage: {} },
      },
    }
    return { evidence, address, slots, block }
  }

  const digestOf = (evidence: unknown) => keccak256(toBytes(canonicalJson(evidence)))

  /** The fields of a header in their order, as many as the block has. */
  function headerOf(block: Record<string, string>): string {
    const names = (
      'parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed ' +
      'timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash'
    ).split(' ')
    const numbers = new Set([
      'difficulty',
      'number',
      'gasLimit',
      'gasUsed',
      'timestamp',
      'baseFeePerGas',
      'blobGasUsed',
      'excessBlobGas',
    ])
    const fields = names
      .filter((name) => block[name] !== undefined)
      .map((name) => {
        const value = block[name] as string
        if (!numbers.has(name)) return value
        const digits = BigInt(value).toString(16)
        return value === '0x0' ? '0x' : `0x${digits.length % 2 ? '0' : ''}${digits}`
      })
    return toRlp(fields as `0x${string}`[])
  }

  test('is accepted for present, largest and absent values and for a missing account', async () => {
    const { evidence, address, slots, block } = await provenByNode()
    const state = checkEvidence(JSON.parse(JSON.stringify(evidence)))

    expect(state.blockNumber).toBe(BigInt(block.number ?? 0))
    expect([...(state.contracts.get(address)?.slots.values() ?? [])]).toEqual([
      42n,
      2n ** 256n - 1n,
      0n,
    ])
    expect(state.contracts.get(address)?.codeHash).toBe(keccak256('0x'))
    expect(state.contracts.get(`0x${'11'.repeat(20)}`)).toEqual({
      codeHash: undefined,
      slots: new Map(),
    })
    expect(evidenceName(evidence)).toBe(digestOf(evidence))
    // another library reads the same nodes the same way
    const proof = (
      evidence.contracts as Record<
        string,
        { storage: Record<string, string[]>; accountProof: string[] }
      >
    )[address]
    const account = await verifyMerkleProof(
      Buffer.from(keccak256(address as `0x${string}`).slice(2), 'hex'),
      proof?.accountProof.map((node) => Buffer.from(node.slice(2), 'hex')) ?? [],
      { root: Buffer.from(block.stateRoot?.slice(2) ?? '', 'hex') },
    )
    const [, , storageRoot] = fromRlp(account as Uint8Array, 'hex') as string[]
    const nodes =
      proof?.storage[slots[0] ?? '']?.map((node) => Buffer.from(node.slice(2), 'hex')) ?? []
    const value = provenValue(
      Buffer.from(storageRoot?.slice(2) ?? '', 'hex'),
      Buffer.from(slots[0]?.slice(2) ?? '', 'hex'),
      nodes,
    )
    expect(value).toEqual(Buffer.from([42]))
  })

  test('is refused after any piece was changed, removed, added or moved', async () => {
    const { evidence, address, slots } = await provenByNode()
    type Loose = {
      header: string
      blockHash: string
      contracts: Record<string, { accountProof: string[]; storage: Record<string, string[]> }>
    }
    const lies: ((copy: Loose) => void)[] = [
      (copy) =>
        Object.assign(copy, {
          header: `${copy.header.slice(0, -2)}${copy.header.endsWith('77') ? '78' : '77'}`,
        }),
      (copy) => Object.assign(copy, { blockHash: `0x${'00'.repeat(32)}` }),
      (copy) => void copy.contracts[address]?.accountProof.pop(),
      (copy) => void copy.contracts[address]?.accountProof.reverse(),
      (copy) => void copy.contracts[address]?.accountProof.push('0x80'),
      (copy) => void copy.contracts[address]?.storage[slots[0] as string]?.pop(),
      (copy) => void copy.contracts[address]?.storage[slots[2] as string]?.pop(),
      (copy) => {
        const one = copy.contracts[address]
        if (one) one.storage[slots[0] as string] = one.storage[slots[1] as string] ?? []
      },
      (copy) => {
        const one = copy.contracts[address]
        if (one) copy.contracts[`0x${'22'.repeat(20)}`] = one
      },
    ]
    for (const [index, lie] of lies.entries()) {
      const copy = JSON.parse(JSON.stringify(evidence))
      lie(copy)
      expect(() => checkEvidence(copy), `lie ${index}`).toThrow()
    }
  })

  test('is reported if it is missing, renamed, false or of another block', async () => {
    const { evidence, block } = await provenByNode()
    const write = async (change: (line: string) => string, at = block) => {
      const location = await newLocation()
      const log = await begin(location)
      // as logs of version 1 hold it: whole, for each block and app
      const json = change(canonicalJson(evidence))
      const stored = { digest: digestOf(evidence), json, ...named(['0x80']), part: '' }
      const release = {
        kind: 'handover' as const,
        method: 'GetKmsKey',
        quote: '',
        boot: {} as never,
        block: {
          number: String(BigInt(at.number ?? 0)),
          hash: at.hash ?? '',
          timestamp: Number(at.timestamp),
        },
        proof: stored.digest,
      }
      const { method, ...grounds } = release
      await log.append({ ...grounds, kind: 'self' }, stored)
      await log.append(release, stored)
      await log.append({ ...release, proof: null })
      await log.close()
      return readFiles(location.folder)
    }
    const good = await write((json) => json)

    expect(verifyLog(good, expected)).toMatchObject({ proven: 2, unproven: 1 })
    expect(codes(good, expected)).toEqual(['NOT_GRANTED', 'UNPROVEN'])
    const lenient = { ...expected, acceptUnproven: true }
    // the proofs hold, and show nothing that would grant it: grants.test.ts
    expect(codes(good, lenient)).toEqual(['NOT_GRANTED'])
    expect(codes(good, { ...lenient, chainId: 1 })).toEqual(['PROOF'])
    expect(codes(good, { ...lenient, kmsContract: `0x${'33'.repeat(20)}` })).toEqual(['PROOF'])
    expect(
      codes(await write((json) => json.replace('"required":1', '"required":2')), lenient),
    ).toEqual(['PROOF'])
    expect(codes(await write((json) => json, { ...block, number: '0x7' }), lenient)).toEqual([
      'PROOF',
    ])
  })
})

describe('assent kms log verify', () => {
  test('exits with 0 for a valid log, 1 for an invalid log and 2 without the root key', async () => {
    const { folder, heads } = await written()
    const head = join(await mkdtemp(join(tmpdir(), 'head-')), 'head.json')
    await writeFile(head, JSON.stringify({ ...heads.at(-1), entries: 99 }))
    const run = async (...args: string[]) => {
      process.exitCode = 0
      const code = await main(['kms', 'log', 'verify', folder, ...args, '--json'])
      process.exitCode = 0
      return code
    }

    const root = ['--root-key', expected.rootKey]
    const accepting = [...root, '--accept-unchecked']
    expect(await run('--root-key', `0x${expected.rootKey}`, '--accept-unchecked')).toBe(0)
    expect(await run(...accepting, '--head', head)).toBe(1)
    expect(await run(...root, '--head', head)).toBe(1)
    expect(await run()).toBe(2)
    const pins = join(folder, 'pins.json')
    const roles = ['proxy', 'kmsAuth', 'app', 'hosts', 'bonds', 'images']
    const code = `0x${'11'.repeat(32)}`
    await writeFile(pins, JSON.stringify(Object.fromEntries(roles.map((role) => [role, [code]]))))
    const what = [
      '--pinned-code',
      pins,
      '--kms-contract',
      `0x${'22'.repeat(20)}`,
      '--chain-id',
      '1',
    ]
    const demands = [...what, '--quorum', '2', '--max-block-age', '900']
    expect(await run(...root, ...demands)).toBe(3)
    await writeFile(head, JSON.stringify(heads.at(-1)))
    expect(await run(...root, ...demands, '--head', head)).toBe(0)
    expect(await run(...accepting, '--quorum', '0')).toBe(2)
    expect(await run(...accepting, '--max-block-age', '-1')).toBe(2)
    await writeFile(pins, JSON.stringify({ proxy: [code] }))
    expect(await run(...accepting, '--pinned-code', pins)).toBe(2)
  })

  test('exits with 3 and lists each comparison that was not made', async () => {
    const { folder, heads } = await written()
    const pins = join(folder, 'pins.json')
    const roles = ['proxy', 'kmsAuth', 'app', 'hosts', 'bonds', 'images']
    await writeFile(pins, JSON.stringify(Object.fromEntries(roles.map((role) => [role, []]))))
    const head = join(folder, 'head.json')
    await writeFile(head, JSON.stringify(heads.at(-1)))
    const all = {
      '--quorum': '1',
      '--max-block-age': '900',
      '--head': head,
      '--chain-id': '1',
      '--kms-contract': `0x${'22'.repeat(20)}`,
      '--pinned-code': pins,
    }
    const verify = async (given: Record<string, string>) => {
      const lines: string[] = []
      const log = vi
        .spyOn(console, 'log')
        .mockImplementation((line) => void lines.push(String(line)))
      process.exitCode = 0
      const args = Object.entries(given).flat()
      const code = await main([
        'kms',
        'log',
        'verify',
        folder,
        '--root-key',
        expected.rootKey,
        ...args,
      ])
      process.exitCode = 0
      log.mockRestore()
      return { code, lines, unchecked: lines.filter((line) => line.startsWith('NOT CHECKED')) }
    }
    const whole = await verify(all)
    expect(whole.code).toBe(0)
    expect(whole.lines.at(-1)).toBe('The log is valid.')
    for (const name of Object.keys(all)) {
      const { [name as keyof typeof all]: _, ...rest } = all
      const { code, lines, unchecked } = await verify(rest)
      expect(code).toBe(3)
      expect(unchecked).toEqual([expect.stringContaining(name)])
      expect(lines.at(-1)).toBe('All checks that were made passed.')
    }
    expect((await verify({})).unchecked).toHaveLength(6)
    const notInLog = whole.lines.filter((line) => line.startsWith('NOT IN A LOG'))
    expect(notInLog).toEqual([
      expect.stringContaining('withheld a newer block'),
      expect.stringContaining('which CVM wrote the log'),
      expect.stringContaining('30 denials without evidence'),
    ])
  })

  test('compares the log with the heads in the log of a witness', async () => {
    const { folder, heads } = await written()
    const run = async (head: (typeof heads)[0]) => {
      const location = await newLocation({ key: deriveLogKey(rootKey, 'kms-2') })
      const log = await begin(location)
      const peer = { kind: 'peer' as const, node: 'kms-1', publicKey: toHex(identity.publicKey) }
      await log.append({ ...peer, head })
      await log.close()
      process.exitCode = 0
      const args = [
        '--root-key',
        expected.rootKey,
        '--accept-unchecked',
        '--witness',
        location.folder,
      ]
      const code = await main(['kms', 'log', 'verify', folder, ...args, '--json'])
      process.exitCode = 0
      return code
    }
    const other = deriveLogKey(rootKey, 'kms-1').seal({
      entries: 12,
      chain: new Uint8Array(32),
      at: 1,
    })

    expect(await run(heads[12] as (typeof heads)[0])).toBe(0)
    expect(await run(headToJson(other))).toBe(1)
  })
})

test('the log verifier imports no code of the KMS', async () => {
  const folder = new URL('../../src/log-verify/', import.meta.url)
  for (const name of await readdir(folder)) {
    const source = await readFile(new URL(name, folder), 'utf8')
    const imported = [...source.matchAll(/from '([^']+)'/g)].map(([, from]) => from)
    for (const from of imported)
      expect(from, name).toMatch(
        /^(\.\/[a-z-]+\.ts|node:crypto|@noble\/(?:hashes\/sha3|curves\/bls12-381)\.js)$/,
      )
  }
})

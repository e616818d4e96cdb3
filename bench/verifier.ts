/**
 * What verifying a quote costs: on-chain in gas from receipts, off-chain in milliseconds.
 *
 * The quote is the one that Automata measures with. Peers' gas was measured once on anvil (osaka, with the
 * precompile, their production optimizer settings); `docs/verifier.md` says how.
 */
import { encodeFunctionData, type Hex, parseEventLogs } from 'viem'
import { readVector, readVectorJson, vectorsFolder } from '../scripts/vectors/vectors.ts'
import { bootLogAbi, quoteVerifierAbi } from '../src/chain/abi.ts'
import { type Call, sendCall } from '../src/chain/call.ts'
import { collateralCalls } from '../src/chain/verifier/collateral.ts'
import { fromHex, to0x } from '../src/lib/bytes.ts'
import { parseCollateral } from '../src/quote/collateral/collateral.ts'
import {
  encodeOfSameKey,
  encodeWithKnownKey,
  encodeWithKnownPck,
  encodeWithLeaf,
} from '../src/quote/compact.ts'
import { parseEventLog } from '../src/quote/measurements/event-log.ts'
import { parseQuote } from '../src/quote/parse.ts'
import { createVerifierChain, type VerifierChain } from '../test/chain/verifier/verifier-chain.ts'
import { rows as offChain } from './offchain/quote.ts'
import type { BenchRow } from './result-row.ts'

const quoteId = 'automata-dcap-attestation-automatadcapattestationfeetest-t-s'
const bundle = `dcap/bundles/${quoteId}__tcbinfo_tdx_00806f050000_eval17_20250604T095138Z.json`
/** 2025-06-15: everything in the bundle is in force. */
const at = 1_749_945_600

const raw = () => readVector(`dcap/quotes/${quoteId}.bin`)
const root = () => readVector('dcap/certs/root_ca.der')
const collateral = () => parseCollateral(readVectorJson(bundle))

export async function rows(): Promise<BenchRow[]> {
  if (vectorsFolder === undefined) {
    console.warn('The recorded vectors are absent: nothing of the verifier is measured.')
    return []
  }
  return [...(await gasRows()), ...(await offChain())]
}

export async function gasRows(): Promise<BenchRow[]> {
  const chain = await createVerifierChain(root())
  const uploads = await upload(chain)
  const quote = parseQuote(raw())
  const known = await register(chain, 'register', encodeWithLeaf(quote))
  const head = encodeWithKnownKey(quote, known.record)
  const verdict = await register(chain, 'registerVerdict', head)
  const further = encodeOfSameKey(quote)
  const batches = [
    await batch(chain, head, [further]),
    await batch(chain, head, Array(11).fill(further)),
  ]

  return [
    gas('verify.raw', await verify(chain, raw()), 196_000, 'Automata', 4_171_668),
    gas('verify.compact', await verify(chain, encodeWithLeaf(quote)), 130_000),
    gas('verify.known-pck', await verify(chain, encodeWithKnownPck(quote, known.record)), 80_000),
    gas('verify.known-key', await verify(chain, head), 58_000),
    gas(
      'verify.cached-verdict',
      await verify(chain, encodeWithKnownKey(quote, verdict.record)),
      48_000,
    ),
    gas('verify.batch-next', ((batches[1] as number) - (batches[0] as number)) / 10, 24_000),
    gas('verify.first-registration', known.gas, 260_000),
    gas('eventlog.replay', await replay(chain), 300_000),
    gas(
      'collateral.tcb-info',
      uploads['store the TCB info'] as number,
      500_000,
      'Automata',
      9_027_849,
    ),
    gas(
      'collateral.crl-changed',
      await crl(chain, '20251118T201216Z_n51'),
      400_000,
      'Automata',
      3_184_784,
    ),
    gas(
      'collateral.crl-dates',
      await crl(chain, '20260126T074211Z_n51'),
      160_000,
      'Automata',
      3_184_784,
    ),
    gas(
      'collateral.qe-identity',
      uploads['store the QE identity'] as number,
      120_000,
      'Automata',
      1_459_504,
    ),
  ]
}

function gas(
  name: string,
  value: number,
  aim: number,
  peer: string | null = null,
  peerValue: number | null = null,
): BenchRow {
  return { section: 'verifier', name, value: Math.round(value), unit: 'gas', aim, peer, peerValue }
}

async function upload(chain: VerifierChain): Promise<Record<string, number>> {
  await chain.goTo(at - 100)
  const used: Record<string, number> = {}
  for (const call of collateralCalls(chain.verifier, collateral())) {
    used[call.summary] = await spend(chain, call)
  }
  await chain.goTo(at)
  return used
}

async function spend(chain: VerifierChain, call: Call): Promise<number> {
  return Number((await sendCall(chain.clients, call)).gasUsed)
}

async function verify(chain: VerifierChain, quote: Uint8Array): Promise<number> {
  const report = await chain.verify(quote)
  if (report.verdict !== 1)
    throw new Error(`The benchmark's quote is not verified: ${report.verdict}`)
  const data = encodeFunctionData({
    abi: quoteVerifierAbi,
    functionName: 'verify',
    args: [to0x(quote)],
  })
  return await spend(chain, { to: chain.verifier, data, summary: 'verify a quote' })
}

async function batch(
  chain: VerifierChain,
  head: Uint8Array,
  others: Uint8Array[],
): Promise<number> {
  const data = encodeFunctionData({
    abi: quoteVerifierAbi,
    functionName: 'verifyBatch',
    args: [to0x(head), others.map(to0x)],
  })
  return await spend(chain, { to: chain.verifier, data, summary: 'verify a batch' })
}

async function register(
  chain: VerifierChain,
  functionName: 'register' | 'registerVerdict',
  quote: Uint8Array,
): Promise<{ gas: number; record: Uint8Array }> {
  const data = encodeFunctionData({ abi: quoteVerifierAbi, functionName, args: [to0x(quote)] })
  const receipt = await sendCall(chain.clients, { to: chain.verifier, data, summary: functionName })
  const [written] = parseEventLogs({
    abi: quoteVerifierAbi,
    eventName: 'RecordWritten',
    logs: receipt.logs,
  })
  return {
    gas: Number(receipt.gasUsed),
    record: fromHex(written?.args.record ?? '0x', 'record', 20),
  }
}

/** On top of a transaction that verifies the quote anyway. */
async function replay(chain: VerifierChain): Promise<number> {
  const { event_log: log } = readVectorJson<{ event_log: unknown }>(
    'dstack/verifier/tdx-lite-getquote.json',
  )
  const events = parseEventLog(log)
    .filter(({ imr }) => imr === 3)
    .map(({ event, payload, version }) => ({ name: event, payload: to0x(payload), version }))
  const data = encodeFunctionData({ abi: bootLogAbi, functionName: 'replay', args: [events] })
  const used = await spend(chain, {
    to: await chain.bootLog(),
    data,
    summary: 'replay an event log',
  })
  return used - 21_000
}

async function crl(chain: VerifierChain, name: string): Promise<number> {
  const der = readVector(`dcap/crl/platform_${name}.der`)
  const [year, month, day] = [name.slice(0, 4), name.slice(4, 6), name.slice(6, 8)]
  await chain.goTo(Date.parse(`${year}-${month}-${day}T23:59:59Z`) / 1000)
  const data: Hex = encodeFunctionData({
    abi: quoteVerifierAbi,
    functionName: 'uploadCrl',
    args: [to0x(der)],
  })
  return await spend(chain, { to: chain.verifier, data, summary: 'store a CRL' })
}

/**
 * One `eth_call` that asks several contracts and always succeeds, so that an error is the endpoint's.
 *
 * Nodes report a revert, exhausted gas and their own trouble in ways that only texts tell apart. Here a
 * few instructions run as init code: they call each target with bounded gas and return what happened as
 * data. Whatever a contract does is then an answer, and whatever fails is an outage.
 */
import { AssentError } from '../errors/index.ts'
import { concatBytes, fromHex, type Hex, to0x } from '../lib/bytes.ts'

export interface ProbeCall {
  readonly to: Hex
  readonly data: Hex
  readonly gas: number
}

export interface ProbeAnswer {
  readonly succeeded: boolean
  /** What the contract returned or reverted with; `undefined` if it was longer than `answerLimit`. */
  readonly data: Uint8Array | undefined
}

export interface ProbeResult {
  readonly chainId: bigint
  /** Bytes of code at each target. */
  readonly codeSizes: readonly number[]
  readonly answers: readonly ProbeAnswer[]
}

/** Longest answer that is read; the node charges 200 gas a byte for what init code returns. */
export const answerLimit = 4096

const op = {
  extcodesize: 0x3b,
  codecopy: 0x39,
  returndatasize: 0x3d,
  chainid: 0x46,
  mstore: 0x52,
  staticcall: 0xfa,
  return: 0xf3,
} as const

// of each call: success, size of the answer, size of the code, the answer
const answerSize = 96 + answerLimit
const answerAt = (index: number) => 32 + index * answerSize

/** Init code that performs the calls. */
export function encodeProbe(calls: readonly ProbeCall[]): Hex {
  const payloads = calls.map(({ data }) => fromHex(data, 'call data'))
  // every number is pushed with a fixed width, so the program's length does not depend on its content
  const programLength = assemble(calls, payloads, 0).length
  return to0x(concatBytes(assemble(calls, payloads, programLength), ...payloads))
}

/** @throws CHAIN_ANSWER_INVALID if the endpoint returned anything but the probe's own output */
export function decodeProbe(output: Hex | undefined, calls: number): ProbeResult {
  const bytes = fromHex(output ?? '0x', 'probe output')
  if (bytes.length !== answerAt(calls)) {
    throw new AssentError(
      'CHAIN_ANSWER_INVALID',
      'The endpoint did not return what the call wrote.',
      {
        facts: { expected: answerAt(calls), found: bytes.length },
      },
    )
  }
  const answers: ProbeAnswer[] = []
  const codeSizes: number[] = []
  for (let index = 0; index < calls; index++) {
    const at = answerAt(index)
    const size = Number(readWord(bytes, at + 32))
    codeSizes.push(Number(readWord(bytes, at + 64)))
    answers.push({
      succeeded: readWord(bytes, at) === 1n,
      data: size <= answerLimit ? bytes.slice(at + 96, at + 96 + size) : undefined,
    })
  }
  return { chainId: readWord(bytes, 0), codeSizes, answers }
}

function assemble(
  calls: readonly ProbeCall[],
  payloads: readonly Uint8Array[],
  programLength: number,
): Uint8Array {
  const scratch = answerAt(calls.length)
  const code: number[] = [op.chainid, ...push(0), op.mstore]
  let payloadAt = programLength
  for (const [index, { to, gas }] of calls.entries()) {
    const length = payloads[index]?.length ?? 0
    const at = answerAt(index)
    const target = [0x73, ...fromHex(to, 'address', 20)]
    code.push(...push(length), ...push(payloadAt), ...push(scratch), op.codecopy)
    code.push(...push(answerLimit), ...push(at + 96), ...push(length), ...push(scratch))
    code.push(...target, ...push(gas), op.staticcall, ...push(at), op.mstore)
    code.push(op.returndatasize, ...push(at + 32), op.mstore)
    code.push(...target, op.extcodesize, ...push(at + 64), op.mstore)
    payloadAt += length
  }
  code.push(...push(scratch), ...push(0), op.return)
  return Uint8Array.from(code)
}

/** PUSH4 */
function push(value: number): number[] {
  return [0x63, value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
}

function readWord(bytes: Uint8Array, at: number): bigint {
  return BigInt(to0x(bytes.subarray(at, at + 32)))
}

/**
 * A probe: one `eth_call` that calls several contracts and never reverts, so that every error comes from the endpoint.
 *
 * Nodes report a revert, exhausted gas and their own failures with texts that differ between implementations. A probe
 * runs a few instructions as init code: they call each target with limited gas and return the results as data. So each
 * result of a contract is an answer, and each failure is an outage.
 */
import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'

/** A call with its gas limit. */
export interface ProbeCall {
  /** Contract to call. */
  readonly to: Hex
  /** Calldata. */
  readonly data: Hex
  /** Gas for this call only. A contract that needs more fails alone. */
  readonly gas: number
}

/** Result of one call. */
export interface ProbeAnswer {
  /** False if the call reverted or ran out of gas. */
  readonly succeeded: boolean
  /** Return data or revert data; undefined if it was longer than `answerLimit`. */
  readonly data: Uint8Array | undefined
}

/** Results of all calls of a probe. */
export interface ProbeResult {
  /** Chain id as the executing node's EVM sees it, so that an endpoint of another chain is noticed. */
  readonly chainId: bigint
  /** Size of the code at each target, in bytes. */
  readonly codeSizes: readonly number[]
  /** In the order of the calls. */
  readonly answers: readonly ProbeAnswer[]
}

/** Longest result of a call in bytes; each byte that init code returns costs 200 gas. */
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

/**
 * Encodes several calls as the init code of a contract that is never deployed. An `eth_call` without `to` executes it,
 * so all answers come from one block and no contract is needed on-chain. Each call gets its own gas limit, so one
 * contract cannot make the others fail.
 */
export function encodeProbe(calls: readonly ProbeCall[]): Hex {
  const payloads = calls.map(({ data }) => fromHex(data, 'call data'))
  // every number has a fixed width, so the length of the program does not depend on the values
  const programLength = assemble(calls, payloads, 0).length
  return to0x(concatBytes(assemble(calls, payloads, programLength), ...payloads))
}

/**
 * Decodes what a probe returned.
 *
 * @param calls number of calls that the probe contained
 * @throws CHAIN_ANSWER_INVALID if it is not the output of such a probe
 */
export function decodeProbe(output: Hex | undefined, calls: number): ProbeResult {
  const bytes = fromHex(output ?? '0x', 'probe output')
  if (bytes.length !== answerAt(calls)) {
    throw new AssentError(
      'CHAIN_ANSWER_INVALID',
      'The endpoint did not return the output of the probe.',
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

/** Foreign apps: app contracts whose rules are not known here, so that only their own answer can decide. */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { callGas, decodeAnswer, questionCall } from '../boot/ask-contracts.ts'
import type { BootDecision, EvaluatedBoot } from '../boot/boot.ts'
import type { ChainEvidence } from '../boot/evidence.ts'
import { decodeProbe, encodeProbe } from '../rpc/probe.ts'
import { collectAnswers } from './endpoint-health.ts'
import { retryOnce } from './header-quorum.ts'
import { type ChainSnapshot, clientOf, ignoreOutage, type ViewContext } from './view-context.ts'

/**
 * Lets the endpoints execute a foreign app contract with `eth_call`. An RPC quorum must return the same answer, and no
 * endpoint may answer with a denial. Everything except the app's own answer is proven.
 */
export async function executeForeign(
  snapshot: ChainSnapshot,
  boot: EvaluatedBoot,
  seen: Pick<BootDecision, 'gatewayAppId' | 'block'> & { readonly evidence: ChainEvidence },
  options: ViewContext,
): Promise<BootDecision> {
  const data = encodeProbe([questionCall(options.kms, 'isAppAllowed', boot)])
  const block = { blockHash: snapshot.final.state.header.hash }
  const client = clientOf(boot)
  const gas = `0x${callGas.toString(16)}`
  const asked = options.endpoints.map(async (endpoint) => {
    const output = await retryOnce(() =>
      endpoint.request('eth_call', [{ data, gas }, block], outputSchema, { client }),
    ).catch(ignoreOutage)
    return output === undefined ? [] : [{ endpoint, output }]
  })
  const isEnough = (answers: readonly { output: Hex }[][]) =>
    largestGroup(answers.flat().map(({ output }) => output)) >= options.required
  const outputs = await collectAnswers(asked, isEnough, () => [])
  const byOutput = new Map<Hex, string[]>()
  for (const { endpoint, output } of outputs.flat()) {
    byOutput.set(output, [...(byOutput.get(output) ?? []), endpoint.name])
  }
  const read = (output: Hex) => decodeAnswer('isAppAllowed', decodeProbe(output, 1).answers[0])
  const [output, names = []] =
    [...byOutput].find(([, names]) => names.length >= options.required) ?? []
  if (output === undefined) {
    throw new AssentError(
      'CHAIN_NO_AGREEMENT',
      'The endpoints return different answers of an app contract.',
      {
        facts: { required: options.required, answers: [...byOutput.values()] },
      },
    )
  }
  const evidence = { ...seen.evidence, executedBy: names }
  const denial = [...byOutput.keys()]
    .map(readOrIgnore(read))
    .find((answer) => answer?.allowed === false)
  return { ...seen, evidence, ...(denial ?? read(output)) }
}

/** Size of the largest group of equal answers. */
function largestGroup(names: readonly Hex[]): number {
  return Math.max(0, ...names.map((name) => names.filter((other) => other === name).length))
}

const outputSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/)
  .max(20_000)
  .transform((text) => text.toLowerCase() as Hex)

function readOrIgnore<T>(read: (output: Hex) => T): (output: Hex) => T | undefined {
  return (output) => {
    try {
      return read(output)
    } catch (error) {
      return ignoreOutage(error)
    }
  }
}

/** The file of a host's quote: the answer of the guest agent, and the block and operator that the quote names. */
import type { Address } from 'viem'
import { z } from 'zod'

import { type HostBinding, hostReportData } from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { equalBytes, type Hex, to0x, toHex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { replaceFile } from '../../lib/files.ts'
import { addressSchema, bytes32Schema } from '../../lib/schema.ts'
import { parseCertificate } from '../../quote/certificates/certificate.ts'
import { deviceId } from '../../quote/measurements/measure.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { RawAttestation } from '../../tee/source.ts'
import { readBytes } from '../input/arguments.ts'
import { readEvidenceAt } from '../quote/read-evidence.ts'

const bindingSchema = z.strictObject({
  chainId: z.int().positive(),
  hosts: addressSchema,
  operator: addressSchema,
  block: z.int().nonnegative(),
  blockHash: bytes32Schema,
})

/** Members of the file that the agent's answer does not have. */
const fileSchema = z.looseObject({ event_log: z.string(), binding: bindingSchema })

export interface HostQuote {
  /** Raw bytes. */
  readonly quote: Uint8Array
  /** Undefined if the file has only the quote. */
  readonly binding: HostBinding | undefined
  /** JSON of the guest agent; undefined if the file has only the quote. */
  readonly eventLog: string | undefined
}

/** Writes the file, which `quote show` and `host register` read. @throws FILE_UNWRITABLE */
export async function writeHostQuote(
  file: string,
  { quote, eventLog, vmConfig }: RawAttestation,
  { chainId, registry, operator, block }: HostBinding,
): Promise<void> {
  const content = {
    quote: toHex(quote),
    event_log: eventLog,
    report_data: toHex(parseQuote(quote).report.reportData),
    vm_config: vmConfig,
    binding: {
      chainId,
      hosts: registry.toLowerCase(),
      operator: operator.toLowerCase(),
      block: Number(block.number),
      blockHash: block.hash,
    },
  }
  await replaceFile(file, `${JSON.stringify(content, null, 2)}\n`)
}

/**
 * Reads the file of `host quote`, or a quote in another form.
 *
 * @throws FILE_UNREADABLE, QUOTE_*, INPUT_INVALID if the file says another block or operator than its quote
 */
export async function readHostQuote(file: string): Promise<HostQuote> {
  const { quote } = await readEvidenceAt(file)
  const json = file === '-' ? undefined : parse(await readBytes(file))
  if (typeof json !== 'object' || json === null || !('binding' in json)) {
    return { quote, binding: undefined, eventLog: undefined }
  }
  const parsed = fileSchema.safeParse(json)
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`, {
      facts: { file },
    })
  }
  const { chainId, hosts, operator, block, blockHash } = parsed.data.binding
  const binding = {
    chainId,
    registry: hosts,
    operator,
    block: { number: BigInt(block), hash: blockHash },
  }
  if (!equalBytes(parseQuote(quote).report.reportData, hostReportData(binding))) {
    throw new AssentError('INPUT_INVALID', `${file}: the quote is for another block or operator.`, {
      facts: { file, operator, block },
      hint: 'Make a new one with `assent host quote`.',
    })
  }
  return { quote, binding, eventLog: parsed.data.event_log }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
}

/** Checks that the quote is for this chain and registry. @throws INPUT_INVALID */
export function requireRegistry(
  binding: HostBinding,
  { chainId, hosts }: { readonly chainId: number; readonly hosts: Address },
): void {
  if (binding.chainId === chainId && binding.registry === hosts.toLowerCase()) return
  throw new AssentError('INPUT_INVALID', 'The quote is for another chain or host registry.', {
    facts: { chainId: binding.chainId, hosts: binding.registry, expected: hosts },
  })
}

/** The device id in the PCK certificate of a quote: a claim until the quote is verified. @throws QUOTE_* */
export function deviceOf(quote: Uint8Array): Hex {
  const [leaf = new Uint8Array()] = parseQuote(quote).pckChain
  const { sgx } = parseCertificate(leaf, 'PCK certificate')
  if (sgx !== undefined) return to0x(deviceId(sgx.ppid))
  throw new AssentError('QUOTE_CERTIFICATE_MALFORMED', 'The PCK certificate names no platform.')
}

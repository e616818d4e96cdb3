/** Identity of a simulated host and of its quoting enclave. */
import type { PckCa } from '../../quote/collateral/pccs.ts'
import type { SigningKey } from './key.ts'
import type { QuoteOptions } from './quote.ts'
import type { SgxExtensionFields } from './sgx-extension.ts'

export interface PlatformIdentity {
  readonly name: string
  readonly ca: PckCa
  readonly ppid: Uint8Array
  /** Device id: SHA-256 of the PPID. */
  readonly deviceId: Uint8Array
  /** Upper-case hex, as in TCB info. */
  readonly fmspc: string
  readonly platformInstanceId: Uint8Array | undefined
  /** PCK certificate, DER, and its serial number. */
  readonly pck: Uint8Array
  readonly pckSerial: Uint8Array
  /** DER: PCK, its CA, root. */
  readonly pckChain: readonly Uint8Array[]
  /** Contents of the SGX extension of the PCK certificate. */
  readonly sgx: SgxExtensionFields
  readonly pckKey: SigningKey
  readonly attestationKey: SigningKey
  quote(options?: QuoteOptions): Uint8Array
}

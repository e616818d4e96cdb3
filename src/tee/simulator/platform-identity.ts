/** What identifies a simulated machine, and its quoting enclave. */
import type { PckCa } from '../../quote/collateral/pccs.ts'
import type { SigningKey } from './key.ts'
import type { QuoteOptions } from './quote.ts'
import type { SgxExtensionFields } from './sgx-extension.ts'

export interface PlatformIdentity {
  readonly name: string
  readonly ca: PckCa
  readonly ppid: Uint8Array
  /** SHA-256 of the PPID, as dstack and the registries name a machine. */
  readonly deviceId: Uint8Array
  /** Upper-case hex, as TCB info spells it. */
  readonly fmspc: string
  readonly platformInstanceId: Uint8Array | undefined
  /** PCK certificate, DER, and its serial number. */
  readonly pck: Uint8Array
  readonly pckSerial: Uint8Array
  /** DER: PCK, its CA, root. */
  readonly pckChain: readonly Uint8Array[]
  /** What the PCK certificate says about the machine. */
  readonly sgx: SgxExtensionFields
  readonly pckKey: SigningKey
  readonly attestationKey: SigningKey
  quote(options?: QuoteOptions): Uint8Array
}

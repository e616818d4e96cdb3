/** Identity of a simulated host and of its quoting enclave. */
import type { PckCa } from '../../quote/collateral/pccs.ts'
import type { SigningKey } from './key.ts'
import type { QuoteOptions } from './quote.ts'
import type { SgxExtensionFields } from './sgx-extension.ts'

/** A simulated host as its quotes show it. */
export interface PlatformIdentity {
  /** For tests. */
  readonly name: string
  /** CA that issued the PCK certificate. */
  readonly ca: PckCa
  /** 16 bytes. */
  readonly ppid: Uint8Array
  /** Device id: SHA-256 of the PPID. */
  readonly deviceId: Uint8Array
  /** Upper-case hex, as in TCB info. */
  readonly fmspc: string
  /** 16 bytes; undefined for a single-package platform. */
  readonly platformInstanceId: Uint8Array | undefined
  /** PCK certificate, DER, and its serial number. */
  readonly pck: Uint8Array
  /** At most 20 bytes; a CRL names it. */
  readonly pckSerial: Uint8Array
  /** DER: PCK, its CA, root. */
  readonly pckChain: readonly Uint8Array[]
  /** Contents of the SGX extension of the PCK certificate. */
  readonly sgx: SgxExtensionFields
  /** Signs the report of the quoting enclave. */
  readonly pckKey: SigningKey
  /** Signs quotes. */
  readonly attestationKey: SigningKey
  /** A signed quote of a TD that is not described further. */
  quote(options?: QuoteOptions): Uint8Array
}

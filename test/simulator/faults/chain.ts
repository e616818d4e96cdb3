/** Well-formed certificate chains that must be rejected, and a few unusual ones that are valid. */
import { fromHex } from '../../../src/lib/bytes.ts'
import { deriveKey } from '../../../src/tee/simulator/key.ts'
import type { PckOptions } from '../../../src/tee/simulator/pki.ts'
import {
  createPckCa,
  createRoot,
  createTcbSigning,
  deriveSerial,
  issuePck,
} from '../../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import {
  type CaseFixture,
  day,
  evidenceCase,
  evilKey,
  type FaultCase,
  platformCase,
  quoteCase,
  rejected,
  verified,
} from './case.ts'

const invalid = rejected('QUOTE_CHAIN_INVALID')

/** A PCK certificate with the genuine SGX extension and key, issued by another CA or with other options. */
function reissue(
  bench: CaseFixture,
  change: Partial<PckOptions>,
  issuer = bench.simulator.pki.pckCa('platform'),
) {
  const { platform } = bench
  return issuePck(issuer, {
    sgx: platform.sgx,
    key: platform.pckKey,
    serial: platform.pckSerial,
    ...change,
  } as PckOptions & { serial: Uint8Array }).certificate
}

export const chains: readonly FaultCase[] = [
  quoteCase(
    ['chain_leaf_wrong_ca_key', "leaf signed by a key that is not its CA's", invalid],
    (bench) => ({
      pckChain: [reissue(bench, { signedBy: evilKey(bench) }), ...bench.platform.pckChain.slice(1)],
    }),
  ),
  evidenceCase(
    [
      'chain_other_root',
      'a whole chain under another root of the same name',
      rejected('QUOTE_ROOT_UNTRUSTED'),
    ],
    ({ simulator }) => {
      const other = createSimulator({ at: simulator.at, seed: other32(simulator.pki.seed) })
      return { quote: other.createPlatform().quote() }
    },
  ),
  evidenceCase(
    [
      'chain_ca_of_other_root',
      'the same, its CA beside the list too, before the trusted root',
      invalid,
    ],
    ({ simulator }) => {
      const other = createSimulator({ at: simulator.at, seed: other32(simulator.pki.seed) })
      const ca = other.pki.pckCa('platform')
      return {
        quote: other.createPlatform().quote(),
        collateral: simulator.collateral({
          pckCrl: { issuer: ca },
          pckCrlChain: [ca.certificate, simulator.pki.root.certificate],
        }),
      }
    },
  ),
  evidenceCase(
    [
      'chain_all_other_root',
      'quote and collateral of another simulator',
      rejected('QUOTE_ROOT_UNTRUSTED'),
    ],
    ({ simulator }) => {
      const other = createSimulator({ at: simulator.at, seed: other32(simulator.pki.seed) })
      return { quote: other.createPlatform().quote(), collateral: other.collateral() }
    },
  ),
  quoteCase(['chain_leaf_issued_by_leaf', 'a PCK leaf used as an issuer', invalid], (bench) => {
    const { platform, simulator } = bench
    const leaf = {
      name: { ...simulator.pki.root.name, commonName: 'Intel SGX PCK Certificate' },
      key: platform.pckKey,
      serial: platform.pckSerial,
      keyId: platform.pckSerial,
      certificate: platform.pck,
    }
    const key = deriveKey(simulator.pki.seed, 'second leaf')
    const second = reissue(bench, { key, serial: deriveSerial(simulator.pki.seed, 'second') }, leaf)
    return { pckKey: key, pckChain: [second, ...platform.pckChain] }
  }),
  quoteCase(['chain_two_certs', 'leaf and root only', invalid], ({ platform }) => ({
    pckChain: [platform.pckChain[0] as Uint8Array, platform.pckChain[2] as Uint8Array],
  })),
  quoteCase(['chain_one_cert', 'the leaf only', invalid], ({ platform }) => ({
    pckChain: platform.pckChain.slice(0, 1),
  })),
  quoteCase(
    ['chain_two_chains', 'two complete chains, one after the other', invalid],
    ({ platform }) => ({
      pckChain: [...platform.pckChain, ...platform.pckChain],
    }),
  ),
  quoteCase(
    ['chain_issuer_is_tcb_signing', 'leaf issued by the TCB signing certificate', invalid],
    (bench) => {
      const { tcbSigning, root } = bench.simulator.pki
      return {
        pckChain: [reissue(bench, {}, tcbSigning), tcbSigning.certificate, root.certificate],
      }
    },
  ),
  quoteCase(['chain_issuer_is_root', 'leaf issued by the root itself', invalid], (bench) => {
    const { root } = bench.simulator.pki
    return { pckChain: [reissue(bench, {}, root), root.certificate, root.certificate] }
  }),
  quoteCase(
    ['chain_ca_not_ca', 'intermediate whose basic constraints say no CA', invalid],
    (bench) => {
      const { pki } = bench.simulator
      const ca = createPckCa(pki.seed, pki.root, 'platform', { profile: { pathLength: undefined } })
      return { pckChain: [bench.platform.pck, ca.certificate, pki.root.certificate] }
    },
  ),
  quoteCase(['chain_ca_self_made', 'intermediate signed by itself', invalid], (bench) => {
    const { pki } = bench.simulator
    const evil = other32(pki.seed)
    const ca = createPckCa(evil, pki.root, 'platform', {
      signedBy: deriveKey(evil, 'platform-ca'),
    })
    return { pckChain: [reissue(bench, {}, ca), ca.certificate, pki.root.certificate] }
  }),
  quoteCase(['chain_ca_other_name', 'intermediate with a name of its own', invalid], (bench) => {
    const { pki } = bench.simulator
    const name = { commonName: 'Intel SGX PCK Platform XX' }
    const ca = createPckCa(pki.seed, pki.root, 'platform', { name })
    return { pckChain: [reissue(bench, {}, ca), ca.certificate, pki.root.certificate] }
  }),
  quoteCase(
    ['chain_issuer_name_differs', "leaf that names another issuer than its CA's subject", invalid],
    (bench) => ({
      pckChain: [
        reissue(bench, {
          profile: {
            issuer: { ...bench.simulator.pki.root.name, commonName: 'Intel SGX PCK Processor CA' },
          },
        }),
        ...bench.platform.pckChain.slice(1),
      ],
    }),
  ),
  quoteCase(
    [
      'chain_issuer_name_encoding',
      "issuer name as PrintableString where the CA's subject is UTF8String",
      invalid,
    ],
    (bench) => ({
      pckChain: [
        reissue(bench, {
          profile: {
            issuer: { ...bench.simulator.pki.pckCa('platform').name, encoding: 'printable' },
          },
        }),
        ...bench.platform.pckChain.slice(1),
      ],
    }),
  ),
  evidenceCase(
    ['valid_printable_names', 'all names as PrintableString', verified()],
    ({ simulator }) => {
      const printable = createSimulator({
        at: simulator.at,
        seed: simulator.pki.seed,
        pki: { name: { encoding: 'printable' } },
      })
      return {
        quote: printable.createPlatform().quote(),
        collateral: printable.collateral(),
        root: printable.rootCertificate,
      }
    },
  ),
  evidenceCase(
    ['root_other_of_same_key', 'trusted root re-issued: the key is what is trusted', verified()],
    ({ simulator }) => ({
      root: createRoot(simulator.pki.seed, { serial: deriveSerial(simulator.pki.seed, 'again') })
        .certificate,
    }),
  ),
  evidenceCase(
    [
      'valid_tcb_signing_renewed',
      'TCB signing certificate renewed: same key and serial, other dates',
      verified(),
    ],
    ({ simulator }) => {
      const { pki, at } = simulator
      const renewed = createTcbSigning(pki.seed, pki.root, { notBefore: at - 30 * day })
      const tcbInfoChain = [renewed.certificate, pki.root.certificate]
      return { collateral: simulator.collateral({ tcbInfoChain }) }
    },
  ),
]

export const leaves: readonly FaultCase[] = [
  platformCase(
    ['leaf_not_yet_valid', 'PCK certificate from the future', rejected('QUOTE_NOT_YET_VALID')],
    ({ simulator }) => ({
      pck: { notBefore: simulator.at + day, notAfter: simulator.at + 2 * day },
    }),
  ),
  platformCase(
    ['leaf_expired', 'PCK certificate that has expired', rejected('QUOTE_CERTIFICATE_EXPIRED')],
    ({ simulator }) => ({ pck: { notAfter: simulator.at - 1 } }),
  ),
  platformCase(
    ['valid_leaf_serial_zero', 'PCK certificate with the serial number zero', verified()],
    () => ({ pck: { serial: new Uint8Array(1) } }),
  ),
  platformCase(
    ['valid_leaf_last_second', 'PCK certificate in its last second', verified()],
    ({ simulator }) => ({ pck: { notAfter: simulator.at } }),
  ),
  quoteCase(
    ['ca_expired', 'Platform CA that has expired', rejected('QUOTE_CERTIFICATE_EXPIRED')],
    (bench) => {
      const { pki, at } = bench.simulator
      const ca = createPckCa(pki.seed, pki.root, 'platform', { notAfter: at - 1 })
      return { pckChain: [bench.platform.pck, ca.certificate, pki.root.certificate] }
    },
  ),
  platformCase(
    [
      'leaf_no_sgx_extension',
      'PCK certificate without the SGX extension',
      rejected('QUOTE_PCK_INVALID'),
    ],
    {
      sgxExtension: false,
    },
  ),
  platformCase(
    ['leaf_other_name', 'PCK certificate with another common name', rejected('QUOTE_PCK_INVALID')],
    {
      pck: { name: { commonName: 'Intel SGX TCB Certificate' } },
    },
  ),
  platformCase(
    [
      'leaf_is_ca',
      'PCK certificate that says it is a CA',
      rejected('QUOTE_PCK_INVALID', 'QUOTE_CHAIN_INVALID'),
    ],
    {
      pck: { profile: { pathLength: 0 } },
    },
  ),
  platformCase(
    [
      'leaf_fmspc_mismatch',
      'PCK certificate of another platform family',
      rejected('QUOTE_FMSPC_MISMATCH'),
    ],
    {
      fmspc: 'A55E47000001',
    },
  ),
  platformCase(
    ['leaf_pceid_mismatch', 'PCK certificate of another PCE', rejected('QUOTE_PCEID_MISMATCH')],
    {
      sgx: { pceId: fromHex('0001', 'PCEID') },
    },
  ),
]

function other32(seed: Uint8Array): Uint8Array {
  return seed.map((byte) => byte ^ 0xff)
}

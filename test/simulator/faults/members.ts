/** Members that Intel can add to its documents, and documents in other notations. All are signed. */
import {
  enclaveLevel,
  outdatedSvns,
  standardLevels,
  standardModules,
  standardQeLevels,
  tcbLevel,
} from '../../../src/tee/simulator/collateral.ts'
import { derContent, editDer, splitDer, tlv } from '../../../src/tee/simulator/der.ts'
import {
  createPckCa,
  createRoot,
  deriveSerial,
  issuePck,
  issueRevocations,
} from '../../../src/tee/simulator/pki.ts'
import {
  collateralCase,
  evidenceCase,
  type FaultCase,
  malformed,
  padded,
  platformCase,
  rejected,
  verified,
} from './case.ts'

type Edit = (json: string) => string

/** Objects of each document, by the text directly after the opening brace of the first of them. */
const places: readonly (readonly [
  name: string,
  words: string,
  document: 'tcbInfo' | 'qeIdentity',
  first: string,
])[] = [
  ['tcb', 'the TCB info', 'tcbInfo', '"id":"TDX",'],
  ['tcb_module', 'tdxModule', 'tcbInfo', '"mrsigner":'],
  ['tcb_identity', 'an identity of a module', 'tcbInfo', '"id":"TDX_03",'],
  ['tcb_isv_level', 'a level of a module', 'tcbInfo', '"tcb":{"isvsvn"'],
  ['tcb_isv', 'the TCB of a level of a module', 'tcbInfo', '"isvsvn":'],
  ['tcb_level', 'a level of the platform', 'tcbInfo', '"tcb":{"sgxtcb'],
  ['tcb_svns', 'the TCB of a level of the platform', 'tcbInfo', '"sgxtcbcomponents":'],
  ['tcb_component', 'a component', 'tcbInfo', '"svn":4,'],
  ['qe_id', 'the QE identity', 'qeIdentity', '"id":"TD_QE",'],
  ['qe_id_level', 'a level of the QE', 'qeIdentity', '"tcb":{"isvsvn"'],
  ['qe_id_isv', 'the TCB of a level of the QE', 'qeIdentity', '"isvsvn":'],
]

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

/** Values of every type. Their content must not affect the members around them. */
const values: readonly (readonly [name: string, words: string, value: string])[] = [
  ['text', 'a text with escapes', '"a \\"}],{\\\\ \\u00e9 \\n b/\\/"'],
  ['unicode', 'a text beyond ASCII', '"Größe 量"'],
  ['number', 'a number with fraction and exponent', '-0.50e+12'],
  ['large_number', 'a number of thirty digits', '123456789012345678901234567890'],
  ['null', 'null', 'null'],
  ['list', 'a list of everything', '[true,false,null,0,"",{},[],{"svn":9,"fmspc":"}"}]'],
  ['object', 'an object with the names of known members', '{"svn":255,"tcb":{"isvsvn":0},"1":1}'],
]

const withMember =
  (first: string, member: string): Edit =>
  (json) =>
    json.replace(first, `${member},${first}`)

/** Adds a member after the last one of the object that starts with `first`. */
function atEnd(first: string, member: string): Edit {
  return (json) => {
    const start = json.indexOf(first)
    let depth = 1
    let end = start
    for (; depth > 0; end++) {
      if (json[end] === '{') depth += 1
      else if (json[end] === '}') depth -= 1
    }
    return `${json.slice(0, end - 1)},${member}${json.slice(end - 1)}`
  }
}

/** A document in which every object has its members in reverse order. */
const reversed: Edit = (json) =>
  JSON.stringify(JSON.parse(json), (_key, value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).reverse())
      : value,
  )

const edited = (
  title: readonly [string, string, FaultCase['expect']],
  document: 'tcbInfo' | 'qeIdentity',
  edit: Edit,
): FaultCase => collateralCase(title, { [document]: { edit } })

const tcbText = (name: string, about: string, edit: Edit): FaultCase =>
  edited([name, about, malformed('QUOTE_TCB_INFO_MALFORMED')], 'tcbInfo', edit)

const longName = 'INTEL-SA-00837 and what else was found in the same year'

export const newMembers: readonly FaultCase[] = [
  ...places.flatMap(([name, words, document, first]) => [
    edited(
      [`valid_${name}_new_first`, `a new member before all others of ${words}`, verified()],
      document,
      withMember(first, `"new":{"text":"x","list":[1,2]}`),
    ),
    edited(
      [`valid_${name}_new_last`, `a new member behind all others of ${words}`, verified()],
      document,
      atEnd(first, '"new":[{"text":"x"}]'),
    ),
  ]),
  ...values.map(([name, words, value]) =>
    edited(
      [`valid_tcb_new_${name}`, `a new member whose value is ${words}`, verified()],
      'tcbInfo',
      withMember('"pceId":', `"new":${value}`),
    ),
  ),
  edited(
    ['valid_tcb_new_deep', 'a new member nested as deep as Intel reads', verified()],
    'tcbInfo',
    withMember('"pceId":', `"new":${nested(31)}`),
  ),
  tcbText(
    'tcb_new_too_deep',
    'a new member nested deeper than Intel reads',
    withMember('"pceId":', `"new":${nested(32)}`),
  ),
  tcbText(
    'tcb_new_twice',
    'two new members of one name',
    withMember('"pceId":', '"new":1,"new":2'),
  ),
  tcbText(
    'tcb_known_behind',
    'a known member again behind all others',
    atEnd('"id":"TDX",', '"fmspc":"000000000000"'),
  ),
  tcbText('tcb_component_known_behind', 'an SVN again behind what describes it', (json) =>
    json.replace('"category":"BIOS"', '"category":"BIOS","svn":255'),
  ),
  ...[
    ['escape', 'an invalid escape', '"\\x"'],
    ['control', 'a control character in a text', '"\u0001"'],
    ['open_text', 'a text without an end', '"x'],
    ['word', 'an invalid literal', 'nil'],
    ['plus', 'a number with a plus', '+1'],
    ['zero', 'a number with a leading zero', '01'],
    ['point', 'a number that ends in a point', '1.'],
    ['exponent', 'a number without its exponent', '1e'],
    ['crossed', 'brackets that cross', '[{]}'],
    ['comma', 'a comma before the end', '[1,]'],
    ['colon', 'a name without a value', '{"a"}'],
    ['space', 'a space in a list', '[1, 2]'],
    ['empty', 'no value', ''],
  ].map(([name, words, value]) =>
    tcbText(
      `tcb_new_bad_${name}`,
      `a new member with ${words}`,
      withMember('"pceId":', `"new":${value}`),
    ),
  ),
  tcbText('tcb_number_with_rest', 'a fraction in place of a PCESVN, and a new member', (json) =>
    json.replace('"pcesvn":11', '"pcesvn":11.5,"new":1'),
  ),
  edited(
    ['valid_tcb_reversed', 'members of the TCB info in reverse order', verified()],
    'tcbInfo',
    reversed,
  ),
  edited(
    ['valid_qe_id_reversed', 'members of the QE identity in reverse order', verified()],
    'qeIdentity',
    reversed,
  ),
  collateralCase(
    [
      'status_unknown_unreached',
      'an unknown status in a platform level that is not reached',
      rejected('QUOTE_TCB_STATUS_UNKNOWN'),
    ],
    {
      tcbInfo: {
        levels: [
          ...standardLevels.slice(0, 1),
          tcbLevel(outdatedSvns, '2024-03-13', 'MostlyHarmless'),
        ],
      },
    },
  ),
  collateralCase(
    [
      'valid_module_status_unreached',
      'an unknown status of more than 32 bytes in a module level that is not reached',
      verified(),
    ],
    {
      tcbInfo: {
        modules: standardModules.map((module) => ({
          ...module,
          tcbLevels: [
            ...module.tcbLevels,
            enclaveLevel(0, '2019-05-15', 'A status of more characters than a word has room for'),
          ],
        })),
      },
    },
  ),
  collateralCase(
    [
      'qe_id_status_unreached',
      'a status of platforms in a level of the QE that is not reached',
      rejected('QUOTE_TCB_STATUS_UNKNOWN'),
    ],
    {
      qeIdentity: {
        levels: [...standardQeLevels, enclaveLevel(1, '2019-05-15', 'SWHardeningNeeded')],
      },
    },
  ),
  collateralCase(
    [
      'valid_advisory_long',
      'an advisory whose name has more than 31 characters',
      verified('UpToDate', [longName]),
    ],
    {
      tcbInfo: {
        levels: standardLevels.map((level, index) =>
          index === 0 ? { ...level, advisoryIDs: [longName] } : level,
        ),
      },
    },
  ),
  collateralCase(['valid_qe_svn_beyond', 'a level for an ISVSVN that no QE can have', verified()], {
    qeIdentity: {
      levels: [enclaveLevel(65_536, '2026-01-01', 'UpToDate'), ...standardQeLevels],
    },
  }),
]

const misc = (miscselect: string, miscselectMask = 'FFFFFFFF') => ({
  qeIdentity: { members: { miscselect, miscselectMask } },
})

/** Fields of the QE identity, one byte at a time. */
export const qeFields: readonly FaultCase[] = [
  evidenceCase(
    ['valid_qe_miscselect_order', 'MISCSELECT 1, lowest octet first in both', verified()],
    ({ simulator, platform }) => ({
      quote: platform.quote({ qe: { miscSelect: padded(4, 1) } }),
      collateral: simulator.collateral(misc('01000000')),
    }),
  ),
  evidenceCase(
    [
      'qe_miscselect_order',
      'MISCSELECT 1 in the report, 16,777,216 in the identity',
      rejected('QUOTE_QE_IDENTITY_MISMATCH'),
    ],
    ({ simulator, platform }) => ({
      quote: platform.quote({ qe: { miscSelect: padded(4, 1) } }),
      collateral: simulator.collateral(misc('00000001')),
    }),
  ),
  evidenceCase(
    ['valid_qe_miscselect_masked', 'MISCSELECT outside its mask', verified()],
    ({ simulator, platform }) => ({
      quote: platform.quote({ qe: { miscSelect: padded(4, 1, 2) } }),
      collateral: simulator.collateral(misc('01000000', 'FF00FFFF')),
    }),
  ),
  collateralCase(
    [
      'qe_id_miscselect_outside_mask',
      'an identity with a MISCSELECT outside its own mask',
      rejected('QUOTE_QE_IDENTITY_MISMATCH'),
    ],
    misc('00000001', 'FFFFFF00'),
  ),
  collateralCase(
    [
      'qe_id_attributes_outside_mask',
      'an identity with attributes outside its own mask',
      rejected('QUOTE_QE_IDENTITY_MISMATCH'),
    ],
    { qeIdentity: { members: { attributes: '11000000000000000100000000000000' } } },
  ),
]

/** A certificate without some extensions. @param which their positions in Intel's order */
const without = (...which: readonly number[]) => ({
  edits: {
    signed: (tbs: Uint8Array) =>
      editDer(tbs, [7, 0], (extensions) =>
        tlv(0x30, ...splitDer(derContent(extensions)).filter((_, index) => !which.includes(index))),
      ),
  },
})

/** Positions of the authority key id, CRL address and subject key id. No rule uses them. */
const unused = [0, 1, 2] as const

export const certificateParts: readonly FaultCase[] = [
  ...unused.map((index) =>
    platformCase(
      [
        `valid_leaf_no_${['aki', 'crl_point', 'ski'][index]}`,
        'a leaf without an extension that no rule reads',
        verified(),
      ],
      { pck: without(index) },
    ),
  ),
  platformCase(
    ['valid_leaf_no_constraints', 'a leaf without basic constraints, which is no CA', verified()],
    { pck: without(4) },
  ),
  platformCase(['leaf_no_key_usage', 'a leaf without key usage', rejected('QUOTE_CHAIN_INVALID')], {
    pck: without(3),
  }),
  evidenceCase(
    ['valid_root_renewed', 'another root certificate of the pinned key', verified()],
    ({ simulator, platform }) => {
      const { seed, root } = simulator.pki
      const renewed = createRoot(seed, {
        serial: deriveSerial(seed, 'renewed root'),
        notBefore: simulator.at - 86_400,
      }).certificate
      const ca = simulator.pki.pckCa('platform').certificate
      return {
        quote: platform.quote({ pckChain: [platform.pck, ca, renewed] }),
        collateral: simulator.collateral({ pckCrlChain: [ca, renewed] }),
        root: root.certificate,
      }
    },
  ),
  evidenceCase(
    [
      'root_forged',
      'a root of the pinned key and name that a stranger signed',
      rejected('QUOTE_CHAIN_INVALID'),
    ],
    ({ simulator, platform }) => {
      const { seed } = simulator.pki
      const forged = createRoot(seed, {
        notAfter: simulator.at + 600,
        signedBy: createRoot(seed.map((byte) => byte ^ 1)).key,
      }).certificate
      const ca = simulator.pki.pckCa('platform').certificate
      return {
        quote: platform.quote({ pckChain: [platform.pck, ca, forged] }),
        collateral: simulator.collateral({ pckCrlChain: [ca, forged] }),
      }
    },
  ),
  evidenceCase(
    ['valid_ca_other_key', 'a leaf of another key under the name of the CA', verified()],
    ({ simulator, platform }) => {
      const { seed, root } = simulator.pki
      const ca = createPckCa(
        seed.map((byte) => byte ^ 1),
        root,
        'platform',
      )
      const leaf = issuePck(ca, {
        sgx: platform.sgx,
        key: platform.pckKey,
        serial: deriveSerial(seed, 'leaf of the other CA'),
      })
      return {
        quote: platform.quote({ pckChain: [leaf.certificate, ca.certificate, root.certificate] }),
        collateral: simulator.collateral({
          pckCrlChain: [ca.certificate, root.certificate],
          pckCrl: { issuer: ca },
        }),
      }
    },
  ),
  evidenceCase(
    ['valid_crl_no_extensions', 'a revocation list without number and key id', verified()],
    ({ simulator, collateral }) => {
      const ca = simulator.pki.pckCa('platform')
      const list = issueRevocations(ca, {
        thisUpdate: simulator.at - 86_400,
        nextUpdate: simulator.at + 86_400,
        edits: {
          signed: (tbs) => {
            const parts = splitDer(derContent(tbs))
            const last = parts.length - 1
            return tlv(0x30, ...parts.slice(0, last), tlv(0xa0, tlv(0x30)))
          },
        },
      })
      return { collateral: { ...collateral, pck_crl: Buffer.from(list).toString('hex') } }
    },
  ),
]

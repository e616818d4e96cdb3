/** TCB levels of platform, module and quoting enclave, and the resulting status. */
import {
  type CollateralOptions,
  currentSvns,
  enclaveLevel,
  intelModule,
  outdatedSvns,
  standardModules,
  type TcbLevel,
  type TdxModuleIdentityJson,
  tcbLevel,
  zeroHash,
} from '../../../src/tee/simulator/collateral.ts'
import type { QuoteOptions } from '../../../src/tee/simulator/quote.ts'
import {
  collateralCase,
  evidenceCase,
  type FaultCase,
  malformed,
  padded,
  platformCase,
  quoteCase,
  rejected,
  verified,
  withoutMember,
} from './case.ts'

const platformStatuses = [
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
] as const

type CatalogueStatus = (typeof platformStatuses)[number]

/** One level, which the genuine platform reaches. */
const level = (status: string, advisoryIds: readonly string[] = []): readonly TcbLevel[] => [
  tcbLevel(currentSvns, '2025-08-13', status, advisoryIds),
]

const module = (id: string, levels: TdxModuleIdentityJson['tcbLevels']): TdxModuleIdentityJson => ({
  id,
  ...intelModule,
  tcbLevels: levels,
})

const outdatedModule = [
  module('TDX_01', [enclaveLevel(2, '2024-03-13', 'OutOfDate', ['INTEL-SA-01036'])]),
]
const outdatedQe = [enclaveLevel(2, '2024-01-10', 'OutOfDate', ['INTEL-SA-00009'])]

/** Intel QVL 4.1.2.5.2.4: an outdated component keeps the flag for the configuration. */
function withOutdatedComponent(status: CatalogueStatus): CatalogueStatus {
  return status.includes('Configuration') ? 'OutOfDateConfigurationNeeded' : 'OutOfDate'
}

export const statuses: readonly FaultCase[] = [
  ...platformStatuses.map((status) =>
    collateralCase(
      [`status_${status}`, `platform level ${status}`, verified(status, ['INTEL-SA-00001'])],
      { tcbInfo: { levels: level(status, ['INTEL-SA-00001']) } },
    ),
  ),
  collateralCase(
    ['status_platform_revoked', 'platform level Revoked', rejected('QUOTE_TCB_REVOKED')],
    { tcbInfo: { levels: level('Revoked') } },
  ),
  collateralCase(['status_module_revoked', 'module level Revoked', rejected('QUOTE_TCB_REVOKED')], {
    tcbInfo: { modules: [module('TDX_01', [enclaveLevel(2, '2024-03-13', 'Revoked')])] },
  }),
  collateralCase(
    ['status_qe_revoked', 'quoting enclave level Revoked', rejected('QUOTE_TCB_REVOKED')],
    { qeIdentity: { levels: [enclaveLevel(2, '2024-01-10', 'Revoked')] } },
  ),
  collateralCase(
    [
      'status_unknown_string',
      'platform level with an unknown status',
      rejected('QUOTE_TCB_STATUS_UNKNOWN'),
    ],
    { tcbInfo: { levels: level('MostlyHarmless') } },
  ),
  ...platformStatuses.flatMap((status) => [
    collateralCase(
      [
        `merge_module_outofdate_${status}`,
        `module OutOfDate, platform ${status}`,
        verified(withOutdatedComponent(status), ['INTEL-SA-00002', 'INTEL-SA-01036']),
      ],
      { tcbInfo: { levels: level(status, ['INTEL-SA-00002']), modules: outdatedModule } },
    ),
    collateralCase(
      [
        `merge_qe_outofdate_${status}`,
        `quoting enclave OutOfDate, platform ${status}`,
        verified(withOutdatedComponent(status), ['INTEL-SA-00002', 'INTEL-SA-00009']),
      ],
      {
        tcbInfo: { levels: level(status, ['INTEL-SA-00002']) },
        qeIdentity: { levels: outdatedQe },
      },
    ),
  ]),
  collateralCase(
    [
      'merge_order_of_advisories',
      'advisories of platform, quoting enclave and module in this order',
      verified('OutOfDate', ['INTEL-SA-00002', 'INTEL-SA-00009', 'INTEL-SA-01036']),
    ],
    {
      tcbInfo: { levels: level('UpToDate', ['INTEL-SA-00002']), modules: outdatedModule },
      qeIdentity: { levels: outdatedQe },
    },
  ),
]

const outdatedPlatform = {
  components: Array.from({ length: 16 }, (_, index) => outdatedSvns.sgx[index] ?? 0),
}
const secondLevel = ['INTEL-SA-01079', 'INTEL-SA-01111']

export const levels: readonly FaultCase[] = [
  platformCase(
    [
      'level_second',
      'the platform reaches the second level only',
      verified('OutOfDate', secondLevel),
    ],
    { sgx: outdatedPlatform },
  ),
  quoteCase(
    [
      'level_tdx_component_drops',
      'TDX component 2 is below the first level',
      verified('OutOfDate', secondLevel),
    ],
    { td: { teeTcbSvn: padded(16, 11, 1, 3) } },
  ),
  platformCase(['level_none', 'no level matches', rejected('QUOTE_TCB_NOT_SUPPORTED')], {
    sgx: { components: new Array<number>(16).fill(0) },
  }),
  platformCase(
    [
      'level_pcesvn_below',
      'PCESVN below every level but the revoked one',
      rejected('QUOTE_TCB_REVOKED'),
    ],
    { sgx: { pceSvn: 6 } },
  ),
  platformCase(
    [
      'level_last_component',
      'component 16 of the first level is not reached',
      verified('OutOfDate', secondLevel),
    ],
    {},
    {},
    {
      tcbInfo: {
        levels: [
          tcbLevel(
            { ...currentSvns, sgx: [4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1] },
            '2025-08-13',
            'UpToDate',
          ),
          tcbLevel(outdatedSvns, '2024-03-13', 'OutOfDate', secondLevel),
        ],
      },
    },
  ),
  quoteCase(
    [
      'level_module_none',
      'module older than each of its levels',
      rejected('QUOTE_TCB_NOT_SUPPORTED'),
    ],
    { td: { teeTcbSvn: padded(16, 3, 1, 4) } },
  ),
  quoteCase(
    [
      'level_qe_none',
      'quoting enclave older than each of its levels',
      rejected('QUOTE_TCB_NOT_SUPPORTED'),
    ],
    { qe: { isvSvn: 3 } },
  ),
  collateralCase(['valid_levels_shuffled', 'levels listed worst first', verified()], {
    tcbInfo: {
      levels: [
        tcbLevel({ ...outdatedSvns, pce: 5 }, '2018-01-04', 'Revoked'),
        tcbLevel(outdatedSvns, '2024-03-13', 'OutOfDate'),
        tcbLevel(currentSvns, '2025-08-13', 'UpToDate'),
      ],
    },
  }),
  collateralCase(
    [
      'valid_twenty_levels',
      '20 levels, the last of which matches',
      verified('OutOfDate', ['INTEL-SA-00019']),
    ],
    {
      tcbInfo: {
        levels: Array.from({ length: 20 }, (_, index) =>
          tcbLevel(
            { ...currentSvns, sgx: [4 + 19 - index, ...currentSvns.sgx.slice(1)] },
            '2025-01-01',
            index === 19 ? 'OutOfDate' : 'UpToDate',
            [`INTEL-SA-${String(index).padStart(5, '0')}`],
          ),
        ),
      },
    },
  ),
  platformCase(
    ['valid_component_svn_200', 'component SVN 200, an INTEGER of two bytes', verified()],
    {
      sgx: { components: [200, 200, ...currentSvns.sgx.slice(2), 0, 0, 0, 0, 0, 0, 0, 0] },
    },
  ),
  platformCase(
    ['cpusvn_differs_from_components', 'CPUSVN octets zero, components good', verified()],
    { sgx: { cpuSvn: new Uint8Array(16) } },
  ),
  quoteCase(
    [
      'index_exception_module1',
      'module version 1: TDX components 0 and 1 are not compared',
      verified('OutOfDate', ['INTEL-SA-01036']),
    ],
    { td: { teeTcbSvn: padded(16, 4, 1, 4) } },
  ),
  quoteCase(
    [
      'index_exception_module0',
      'module version 0: all TDX components are compared',
      rejected('QUOTE_TCB_NOT_SUPPORTED'),
    ],
    { td: { teeTcbSvn: padded(16, 4, 0, 4) } },
  ),
  quoteCase(['valid_module_v0', 'TDX 1.0: no module identity is needed', verified()], {
    td: { teeTcbSvn: padded(16, 5, 0, 4) },
  }),
  quoteCase(['valid_module_v3', 'module version 3, its own identity', verified()], {
    td: { teeTcbSvn: padded(16, 5, 3, 4) },
  }),
]

const otherSigner = `${zeroHash.slice(0, 94)}01`

export const modules: readonly FaultCase[] = [
  quoteCase(
    [
      'module_identity_missing',
      'module version 2, no identity TDX_02',
      rejected('QUOTE_TDX_MODULE_MISMATCH'),
    ],
    { td: { teeTcbSvn: padded(16, 11, 2, 4) } },
  ),
  quoteCase(
    ['module_mrsignerseam_mismatch', 'MRSIGNERSEAM set', rejected('QUOTE_TDX_MODULE_MISMATCH')],
    { td: { mrSignerSeam: padded(48, 1) } },
  ),
  quoteCase(
    [
      'module_mrsignerseam_last_byte',
      'last byte of MRSIGNERSEAM set',
      rejected('QUOTE_TDX_MODULE_MISMATCH'),
    ],
    { td: { mrSignerSeam: padded(48, ...new Array<number>(47).fill(0), 1) } },
  ),
  quoteCase(
    [
      'module_seamattributes_nonzero',
      'SEAMATTRIBUTES bit set',
      rejected('QUOTE_TDX_MODULE_MISMATCH'),
    ],
    { td: { seamAttributes: padded(8, 1) } },
  ),
  collateralCase(
    [
      'module_identity_mrsigner_used',
      'the identity names another signer than tdxModule: the identity wins',
      rejected('QUOTE_TDX_MODULE_MISMATCH'),
    ],
    { tcbInfo: { modules: standardModules.map((entry) => ({ ...entry, mrsigner: otherSigner })) } },
  ),
  evidenceCase(
    [
      'module_v0_mrsigner_used',
      'TDX 1.0: tdxModule names another signer',
      rejected('QUOTE_TDX_MODULE_MISMATCH'),
    ],
    ({ simulator, platform }) => ({
      quote: platform.quote({ td: { teeTcbSvn: padded(16, 5, 0, 4) } }),
      collateral: simulator.collateral({
        tcbInfo: { members: { tdxModule: { ...intelModule, mrsigner: otherSigner } } },
      }),
    }),
  ),
  collateralCase(['valid_module_id_lowercase', 'identity spelt tdx_01', verified()], {
    tcbInfo: {
      modules: standardModules.map((entry) => ({ ...entry, id: entry.id.toLowerCase() })),
    },
  }),
]

const relaunched = (
  name: string,
  about: string,
  expect: FaultCase['expect'],
  svns: readonly [launch: readonly number[], current: readonly number[]],
  status = 'UpToDate',
  body: Pick<QuoteOptions, 'bodyType'> = { bodyType: 3 },
): FaultCase =>
  evidenceCase([name, about, expect], ({ simulator, platform }) => ({
    quote: platform.quote({
      version: 5,
      ...body,
      td: { teeTcbSvn: padded(16, ...svns[0]), teeTcbSvn2: padded(16, ...svns[1]) },
    }),
    collateral: simulator.collateral({
      tcbInfo: { levels: level(status) },
    }),
  }))

const oldModule = [4, 1, 4]
const newModule = [11, 1, 4]
const launchAdvisory = ['INTEL-SA-01036']

/** Two platform levels that differ only in TDX component 2. */
const byTdxComponent = (first: string, second: string): readonly TcbLevel[] => [
  tcbLevel(currentSvns, '2025-08-13', first),
  tcbLevel({ ...currentSvns, tdx: [5, 0, 2] }, '2024-03-13', second, ['INTEL-SA-00777']),
]

const moduleStatus = (status: string) => ({
  tcbInfo: {
    modules: [
      module('TDX_01', [
        enclaveLevel(11, '2025-08-13', 'UpToDate'),
        enclaveLevel(4, '2024-03-13', status, ['INTEL-SA-01036']),
      ]),
      module('TDX_03', [enclaveLevel(5, '2025-08-13', 'UpToDate')]),
    ],
  },
})

const doublyEvaluated = (
  name: string,
  about: string,
  expect: FaultCase['expect'],
  svns: readonly [launch: readonly number[], current: readonly number[]],
  collateral: CollateralOptions = {},
): FaultCase =>
  evidenceCase([name, about, expect], ({ simulator, platform }) => ({
    quote: platform.quote({
      version: 5,
      bodyType: 3,
      td: { teeTcbSvn: padded(16, ...svns[0]), teeTcbSvn2: padded(16, ...svns[1]) },
    }),
    collateral: simulator.collateral(collateral),
  }))

/** Rules of the second evaluation (TEE_TCB_SVN2). */
export const doubleEvaluations: readonly FaultCase[] = [
  doublyEvaluated(
    'relaunch_tdx_component',
    'outdated at launch by a TDX component, not by the module: the rule of before 2026 said no',
    verified('TDRelaunchAdvised', ['INTEL-SA-00777']),
    [
      [11, 1, 2],
      [11, 1, 4],
    ],
    { tcbInfo: { levels: byTdxComponent('UpToDate', 'OutOfDate') } },
  ),
  doublyEvaluated(
    'relaunch_configuration_of_launch',
    'configuration needed by the level at launch only',
    verified('TDRelaunchAdvisedConfigurationNeeded', ['INTEL-SA-00777']),
    [
      [11, 1, 2],
      [11, 1, 4],
    ],
    { tcbInfo: { levels: byTdxComponent('UpToDate', 'OutOfDateConfigurationNeeded') } },
  ),
  doublyEvaluated(
    'relaunch_configuration_and_hardening',
    'configuration and hardening needed by the level of now',
    verified('TDRelaunchAdvisedConfigurationNeeded', ['INTEL-SA-00777']),
    [
      [11, 1, 2],
      [11, 1, 4],
    ],
    { tcbInfo: { levels: byTdxComponent('ConfigurationAndSWHardeningNeeded', 'OutOfDate') } },
  ),
  doublyEvaluated(
    'relaunch_launch_not_outdated',
    'hardening needed at launch: nothing that a relaunch would repair',
    verified('SWHardeningNeeded', ['INTEL-SA-00777']),
    [
      [11, 1, 2],
      [11, 1, 4],
    ],
    { tcbInfo: { levels: byTdxComponent('UpToDate', 'SWHardeningNeeded') } },
  ),
  doublyEvaluated(
    'relaunch_to_other_module',
    'launched under a module of version 1, now under one of version 3',
    verified('TDRelaunchAdvised', launchAdvisory),
    [oldModule, [5, 3, 4]],
  ),
  doublyEvaluated(
    'relaunch_from_other_module',
    'launched under an old module of version 3, now under one of version 1',
    verified('TDRelaunchAdvised', ['INTEL-SA-01245']),
    [[3, 3, 4], newModule],
  ),
  doublyEvaluated(
    'relaunch_to_module_v0',
    'now under a module of version 0, whose components are compared',
    verified('TDRelaunchAdvised', launchAdvisory),
    [oldModule, [5, 0, 4]],
  ),
  doublyEvaluated(
    'relaunch_to_module_v0_old',
    'now under an older module of version 0: no level covers it',
    rejected('QUOTE_TCB_NOT_SUPPORTED'),
    [oldModule, [4, 0, 4]],
  ),
  doublyEvaluated(
    'relaunch_current_revoked',
    'the module of now is revoked',
    rejected('QUOTE_TCB_REVOKED'),
    [newModule, oldModule],
    moduleStatus('Revoked'),
  ),
  doublyEvaluated(
    'relaunch_launch_revoked',
    'the module at launch is revoked: no relaunch helps',
    rejected('QUOTE_TCB_REVOKED'),
    [oldModule, newModule],
    moduleStatus('Revoked'),
  ),
  doublyEvaluated(
    'relaunch_qe_outdated',
    'the quoting enclave is out of date then and now',
    verified('OutOfDate', ['INTEL-SA-00009', 'INTEL-SA-01036']),
    [oldModule, newModule],
    { qeIdentity: { levels: outdatedQe } },
  ),
  doublyEvaluated(
    'relaunch_mrsigner_of_launch',
    'only the module at launch is compared with the signer of its identity',
    verified('TDRelaunchAdvised', launchAdvisory),
    [oldModule, [5, 3, 4]],
    {
      tcbInfo: {
        modules: standardModules.map((entry) =>
          entry.id === 'TDX_03' ? { ...entry, mrsigner: otherSigner } : entry,
        ),
      },
    },
  ),
]

const majors = [1, 2, 3, 4, 9, 10, 0x1f, 0xff]
const manyModules = majors.map((major) =>
  module(`TDX_${major.toString(16).toUpperCase().padStart(2, '0')}`, [
    enclaveLevel(5, '2025-08-13', major % 2 === 0 ? 'UpToDate' : 'OutOfDate', [
      `INTEL-SA-${String(major).padStart(5, '0')}`,
    ]),
  ]),
)

const moduleList = (
  name: string,
  about: string,
  expect: FaultCase['expect'],
  modules: readonly TdxModuleIdentityJson[],
): FaultCase => collateralCase([name, about, expect], { tcbInfo: { modules } })

const noSuchList = malformed('QUOTE_TCB_INFO_MALFORMED')
const current = [enclaveLevel(11, '2025-08-13', 'UpToDate')]

/** Several modules in one document, and invalid lists of modules. */
export const moduleLists: readonly FaultCase[] = [
  ...majors.map((major) =>
    evidenceCase(
      [
        `modules_v${major}_of_many`,
        `module version ${major}, the identities of eight`,
        verified(major % 2 === 0 ? 'UpToDate' : 'OutOfDate', [
          `INTEL-SA-${String(major).padStart(5, '0')}`,
        ]),
      ],
      ({ simulator, platform }) => ({
        quote: platform.quote({ td: { teeTcbSvn: padded(16, 5, major, 4) } }),
        collateral: simulator.collateral({ tcbInfo: { modules: manyModules } }),
      }),
    ),
  ),
  moduleList('modules_twice', 'one identity twice', noSuchList, [
    module('TDX_01', current),
    module('TDX_01', [enclaveLevel(1, '2025-08-13', 'UpToDate')]),
  ]),
  moduleList('modules_twice_by_case', 'one identity in two spellings', noSuchList, [
    module('TDX_0A', current),
    module('TDX_0a', current),
    module('TDX_01', current),
  ]),
  ...['TDX_1', 'TDX_001', 'TDX_G1', 'TDX-01', '01', ''].map((id) =>
    moduleList(`modules_id_${id}`, `an identity named "${id}"`, noSuchList, [
      module('TDX_01', current),
      module(id, current),
    ]),
  ),
  moduleList('modules_empty', 'a list of no identities', noSuchList, []),
  moduleList('modules_no_levels', 'an identity without levels', noSuchList, [module('TDX_01', [])]),
  moduleList('modules_equal_levels', 'one SVN rated twice', noSuchList, [
    module('TDX_01', [...current, enclaveLevel(11, '2024-03-13', 'OutOfDate')]),
  ]),
  moduleList('valid_module_levels_shuffled', 'levels of the module worst first', verified(), [
    module('TDX_01', [enclaveLevel(4, '2024-03-13', 'OutOfDate', ['INTEL-SA-01036']), ...current]),
  ]),
  moduleList(
    'modules_unknown_status',
    'a level of the module with a status of platforms',
    rejected('QUOTE_TCB_STATUS_UNKNOWN'),
    [module('TDX_01', [enclaveLevel(11, '2025-08-13', 'SWHardeningNeeded')])],
  ),
  collateralCase(
    ['modules_absent', 'a document without identities', rejected('QUOTE_TDX_MODULE_MISMATCH')],
    { tcbInfo: { edit: (json) => withoutMember(json, 'tdxModuleIdentities') } },
  ),
]

export const relaunches: readonly FaultCase[] = [
  relaunched(
    'relaunch_advised',
    'launched under an old module, now under a current one',
    verified('TDRelaunchAdvised', launchAdvisory),
    [oldModule, newModule],
  ),
  relaunched(
    'relaunch_advised_ex',
    'the same in a body of type 4',
    verified('TDRelaunchAdvised', launchAdvisory),
    [oldModule, newModule],
    'UpToDate',
    { bodyType: 4 },
  ),
  relaunched(
    'relaunch_advised_hardening',
    'the same on a platform that needs software hardening',
    verified('TDRelaunchAdvised', launchAdvisory),
    [oldModule, newModule],
    'SWHardeningNeeded',
  ),
  relaunched(
    'relaunch_advised_configuration',
    'the same on a platform that needs configuration',
    verified('TDRelaunchAdvisedConfigurationNeeded', launchAdvisory),
    [oldModule, newModule],
    'ConfigurationNeeded',
  ),
  relaunched(
    'relaunch_not_advised',
    'old at launch and old now',
    verified('OutOfDate', launchAdvisory),
    [oldModule, oldModule],
  ),
  relaunched('relaunch_not_needed', 'current at launch, old now', verified('UpToDate'), [
    newModule,
    oldModule,
  ]),
  relaunched(
    'relaunch_platform_outdated',
    'the platform itself is out of date: a relaunch does not help',
    verified('OutOfDate', launchAdvisory),
    [oldModule, newModule],
    'OutOfDate',
  ),
  relaunched(
    'relaunch_svn2_unsupported',
    'the current module is older than each of its levels',
    rejected('QUOTE_TCB_NOT_SUPPORTED'),
    [oldModule, [1, 1, 4]],
  ),
  relaunched(
    'relaunch_svn2_unknown_module',
    'the current module has no identity',
    rejected('QUOTE_TCB_NOT_SUPPORTED', 'QUOTE_TDX_MODULE_MISMATCH'),
    [oldModule, [11, 2, 4]],
  ),
]

import type { BodyType } from '../../src/quote/parse.ts'
import {
  type CollateralDocuments,
  type EnclaveTcbLevel,
  enclaveLevel,
  intelModule,
  type TcbLevel,
  tcbLevel,
} from '../../src/tee/simulator/collateral.ts'
import { createPckCa, createTcbSigning, issuePck } from '../../src/tee/simulator/pki.ts'
import { createPlatform } from '../../src/tee/simulator/platform.ts'
import { mutateBytes, mutateDer, mutateJson, mutateText } from '../fuzz/mutate.ts'
import type { Random } from '../fuzz/random.ts'
import type { CaseEvidence, CaseFixture } from '../simulator/faults/case.ts'

export type Forgery = (bench: CaseFixture, random: Random) => CaseEvidence

const honest = ({ quote, collateral, simulator }: CaseFixture): CaseEvidence => ({
  quote,
  collateral,
  root: simulator.rootCertificate,
  at: simulator.at,
})

export const forgeries: Readonly<Record<string, Forgery>> = {
  'changed quotes': (bench, random) => ({
    ...honest(bench),
    quote: mutateBytes(someQuote(bench, random), random),
  }),
  'changed collateral': (bench, random) => {
    const { collateral } = bench
    const field = random.pick(Object.keys(collateral) as (keyof CollateralDocuments)[])
    return {
      ...honest(bench),
      collateral: { ...collateral, [field]: mutateText(collateral[field], random) },
    }
  },
  'signed TCB infos': (bench, random) => ({
    ...honest(bench),
    quote: someQuote(bench, random),
    collateral: bench.simulator.collateral({
      tcbInfo: { edit: (json) => wellFormed(mutateJson(json, random)) },
    }),
  }),
  'signed QE identities': (bench, random) => ({
    ...honest(bench),
    collateral: bench.simulator.collateral({
      qeIdentity: { edit: (json) => wellFormed(mutateJson(json, random)) },
    }),
  }),
  'signed PCK CRLs': (bench, random) => ({
    ...honest(bench),
    collateral: bench.simulator.collateral({
      pckCrl: {
        revoked: someSerials(bench, random),
        edits: { signed: (tbs) => mutateDer(tbs, random) },
      },
    }),
  }),
  'signed root CRLs': (bench, random) => ({
    ...honest(bench),
    collateral: bench.simulator.collateral({
      rootCrl: {
        revoked: someSerials(bench, random),
        edits: { signed: (tbs) => mutateDer(tbs, random) },
      },
    }),
  }),
  'signed PCK certificates': (bench, random) => {
    const { platform, simulator } = bench
    const { certificate } = issuePck(simulator.pki.pckCa('platform'), {
      sgx: platform.sgx,
      key: platform.pckKey,
      serial: platform.pckSerial,
      edits: { signed: (tbs) => mutateDer(tbs, random) },
    })
    return {
      ...honest(bench),
      quote: platform.quote({ pckChain: [certificate, ...platform.pckChain.slice(1)] }),
    }
  },
  'signed CA certificates': (bench, random) => {
    const { platform, simulator } = bench
    const { pki } = simulator
    const edits = { signed: (tbs: Uint8Array) => mutateDer(tbs, random) }
    const ca = createPckCa(pki.seed, pki.root, 'platform', { edits })
    const chain = [ca.certificate, pki.root.certificate]
    return {
      ...honest(bench),
      quote: platform.quote({ pckChain: [platform.pck, ...chain] }),
      collateral: simulator.collateral({ pckCrlChain: chain }),
    }
  },
  'signed TCB signing certificates': (bench, random) => {
    const { pki } = bench.simulator
    const edits = { signed: (tbs: Uint8Array) => mutateDer(tbs, random) }
    const chain = [
      createTcbSigning(pki.seed, pki.root, { edits }).certificate,
      pki.root.certificate,
    ]
    return {
      ...honest(bench),
      collateral: bench.simulator.collateral({ tcbInfoChain: chain, qeIdentityChain: chain }),
    }
  },
  'signed QE reports and TDs': (bench, random) => ({
    ...honest(bench),
    quote: someQuote(bench, random),
  }),
  'ratings of any platform': ratedEvidence,
  'dates of anything': datedEvidence,
}

/** UTF-16 that is no text cannot be signed as UTF-8. */
function wellFormed(json: string): string {
  return json.toWellFormed()
}

function someSerials(bench: CaseFixture, random: Random): Uint8Array[] {
  const known = [
    bench.platform.pckSerial,
    bench.simulator.pki.pckCa('platform').serial,
    bench.simulator.pki.pckCa('processor').serial,
    bench.simulator.pki.tcbSigning.serial,
  ]
  const strangers = Array.from({ length: random.below(4) }, () =>
    Uint8Array.of(1 + random.below(0xff), ...random.bytes(random.pick([0, 1, 18, 19]))),
  )
  return random.chance(0.3) ? [...strangers, random.pick(known)] : strangers
}

/** A well-signed quote of any form, with some fields as they never are. */
function someQuote({ platform }: CaseFixture, random: Random, oddity = 0.15): Uint8Array {
  const bodyType = random.pick([2, 2, 3, 4] as BodyType[])
  const rarely = <T>(value: T, probability = oddity): T | undefined =>
    random.chance(probability) ? value : undefined
  const given = <T extends object>(fields: T): T =>
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
  return platform.quote({
    version: bodyType === 2 ? random.pick([4, 5] as const) : 5,
    bodyType,
    td: given({
      teeTcbSvn: rarely(someSvn(random), 0.5),
      teeTcbSvn2: rarely(someSvn(random), 0.5),
      mrSignerSeam: rarely(oneBit(48, random)),
      seamAttributes: rarely(oneBit(8, random)),
      tdAttributes: rarely(random.bytes(8)),
      xfam: rarely(random.bytes(8)),
      mrTd: random.bytes(48),
      reportData: random.bytes(64),
      mrServiceTd: rarely(random.bytes(48)),
    }),
    qe: given({
      miscSelect: rarely(oneBit(4, random), oddity / 3),
      attributes: rarely(oneBit(16, random), oddity / 3),
      mrSigner: rarely(oneBit(32, random), oddity / 3),
      isvProdId: rarely(random.below(4), oddity / 3),
      isvSvn: rarely(random.below(8), 0.3),
    }),
    qeAuthData: random.bytes(random.pick([0, 1, 32, 33, 1000])),
    padding: random.pick([0, 0, 1, 3000]),
  } as never)
}

function someSvn(random: Random): Uint8Array {
  const svn = new Uint8Array(16)
  svn[0] = random.pick([0, 3, 4, 5, 10, 11, 12, 255])
  svn[1] = random.pick([0, 1, 1, 1, 2, 3, 255])
  svn[2] = random.pick([0, 2, 3, 4, 4, 4, 5])
  if (random.chance(0.1)) svn[3 + random.below(13)] = random.below(256)
  return svn
}

function oneBit(length: number, random: Random): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes[random.below(length)] = 1 << random.below(8)
  return bytes
}

const platformStatuses = [
  'UpToDate',
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
  'Unheard',
]
const componentStatuses = ['UpToDate', 'UpToDate', 'UpToDate', 'OutOfDate', 'OutOfDate', 'Revoked']

/** Any platform under any levels, modules and QE levels, in any order: what the evaluation is about. */
function ratedEvidence(bench: CaseFixture, random: Random): CaseEvidence {
  const { simulator } = bench
  const { pki, fmspc } = simulator
  const few = (most: number) => Array.from({ length: 1 + random.below(most) })
  const svns = (length: number) =>
    Array.from({ length }, () => random.pick([0, 0, 1, 1, 2, 2, 128, 255]))
  const day = () => `202${random.below(6)}-0${1 + random.below(9)}-1${random.below(10)}`
  const advisories = () =>
    Array.from(
      { length: random.pick([0, 0, 1, 2]) },
      () => `INTEL-SA-0${1000 + random.below(9000)}`,
    )
  const enclaveLevels = (): EnclaveTcbLevel[] =>
    [0, 3, 4, 5, 11]
      .filter((svn) => random.chance(svn === 0 ? 0.8 : 0.4))
      .concat(random.chance(0.05) ? [0] : 6)
      .sort(() => (random.chance(0.5) ? 1 : -1))
      .map((svn) => enclaveLevel(svn, day(), random.pick(componentStatuses), advisories()))
  const levels: TcbLevel[] = few(5).map(() =>
    tcbLevel(
      {
        sgx: svns(random.pick([0, 1, 3])),
        pce: random.pick([0, 5, 11, 12]),
        tdx: svns(random.pick([0, 2, 3])),
      },
      day(),
      random.pick(platformStatuses),
      advisories(),
    ),
  )
  const modules = ['TDX_01', 'TDX_03', 'TDX_fF', 'TDX_0a'].flatMap((id) =>
    random.chance(0.85) ? [{ id, ...intelModule, tcbLevels: enclaveLevels() }] : [],
  )
  const components = [...svns(4), ...new Array<number>(12).fill(2)]
  const platform = createPlatform(pki, fmspc, {
    sgx: { components, pceSvn: random.pick([11, 12, 300]) },
  })
  return {
    ...honest(bench),
    quote: someQuote({ ...bench, platform }, random, 0),
    collateral: simulator.collateral({
      tcbInfo: { levels, modules },
      qeIdentity: { levels: enclaveLevels() },
    }),
  }
}

/** Each thing that has a beginning and an end, at and around them. */
function datedEvidence(bench: CaseFixture, random: Random): CaseEvidence {
  const { simulator } = bench
  const { pki, at, fmspc } = simulator
  const around = () => at + random.pick([-86_400, -1, 0, 0, 0, 1, 86_400])
  const before = () => random.pick([at - 86_400, at - 86_400, at - 86_400, around()])
  const after = () => random.pick([at + 86_400, at + 86_400, at + 86_400, around()])
  const period = () => ({ notBefore: before(), notAfter: after() })
  const document = () => {
    const issuedAt = before()
    return { issuedAt, validFor: after() - issuedAt }
  }
  const list = () => ({ thisUpdate: before(), nextUpdate: after() })
  const ca = random.chance(0.3)
    ? createPckCa(pki.seed, pki.root, 'platform', period())
    : pki.pckCa('platform')
  const signing = random.chance(0.3)
    ? createTcbSigning(pki.seed, pki.root, period())
    : pki.tcbSigning
  const platform = createPlatform(pki, fmspc, random.chance(0.5) ? { pck: period() } : {})
  const signingChain = [signing.certificate, pki.root.certificate]
  return {
    root: simulator.rootCertificate,
    at,
    quote: platform.quote({ pckChain: [platform.pck, ca.certificate, pki.root.certificate] }),
    collateral: simulator.collateral({
      tcbInfo: document(),
      qeIdentity: document(),
      rootCrl: list(),
      pckCrl: list(),
      pckCrlChain: [ca.certificate, pki.root.certificate],
      tcbInfoChain: signingChain,
      qeIdentityChain: signingChain,
    }),
  }
}

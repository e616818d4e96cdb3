import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { parseCertificate } from '../../src/quote/certificates/certificate.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import {
  parseEventLog,
  replayRtmr,
  replayRtmr3,
  type TdxEvent,
} from '../../src/quote/measurements/event-log.ts'
import {
  type BootEvidence,
  bootInfoToJson,
  bootstrapReportData,
  buildBootInfo,
  composeHash,
  deviceId,
  mrAggregated,
  mrKeyProvider,
  mrSystem,
  readAppInfo,
  reportData,
} from '../../src/quote/measurements/measure.ts'
import {
  type KeyProviderKind,
  mrConfigIdV1,
  mrConfigIdV2,
  mrConfigIdV3,
  requireMrConfigId,
} from '../../src/quote/measurements/mr-config-id.ts'
import { parseQuote, type TdReport } from '../../src/quote/parse.ts'
import type { Verified } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import {
  describeRecorded,
  readCommittedJson,
  readVector,
  readVectorJson,
  readVectorText,
} from '../vectors.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof AssentError) return error.code
    throw error
  }
  return 'accepted'
}

describe('dstack values with known results', () => {
  test('are computed for bootstrap report data', () => {
    const known = readCommittedJson<Record<string, string>>('dstack/kat/bootstrap-report-data.json')
    const data = bootstrapReportData(
      hex(known.ca_pubkey as string),
      hex(known.k256_pubkey as string),
    )

    expect(toHex(data)).toBe(known.report_data)
  })

  test('are refused for a report data tag with a colon', () => {
    expect(codeOf(() => reportData('app-data:x', new Uint8Array()))).toBe('INPUT_INVALID')
  })
})

describeRecorded('dstack values and known answers of other implementations:', () => {
  test('MR_CONFIG_ID of versions 1 to 3', () => {
    const known = readVectorJson<{
      v1: { compose_hash: string; mr_config_id: string }[]
      v2: {
        compose_hash: string
        app_id: string
        key_provider: KeyProviderKind
        key_provider_id: string
        mr_config_id: string
      }[]
      v3: { document: string; mr_config_id: string }[]
    }>('dstack/kat/mr-config-id.json')

    for (const entry of known.v1) {
      expect(toHex(mrConfigIdV1(hex(entry.compose_hash)))).toBe(entry.mr_config_id)
    }
    for (const entry of known.v2) {
      const value = mrConfigIdV2({
        composeHash: hex(entry.compose_hash),
        appId: hex(entry.app_id),
        keyProvider: entry.key_provider,
        keyProviderId: hex(entry.key_provider_id),
      })
      expect(toHex(value)).toBe(entry.mr_config_id)
    }
    for (const entry of known.v3) {
      expect(toHex(mrConfigIdV3(entry.document))).toBe(entry.mr_config_id)
    }
  })

  test('the report data of each tag', () => {
    const known = readVectorJson<{
      content_type: string
      content_utf8: string
      report_data: string
      derived: { content_type: string; content_hex: string; report_data: string }[]
    }>('dstack/kat/report-data.json')

    expect(toHex(reportData(known.content_type, utf8ToBytes(known.content_utf8)))).toBe(
      known.report_data,
    )
    for (const entry of known.derived) {
      expect(toHex(reportData(entry.content_type, hex(entry.content_hex)))).toBe(entry.report_data)
    }
  })

  test('the compose hash of raw files', () => {
    const known = readVectorJson<{ raw_files: { file: string; sha256: string }[] }>(
      'dstack/kat/compose-hash.json',
    )

    for (const { file, sha256 } of known.raw_files) {
      expect(toHex(composeHash(readVector(`dstack/${file}`))), file).toBe(sha256)
    }
  })

  test('mr_system and mr_aggregated', () => {
    const known = readVectorJson<Record<string, string>>('dstack/kat/verifier-readme-example.json')
    const value = (name: string) => hex(known[name] as string)
    const report = {
      mrTd: value('mrtd'),
      rtmrs: [value('rtmr0'), value('rtmr1'), value('rtmr2'), value('rtmr3')],
      mrConfigId: mrConfigIdV1(value('compose_hash')),
      mrOwner: new Uint8Array(48),
      mrOwnerConfig: new Uint8Array(48),
    } as unknown as TdReport

    expect(toHex(mrSystem(report, value('key_provider_info')))).toBe(known.mr_system)
    expect(toHex(mrAggregated(report, value('rtmr3')))).toBe(known.mr_aggregated)
  })
})

describe('an MR_CONFIG_ID', () => {
  const measured = { composeHash: new Uint8Array(32).fill(7) }
  const withByte = (value: Uint8Array, index: number, byte: number) =>
    Uint8Array.from(value, (old, at) => (at === index ? byte : old))

  test('may be unset', () => {
    expect(codeOf(() => requireMrConfigId(new Uint8Array(48), measured))).toBe('accepted')
  })

  test.each([
    ['of the measured compose hash is accepted', mrConfigIdV1(measured.composeHash), 'accepted'],
    [
      'of another compose hash is refused',
      mrConfigIdV1(new Uint8Array(32)),
      'MR_CONFIG_ID_MISMATCH',
    ],
    [
      'with bytes behind is refused',
      withByte(mrConfigIdV1(measured.composeHash), 47, 1),
      'MR_CONFIG_ID_UNSUPPORTED',
    ],
    [
      'of version 4 is refused',
      withByte(mrConfigIdV1(measured.composeHash), 0, 4),
      'MR_CONFIG_ID_UNSUPPORTED',
    ],
    ['of version 0 is refused', withByte(new Uint8Array(48), 1, 1), 'MR_CONFIG_ID_UNSUPPORTED'],
  ])('%s', (_, value, expected) => {
    expect(codeOf(() => requireMrConfigId(value, measured))).toBe(expected)
  })

  test('of version 3 is compared with the document if the host sent one', () => {
    const value = mrConfigIdV3('{"version":3}')

    expect(codeOf(() => requireMrConfigId(value, measured))).toBe('accepted')
    expect(codeOf(() => requireMrConfigId(value, { ...measured, document: '{"version":3}' }))).toBe(
      'accepted',
    )
    expect(codeOf(() => requireMrConfigId(value, { ...measured, document: '{}' }))).toBe(
      'MR_CONFIG_ID_MISMATCH',
    )
  })
})

interface ExpectedSet {
  readonly rtmr3_replayed: string
  readonly app_id: string
  readonly compose_hash: string
  readonly instance_id: string
  readonly key_provider_info_hex: string
  readonly mr_key_provider: string
  readonly mr_system: string
  readonly mr_aggregated: string
  readonly boottime: { rtmr3_at_boot_mr_done: string; mr_system: string; mr_aggregated: string }
  readonly pck: { ppid: string; pceid: string; fmspc: string; device_id: string }
  readonly runtime_events: { event: string; payload: string; digest_v1_sha384: string }[]
  readonly rtmr_replay_from_full_log?: Record<string, { value: string; matches: boolean }>
  readonly td_report: Record<string, string> & { total_len: number; signed_len: number }
}

interface RecordedSet {
  readonly quote: Uint8Array
  readonly eventLog: unknown
  readonly vmConfig: string
  readonly expected: ExpectedSet
}

describeRecorded('a recorded dstack CVM', () => {
  test.each([
    ['simulator-current', readSimulatorSet()],
    ['quote-report', readAgentSet('dstack/verifier/quote-report')],
    ['tdx-lite', readAgentSet('dstack/verifier/tdx-lite-getquote')],
    ['tdx-lite attestation', readDecodedSet('dstack/verifier/tdx-lite-attestation')],
    ['near-mpc', readNearSet()],
  ])(
    '%s: quote and event log give the recorded boot info',
    (_, { quote: bytes, eventLog, expected }) => {
      const quote = parseQuote(bytes)
      const events = parseEventLog(eventLog)
      const { report } = quote
      const full = readAppInfo(events, 'full')
      const boot = readAppInfo(events, 'boot')
      const bootEvents = events.slice(
        0,
        1 + events.findIndex((event) => event.event === 'boot-mr-done'),
      )
      const { sgx } = parseCertificate(quote.pckChain[0] as Uint8Array, 'PCK certificate')

      expect({
        rtmr3: toHex(replayRtmr3(events)),
        appId: toHex(full.appId),
        composeHash: toHex(full.composeHash),
        instanceId: toHex(full.instanceId),
        keyProviderInfo: toHex(full.keyProviderInfo),
        mrKeyProvider: toHex(mrKeyProvider(full.keyProviderInfo)),
        mrSystem: toHex(mrSystem(report, full.keyProviderInfo)),
        mrAggregated: toHex(mrAggregated(report, replayRtmr3(events))),
        bootRtmr3: toHex(replayRtmr3(bootEvents)),
        bootMrSystem: toHex(mrSystem(report, boot.keyProviderInfo)),
        bootMrAggregated: toHex(mrAggregated(report, replayRtmr3(bootEvents))),
        ppid: toHex(sgx?.ppid as Uint8Array),
        pceId: toHex(sgx?.pceId as Uint8Array),
        fmspc: toHex(sgx?.fmspc as Uint8Array),
        deviceId: toHex(deviceId(sgx?.ppid as Uint8Array)),
        events: runtimeOf(events),
      }).toEqual({
        rtmr3: expected.rtmr3_replayed,
        appId: expected.app_id,
        composeHash: expected.compose_hash,
        instanceId: expected.instance_id,
        keyProviderInfo: expected.key_provider_info_hex,
        mrKeyProvider: expected.mr_key_provider,
        mrSystem: expected.mr_system,
        mrAggregated: expected.mr_aggregated,
        bootRtmr3: expected.boottime.rtmr3_at_boot_mr_done,
        bootMrSystem: expected.boottime.mr_system,
        bootMrAggregated: expected.boottime.mr_aggregated,
        ppid: expected.pck.ppid,
        pceId: expected.pck.pceid,
        fmspc: expected.pck.fmspc,
        deviceId: expected.pck.device_id,
        events: expected.runtime_events.map((event) => [
          event.event,
          event.payload,
          event.digest_v1_sha384,
        ]),
      })
      expect(toHex(report.rtmrs[3])).toBe(expected.rtmr3_replayed)
      expect(quote.signedBytes).toHaveLength(expected.td_report.signed_len)
    },
  )

  test.each([
    ['simulator-current', readSimulatorSet()],
    ['quote-report', readAgentSet('dstack/verifier/quote-report')],
    ['tdx-lite', readAgentSet('dstack/verifier/tdx-lite-getquote')],
    ['near-mpc', readNearSet()],
  ])('%s: every RTMR replays from its event log', (_, { quote, eventLog, expected }) => {
    const events = parseEventLog(eventLog)
    const { rtmrs } = parseQuote(quote).report
    const replay = expected.rtmr_replay_from_full_log ?? {}
    for (const imr of [0, 1, 2, 3] as const) {
      const known = replay[`rtmr${imr}`]
      if (known !== undefined) expect(toHex(rtmrs[imr])).toBe(known.value)
      expect(toHex(replayRtmr(events, imr)), `RTMR${imr}`).toBe(toHex(rtmrs[imr]))
    }
  })

  test.each([
    ['simulator-current', readSimulatorSet(), 'dstack-attestation-bin'],
    [
      'verifier/quote-report',
      readAgentSet('dstack/verifier/quote-report'),
      'dstack-quote-report-json',
    ],
    [
      'verifier/tdx-lite-getquote',
      readAgentSet('dstack/verifier/tdx-lite-getquote'),
      'dstack-tdx-lite-attestation-json',
    ],
    ['external/near-mpc', readNearSet(), undefined],
  ])('%s: boot info as a KMS sends it', (fixture, set, bundleOf) => {
    const { examples } = readCommittedJson<{ examples: { fixture: string; body: object }[] }>(
      'dstack/auth/bootinfo-examples.json',
    )
    const collateral = bundleOf ? readCollateralOf(bundleOf) : readNearCollateral()
    const verdict = verifyQuote(set.quote, parseCollateral(collateral.json), {
      at: collateral.at,
      root: 'intel',
    }) as Verified
    const evidence: BootEvidence = {
      verdict,
      events: parseEventLog(set.eventLog),
      vmConfig: set.vmConfig,
      view: 'full',
    }

    expect(bootInfoToJson(buildBootInfo(evidence))).toEqual(
      examples.find((example) => example.fixture === fixture)?.body,
    )
    expect(toHex(buildBootInfo({ ...evidence, view: 'boot' }).mrAggregated)).toBe(
      set.expected.boottime.mr_aggregated,
    )
  })

  test('near-mpc: the quote proves the recorded compose file', () => {
    const { quote, eventLog } = readNearSet()
    const { composeHash: proven } = readAppInfo(parseEventLog(eventLog), 'full')

    expect(composeHash(readVector('dstack/external/near-mpc/app_compose.json'))).toEqual(proven)
    expect(parseQuote(quote).report.mrConfigId).toEqual(mrConfigIdV1(proven))
  })

  test('is refused if an event was changed, removed or moved', () => {
    const { quote, eventLog, vmConfig } = readNearSet()
    const collateral = readNearCollateral()
    const verdict = verifyQuote(quote, parseCollateral(collateral.json), {
      at: collateral.at,
      root: 'intel',
    }) as Verified
    const log = (eventLog as { imr: number; event_payload: string; digest: string }[]).map(
      (event) => (event.imr === 3 ? { ...event, digest: '' } : event),
    )
    const build = (changed: unknown) =>
      codeOf(() =>
        buildBootInfo({ verdict, events: parseEventLog(changed), vmConfig, view: 'full' }),
      )
    const first = log.findIndex((event) => event.imr === 3)

    expect(build(log)).toBe('accepted')
    for (let at = first; at < log.length; at++) {
      const event = log[at] as (typeof log)[number]
      expect(build(log.with(at, { ...event, event_payload: `${event.event_payload}00` }))).toBe(
        'EVENT_LOG_RTMR3_MISMATCH',
      )
      expect(build(log.toSpliced(at, 1))).toBe('EVENT_LOG_RTMR3_MISMATCH')
      expect(build(log.toSpliced(at, 0, event))).toBe('EVENT_LOG_RTMR3_MISMATCH')
    }
  })

  test.each([
    ['not JSON', '{', 'VM_CONFIG_MALFORMED'],
    ['without an image', '{}', 'VM_CONFIG_MALFORMED'],
    ['with a short image hash', '{"os_image_hash":"00"}', 'VM_CONFIG_MALFORMED'],
  ])('is refused with a vm_config %s', (_, vmConfig, code) => {
    const set = readSimulatorSet()
    const collateral = readCollateralOf('dstack-attestation-bin')
    const verdict = verifyQuote(set.quote, parseCollateral(collateral.json), {
      at: collateral.at,
      root: 'intel',
    }) as Verified
    const events = parseEventLog(set.eventLog)

    expect(codeOf(() => buildBootInfo({ verdict, events, vmConfig, view: 'full' }))).toBe(code)
  })
})

function runtimeOf(events: readonly TdxEvent[]): string[][] {
  return events
    .filter((event) => event.imr === 3)
    .map((event) => [event.event, toHex(event.payload), toHex(event.digest)])
}

function readAgentSet(path: string): RecordedSet {
  const answer = readVectorJson<{ quote: string; event_log: string; vm_config: string }>(
    `${path}.json`,
  )
  return {
    quote: hex(answer.quote),
    eventLog: answer.event_log,
    vmConfig: answer.vm_config,
    expected: readVectorJson(`${path}.expected.json`),
  }
}

interface DecodedAttestation {
  readonly quote: { quote: string; event_log: unknown }
  readonly config: string
}

function readDecodedSet(path: string): RecordedSet {
  const { quote, config } = readVectorJson<DecodedAttestation>(`${path}.decoded.json`)
  const expected = readVectorJson<ExpectedSet>(`${path}.expected.json`)
  return { quote: hex(quote.quote), eventLog: quote.event_log, vmConfig: config, expected }
}

function readSimulatorSet(): RecordedSet {
  const folder = 'dstack/simulator-current'
  const { quote, config } = readVectorJson<DecodedAttestation>(`${folder}/attestation.decoded.json`)
  const { vm_config: vmConfig } = JSON.parse(config) as { vm_config: string }
  const expected = readVectorJson<ExpectedSet>(`${folder}/expected.json`)
  return { quote: hex(quote.quote), eventLog: quote.event_log, vmConfig, expected }
}

function readNearSet(): RecordedSet {
  const folder = 'dstack/external/near-mpc'
  const info = readVectorJson<{ event_log: unknown; os_image_hash: string }>(
    `${folder}/tcb_info.json`,
  )
  return {
    quote: readVector(`${folder}/quote.bin`),
    eventLog: info.event_log,
    vmConfig: JSON.stringify({ os_image_hash: info.os_image_hash }),
    expected: readVectorJson(`${folder}/expected.json`),
  }
}

function readNearCollateral(): { json: unknown; at: number } {
  const text = readVectorText('dstack/external/near-mpc/collateral.json')
  return { json: JSON.parse(text), at: Date.UTC(2026, 7, 20) / 1000 }
}

/** Collateral under which the recorded quote is up to date. */
function readCollateralOf(id: string): { json: unknown; at: number } {
  const recorded =
    readVectorJson<{ id: string; checks: { bundle: string; verifyAtUnix: number }[] }[]>(
      'dcap/vectors.json',
    )
  const check = recorded.find((entry) => entry.id === id)?.checks.at(-1)
  if (check === undefined) throw new Error(`No recorded check of ${id}.`)
  return { json: readVectorJson(`dcap/${check.bundle}`), at: check.verifyAtUnix }
}

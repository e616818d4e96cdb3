/** Fuzzing targets: dstack's attestations and the certificate requests that contain them. */
import { decode as decodeMessagePack, encode as encodeMessagePack } from '@msgpack/msgpack'

import {
  encodeCertificateRequest,
  parseCertificateRequest,
} from '../../../src/kms/certificates/csr.ts'
import { encodeSpki } from '../../../src/kms/keys/derive.ts'
import { concatBytes } from '../../../src/lib/bytes.ts'
import { scaleBytes, scaleText } from '../../../src/lib/scale.ts'
import {
  type Attestation,
  decodeAttestation,
  encodeAttestation,
} from '../../../src/quote/attestation.ts'
import { parseEventLog } from '../../../src/quote/measurements/event-log.ts'
import { mutateBytes, mutateJson } from '../mutate.ts'
import type { Random } from '../random.ts'
import { evidence, same, target, v4 } from './material.ts'

const sample: Attestation = {
  quote: v4,
  reportData: new Uint8Array(64).fill(1),
  config: evidence.vmConfig,
  eventLog: parseEventLog(evidence.eventLog),
  runtimeEvents: parseEventLog(evidence.eventLog)
    .filter((event) => event.imr === 3)
    .map(({ event, payload }) => ({ name: event, payload, version: 1 })),
}
const small: Attestation = {
  ...sample,
  quote: v4.slice(0, 40),
  eventLog: sample.eventLog.slice(-3),
}
const versionTwo = (attestation: Attestation): Attestation => ({
  ...attestation,
  runtimeEvents: attestation.runtimeEvents.map((event) => ({ ...event, version: 2 })),
})

const scale = target<Uint8Array, Attestation>({
  name: 'attestation version 0 (SCALE)',
  seeds: [sample, small].map(encodeAttestation),
  mutate: (input, random) => {
    const mutant = mutateBytes(input, random)
    // the first byte chooses the version
    if (mutant.length > 0) mutant[0] = 0
    return mutant
  },
  parse: decodeAttestation,
  doubt: (attestation, input) => same(encodeAttestation(attestation), input),
})

const messagePack = target<Uint8Array, Attestation>({
  name: 'attestation version 1 (MessagePack)',
  seeds: [versionTwo(sample), versionTwo(small)].map(encodeAttestation),
  mutate: (input, random) =>
    random.chance(0.5) ? mutateBytes(input, random) : mutateMessagePack(input, mutateJson, random),
  parse: decodeAttestation,
  doubt: (_, input) => {
    if (input[0] === 0) return undefined
    let keys = 0
    const mapKeyConverter = (key: unknown) => {
      keys += 1
      return key as string
    }
    const value = decodeMessagePack(input, { mapKeyConverter })
    return keys === countKeys(value) ? undefined : 'a key occurs twice'
  },
})

/** Changes the JSON form and keeps unchanged bytes as bytes, or repeats a pair of a map. */
function mutateMessagePack(
  input: Uint8Array,
  change: typeof mutateJson,
  random: Random,
): Uint8Array {
  try {
    if (random.chance(0.3)) {
      // `version` is the first pair of the outermost map
      const pair = encodeMessagePack('version')
      return concatBytes(
        Uint8Array.of((input[0] as number) + 1),
        pair,
        Uint8Array.of(1),
        input.subarray(1),
      )
    }
    const json = JSON.stringify(decodeMessagePack(input), (_, value) =>
      value instanceof Uint8Array ? [...value] : value,
    )
    return encodeMessagePack(JSON.parse(change(json, random)))
  } catch {
    return mutateBytes(input, random)
  }
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0
  const inner = Object.values(value).reduce<number>((sum, member) => sum + countKeys(member), 0)
  return Array.isArray(value) ? inner : inner + Object.keys(value).length
}

export const requestKey = new Uint8Array(32).fill(9)
const wishes = {
  spki: encodeSpki(requestKey),
  organization: 'Assent',
  subject: 'app.example',
  names: ['app.example', '10.0.0.1'],
  serverAuth: true,
  clientAuth: false,
  withQuote: true,
  withAppInfo: true,
  notBefore: 1_700_000_000,
  notAfter: undefined,
}

const requests = target<Uint8Array, ReturnType<typeof parseCertificateRequest>>({
  name: 'certificate request version 2',
  seeds: [
    encodeCertificateRequest({ ...wishes, attestation: sample }),
    encodeCertificateRequest({ ...wishes, organization: undefined, attestation: small }),
  ],
  mutate: mutateBytes,
  parse: (input) => parseCertificateRequest(2, input),
  doubt: (request, input) => {
    const again = encodeCertificateRequest(request)
    const head = again.length - encodeAttestation(request.attestation).length
    const isMessagePack = input[head] !== 0
    // the attestation of version 1 inside has its own check
    return isMessagePack
      ? same(again.subarray(0, head), input.subarray(0, head))
      : same(again, input)
  },
})

export const legacyHead = concatBytes(
  ...[
    scaleText('please sign cert:'),
    scaleBytes(wishes.spki),
    Uint8Array.of(0),
    scaleText('app.example'),
  ],
  ...[Uint8Array.of(4), scaleText('app.example'), Uint8Array.of(1, 0, 1)],
)

const legacyRequests = target<Uint8Array, ReturnType<typeof parseCertificateRequest>>({
  name: 'certificate request version 1',
  seeds: [concatBytes(legacyHead, scaleBytes(v4), scaleText(evidence.eventLog))],
  mutate: mutateBytes,
  parse: (input) => parseCertificateRequest(1, input),
  doubt: ({ attestation, ...request }, input) => {
    const { withAppInfo, notBefore, notAfter } = request
    const whole = encodeCertificateRequest({ ...request, attestation })
    // both versions are equal up to the flags
    const tail = encodeAttestation(attestation).length + 3
    const head = concatBytes(whole.subarray(0, whole.length - tail), scaleBytes(attestation.quote))
    if (withAppInfo || notBefore !== undefined || notAfter !== undefined)
      return 'has members of version 2'
    return same(head, input.subarray(0, head.length))
  },
})

export const attestationTargets = [scale, messagePack, requests, legacyRequests]

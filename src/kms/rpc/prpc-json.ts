/** dstack's JSON form of its protobuf messages: snake_case names, bytes as hex, absent optional values as null. */
import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf'
import { reflect } from '@bufbuild/protobuf/reflect'
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt'

import { AssentError } from '../../errors/index.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import type { ReadJson } from '../../lib/json.ts'

type PrpcJson = string | number | boolean | null | PrpcJson[] | { [name: string]: PrpcJson }

/** Field numbers up to this one are dstack's. Assent's own fields start at 1001. */
const dstackFields = 1000

/** Writes a message as dstack does. A message without fields is `null`. */
export function toPrpcJson(schema: DescMessage, message: Message): PrpcJson {
  if (schema.fields.length === 0) return null
  const reflected = reflect(schema, message)
  const json: { [name: string]: PrpcJson } = {}
  for (const field of schema.fields) {
    // fields that dstack does not know are left out when they are empty
    if (field.number > dstackFields && !reflected.isSet(field)) continue
    const optional = field.presence === FeatureSet_FieldPresence.EXPLICIT
    json[field.name] = optional && !reflected.isSet(field) ? null : fieldToJson(field, message)
  }
  return json
}

/**
 * Reads a message from JSON, as dstack does. Missing members have their defaults. Unknown members are ignored, so newer
 * guests can send more. A known member must have the right type and occur once; null is allowed for optional ones only.
 *
 * @throws KMS_REQUEST_INVALID
 */
export function fromPrpcJson<D extends DescMessage>(
  schema: D,
  { value: json, repeated }: ReadJson,
): MessageShape<D> {
  if (json === null && schema.fields.length === 0) return create(schema)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalid('the body', 'an object')
  }
  const message = create(schema)
  const members = json as Record<string, unknown>
  for (const field of schema.fields) {
    if (repeated.has(field.name)) throw invalid(field.name, 'given once')
    const value = Object.hasOwn(members, field.name) ? members[field.name] : undefined
    const isAbsent = value === null && field.presence === FeatureSet_FieldPresence.EXPLICIT
    if (value === undefined || isAbsent) continue
    reflect(schema, message).set(field, scalarFromJson(field, value) as never)
  }
  return message
}

/** Reads a message from a query string; numbers are decimal. @throws KMS_REQUEST_INVALID */
export function fromPrpcQuery<D extends DescMessage>(
  schema: D,
  query: URLSearchParams,
): MessageShape<D> {
  const members: Record<string, unknown> = {}
  for (const field of schema.fields) {
    const values = query.getAll(field.name)
    if (values.length > 1) throw invalid(field.name, 'given once')
    const [text] = values
    if (text === undefined) continue
    const isNumber = field.scalar === ScalarType.UINT32 || field.scalar === ScalarType.UINT64
    members[field.name] = isNumber && /^[0-9]{1,15}$/.test(text) ? Number(text) : text
  }
  return fromPrpcJson(schema, { value: members, repeated: new Set() })
}

function fieldToJson(field: DescField, message: Message): PrpcJson {
  const value = (message as unknown as Record<string, unknown>)[field.localName]
  if (field.fieldKind === 'list') {
    const child = field.message
    return (value as unknown[]).map((item) =>
      child === undefined ? (item as PrpcJson) : toPrpcJson(child, item as Message),
    )
  }
  if (field.message !== undefined) return toPrpcJson(field.message, value as Message)
  if (value instanceof Uint8Array) return toHex(value)
  return typeof value === 'bigint' ? Number(value) : (value as PrpcJson)
}

function scalarFromJson(field: DescField, value: unknown): unknown {
  switch (field.scalar) {
    case ScalarType.STRING:
      if (typeof value === 'string') return value
      throw invalid(field.name, 'text')
    case ScalarType.BYTES:
      return bytesFromJson(field, value)
    case ScalarType.UINT32:
      return integerFromJson(field, value, 0xffff_ffff)
    case ScalarType.UINT64:
      return BigInt(integerFromJson(field, value, Number.MAX_SAFE_INTEGER))
    default:
      throw invalid(field.name, 'absent: requests have no such field')
  }
}

function bytesFromJson(field: DescField, value: unknown): Uint8Array {
  if (typeof value !== 'string') throw invalid(field.name, 'hexadecimal text')
  try {
    return fromHex(value, field.name)
  } catch (cause) {
    throw invalid(field.name, 'hexadecimal text', cause)
  }
}

function integerFromJson(field: DescField, value: unknown, largest: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= largest) {
    return value
  }
  throw invalid(field.name, `an integer from 0 to ${largest}`)
}

function invalid(name: string, wanted: string, cause?: unknown): AssentError {
  return new AssentError('KMS_REQUEST_INVALID', `invalid request: ${name} must be ${wanted}`, {
    cause,
    facts: { field: name },
  })
}

/** Small mutations of valid inputs: as bytes, text, JSON or DER. The result can still be valid. */
import { derContent, splitDer, tlv, toPem } from '../../src/tee/simulator/der.ts'
import type { Random } from './random.ts'

const edgeBytes = [0x00, 0x01, 0x7f, 0x80, 0xff]
const edgeNumbers = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff]

type Mutator<T> = (value: T, random: Random) => T

/** Applies one to three changes. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  return repeat(bytes, random, byteMutators)
}

const byteMutators: readonly Mutator<Uint8Array>[] = [
  (bytes, random) => setByte(bytes, random, (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => setByte(bytes, random, () => random.pick(edgeBytes)),
  (bytes, random) => setByte(bytes, random, () => random.below(256)),
  (bytes, random) => setByte(bytes, random, (byte) => byte + (random.chance(0.5) ? 1 : 255)),
  (bytes, random) => writeNumber(bytes, random),
  (bytes, random) => splice(bytes, random, () => new Uint8Array()),
  (bytes, random) => splice(bytes, random, (run) => new Uint8Array([...run, ...run])),
  (bytes, random) => splice(bytes, random, (run) => random.bytes(run.length)),
  (bytes, random) =>
    splice(bytes, random, (run) => new Uint8Array([...random.bytes(1 + random.below(8)), ...run])),
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => new Uint8Array([...bytes, ...random.bytes(1 + random.below(32))]),
  (bytes, random) => moveRun(bytes, random),
]

function setByte(bytes: Uint8Array, random: Random, change: (byte: number) => number): Uint8Array {
  if (bytes.length === 0) return random.bytes(1)
  const copy = Uint8Array.from(bytes)
  const at = random.below(copy.length)
  copy[at] = change(copy[at] as number)
  return copy
}

/** Writes a boundary value at a random position, in either byte order, where a length could be. */
function writeNumber(bytes: Uint8Array, random: Random): Uint8Array {
  const width = random.pick([2, 4])
  if (bytes.length < width) return bytes
  const copy = Uint8Array.from(bytes)
  const at = random.below(copy.length - width + 1)
  const view = new DataView(copy.buffer)
  const value = random.chance(0.5) ? random.pick(edgeNumbers) : copy.length - random.below(8)
  if (width === 2) view.setUint16(at, value & 0xffff, random.chance(0.5))
  else view.setUint32(at, value, random.chance(0.5))
  return copy
}

function splice(
  bytes: Uint8Array,
  random: Random,
  change: (run: Uint8Array) => Uint8Array,
): Uint8Array {
  const from = random.below(bytes.length + 1)
  const to = Math.min(bytes.length, from + 1 + random.below(random.pick([2, 16, 64])))
  const middle = change(bytes.subarray(from, to))
  const result = new Uint8Array(from + middle.length + bytes.length - to)
  result.set(bytes.subarray(0, from))
  result.set(middle, from)
  result.set(bytes.subarray(to), from + middle.length)
  return result
}

function moveRun(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes)
  const size = Math.min(copy.length, 1 + random.below(64))
  const from = random.below(copy.length - size + 1)
  const to = random.below(copy.length - size + 1)
  return copy.copyWithin(to, from, from + size)
}

/* TEXT */

export function mutateText(text: string, random: Random): string {
  return repeat(text, random, textMutators)
}

const stray = [
  ' ',
  '\n',
  '\t',
  '\0',
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '-',
  'e',
  'é',
  '\u2028',
  '\ud800',
]

const textMutators: readonly Mutator<string>[] = [
  (text, random) => cut(text, random, (run) => run.slice(1)),
  (text, random) => cut(text, random, (run) => run + run),
  (text, random) => cut(text, random, (run) => random.pick(stray) + run),
  (text, random) => cut(text, random, (run) => random.pick(stray) + run.slice(1)),
  (text, random) =>
    cut(
      text,
      random,
      (run) => String.fromCharCode(run.charCodeAt(0) ^ (1 << random.below(7))) + run.slice(1),
    ),
  (text, random) =>
    cut(text, random, (run) => (run === run.toLowerCase() ? run.toUpperCase() : run.toLowerCase())),
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => text + random.pick(stray),
]

function cut(text: string, random: Random, change: (run: string) => string): string {
  if (text.length === 0) return random.pick(stray)
  const from = random.below(text.length)
  const to = Math.min(text.length, from + 1 + random.below(random.pick([1, 4, 32])))
  return text.slice(0, from) + change(text.slice(from, to)) + text.slice(to)
}

/* JSON */

const edgeJson = [
  'null',
  'true',
  '""',
  '[]',
  '{}',
  '0',
  '1',
  '255',
  '256',
  '65535',
  '65536',
  '4294967296',
  '-1',
  '-0',
  '01',
  '1e2',
  '5.0',
  '0.5',
  '9007199254740993',
  '"0"',
  '"TDX"',
  '"TD_QE"',
  '"UpToDate"',
  '"Revoked"',
  '"Unheard"',
  '"INTEL-SA-00001"',
  '"2026-02-30T00:00:00Z"',
  '"2027-01-01T00:00:00Z"',
  '"2025-01-01T00:00:00Z"',
  '"1970-01-01T00:00:00Z"',
  '"\\u0041"',
]

/** Changes tokens and members of JSON, or its text. */
export function mutateJson(text: string, random: Random): string {
  return repeat(text, random, jsonMutators)
}

const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/g
const member = /"[A-Za-z0-9_-]+":(?:"[^"]*"|-?\d+|\{[^{}]*\}|\[[^[\]]*\]),?/g

const jsonMutators: readonly Mutator<string>[] = [
  (text, random) => replaceMatch(text, token, random, () => random.pick(edgeJson)),
  (text, random) => replaceMatch(text, token, random, (found) => nearby(found, random)),
  (text, random) =>
    replaceMatch(text, token, random, () => random.pick(text.match(token) ?? edgeJson)),
  (text, random) => replaceMatch(text, member, random, () => ''),
  (text, random) =>
    replaceMatch(text, member, random, (found) =>
      found.endsWith(',') ? found + found : `${found},${found}`,
    ),
  (text, random) =>
    replaceMatch(text, member, random, () => random.pick(text.match(member) ?? [''])),
  (text, random) =>
    replaceMatch(text, member, random, (found) => `"extra":${random.pick(edgeJson)},${found}`),
  (text, random) => swapMembers(text, random),
  (text, random) =>
    replaceMatch(text, /[,:]/g, random, (found) => found + random.pick([' ', '\n'])),
  (text, random) => mutateText(text, random),
]

/** Changes a number by one, or one character of a text. */
function nearby(found: string, random: Random): string {
  if (/^-?\d+$/.test(found)) return String(Number(found) + (random.chance(0.5) ? 1 : -1))
  if (!found.startsWith('"') || found.length < 3) return found
  const at = 1 + random.below(found.length - 2)
  return found.slice(0, at) + random.pick([...'0123456789abcdefABCDEFTZ-_']) + found.slice(at + 1)
}

function replaceMatch(
  text: string,
  pattern: RegExp,
  random: Random,
  change: (found: string) => string,
): string {
  const matches = [...text.matchAll(pattern)]
  if (matches.length === 0) return text
  const { index, 0: found } = random.pick(matches)
  return text.slice(0, index) + change(found) + text.slice(index + found.length)
}

function swapMembers(text: string, random: Random): string {
  const matches = [...text.matchAll(member)]
  if (matches.length < 2) return text
  const index = random.below(matches.length - 1)
  const [a, b] = [matches[index], matches[index + 1]] as [RegExpExecArray, RegExpExecArray]
  if (a.index + a[0].length !== b.index || !b[0].endsWith(',')) return text
  return text.slice(0, a.index) + b[0] + a[0] + text.slice(b.index + b[0].length)
}

/* DER */

/** Changes DER values and corrects the lengths around them, or changes bytes without correction. */
export function mutateDer(der: Uint8Array, random: Random): Uint8Array {
  if (random.chance(0.2)) return mutateBytes(der, random)
  try {
    return editNode(der, random, random.below(9))
  } catch {
    // an earlier change destroyed the DER structure
    return mutateBytes(der, random)
  }
}

const isConstructed = (der: Uint8Array): boolean => ((der[0] as number) & 0x20) !== 0

function editNode(der: Uint8Array, random: Random, depth: number): Uint8Array {
  const content = derContent(der)
  const wraps =
    der[0] === 0x04 && (content[0] === 0x30 || content[0] === 0x03) && random.chance(0.9)
  if (depth === 0 || content.length === 0 || !(isConstructed(der) || wraps)) {
    return mutateNode(der, random)
  }
  const children = splitDer(content)
  if (random.chance(0.15)) return tlv(der[0] as number, ...shuffleChildren(children, random))
  const index = random.below(children.length)
  const changed = editNode(children[index] as Uint8Array, random, depth - 1)
  return tlv(der[0] as number, ...children.with(index, changed))
}

function shuffleChildren(children: Uint8Array[], random: Random): Uint8Array[] {
  const index = random.below(children.length)
  const child = children[index] as Uint8Array
  const other = random.below(children.length)
  return random.pick([
    () => children.toSpliced(index, 1),
    () => children.toSpliced(index, 0, child),
    () => children.with(index, children[other] as Uint8Array).with(other, child),
    () => children.with(index, children[other] as Uint8Array),
  ])()
}

const edgeTags = [
  0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x13, 0x17, 0x18, 0x30, 0x31, 0x80, 0xa0, 0xa3,
  0x1f,
]

function mutateNode(der: Uint8Array, random: Random): Uint8Array {
  const tag = der[0] as number
  const content = derContent(der)
  return random.pick([
    () => tlv(tag, mutateBytes(content, random)),
    () => tlv(tag, mutateBytes(content, random)),
    () => tlv(tag, content.slice(0, -1)),
    () => tlv(tag, Uint8Array.of(0), content),
    () => tlv(tag, new Uint8Array()),
    () => tlv(random.pick(edgeTags), content),
    () => longLength(tag, content),
    () => new Uint8Array([tag, 0x80, ...content, 0, 0]),
    () => tlv(tag, content, random.bytes(1)),
  ])()
}

/** Encodes a length in more bytes than needed. */
function longLength(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content
  return new Uint8Array([tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff, ...content])
}

/** Changes a certificate of a PEM chain, or its text. */
export function mutatePem(chain: readonly Uint8Array[], random: Random): string {
  const texts = chain.map((der) => toPem('CERTIFICATE', der))
  const index = random.below(texts.length)
  if (random.chance(0.3)) {
    const der = mutateDer(chain[index] as Uint8Array, random)
    return texts.with(index, toPem('CERTIFICATE', der)).join('')
  }
  if (random.chance(0.3))
    return texts.toSpliced(index, random.below(2), ...texts.slice(0, 1)).join('')
  return mutateText(texts.join(''), random)
}

function repeat<T>(value: T, random: Random, mutators: readonly Mutator<T>[]): T {
  let changed = value
  for (let times = random.pick([1, 1, 1, 2, 3]); times > 0; times--) {
    changed = random.pick(mutators)(changed, random)
  }
  return changed
}

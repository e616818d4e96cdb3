/** Facts about an approved id in addition to its approval: key epochs, host proof, bond, root key proof. */

import { type Address, zeroAddress } from 'viem'
import { z } from 'zod'
import { hostsAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { onChainStatuses } from '../../chain/governance/call-descriptions/kms.ts'
import { formatDeadline } from '../../chain/governance/format-time.ts'
import { readEpochs } from '../../chain/registries/app.ts'
import { type Bond, readBond, readBondTerms } from '../../chain/registries/bonds.ts'
import { readAdmission, readCurrentId, readHost } from '../../chain/registries/hosts.ts'
import { readProof } from '../../chain/registries/root-keys.ts'
import { readSupersession } from '../../chain/why/app-status.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { ListedKind } from '../input/names.ts'
import type { Session } from '../session/session.ts'
import { address, bytes, bytes32, decimal, unixTime } from './json.ts'

/** Members of the JSON value; absent for other kinds. */
export const detailFields = {
  epochs: z
    .strictObject({ write: z.int(), read: z.int() })
    .optional()
    .describe('of a release: key epochs; 0: none'),
  supersededFrom: unixTime
    .nullable()
    .optional()
    .describe('of a release that a later decision ends; null: it ended before; absent: none does'),
  proof: z
    .union([
      z.strictObject({
        operator: address.describe('zero: there is no proof'),
        attestedAt: unixTime,
        expiresAt: unixTime,
        status: z.int().describe('TCB status: number in contracts/types/Report.sol'),
        fmspc: bytes,
        tcbEvaluationNumber: z.int(),
        qeEvaluationNumber: z.int(),
        approvalVersion: z.int(),
        tcbDate: unixTime,
        provenAtBlock: z.int(),
        advisories: bytes32,
        platformInstanceId: bytes,
        quoteDigest: bytes,
      }),
      z.strictObject({
        provenAt: unixTime.describe('unix seconds; 0: there is no proof'),
        mrAggregated: bytes32,
        deviceId: bytes32,
        epoch: z.int(),
        status: z.int(),
      }),
    ])
    .optional()
    .describe('of a host or of root keys'),
  isAdmitted: z.boolean().optional().describe('of a host'),
  validUntil: unixTime.optional().describe('of a host; 0: not admitted, or no end'),
  currentId: bytes32
    .optional()
    .describe('of a host: its current device id, after a continuation another one'),
  bond: z
    .strictObject({ bonded: decimal, unbonding: decimal, unbondsAt: unixTime, minimum: decimal })
    .optional()
    .describe('of the operator of a host, in smallest token units; absent: no bond is required'),
}

/** Facts of one approval in addition to its state: evidence, proof, bond, admission. */
export interface Details {
  /** For text output. */
  readonly lines: readonly string[]
  /** For `--json`. */
  readonly json: Readonly<Record<string, unknown>>
}

/** Reads the facts that the registry of the kind stores in addition to the approval. Nothing is read for kinds without more facts. */
export async function readDetails(
  session: Session,
  { kind, registry, id }: ListedKind & { readonly id: Hex },
): Promise<Details> {
  if (kind === 'release') return readReleaseDetails(session, registry, id)
  if (kind === 'host') return readHostDetails(session, registry, id)
  if (kind === 'rootKey') return readRootKeyDetails(session, registry, id)
  return { lines: [], json: {} }
}

async function readReleaseDetails(session: Session, app: Address, id: Hex): Promise<Details> {
  const { publicClient, now } = session
  const { write, read } = await readEpochs(publicClient, app, id)
  const keys =
    write === 0
      ? 'it cannot boot now and gets no keys'
      : `it writes with the keys of epoch ${write} and reads from epoch ${read}`
  const supersession = await readSupersession(publicClient, app, id, now)
  const json = { epochs: { write, read } }
  if (supersession === undefined) return { lines: [keys], json }
  const { from } = supersession
  const ends =
    from === undefined
      ? 'superseded'
      : `superseded ${from <= now ? 'since' : 'from'} ${formatDeadline(from, now)}`
  return { lines: [ends, keys], json: { ...json, supersededFrom: from ?? null } }
}

async function readHostDetails(session: Session, hosts: Address, id: Hex): Promise<Details> {
  const { publicClient, now } = session
  const host = await readHost(publicClient, hosts, id)
  const { isAdmitted, validUntil } = await readAdmission(publicClient, hosts, id)
  const bond = await readOperatorBond(session, hosts, id, host.operator)
  const currentId = await readCurrentId(publicClient, hosts, id)
  const proof =
    host.attestedAt === 0
      ? ['no proof']
      : [
          `proven ${formatDeadline(host.attestedAt, now)} by ${host.operator}, TCB ${onChainStatuses[host.status] ?? host.status}`,
          host.expiresAt > now
            ? `the host proof is valid until ${formatDeadline(host.expiresAt, now)}`
            : `the host proof ended ${formatDeadline(host.expiresAt, now)}`,
        ]
  const admission = isAdmitted
    ? `admitted${validUntil === 0 ? '' : ` until ${formatDeadline(validUntil, now)}`}`
    : 'not admitted'
  const bonded =
    bond === undefined
      ? []
      : [`bond of its operator: ${bond.bonded} of ${bond.minimum} required units`]
  const continued = currentId === id ? [] : [`the host has another device id now: ${currentId}`]
  return {
    lines: [...proof, ...bonded, ...continued, admission],
    json: {
      proof: host,
      isAdmitted,
      validUntil,
      currentId,
      ...(bond === undefined ? {} : { bond }),
    },
  }
}

async function readRootKeyDetails({ publicClient, now }: Session, rootKeys: Address, id: Hex) {
  const proof = await readProof(publicClient, rootKeys, id)
  const line =
    proof.provenAt === 0
      ? 'no proof'
      : `proven ${formatDeadline(proof.provenAt, now)} on device ${proof.deviceId} by measurement ${proof.mrAggregated}; ${proof.epoch === 0 ? 'opened no epoch yet' : `epoch ${proof.epoch}`}`
  return { lines: [line], json: { proof } }
}

/** The bond of a host's operator; undefined if no bond is required. */
async function readOperatorBond(
  { publicClient }: Session,
  hosts: Address,
  deviceId: Hex,
  operator: Address,
): Promise<(Bond & { minimum: bigint }) | undefined> {
  const bonds = await publicClient
    .readContract({ address: hosts, abi: hostsAbi, functionName: 'bonds' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read which bonds hosts need')
    })
  if (bonds === zeroAddress) return undefined
  const { minimum } = await readBondTerms(publicClient, bonds)
  return { ...(await readBond(publicClient, bonds, deviceId, operator)), minimum }
}

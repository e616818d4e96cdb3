/** `assent host doctor`: checks what keeps a host admitted, and what ends soon. It changes nothing. */
import { type Address, type PublicClient, zeroAddress } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { type DoctorFinding, failed, ok, warning } from '../../lib/doctor-finding.ts'
import { hostsAbi } from '../abi.ts'
import { type Approval, noEnd, stateAt } from '../approval.ts'
import { toChainError } from '../call.ts'
import { onChainStatuses } from '../governance/call-descriptions/kms.ts'
import { formatDeadline } from '../governance/format-time.ts'
import { readBond, readBondTerms } from '../registries/bonds.ts'
import { type Host, readAdmission, readCurrentId, readHost } from '../registries/hosts.ts'
import { readApproval } from '../registries/registry.ts'
import { type AssessedSet, describeSet, type HostAssessment } from './assess-host.ts'
import { describeApproval } from './describe-approval.ts'

export interface HostExamination {
  /** Contract `Hosts`. */
  readonly hosts: Address
  readonly deviceId: Hex
  /** Unix seconds. */
  readonly now: number
  /** A proof or approval that ends within these seconds is a warning. */
  readonly within: number
  /** Assessment of the quote of the current proof; undefined: the quote is not known. */
  readonly assessed: HostAssessment | undefined
}

/** Runs all checks. @throws CHAIN_UNREACHABLE */
export async function examineHost(
  client: PublicClient,
  asked: HostExamination,
): Promise<DoctorFinding[]> {
  const { hosts, deviceId, now, within, assessed } = asked
  const [proof, approval, admission, currentId] = await Promise.all([
    readHost(client, hosts, deviceId),
    readApproval(client, hosts, 'host', deviceId),
    readAdmission(client, hosts, deviceId),
    readCurrentId(client, hosts, deviceId),
  ])
  const rules = await readRules(client, hosts, proof.status)
  return [
    currentId === deviceId ? [] : [continued(deviceId, currentId)],
    examineProof(proof, rules, asked),
    proof.attestedAt === 0 ? [] : examineStatus(proof, rules.statusUntil, now, within),
    examineApproval(approval, proof, asked),
    await examineBond(client, proof, asked),
    assessed === undefined
      ? [unknownQuote(proof, deviceId)]
      : [examineToday(assessed.today, deviceId), ...examineEarly(assessed, asked)],
    admission.isAdmitted
      ? [ok('admission', `until ${formatDeadline(admission.validUntil, now)}`)]
      : [failed('admission', 'the host is not admitted', whyNot(deviceId))],
  ].flat()
}

function whyNot(deviceId: Hex): string {
  return `The failed checks say why, and so does \`assent host why ${deviceId}\`.`
}

function continued(deviceId: Hex, currentId: Hex): DoctorFinding {
  const nextStep = `Use the current id: assent host doctor ${currentId}`
  return warning('device id', `${deviceId} is an earlier id of this host`, nextStep)
}

interface ReadRules {
  readonly attestedSince: number
  readonly statusUntil: number
}

async function readRules(client: PublicClient, hosts: Address, status: number): Promise<ReadRules> {
  const contract = { address: hosts, abi: hostsAbi } as const
  try {
    const [{ attestedSince }, statusUntil] = await Promise.all([
      client.readContract({ ...contract, functionName: 'rules' }),
      client.readContract({ ...contract, functionName: 'statusAcceptedUntil', args: [status] }),
    ])
    return { attestedSince, statusUntil }
  } catch (cause) {
    throw toChainError(cause, 'read the rules of the hosts')
  }
}

/* PROOF AND APPROVAL */

function examineProof(
  { attestedAt, expiresAt }: Host,
  { attestedSince }: ReadRules,
  { deviceId, now, within }: HostExamination,
): DoctorFinding[] {
  const check = 'host proof'
  const renew = `assent host renew ${deviceId}`
  if (attestedAt === 0) {
    return [failed(check, 'the host was never proven', 'assent host quote, then host register')]
  }
  if (expiresAt <= now) return [failed(check, `ended ${formatDeadline(expiresAt, now)}`, renew)]
  if (attestedAt < attestedSince) {
    return [failed(check, 'older than the DAO accepts', renew)]
  }
  return [endsAt(check, expiresAt, { now, within, nextStep: renew })]
}

function endsAt(
  check: string,
  end: number,
  { now, within, nextStep }: { now: number; within: number; nextStep: string },
): DoctorFinding {
  const found = `until ${formatDeadline(end, now)}`
  return end - now > within ? ok(check, found) : warning(check, found, nextStep)
}

function examineStatus(
  { status }: Host,
  until: number,
  now: number,
  within: number,
): DoctorFinding[] {
  const check = 'TCB status of the proof'
  const name = onChainStatuses[status] ?? String(status)
  const update =
    'Update firmware and microcode, then renew; or ask the DAO: assent host set-tcb-status.'
  if (until <= now) return [failed(check, `the DAO does not accept ${name}`, update)]
  if (until >= noEnd) return [ok(check, `${name}, accepted without an end`)]
  const end = endsAt(check, until, { now, within, nextStep: update })
  return [{ ...end, found: `${name}, accepted ${end.found}` }]
}

function examineApproval(
  approval: Approval,
  proof: Host,
  { deviceId, now, within }: HostExamination,
): DoctorFinding[] {
  const check = 'approval'
  const words = describeApproval(approval, now)
  const extend = `Ask the DAO: assent dao extend host ${deviceId}`
  if (stateAt(approval, now) !== 'active') {
    const approve = `Ask the DAO: assent dao approve host ${deviceId}`
    return [failed(check, words, approve)]
  }
  const { version, expiresAt } = approval
  const isProven =
    proof.approvalVersion === version || (proof.approvalVersion === 0 && version === 1)
  const late = isProven
    ? []
    : [
        failed(
          'proof under the approval',
          `the proof is from before version ${version} of the approval`,
          `assent host renew ${deviceId}`,
        ),
      ]
  if (expiresAt === 0) return [ok(check, words), ...late]
  return [endsAt(check, expiresAt, { now, within, nextStep: extend }), ...late]
}

async function examineBond(
  client: PublicClient,
  { operator, attestedAt }: Host,
  { hosts, deviceId }: HostExamination,
): Promise<DoctorFinding[]> {
  const bonds = await client
    .readContract({ address: hosts, abi: hostsAbi, functionName: 'bonds' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read which bonds hosts need')
    })
  if (bonds === zeroAddress || attestedAt === 0) return []
  const [{ minimum }, { bonded }] = await Promise.all([
    readBondTerms(client, bonds),
    readBond(client, bonds, deviceId, operator),
  ])
  const found = `${bonded} of ${minimum} units`
  if (bonded >= minimum) return [ok('bond', found)]
  return [failed('bond', found, `assent host bond ${deviceId} ${minimum - bonded}`)]
}

/* THE QUOTE */

function unknownQuote({ attestedAt }: Host, deviceId: Hex): DoctorFinding {
  const check = 'TCB'
  const found =
    attestedAt === 0 ? 'there is no quote' : 'the quote of the proof is not in its transaction'
  const nextStep = `Pass a quote of this host: assent host doctor ${deviceId} --quote host-quote.json`
  return warning(check, found, nextStep)
}

function examineToday(today: AssessedSet, deviceId: Hex): DoctorFinding {
  const check = 'TCB today'
  if (today.problems.length === 0) return ok(check, describeSet(today))
  const nextStep =
    today.status === null
      ? 'If the collateral on the chain is old: assent host upload-collateral. The current proof stays.'
      : `Update firmware and microcode, then: assent host renew ${deviceId}`
  return failed(check, `a renewal would be refused: ${describeSet(today)}`, nextStep)
}

function examineEarly(
  { early, nextStandardAt, notes }: HostAssessment,
  { now }: HostExamination,
): DoctorFinding[] {
  const check = 'TCB in the early collateral'
  const from =
    nextStandardAt === null
      ? 'the date is not known'
      : `the standard from ${formatDeadline(nextStandardAt, now)}`
  if (early === null) {
    const nextStep = 'Pass a PCCS (--pccs), for example https://api.trustedservices.intel.com.'
    return [warning(check, ['not known', ...notes].join('; '), nextStep)]
  }
  const unknown = notes.map((note) => warning(check, note, 'Check the PCCS, and ask again.'))
  const found = `${describeSet(early)}; ${from}`
  if (early.problems.length === 0) return [ok(check, found), ...unknown]
  const nextStep = 'Update firmware and microcode before that date, then renew.'
  return [warning(check, `the host is demoted then: ${found}`, nextStep), ...unknown]
}

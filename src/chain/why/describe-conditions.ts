/** Texts for the conditions of a boot: what the chain says, who can fix it, and with which command. */
import type { Approval } from '../approval.ts'
import { stateAt } from '../approval.ts'
import type { AppBootFacts, DenialReason, HostFacts, KmsBootFacts } from '../proven/boot-rules.ts'
import type { AppRules } from '../proven/slots.ts'
import { describeApproval, type Supersession } from './describe-approval.ts'
import type { KnownBoot } from './explain-boot.ts'

/** The next step that makes a condition hold. */
export interface NextStep {
  /** The role that can take the step. */
  readonly by: 'app owner' | 'DAO' | 'host operator' | 'KMS operator' | 'anyone'
  /** A command line, with values in angle brackets that are not known here; null: no command helps. */
  readonly command: string | null
  /** What to know before the command, or to do without one; null: nothing. */
  readonly note: string | null
}

/** The text of one condition and the next step. */
export interface ConditionText {
  /** What the chain says, in one sentence. */
  readonly found: string
  /** How to make the condition hold; null if nothing has to be done, or nothing can be. */
  readonly nextStep: NextStep | null
}

type Describe<Facts> = (facts: Facts, boot: KnownBoot, at: number) => ConditionText

/** @param at unix seconds */
export function describeAppCondition(
  denial: DenialReason,
  facts: AppBootFacts,
  boot: KnownBoot,
  at: number,
): ConditionText {
  return (appTexts[denial] ?? notChecked)(facts, boot, at)
}

/** @param at unix seconds */
export function describeKmsCondition(
  denial: DenialReason,
  facts: KmsBootFacts,
  boot: KnownBoot,
  at: number,
): ConditionText {
  return (kmsTexts[denial] ?? notChecked)(facts, boot, at)
}

const notChecked = (): ConditionText => ({
  found: 'Not checked, because an earlier condition is not met.',
  nextStep: null,
})

const hostTexts: Partial<
  Record<DenialReason, Describe<Pick<AppBootFacts, 'host' | 'measurements'>>>
> = {
  hostNotRegistered: ({ host }, boot) => describeHost(host, boot),
  measurementsNotAllowed: ({ measurements }, { osImageHash }, at) => {
    if (osImageHash === undefined)
      return notGiven('image, which decides whether measurements must be approved,')
    if (measurements === 'open') {
      const found =
        'The image is not closed, so its measurements are not compared with approved sets.'
      return { found, nextStep: null }
    }
    const set = `The measurement set of the CVM: ${describeApproval(measurements, at)}.`
    const approve = `assent image approve-measurements ${osImageHash} tdx <measurements>`
    const commands = { ...commandsOfDao('measurements', '<id of the set>'), approve }
    return { found: set, nextStep: nextStepToActivate(measurements, at, commands) }
  },
}

const imageNotAllowed: Describe<Pick<AppBootFacts, 'image'>> = ({ image }, { osImageHash }, at) =>
  osImageHash === undefined
    ? notGiven('image')
    : {
        found: `The base image: ${describeApproval(image, at)}.`,
        nextStep: nextStepToActivate(image, at, commandsOfDao('os-image', osImageHash)),
      }

const appTexts: Partial<Record<DenialReason, Describe<AppBootFacts>>> = {
  ...hostTexts,
  imageNotAllowed,
  appNotRegistered: ({ app }, { appId }, at) => ({
    found: `The app: ${describeApproval(app, at)}.`,
    nextStep:
      stateAt(app, at) === 'none'
        ? { by: 'anyone', command: `assent app register ${appId}`, note: null }
        : nextStepToActivate(app, at, commandsOfDao('app', appId ?? '<app id>')),
  }),
  appHasNoCode: ({ contract }) =>
    contract === 'none'
      ? {
          found: 'There is no contract at the app id.',
          nextStep: {
            by: 'app owner',
            command: 'assent app create',
            note: 'It makes a new app id.',
          },
        }
      : { found: 'There is a contract at the app id.', nextStep: null },
  appForeign: ({ contract }) =>
    contract === 'foreign'
      ? {
          found: 'The code of the app contract is not among the pinned ones.',
          nextStep: {
            by: 'KMS operator',
            command: 'assent kms pinned-code',
            note: 'Each KMS pins the code of apps in its settings, which are part of its measurement.',
          },
        }
      : { found: 'The code of the app contract is pinned.', nextStep: null },
  tcbNotUpToDate: ({ contract }, { tcbStatus }) => {
    if (typeof contract === 'string') return notChecked()
    if (!contract.rules.requireTcbUpToDate) {
      return { found: 'The app accepts every TCB status.', nextStep: null }
    }
    return describeTcb('The app', tcbStatus)
  },
  releaseNotAllowed: ({ contract }, { appId, composeHash }, at) => {
    if (typeof contract === 'string') return notChecked()
    if (composeHash === undefined) return notGiven('manifest')
    const { release, rules } = contract
    const words = describeApproval(release, at, supersessionOf(release, rules, at))
    const number = release.index === 0 ? '' : ` ${release.index}`
    return {
      found: `Release${number}: ${words}.`,
      nextStep: isSuperseded(release, rules, at)
        ? {
            by: 'app owner',
            command: `assent app release <manifest> --app ${appId}`,
            note: 'A superseded release never boots again. Approve a new one.',
          }
        : nextStepToActivate(release, at, {
            by: 'app owner',
            approve: `assent app release <manifest> --app ${appId}`,
            name: `release ${composeHash} --app ${appId}`,
          }),
    }
  },
  deviceNotAllowed: ({ contract }, { appId, deviceId }, at) => {
    if (typeof contract === 'string') return notChecked()
    if (contract.rules.allowAnyDevice) {
      return { found: 'The app may run on every device.', nextStep: null }
    }
    if (deviceId === undefined) return notGiven('device')
    const { device } = contract
    return {
      found: `The device: ${describeApproval(device, at)}.`,
      nextStep: nextStepToActivate(device, at, {
        by: 'app owner',
        approve: `assent app devices add ${deviceId} --app ${appId}`,
        name: `device ${deviceId} --app ${appId}`,
      }),
    }
  },
}

const kmsTexts: Partial<Record<DenialReason, Describe<KmsBootFacts>>> = {
  ...hostTexts,
  imageNotAllowed,
  tcbNotUpToDate: (_, { tcbStatus }) => describeTcb('A KMS node', tcbStatus),
  measurementNotAllowed: ({ measurement }, { mrAggregated }, at) =>
    mrAggregated === undefined
      ? notGiven('measurement')
      : {
          found: `The measurement: ${describeApproval(measurement, at)}.`,
          nextStep: nextStepToActivate(
            measurement,
            at,
            commandsOfDao('kms-measurement', mrAggregated),
          ),
        },
  kmsDeviceNotAllowed: ({ device }, { deviceId }, at) =>
    deviceId === undefined
      ? notGiven('device')
      : {
          found: `The device, for KMS nodes: ${describeApproval(device, at)}.`,
          nextStep: nextStepToActivate(device, at, commandsOfDao('kms-device', deviceId)),
        },
}

function describeTcb(subject: string, tcbStatus: string | undefined): ConditionText {
  if (tcbStatus === undefined) return notGiven('TCB status')
  const found = `${subject} needs the TCB status UpToDate; the quote has ${tcbStatus}.`
  if (tcbStatus === 'UpToDate') return { found, nextStep: null }
  const command = 'assent host quote'
  const note = 'Update firmware and microcode of the host first; the command shows the new status.'
  return { found, nextStep: { by: 'host operator', command, note } }
}

function describeHost(host: HostFacts, { deviceId }: KnownBoot): ConditionText {
  if (host === 'no-rule') return { found: 'No host registry is asked.', nextStep: null }
  if (deviceId === undefined) return notGiven('device')
  return {
    found: 'The host registry must admit the host; its conditions are listed below.',
    nextStep: null,
  }
}

/** The supersession that ends or ended a release; undefined without a supersession. @param at unix seconds */
export function supersessionOf(
  release: Approval,
  rules: Pick<AppRules, 'oldest' | 'nextOldest' | 'supersededAt'>,
  at: number,
): Supersession | undefined {
  const { oldest, nextOldest, supersededAt } = rules
  if (release.index === 0 || release.index >= nextOldest) return undefined
  // an earlier supersession ended it, and a later one waits
  if (at < supersededAt && release.index < oldest) return { from: undefined, oldest }
  return { from: supersededAt, oldest: nextOldest }
}

function isSuperseded(release: Approval, rules: AppRules, at: number): boolean {
  const supersession = supersessionOf(release, rules, at)
  return supersession !== undefined && (supersession.from ?? at) <= at
}

function notGiven(what: string): ConditionText {
  return { found: `The ${what} is not given.`, nextStep: null }
}

/** Commands that change an approval. */
interface ApprovalCommands {
  readonly by: NextStep['by']
  /** Approves it. */
  readonly approve: string
  /** Its kind, id and options, for `assent dao guardian lift`. */
  readonly name: string
}

/** The next step for an approval that is not active, according to its state. */
export function nextStepToActivate(
  approval: Approval,
  at: number,
  { by, approve, name }: ApprovalCommands,
): NextStep | null {
  switch (stateAt(approval, at)) {
    case 'active':
      return null
    case 'pending':
      return { by, command: null, note: 'It becomes active without another transaction. Wait.' }
    case 'suspended':
      return {
        by,
        command: `assent dao guardian lift ${name}`,
        note: 'The suspension ends by itself; the owner can lift it earlier.',
      }
    case 'revoked':
      return { by, command: null, note: 'This id is revoked permanently. Approve another one.' }
    default:
      return { by, command: approve, note: null }
  }
}

/** Commands of the DAO for an approval in one of its registries. */
export function commandsOfDao(kind: string, id: string): ApprovalCommands {
  const name = `${kind} ${id}`
  return { by: 'DAO', approve: `assent dao approve ${name}`, name }
}

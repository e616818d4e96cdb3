/** What was found for each condition of a boot, and who mends it with which command. */
import type { Approval } from '../approval.ts'
import { stateAt } from '../approval.ts'
import type { AppBootFacts, DenialReason, HostFacts, KmsBootFacts } from '../proven/boot-rules.ts'
import type { AppRules } from '../proven/slots.ts'
import { describeApproval, type Supersession } from './describe-approval.ts'
import type { KnownBoot } from './explain-boot.ts'

/** The next step that makes a condition hold. */
export interface Fix {
  /** Who can do it. */
  readonly by: 'app owner' | 'DAO' | 'host operator' | 'KMS operator' | 'anyone'
  /** A command line, with values in angle brackets that are not known here. */
  readonly command: string
  /** What to know before; null if there is nothing. */
  readonly note: string | null
}

/** What a condition found, and how to change it. */
export interface Finding {
  /** What the chain says, in one sentence. */
  readonly found: string
  /** How to make the condition hold; null if nothing has to be done, or nothing can be. */
  readonly fix: Fix | null
}

type Describe<Facts> = (facts: Facts, boot: KnownBoot, at: number) => Finding

/** @param at unix seconds */
export function describeAppCondition(
  denial: DenialReason,
  facts: AppBootFacts,
  boot: KnownBoot,
  at: number,
): Finding {
  return (appFindings[denial] ?? unused)(facts, boot, at)
}

/** @param at unix seconds */
export function describeKmsCondition(
  denial: DenialReason,
  facts: KmsBootFacts,
  boot: KnownBoot,
  at: number,
): Finding {
  return (kmsFindings[denial] ?? unused)(facts, boot, at)
}

const unused = (): Finding => ({ found: 'This condition is not asked.', fix: null })

const machineFindings: Partial<
  Record<DenialReason, Describe<Pick<AppBootFacts, 'host' | 'measurements'>>>
> = {
  hostNotRegistered: ({ host }, boot) => describeHost(host, boot),
  measurementsNotAllowed: ({ measurements }, { osImageHash }, at) => {
    if (osImageHash === undefined) return missing('the image')
    if (measurements === 'open') {
      return { found: 'The base image may have any measurements.', fix: null }
    }
    const set = `The measurement set of the machine: ${describeApproval(measurements, at)}.`
    const command = `assent image approve-measurements ${osImageHash} tdx <measurements>`
    return { found: set, fix: fixUnless(measurements, at, 'DAO', command) }
  },
}

const imageNotAllowed: Describe<Pick<AppBootFacts, 'image'>> = ({ image }, { osImageHash }, at) =>
  osImageHash === undefined
    ? missing('the image')
    : {
        found: `The base image: ${describeApproval(image, at)}.`,
        fix: fixUnless(image, at, 'DAO', `assent dao approve os-image ${osImageHash}`),
      }

const appFindings: Partial<Record<DenialReason, Describe<AppBootFacts>>> = {
  ...machineFindings,
  imageNotAllowed,
  appNotRegistered: ({ app }, { appId }, at) => ({
    found: `The app: ${describeApproval(app, at)}.`,
    fix:
      stateAt(app, at) === 'none'
        ? { by: 'anyone', command: `assent app register ${appId}`, note: null }
        : fixUnless(app, at, 'DAO', `assent dao approve app ${appId}`),
  }),
  appHasNoCode: ({ contract }) =>
    contract === 'none'
      ? {
          found: 'There is no contract at the app id.',
          fix: { by: 'app owner', command: 'assent app create', note: 'It makes a new app id.' },
        }
      : { found: 'There is a contract at the app id.', fix: null },
  appForeign: ({ contract }) =>
    contract === 'foreign'
      ? {
          found: 'The code of the app contract is not among the pinned ones.',
          fix: {
            by: 'KMS operator',
            command: 'assent kms pinned-code',
            note: 'Each KMS pins the code of apps in its settings, which are part of its measurement.',
          },
        }
      : { found: 'The code of the app contract is pinned.', fix: null },
  tcbNotUpToDate: ({ contract }, { tcbStatus }) => {
    if (typeof contract === 'string') return unused()
    if (!contract.rules.requireTcbUpToDate) {
      return { found: 'The app accepts every TCB status.', fix: null }
    }
    return describeTcb('The app', tcbStatus)
  },
  releaseNotAllowed: ({ contract }, { appId, composeHash }, at) => {
    if (typeof contract === 'string') return unused()
    if (composeHash === undefined) return missing('the manifest')
    const { release, rules } = contract
    const words = describeApproval(release, at, supersessionOf(release, rules, at))
    const number = release.index === 0 ? '' : ` ${release.index}`
    return {
      found: `The release${number}: ${words}.`,
      fix: isSuperseded(release, rules, at)
        ? {
            by: 'app owner',
            command: `assent app release <manifest> --app ${appId}`,
            note: 'A superseded release never boots again. Approve a new one.',
          }
        : fixUnless(release, at, 'app owner', `assent app release <manifest> --app ${appId}`),
    }
  },
  deviceNotAllowed: ({ contract }, { appId, deviceId }, at) => {
    if (typeof contract === 'string') return unused()
    if (contract.rules.allowAnyDevice) {
      return { found: 'The app may run on every device.', fix: null }
    }
    if (deviceId === undefined) return missing('the device')
    const { device } = contract
    const command = `assent app devices add ${deviceId} --app ${appId}`
    return {
      found: `The device: ${describeApproval(device, at)}.`,
      fix: fixUnless(device, at, 'app owner', command),
    }
  },
}

const kmsFindings: Partial<Record<DenialReason, Describe<KmsBootFacts>>> = {
  ...machineFindings,
  imageNotAllowed,
  tcbNotUpToDate: (_, { tcbStatus }) => describeTcb('A KMS node', tcbStatus),
  measurementNotAllowed: ({ measurement }, { mrAggregated }, at) =>
    mrAggregated === undefined
      ? missing('the measurement')
      : {
          found: `The measurement: ${describeApproval(measurement, at)}.`,
          fix: fixUnless(
            measurement,
            at,
            'DAO',
            `assent dao approve kms-measurement ${mrAggregated}`,
          ),
        },
  kmsDeviceNotAllowed: ({ device }, { deviceId }, at) =>
    deviceId === undefined
      ? missing('the device')
      : {
          found: `The device, for KMS nodes: ${describeApproval(device, at)}.`,
          fix: fixUnless(device, at, 'DAO', `assent dao approve kms-device ${deviceId}`),
        },
}

function describeTcb(subject: string, tcbStatus: string | undefined): Finding {
  if (tcbStatus === undefined) return missing('the TCB status')
  const found = `${subject} needs the TCB status UpToDate; the quote has ${tcbStatus}.`
  if (tcbStatus === 'UpToDate') return { found, fix: null }
  const command = 'assent host quote'
  const note = 'Update firmware and microcode of the host first; the command shows the new status.'
  return { found, fix: { by: 'host operator', command, note } }
}

function describeHost(host: HostFacts, { deviceId }: KnownBoot): Finding {
  if (host === 'no-rule') return { found: 'No host registry is asked.', fix: null }
  if (deviceId === undefined) return missing('the device')
  return {
    found: 'The host registry must admit the host; its conditions are listed below.',
    fix: null,
  }
}

/** The supersession that ends or ended a release; undefined without a supersession. @param at unix seconds */
export function supersessionOf(
  release: Approval,
  rules: Pick<AppRules, 'oldest' | 'nextOldest' | 'endFrom'>,
  at: number,
): Supersession | undefined {
  const { oldest, nextOldest, endFrom } = rules
  if (release.index === 0 || release.index >= nextOldest) return undefined
  // an earlier supersession ended it, and a later one waits
  if (at < endFrom && release.index < oldest) return { from: undefined, oldest }
  return { from: endFrom, oldest: nextOldest }
}

function isSuperseded(release: Approval, rules: AppRules, at: number): boolean {
  const supersession = supersessionOf(release, rules, at)
  return supersession !== undefined && (supersession.from ?? at) <= at
}

function missing(what: string): Finding {
  return { found: `The question does not say ${what}.`, fix: null }
}

/** The command for an approval that is not active, according to its state. */
function fixUnless(approval: Approval, at: number, by: Fix['by'], command: string): Fix | null {
  switch (stateAt(approval, at)) {
    case 'active':
      return null
    case 'pending':
      return { by, command, note: 'It becomes active without another transaction. Wait.' }
    case 'suspended':
      return {
        by,
        command,
        note: 'The suspension ends by itself. Only the owner can lift it earlier.',
      }
    case 'revoked':
      return { by, command, note: 'This id is revoked for ever. Approve another one.' }
    default:
      return { by, command, note: null }
  }
}

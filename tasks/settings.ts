/** What a DAO sets beside its approvals. Done in settings.actions.ts. */
import { optional, ownerTask, text } from './task.ts'

const actions = () => import('./settings.actions.ts')

const codeActions = () => import('./upgrade.actions.ts')

const implementation = optional(
  'implementation',
  'address of code that is there already; if absent, that of these sources, created if it is nowhere yet',
)
const code = {
  ...text('code'),
  description: 'contract of these sources whose code it gets; the one that it has now if absent',
}
const contract = {
  name: 'contract',
  description:
    'name in the deployment (kmsAuth, images, hosts, rootKeys, hostBonds), or the address of an app',
}

export const settingTasks = [
  ownerTask('set-guardian', 'Name who may suspend and cancel, everywhere at once; or of one app')
    .addPositionalArgument({ name: 'guardian', description: 'its address, or nobody' })
    .addOption({ ...text('suspension'), description: 'how long a suspension lasts (14d)' })
    .addOption({ ...text('app'), description: 'only of this app' })
    .setAction(async () => ({ default: (await actions()).changeGuardian }))
    .build(),
  ownerTask('set-voting', 'Change how the DAO decides')
    .addOption({ ...text('votingDelay'), description: 'from proposal to vote (2d)' })
    .addOption({ ...text('votingPeriod'), description: 'how long votes are cast (5d)' })
    .addOption({
      ...text('threshold'),
      description: 'votes needed to propose, in whole tokens (12.5)',
    })
    .addOption({ ...text('quorum'), description: 'percent of all votes that must take part' })
    .addOption({
      ...text('lateExtension'),
      description: 'voting left at least once the quorum is reached (1d)',
    })
    .addOption({ ...text('timelockDelay'), description: 'from decision to execution (2d)' })
    .setAction(async () => ({ default: (await actions()).changeVoting }))
    .build(),
  ownerTask('set-activation-delay', 'Let time pass between an approval of a kind and its use')
    .addPositionalArgument({
      name: 'kind',
      description: 'os-image, kms-measurement, kms-device, app or measurements',
    })
    .addPositionalArgument({ name: 'delay', description: 'how long (2d)' })
    .setAction(async () => ({ default: (await actions()).changeDelay }))
    .build(),
  ownerTask('set-hosts', 'Boot only on machines that a registry admits')
    .addPositionalArgument({
      name: 'hosts',
      description: 'its address, or "deployed", or nobody (any machine)',
    })
    .setAction(async () => ({ default: (await actions()).changeHosts }))
    .build(),
  ownerTask('set-images', 'Ask a registry which measurements images may show')
    .addPositionalArgument({ name: 'images', description: 'its address, or "deployed", or nobody' })
    .setAction(async () => ({ default: (await actions()).changeImages }))
    .build(),
  ownerTask('approve-measurements', 'Approve a set of registers that an OS image may show')
    .addPositionalArgument({ name: 'image', description: 'os_image_hash' })
    .addPositionalArgument({
      name: 'variant',
      description: 'tdx, gcp-tdx, nitro-enclave, amd-sev-snp or aws-nitro-tpm',
    })
    .addPositionalArgument({
      name: 'registers',
      description: 'hex; TDX: MRTD, RTMR0, RTMR1, RTMR2, one after the other',
    })
    .addOption({
      ...text('evidence'),
      description: 'JSON file: source.repository, source.commit, recipe',
    })
    .addOption({ ...text('activeFrom'), description: 'earliest use; now if absent' })
    .addOption({
      ...text('expiresAt'),
      description: 'first second of no more use; never if absent',
    })
    .setAction(async () => ({ default: (await actions()).approveMeasurements }))
    .build(),
  ownerTask('set-image-name', 'Give an OS image the name under which people know it')
    .addPositionalArgument({ name: 'image', description: 'os_image_hash' })
    .addPositionalArgument({ name: 'release', description: 'its name' })
    .setAction(async () => ({ default: (await actions()).changeImageName }))
    .build(),
  ownerTask('close-images', 'Refuse app boots of images that show no approved measurements')
    .addVariadicArgument({ name: 'images', description: 'os_image_hash each' })
    .setAction(async () => ({ default: (await actions()).closeImagesAction }))
    .build(),
  ownerTask('open-images', 'Let images show again what the KMS itself can recompute')
    .addVariadicArgument({ name: 'images', description: 'os_image_hash each' })
    .setAction(async () => ({ default: (await actions()).openImagesAction }))
    .build(),
  ownerTask('set-bonds', 'Admit only machines whose operator has a bond')
    .addPositionalArgument({
      name: 'bonds',
      description: 'address of the bonds, or "deployed", or nobody',
    })
    .setAction(async () => ({ default: (await actions()).changeBonds }))
    .build(),
  ownerTask('set-bond-terms', 'Say how large a bond must be and how long its return takes')
    .addOption({ ...text('minimum'), description: 'in the token’s smallest units' })
    .addOption({ ...text('unbonding'), description: 'how long a return takes (30d)' })
    .setAction(async () => ({ default: (await actions()).changeBondTerms }))
    .build(),
  ownerTask('slash', 'Take from a bond for a proven fault')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'holder', description: 'whose bond' })
    .addPositionalArgument({ name: 'amount', description: 'in the token’s smallest units' })
    .addPositionalArgument({ name: 'to', description: 'who gets it' })
    .addOption({
      ...text('evidence'),
      description: 'file that proves the fault; it is published whole',
    })
    .setAction(async () => ({ default: (await actions()).slashBond }))
    .build(),
  ownerTask('set-continuity-delay', 'Let machines go on under a new id after a BIOS update, or not')
    .addPositionalArgument({ name: 'delay', description: 'how long the new id waits (2d), or off' })
    .setAction(async () => ({ default: (await actions()).changeContinuity }))
    .build(),
  ownerTask('renounce-upgrades', 'Give up upgrades of a contract, for good')
    .addPositionalArgument(contract)
    .setAction(async () => ({ default: (await actions()).renounceContractUpgrades }))
    .build(),
  ownerTask('set-gateway', 'Name the gateway app that guests accept')
    .addPositionalArgument({
      name: 'id',
      description: 'app id (hex), or any, which switches the check off',
    })
    .setAction(async () => ({ default: (await actions()).changeGateway }))
    .build(),
  ownerTask(
    'set-kms-info',
    'Publish the KMS’s root keys with quote and event log, as dstack’s tools read them',
  )
    .addPositionalArgument({ name: 'file', description: 'what assent kms bootstrap printed' })
    .setAction(async () => ({ default: (await actions()).publishKmsInfo }))
    .build(),
  ownerTask(
    'set-app-implementation',
    'Make new apps of other code, as upgrade does; apps that exist stay as they are',
  )
    .addPositionalArgument(implementation)
    .addOption(code)
    .setAction(async () => ({ default: (await codeActions()).changeAppImplementation }))
    .build(),
  ownerTask('set-host-rules', 'Change what the DAO asks of hosts; what is left out stays')
    .addOption({
      ...text('open'),
      description: 'yes: a machine’s first proof approves it; no: only the DAO does',
    })
    .addOption({ ...text('activationDelay'), description: 'from first proof to use, if open (1d)' })
    .addOption({ ...text('minLifetime'), description: 'a proof lasts at least (0s)' })
    .addOption({ ...text('maxLifetime'), description: 'a proof lasts at most (45d)' })
    .addOption({
      ...text('attestedSince'),
      description: 'proofs brought before this time do not count',
    })
    .addOption({ ...text('window'), description: 'how many blocks old the quote’s block may be' })
    .addOption({ ...text('minEvaluationNumber'), description: 'lowest TCB evaluation number' })
    .setAction(async () => ({ default: (await actions()).changeHostRules }))
    .build(),
  ownerTask('set-accepted-tcb-status', 'Say until when machines of a TCB status may boot')
    .addPositionalArgument({
      name: 'status',
      description: 'Intel’s word: UpToDate, SWHardeningNeeded, …',
    })
    .addPositionalArgument({ name: 'until', description: 'a time, always, or never' })
    .setAction(async () => ({ default: (await actions()).changeStatusRule }))
    .build(),
  ownerTask('set-advisories', 'Refuse, or accept again, machines that Intel’s advisories concern')
    .addPositionalArgument({ name: 'verb', description: 'deny or accept' })
    .addVariadicArgument({ name: 'advisories', description: 'their ids: INTEL-SA-00828 …' })
    .setAction(async () => ({ default: (await actions()).changeAdvisories }))
    .build(),
  ownerTask('set-operator', 'Give a machine to another operator')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'operator', description: 'address of the new operator' })
    .setAction(async () => ({ default: (await actions()).changeOperator }))
    .build(),
  ownerTask('set-verifier', 'Let a registry believe another quote verifier')
    .addPositionalArgument({ name: 'registry', description: 'hosts or rootKeys' })
    .addPositionalArgument({ name: 'verifier', description: 'its address' })
    .setAction(async () => ({ default: (await actions()).changeVerifier }))
    .build(),
  ownerTask(
    'upgrade',
    'Replace the code of a contract or an app by that of these sources, created once; stopped anywhere, run it again',
  )
    .addPositionalArgument(contract)
    .addPositionalArgument(implementation)
    .addOption(code)
    .addOption({
      ...text('call'),
      description: 'calldata for the new code, in the same transaction',
    })
    .setAction(async () => ({ default: (await codeActions()).replaceCode }))
    .build(),
  ownerTask(
    'transfer-ownership',
    'Offer a contract to another owner, as an app to a DAO; it must accept',
  )
    .addPositionalArgument(contract)
    .addPositionalArgument({
      name: 'to',
      description: 'address of the new owner: of a DAO, its timelock',
    })
    .setAction(async () => ({ default: (await actions()).transferContract }))
    .build(),
  ownerTask('accept-ownership', 'Take over a contract that was offered')
    .addPositionalArgument(contract)
    .setAction(async () => ({ default: (await actions()).acceptContract }))
    .build(),
  ownerTask('renounce-ownership', 'Leave a contract without any owner, for ever')
    .addPositionalArgument(contract)
    .setAction(async () => ({ default: (await actions()).renounceContract }))
    .build(),
]

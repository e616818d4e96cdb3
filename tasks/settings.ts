/** Tasks that change settings, ownership and code. `settings.actions.ts` and `upgrade.actions.ts` execute them. */
import { optional, ownerTask, text } from './task.ts'

const actions = () => import('./settings.actions.ts')

const codeActions = () => import('./upgrade.actions.ts')

const implementation = optional(
  'implementation',
  'address of deployed code (default: the code of these sources, which is deployed if necessary)',
)
const code = {
  ...text('code'),
  description:
    'contract in these sources that becomes the new implementation (default: the current one)',
}
const contract = {
  name: 'contract',
  description: 'kmsAuth, images, hosts, rootKeys, hostBonds, or the address of an app',
}

export const settingTasks = [
  ownerTask('set-guardian', 'Set the guardian of the governor and all registries, or of one app')
    .addPositionalArgument({
      name: 'guardian',
      description: 'address of the guardian, or "nobody"',
    })
    .addOption({ ...text('suspension'), description: 'duration of a suspension, for example 14d' })
    .addOption({ ...text('app'), description: 'set only the guardian of this app' })
    .setAction(async () => ({ default: (await actions()).changeGuardian }))
    .build(),
  ownerTask('set-voting', 'Change the voting parameters of the DAO')
    .addOption({
      ...text('votingDelay'),
      description: 'time from proposal to start of voting, for example 2d',
    })
    .addOption({ ...text('votingPeriod'), description: 'duration of voting, for example 5d' })
    .addOption({
      ...text('threshold'),
      description: 'votes needed to propose, in tokens, for example 12.5',
    })
    .addOption({ ...text('quorum'), description: 'quorum in percent of all votes' })
    .addOption({
      ...text('lateExtension'),
      description: 'minimum voting time after the quorum is reached, for example 1d',
    })
    .addOption({
      ...text('timelockDelay'),
      description: 'time from queueing to execution, for example 2d',
    })
    .setAction(async () => ({ default: (await actions()).changeVoting }))
    .build(),
  ownerTask('set-activation-delay', 'Set the activation delay of a kind')
    .addPositionalArgument({
      name: 'kind',
      description: 'os-image, kms-measurement, kms-device, app or measurements',
    })
    .addPositionalArgument({ name: 'delay', description: 'activation delay, for example 2d' })
    .setAction(async () => ({ default: (await actions()).changeDelay }))
    .build(),
  ownerTask('set-hosts', 'Allow boots only on hosts that a host registry admits')
    .addPositionalArgument({
      name: 'hosts',
      description: 'address of the host registry, "deployed", or "nobody" to allow any host',
    })
    .setAction(async () => ({ default: (await actions()).changeHosts }))
    .build(),
  ownerTask('set-images', 'Set the image registry, which holds measurement sets and closed images')
    .addPositionalArgument({
      name: 'images',
      description: 'address of the image registry, "deployed", or "nobody"',
    })
    .setAction(async () => ({ default: (await actions()).changeImages }))
    .build(),
  ownerTask('approve-measurements', 'Approve a measurement set of a base image')
    .addPositionalArgument({ name: 'image', description: 'os_image_hash' })
    .addPositionalArgument({
      name: 'variant',
      description: 'tdx, gcp-tdx, nitro-enclave, amd-sev-snp or aws-nitro-tpm',
    })
    .addPositionalArgument({
      name: 'registers',
      description: 'measurement set in hex; for TDX: MRTD, RTMR0, RTMR1, RTMR2',
    })
    .addOption({
      ...text('evidence'),
      description: 'evidence document (JSON: source.repository, source.commit, recipe)',
    })
    .addOption({ ...text('activeFrom'), description: 'start time (default: immediately)' })
    .addOption({
      ...text('expiresAt'),
      description:
        'end time: the first second in which the approval is not valid (default: no end)',
    })
    .setAction(async () => ({ default: (await actions()).approveMeasurements }))
    .build(),
  ownerTask('set-image-name', 'Set the name of a base image')
    .addPositionalArgument({ name: 'image', description: 'os_image_hash' })
    .addPositionalArgument({ name: 'release', description: 'image name' })
    .setAction(async () => ({ default: (await actions()).changeImageName }))
    .build(),
  ownerTask('close-images', 'Close base images: they boot only with an approved measurement set')
    .addVariadicArgument({ name: 'images', description: 'os_image_hash of each image' })
    .setAction(async () => ({ default: (await actions()).closeImagesAction }))
    .build(),
  ownerTask('open-images', 'Open closed base images again')
    .addVariadicArgument({ name: 'images', description: 'os_image_hash of each image' })
    .setAction(async () => ({ default: (await actions()).openImagesAction }))
    .build(),
  ownerTask('set-bonds', 'Admit only hosts whose operator has a bond')
    .addPositionalArgument({
      name: 'bonds',
      description: 'address of the HostBonds contract, "deployed", or "nobody" to require no bonds',
    })
    .setAction(async () => ({ default: (await actions()).changeBonds }))
    .build(),
  ownerTask('set-bond-terms', 'Set the size of a bond and the unbonding time')
    .addOption({ ...text('minimum'), description: 'amount in smallest token units' })
    .addOption({ ...text('unbonding'), description: 'unbonding time, for example 30d' })
    .setAction(async () => ({ default: (await actions()).changeBondTerms }))
    .build(),
  ownerTask('slash', 'Slash a bond because of a proven fault')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'holder', description: 'account that holds the bond' })
    .addPositionalArgument({ name: 'amount', description: 'amount in smallest token units' })
    .addPositionalArgument({ name: 'to', description: 'account that receives the amount' })
    .addOption({
      ...text('evidence'),
      description: 'file that proves the fault; its content is published on-chain',
    })
    .setAction(async () => ({ default: (await actions()).slashBond }))
    .build(),
  ownerTask(
    'set-continuity-delay',
    'Set the continuity delay for new device ids after a BIOS update, or switch continuity off',
  )
    .addPositionalArgument({
      name: 'delay',
      description: 'delay before the new device id is active, for example 2d, or off',
    })
    .setAction(async () => ({ default: (await actions()).changeContinuity }))
    .build(),
  ownerTask('renounce-upgrades', 'Give up the right to replace a contract’s code, permanently')
    .addPositionalArgument(contract)
    .setAction(async () => ({ default: (await actions()).renounceContractUpgrades }))
    .build(),
  ownerTask('set-gateway', 'Set the gateway app that guests accept')
    .addPositionalArgument({
      name: 'id',
      description: 'app id, or "any" to switch the check off',
    })
    .setAction(async () => ({ default: (await actions()).changeGateway }))
    .build(),
  ownerTask(
    'set-kms-info',
    'Publish the root keys of the KMS with quote and event log, for dstack’s tools',
  )
    .addPositionalArgument({ name: 'file', description: 'output of assent kms bootstrap' })
    .setAction(async () => ({ default: (await actions()).publishKmsInfo }))
    .build(),
  ownerTask('set-app-implementation', 'Set the code of new apps; existing apps do not change')
    .addPositionalArgument(implementation)
    .addOption(code)
    .setAction(async () => ({ default: (await codeActions()).changeAppImplementation }))
    .build(),
  ownerTask('set-host-rules', 'Change the rules for hosts; omitted options do not change')
    .addOption({
      ...text('open'),
      description: 'yes: the first host proof approves a host; no: only the DAO approves hosts',
    })
    .addOption({
      ...text('activationDelay'),
      description: 'time from first host proof to activation if open, for example 1d',
    })
    .addOption({
      ...text('minLifetime'),
      description: 'minimum validity of a host proof, for example 0s',
    })
    .addOption({
      ...text('maxLifetime'),
      description: 'maximum validity of a host proof, for example 45d',
    })
    .addOption({
      ...text('attestedSince'),
      description: 'host proofs registered before this time do not count',
    })
    .addOption({ ...text('window'), description: 'maximum age of the block in a quote, in blocks' })
    .addOption({ ...text('minEvaluationNumber'), description: 'lowest TCB evaluation number' })
    .setAction(async () => ({ default: (await actions()).changeHostRules }))
    .build(),
  ownerTask('set-accepted-tcb-status', 'Set until when hosts with a TCB status are accepted')
    .addPositionalArgument({
      name: 'status',
      description: 'TCB status: UpToDate, SWHardeningNeeded, …',
    })
    .addPositionalArgument({ name: 'until', description: 'end time, always, or never' })
    .setAction(async () => ({ default: (await actions()).changeStatusRule }))
    .build(),
  ownerTask('set-advisories', 'Deny or accept hosts that are affected by Intel advisories')
    .addPositionalArgument({ name: 'verb', description: 'deny or accept' })
    .addVariadicArgument({
      name: 'advisories',
      description: 'advisory ids, for example INTEL-SA-00828',
    })
    .setAction(async () => ({ default: (await actions()).changeAdvisories }))
    .build(),
  ownerTask('set-operator', 'Set the operator of a host')
    .addPositionalArgument({ name: 'device', description: 'device id' })
    .addPositionalArgument({ name: 'operator', description: 'address of the new operator' })
    .setAction(async () => ({ default: (await actions()).changeOperator }))
    .build(),
  ownerTask('set-verifier', 'Set the quote verifier of a registry')
    .addPositionalArgument({ name: 'registry', description: 'hosts or rootKeys' })
    .addPositionalArgument({ name: 'verifier', description: 'address of the quote verifier' })
    .setAction(async () => ({ default: (await actions()).changeVerifier }))
    .build(),
  ownerTask(
    'upgrade',
    'Replace the code of a contract or an app with the code of these sources; a stopped run can be repeated',
  )
    .addPositionalArgument(contract)
    .addPositionalArgument(implementation)
    .addOption(code)
    .addOption({
      ...text('call'),
      description: 'calldata that the new code executes in the same transaction',
    })
    .setAction(async () => ({ default: (await codeActions()).replaceCode }))
    .build(),
  ownerTask('transfer-ownership', 'Offer a contract to a new owner, who must accept it')
    .addPositionalArgument(contract)
    .addPositionalArgument({
      name: 'to',
      description: 'address of the new owner; for a DAO its timelock',
    })
    .setAction(async () => ({ default: (await actions()).transferContract }))
    .build(),
  ownerTask('accept-ownership', 'Accept the ownership of an offered contract')
    .addPositionalArgument(contract)
    .setAction(async () => ({ default: (await actions()).acceptContract }))
    .build(),
  ownerTask('renounce-ownership', 'Give up the ownership of a contract, permanently')
    .addPositionalArgument(contract)
    .setAction(async () => ({ default: (await actions()).renounceContract }))
    .build(),
]

/** Descriptions of the functions of Instances, AppSigners and AssentValidator. Anyone can call them: the proofs decide. */
import type { appSignersAbi, assentValidatorAbi, instancesAbi } from '../../abi.ts'
import type { FunctionDescriptions } from './types.ts'

/** Descriptions of the functions of `Instances`. */
export const instancesDescriptions: FunctionDescriptions<typeof instancesAbi> = {
  recordBoot: {
    caller: 'anyone',
    describe: ([events, osImageHash]) =>
      `store the facts of a boot of base image ${osImageHash}, from a log with ${events.length} events`,
    command: 'app register-instance',
  },
  addRootKey: {
    caller: 'anyone',
    describe: ([, k256]) =>
      `let instances refer to the root key ${k256}, which the DAO must have approved`,
    command: 'app register-instance',
  },
  register: {
    caller: 'anyone',
    describe: ([{ key, blockNumber }], { name }) =>
      `register the key ${name(key)} for the app that its quote proves, made after block ${blockNumber}`,
    command: 'app register-instance',
  },
  registerIssued: {
    caller: 'anyone',
    describe: ([{ app, key, composeHash, epoch }], { name }) =>
      `register the key ${name(key)} for app ${name(app)}, release ${composeHash}, key epoch ${epoch}, with a statement of the KMS`,
    command: 'app register-instance',
  },
  end: {
    caller: 'anyone',
    describe: ([key], { name }) => `end the key ${name(key)} of an instance immediately`,
    irreversible: 'The key can never speak for an app again; the instance needs a new key.',
    command: 'app end-instance',
  },
}

/** Descriptions of the functions of `AppSigners`. */
export const appSignersDescriptions: FunctionDescriptions<typeof appSignersAbi> = {
  create: {
    caller: 'anyone',
    describe: ([app], { name }) => `create the ERC-1271 signer of app ${name(app)}`,
    command: 'app create-signer',
  },
}

/** Descriptions of the functions of `AssentValidator`. */
export const assentValidatorDescriptions: FunctionDescriptions<typeof assentValidatorAbi> = {
  respond: {
    caller: 'anyone',
    describe: ([agentId, app], { name }) =>
      `write into the validation registry whether the wallet of agent ${agentId} is a live instance of app ${name(app)} now`,
    command:
      '[the validator is deployed for one registry of ERC-8004, which no deployment record names]',
  },
}

/** Events of the registry of root keys: proofs and epochs. */
import { rootKeysAbi } from '../../chain/abi.ts'
import { change, contractEvents, update } from '../change.ts'
import { registryHandlers, renounceableHandlers, setting } from './owned.ts'

export const rootKeysEvents = contractEvents(rootKeysAbi, {
  ...registryHandlers([7]),
  ...renounceableHandlers,
  RootKeyProven: ({ args: { id, quoteId, proof, caPublicKey, k256PublicKey } }) => [
    change('rootKeys', id, () => ({ ...proof, caPublicKey, k256PublicKey, quoteId })),
  ],
  EpochOpened: (event) => [
    update('rootKeys', event.args.id, { epoch: event.args.epoch }),
    setting(event, 'currentEpoch', event.args.epoch),
  ],
  VerifierSet: (event) => [setting(event, 'verifier', event.args.verifier)],
  KmsAuthSet: (event) => [setting(event, 'kmsAuth', event.args.kmsAuth)],
})

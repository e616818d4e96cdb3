/** Contracts and registries that a deployment has. */
import type { Address } from 'viem'
import { type Kind, kinds } from '../../chain/kinds.ts'
import { registryOf } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Session } from '../session/session.ts'

/** The DAO's registry of each kind that is deployed. Releases and devices are in the app contracts. */
export function deployedRegistries({
  addresses,
}: Pick<Session, 'addresses'>): readonly { readonly kind: Kind; readonly registry: Address }[] {
  const kindsOfDao = (Object.keys(kinds) as Kind[]).filter(
    (kind) => kind !== 'release' && kind !== 'device',
  )
  return kindsOfDao.flatMap((kind) => {
    try {
      return [{ kind, registry: registryOf(addresses, kind) }]
    } catch {
      return []
    }
  })
}

/** A contract that not every deployment has. @throws INPUT_INVALID */
export function requireDeployed(
  { addresses }: Session,
  name:
    | 'hosts'
    | 'images'
    | 'rootKeys'
    | 'hostBonds'
    | 'quoteVerifier'
    | 'daoFactory'
    | 'instances'
    | 'appSigners'
    | 'requests',
): Address {
  const address = addresses[name]
  if (address !== undefined) return address
  throw new AssentError('INPUT_INVALID', `This deployment has no ${name}.`, { facts: { name } })
}

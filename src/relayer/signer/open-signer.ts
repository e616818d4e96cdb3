/** Opens the signer that the settings of a service name. */
import { openKeystore } from '../../chain/signer/keystore.ts'
import { to0x } from '../../lib/bytes.ts'
import { readBytes } from '../../lib/files.ts'
import type { Logger } from '../../lib/log.ts'
import type { SignerSettings } from './settings.ts'
import { connectRemoteSigner, createLocalSigner, type TransactionSigner } from './signer.ts'

/** @throws FILE_UNREADABLE, KEYSTORE_*, SIGNER_UNREACHABLE, SIGNER_WRONG */
export async function openSigner(
  settings: SignerSettings,
  log: Logger,
): Promise<TransactionSigner> {
  const { keystoreFile, keystorePasswordFile, web3signerUrl, account, privateKey } = settings
  if (keystoreFile !== undefined && keystorePasswordFile !== undefined) {
    const password = (await readBytes(keystorePasswordFile)).toString('utf8').replace(/\r?\n$/, '')
    const key = await openKeystore((await readBytes(keystoreFile)).toString('utf8'), password)
    return createLocalSigner(to0x(key))
  }
  if (web3signerUrl !== undefined && account !== undefined) {
    return connectRemoteSigner({ url: web3signerUrl, account })
  }
  log.warn('the private key is in the configuration: use this on test chains only')
  return createLocalSigner(privateKey as NonNullable<typeof privateKey>)
}

/**
 * `assent kms compose`: prints the app-compose.json of a KMS node from its settings. Reads files only; the same input
 * has the same bytes, so that its measurements can be predicted.
 */
import { z } from 'zod'
import { writeKmsCompose } from '../../kms/app-compose.ts'
import { readBytes, readCertificates } from '../../lib/files.ts'
import type { ArgumentsOf } from '../command.ts'
import type { compose } from '../kms.ts'
import type { Context } from '../session/context.ts'

export const schema = z.strictObject({ appCompose: z.string().describe('text of the file') })

export async function run(args: ArgumentsOf<typeof compose>, { output }: Context) {
  const { containerImage: image, keyProviderId, name, pccsCa } = args
  const config = (await readBytes(args.config)).toString('utf8')
  const ca = pccsCa === undefined ? {} : { pccsCa: await readCertificates(pccsCa) }
  const text = writeKmsCompose({ image, keyProviderId, name, config, ...ca })
  output.exact(text)
  return { appCompose: text }
}

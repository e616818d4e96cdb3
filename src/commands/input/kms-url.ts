import { AssentError } from '../../errors/index.ts'
import type { Context } from '../session/context.ts'

/** The KMS of `--kms-url` or of the profile. @throws USAGE_INVALID */
export function readKmsUrl({ profile }: Context, given: string | undefined): string {
  const url = given ?? profile.kms
  if (url !== undefined && URL.canParse(url) && new URL(url).protocol === 'https:') return url
  const isMissing = url === undefined
  throw new AssentError(
    'USAGE_INVALID',
    isMissing ? 'The option --kms-url is missing.' : '--kms-url: expected an https:// URL.',
    {
      facts: { option: '--kms-url' },
      hint: 'Pass --kms-url, or set kms in a profile of assent.toml.',
    },
  )
}

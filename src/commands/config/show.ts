/**
 * `assent config show`: prints each setting with its value and its source (option, variable, profile or default).
 * URLs are shortened to their origin, because path and query often contain API keys.
 */
import { z } from 'zod'
import type { ArgumentsOf } from '../command.ts'
import type { show } from '../config.ts'
import type { Context } from '../session/context.ts'
import type { AccountSetting, Profile } from '../session/settings.ts'

export const schema = z.strictObject({
  file: z.string().nullable(),
  profile: z.string().nullable(),
  settings: z.array(
    z.strictObject({
      name: z.string(),
      value: z.unknown().describe('URLs without their paths, which can contain keys'),
      source: z.string().describe('an option, a variable, a profile, or default'),
    }),
  ),
})

export async function run(_: ArgumentsOf<typeof show>, { profile, output }: Context) {
  const { file, name } = profile
  output.line(file === undefined ? 'No assent.toml in this folder or above it.' : `File ${file}`)
  if (file !== undefined) output.line(name === undefined ? 'No profile.' : `Profile ${name}`)
  const settings = settingsOf(profile)
  const width = Math.max(...settings.map((setting) => setting.name.length))
  for (const { name: setting, value, source } of settings) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    output.line(`  ${setting.padEnd(width)}  ${text}  (${source})`)
  }
  return { file: file ?? null, profile: name ?? null, settings }
}

function settingsOf(profile: Profile) {
  const shown: Record<string, unknown> = {
    rpcUrls: profile.rpcUrls.map(withoutPath),
    chainId: profile.chainId,
    deployments: profile.deployments,
    account: describeAccount(profile.account),
    governor: profile.governor,
    app: profile.app,
    kms: profile.kms && withoutPath(profile.kms),
    relayer: profile.relayer && withoutPath(profile.relayer),
    indexer: profile.indexer && withoutPath(profile.indexer),
    pccs: profile.pccs && withoutPath(profile.pccs),
    simulatedHost: profile.simulatedHost,
    names: Object.fromEntries(profile.names),
  }
  return Object.entries(profile.sources).map(([name, source]) => ({
    name,
    value: shown[name],
    source,
  }))
}

/** Providers put API keys into user, path and query. */
function withoutPath(url: string): string {
  const { origin, pathname, search, username } = new URL(url)
  return pathname === '/' && search === '' && username === '' ? origin : `${origin}/…`
}

function describeAccount(account: AccountSetting) {
  return 'url' in account ? { ...account, url: withoutPath(account.url) } : account
}

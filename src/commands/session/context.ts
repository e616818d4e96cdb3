/** The context of every command, in addition to its arguments. */
import type { Output } from '../output/output.ts'
import type { Profile } from './settings.ts'

/** For a command that needs nothing. */
export interface Context {
  readonly output: Output
  /** The values of the project file's profile; empty without a project file. */
  readonly profile: Profile
  /** Asks on the terminal, unless `--yes` was given. @throws CONFIRMATION_MISSING */
  confirm(): Promise<void>
  /** Ends what the command opened, for example the page for a wallet. */
  close?(): Promise<void>
  /** Aborted by SIGTERM or SIGINT. */
  stopSignal(): AbortSignal
}

/** Values of the options that the front door reads. */
export interface CommonValues {
  /** `--json`: print the value instead of text. */
  readonly json: boolean
  /** `--yes`: do not ask for confirmation. */
  readonly yes: boolean
  /** `--from`: the account that signs. */
  readonly from: string | undefined
  /** `--deployments`: folder of deployment records. */
  readonly deployments: string | undefined
}

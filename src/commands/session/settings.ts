/** The settings of commands: their types. `profile.ts` reads them. */
/** The account that signs. */
export type AccountSetting =
  /** an encrypted key file; without a password file, the password comes from a variable or the terminal */
  | { readonly kind: 'keystore'; readonly file: string; readonly passwordFile?: string | undefined }
  /** an external signer over JSON-RPC: `eth_accounts`, `eth_sendTransaction` */
  | { readonly kind: 'signer'; readonly url: string; readonly address?: string | undefined }
  | { readonly kind: 'web3signer'; readonly url: string; readonly address: string }
  /** a wallet in the browser, asked on a page that the command serves */
  | { readonly kind: 'browser'; readonly address?: string | undefined }
  /** an account of the node itself, on development chains */
  | { readonly kind: 'node'; readonly address?: string | undefined }

/** The settings of one run. */
export interface Profile {
  /** Name of the profile; undefined without one. */
  readonly name: string | undefined
  /** Path of the project file; undefined without one. */
  readonly file: string | undefined
  /** JSON-RPC endpoints; empty: not set. */
  readonly rpcUrls: readonly string[]
  /** Expected chain; a command refuses another one. */
  readonly chainId: number | undefined
  /** Folder of the deployment records. */
  readonly deployments: string
  readonly account: AccountSetting
  /** Governor of the DAO; undefined: the one of the deployment. */
  readonly governor: string | undefined
  /** The app of commands without `--app`: an address or a name. */
  readonly app: string | undefined
  /** URL of a KMS node, for commands that ask it. */
  readonly kms: string | undefined
  /** URL of a relayer. */
  readonly relayer: string | undefined
  /** URL of an indexer's API. */
  readonly indexer: string | undefined
  /** URL of a PCCS. */
  readonly pccs: string | undefined
  /** Folder of the simulated host on which `simulate boot` boots a CVM. */
  readonly simulatedHost: string | undefined
  /** Names of apps, proposals, hosts and images, for use in place of their ids. */
  readonly names: ReadonlyMap<string, string>
  /** Source of each setting: `--rpc-url`, `ASSENT_RPC_URL`, `profile demo`, `default`. */
  readonly sources: Readonly<Record<string, string>>
}

/** Options of the command line that are settings. */
export interface SettingOptions {
  readonly profile?: string | undefined
  readonly rpcUrl?: readonly string[] | undefined
  readonly deployments?: string | undefined
  /** Sign with a wallet in the browser. */
  readonly browser?: boolean | undefined
  /** The account that the wallet is asked for. */
  readonly from?: string | undefined
}

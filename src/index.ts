/**
 * Assent as a library: everything from `assent/quote`, `assent/chain` and `assent/kms-client`.
 *
 * Import one of these paths if you need only a part; it then loads less code. `assent/log-verify` and `assent/ethers` are
 * separate paths. The services (relayer, KMS, auth webhook) are started by the command line: `npx assent`.
 *
 * @example
 * import { fetchAppKeys, readHost, verifyQuote } from 'assent'
 */
export * from './public/chain.ts'
export * from './public/kms-client.ts'
export * from './public/quote.ts'

/**
 * Assent as a library: everything of `assent/quote`, `assent/chain` and `assent/kms-client`.
 *
 * Import a subpath to load no more than you need. Services are started by the command line (`npx assent`).
 */
export * from './public/chain.ts'
export * from './public/kms-client.ts'
export * from './public/quote.ts'

/** The group `quote`. */
import { defineCommand } from './command.ts'

const quoteForms = 'raw bytes, hex, base64, or the JSON of GetQuote; - for standard input'

export const show = defineCommand({
  path: ['quote', 'show'],
  summary: 'Show what a quote claims, without verifying it',
  examples: ['quote show quote.bin', 'quote show - --json < quote.hex'],
  arguments: { file: { description: `quote: ${quoteForms}` } },
  needs: 'nothing',
  reads: 'the quote',
  load: () => import('./quote/show.ts'),
})

export const verify = defineCommand({
  path: ['quote', 'verify'],
  summary: 'Verify quotes',
  help: `Exit code of one quote: 0 verified, 1 rejected, 2 malformed. Of several quotes each has a line, malformed
ones count as rejected, and exit code 2 means that one could not be read.`,
  examples: [
    'quote verify quote.bin --collateral bundle.json --at 1787184000',
    'quote verify suite/ --root mock-root.der --policy none --at 1768478400 --json --onchain',
  ],
  arguments: {
    paths: {
      description: `quotes (${quoteForms}); folders with quote.bin and collateral.json, or of such folders; lists (.jsonl) of {name, quote, collateral, at}`,
      isVariadic: true,
    },
  },
  options: {
    collateral: {
      value: 'FILE',
      description: 'collateral bundle of a quote (JSON, QuoteCollateralV3 fields)',
    },
    at: { value: 'UNIX', description: 'unix seconds to verify for (default: now)' },
    root: {
      value: 'FILE',
      description: 'root to trust: certificate or public key in DER (default: Intel’s)',
    },
    policy: { value: 'POLICY', description: 'none, default, or a JSON file', default: 'default' },
    onchain: { description: 'ask the Solidity verifier, in a chain inside this process' },
  },
  needs: 'nothing',
  reads: 'quotes and collateral',
  hasLines: true,
  load: () => import('./quote/verify.ts'),
})

export const quoteCommands = [show, verify]

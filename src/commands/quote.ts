/** The group `quote`. */
import { defineCommand } from './command.ts'
import { pccsOptions } from './options.ts'

const evidence =
  'file (quote as raw bytes, hex or base64; JSON of GetQuote or Attest; certificate in PEM or DER), - for standard input, or host:port of a server'

export const show = defineCommand({
  path: ['quote', 'show'],
  summary: 'Show what a quote claims, without verifying it',
  help: `The form is detected from the content. Of a running server (host:port, or https://…) the certificate is read in a TLS handshake. If an event log came with the quote, it is replayed and the app is shown.
Exit codes: 0 shown, 2 no quote or a malformed one, 3 the server does not answer.`,
  examples: [
    'quote show quote.bin',
    'quote show - --json < quote.hex',
    'quote show app.example.com:443',
  ],
  arguments: { quote: { description: evidence } },
  needs: 'nothing',
  reads: 'the quote, or the certificate of the server',
  load: () => import('./quote/show.ts'),
})

export const verify = defineCommand({
  path: ['quote', 'verify'],
  summary: 'Verify quotes',
  help: `The quote is verified by Intel's rules and the policy. In a certificate, its report data must be bound to the key of the certificate. If an event log came with it, or is given, the log must replay to RTMR3 of the quote; the answer then has the app and its compose hash. --compose and --image require a certain app-compose file and base image.

Exit codes of one quote: 0 verified, 1 rejected, 2 malformed or wrong usage, 3 no collateral or no server (an outage). Of several quotes each has a line, malformed ones count as rejected, and exit code 2 means that one could not be read. With --expected: 0 all answers are as expected, 1 one differs or is missing.`,
  examples: [
    'quote verify quote.bin --collateral bundle.json --at 1787184000',
    'quote verify app.example.com:443 --pccs https://pccs.example --compose app-compose.json',
    'quote verify quote.bin --pccs https://pccs.example --event-log log.json',
    'quote verify suite/ --root mock-root.der --policy none --at 1768478400 --json --onchain',
  ],
  arguments: {
    paths: {
      description: `${evidence}; or folders with quote.bin and collateral.json, or of such folders; or lists (.jsonl) of {name, quote, collateral, at}`,
      isVariadic: true,
    },
  },
  options: {
    collateral: {
      value: 'FILE',
      description: 'collateral bundle of a quote (JSON, QuoteCollateralV3 fields)',
    },
    ...pccsOptions,
    eventLog: {
      value: 'FILE',
      description: 'event log of the quote (JSON list, or an object with event_log)',
    },
    compose: { value: 'FILE', description: 'app-compose.json that the CVM must have measured' },
    image: {
      value: 'FOLDER',
      description: 'base image that it must have booted: sha256sum.txt and measurement.tdx.cbor',
    },
    expected: {
      value: 'FILE',
      description: 'expected verdicts (JSON object by the name of the case); ends with one line',
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

export const fetchCollateral = defineCommand({
  path: ['quote', 'fetch-collateral'],
  summary: 'Save the collateral of a quote, to verify it later or offline',
  help: `The documents are complete and of the platform of the quote; their signatures are checked by quote verify.
Exit codes: 0 saved, 2 no quote or wrong usage, 3 no PCCS has it (an outage).`,
  examples: [
    'quote fetch-collateral quote.bin --pccs https://pccs.example --out collateral.json',
    'quote fetch-collateral quote.bin --pccs https://api.trustedservices.intel.com --update early',
  ],
  arguments: { quote: { description: evidence } },
  options: {
    ...pccsOptions,
    out: { value: 'FILE', description: 'output file (default: print it)' },
  },
  needs: 'nothing',
  reads: 'the quote, and the PCCS',
  load: () => import('./quote/fetch-collateral.ts'),
})

export const quoteCommands = [show, verify, fetchCollateral]

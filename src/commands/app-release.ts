/** Commands of the group `app` from a Docker Compose file to a release that boots. */
import { defineCommand } from './command.ts'
import { appOption, pccsOptions } from './options.ts'
import { why } from './why.ts'

const manifest = { description: 'the manifest: app-compose.json' }

export const init = defineCommand({
  path: ['app', 'init'],
  summary: 'Write the manifest (app-compose.json) of an app from its Docker Compose file',
  help: `Every image must be named by its digest, because a tag can be moved after the vote. With --resolve the digests are looked up in the container registries; look at them before you approve the release. Variables of the Compose file are declared, so that they can be sealed. The manifest is public: write no secrets into it.
Exit code: 0 written without errors, 1 written, and app lint finds errors in it.`,
  examples: [
    'app init docker-compose.yml --name shop --resolve',
    'app init docker-compose.yml --name shop --env SMTP_PASSWORD --os-version ">=0.6.0"',
  ],
  arguments: { compose: { description: 'the Docker Compose file' } },
  options: {
    name: { value: 'NAME', description: 'name of the app (default: the name in the Compose file)' },
    out: { value: 'FILE', description: 'output file', default: 'app-compose.json' },
    resolve: { description: 'look up the digests of images in their container registries' },
    env: {
      value: 'NAME',
      description: 'a sealed variable that the Compose file does not show',
      isRepeatable: true,
    },
    noGateway: { description: 'the gateway forwards no traffic to the app' },
    noInstanceId: { description: 'all instances share one disk key' },
    osVersion: {
      value: 'RANGE',
      description: 'required version of the OS, for example ">=0.6.0"; older guests refuse it',
    },
    overwrite: { description: 'replace the output file if it exists' },
  },
  needs: 'nothing',
  reads: 'the Compose file; with --resolve the container registries of its images',
  load: () => import('./app/init.ts'),
})

export const lint = defineCommand({
  path: ['app', 'lint'],
  summary:
    'Check a manifest: what the guest refuses, and what makes the release weaker than it looks',
  help: 'Exit code: 0 no errors, 1 errors.',
  examples: ['app lint app-compose.json'],
  arguments: { manifest },
  needs: 'nothing',
  reads: 'the manifest',
  load: () => import('./app/lint.ts'),
})

export const hash = defineCommand({
  path: ['app', 'hash'],
  summary: 'Print the compose hash of a manifest: the id of its release',
  examples: ['app hash app-compose.json'],
  arguments: { manifest },
  needs: 'nothing',
  reads: 'the manifest',
  load: () => import('./app/hash.ts'),
})

const diffSide = 'manifest, chain, chain:RELEASE, file with a quote, or host:port'

export const diff = defineCommand({
  path: ['app', 'diff'],
  summary: 'Show what changes between two manifests: services, images, environment, flags',
  help: `Each side is a file, a release on-chain or a running CVM: chain is the newest release of the app that can boot, chain:3 or chain:HASH another one, as published with its approval. Of a quote (any form that quote show reads) or of a server (host:port), the compose hash is compared, after the event log was replayed; the signature of the quote is not verified. With --published the manifest that the chain has for this hash is compared.
Exit code: 0 they mean the same, 1 they differ, 2 wrong input, 3 an outage.`,
  examples: [
    'app diff old.json app-compose.json',
    'app diff chain app-compose.json --app shop',
    'app diff app.example.com:443 chain --app shop --published',
    'app diff quote.json app-compose.json',
  ],
  arguments: { before: { description: diffSide }, after: { description: diffSide } },
  options: {
    ...appOption,
    published: { description: 'compare the published manifest of a quote, not only its hash' },
  },
  needs: 'on-demand',
  reads: 'both sides',
  load: () => import('./app/diff.ts'),
})

export const changes = defineCommand({
  path: ['app', 'changes'],
  summary: 'Show what a manifest changes against a release of the app that is published on-chain',
  help: 'Exit code: 0 they mean the same, 1 they differ.',
  examples: ['app changes app-compose.json', 'app changes app-compose.json --release 3'],
  arguments: { manifest },
  options: {
    ...appOption,
    release: {
      value: 'RELEASE',
      description: 'number or hash of the release (default: the newest release that can boot)',
    },
  },
  reads: 'the releases of the app, and the manifest in the event of the release',
  load: () => import('./app/changes.ts'),
})

export const pinKms = defineCommand({
  path: ['app', 'pin-kms'],
  summary: 'Write the key of the KMS root CA, as the chain stores it, into a manifest',
  help: 'The guest then accepts keys of this KMS only. The manifest becomes another release: approve it after this command.',
  examples: ['app pin-kms app-compose.json'],
  arguments: { manifest },
  reads: 'the root keys of the KMS on-chain',
  load: () => import('./app/pin-kms.ts'),
})

export const sealEnv = defineCommand({
  path: ['app', 'env', 'seal'],
  summary: 'Seal the environment of an app for the KMS, and pin it in the manifest',
  help: `The public key must be signed by the root key that the chain stores, for the newest key epoch of the app. The manifest gets the digest of the sealed environment and the key of the KMS root CA, so it becomes another release: approve it after this command. The guest compares the digest before it starts the containers, because anybody can seal an environment and the host delivers it. With --no-pin the host can replace it.

The file has one NAME=value per line. Values with spaces or other signs are in quotes.`,
  examples: [
    'app env seal app-compose.json --env-file .env --kms-url https://kms.example.org:9201',
  ],
  arguments: { manifest },
  options: {
    ...appOption,
    envFile: {
      value: 'FILE',
      description: 'the variables; - for standard input',
      isRequired: true,
    },
    kmsUrl: { value: 'URL', description: 'a KMS node (default: from the profile)' },
    out: { value: 'FILE', description: 'output file for the host', default: 'env.sealed' },
    noPin: { description: 'leave the manifest as it is' },
  },
  reads: 'the root key on-chain, the key epoch of the app, the public key from the KMS',
  load: () => import('./app/env-seal.ts'),
})

export const verify = defineCommand({
  path: ['app', 'verify'],
  summary: 'Verify the chain of trust of a running app, from its certificate or quote to the votes',
  help: `A server or domain is asked for its certificate in a TLS handshake; a file is read like quote verify reads it; an app id or name asks the chain only. If a file has the name of a domain, the file is read; write https:// to ask the server. The answer has one line for each step, with ✓, ✗ or ? (not checked) and how it is known: proof (verified here), state or event (as one endpoint shows it), claim. Steps: the server, the certificate, the quote, the boot log, app and release, base image, host, every condition of the KMS, the published manifest, the key provider and its root key on-chain, and for each approval the transaction, the proposal and its votes.
A quote of simulated hardware needs its --root.
Exit codes: 0 all steps passed, 1 a step failed, 2 wrong input, 3 not every step was checked, or an outage.`,
  examples: [
    'app verify app.example.com --pccs https://pccs.example',
    'app verify quote.json --collateral bundle.json --report-data 64-bytes-in-hex',
    'app verify shop',
  ],
  arguments: {
    subject: {
      description: 'domain, host:port, file with a quote, - for standard input, or app id or name',
    },
  },
  options: {
    collateral: { value: 'FILE', description: 'collateral bundle of the quote' },
    ...pccsOptions,
    compose: { value: 'FILE', description: 'app-compose.json that it must have measured' },
    image: {
      value: 'FOLDER',
      description: 'base image that it must have booted: sha256sum.txt and measurement.tdx.cbor',
    },
    reportData: {
      value: 'HEX',
      description: 'report data that you asked for, 64 bytes: shows that the quote is new',
    },
    at: {
      value: 'TIME',
      description: 'time to verify the quote for (default: the time of the chain)',
    },
    root: {
      value: 'FILE',
      description: 'root to trust: certificate or public key in DER (default: Intel’s)',
    },
  },
  reads: 'the server or the file, the PCCS, the registries, and the events of the approvals',
  load: () => import('./app/verify.ts'),
})

export const releaseCommands = [verify, init, lint, hash, diff, changes, pinKms, sealEnv, why]

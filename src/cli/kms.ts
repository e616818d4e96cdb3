import { Command } from 'commander'

import { type KmsCompose, writeKmsCompose } from '../kms/app-compose.ts'
import {
  runBootstrap,
  runInitCheckpoint,
  runKms,
  runKmsDoctor,
  runOnboard,
  runOnboardService,
  startKmsNode,
} from '../kms/main.ts'
import { bootstrapInfoToJson } from '../kms/onboarding/bootstrap.ts'
import { fromHex, toHex } from '../lib/bytes.ts'
import { readBytes, readCertificates } from '../lib/files.ts'
import { kmsConfigOption } from './kms-config-option.ts'
import { showFindings } from './print-findings.ts'
import { addLazily, type LazyCommand } from './program.ts'
import { stopSignal } from './stop-signal.ts'

/** What a serving node never needs: the log verifier, viem, measurements. */
const tools: readonly LazyCommand[] = [
  {
    name: 'measure',
    description: 'Predict the measurements of a KMS node before its first boot',
    load: async () => (await import('./kms-measure.ts')).measureCommand,
  },
  {
    name: 'pinned-code',
    description: 'Print the pinnedCode setting for a deployment; trusts one endpoint',
    load: async () => (await import('./kms-pinned-code.ts')).pinnedCodeCommand,
  },
  {
    name: 'log',
    description: 'The release log: create it, verify it, print its root key',
    load: async () => (await import('./kms-log.ts')).logCommand,
  },
]

/** @param args the arguments after `kms` */
export function kmsCommand(args: readonly string[]): Promise<Command> {
  return addLazily(nodeCommand, tools, args)
}

const nodeCommand = new Command('kms')
  .description('Release app keys to CVMs that the chain allows')
  .addCommand(
    new Command('run')
      .description('Serve until SIGTERM')
      .option(...kmsConfigOption)
      .action(({ config }: { config?: string }) =>
        runKms({ configFile: config, signal: stopSignal() }),
      ),
  )
  .addCommand(
    new Command('bootstrap')
      .description('Make the root keys, once, and print what the chain registers about them')
      .option(...kmsConfigOption)
      .action(async ({ config }: { config?: string }) => {
        const info = await runBootstrap({ configFile: config })
        console.log(JSON.stringify(bootstrapInfoToJson(info), null, 2))
      }),
  )
  .addCommand(
    new Command('onboard')
      .description('Take over the root keys of a running KMS, as its replica')
      .requiredOption('--from <url>', 'the running KMS')
      .option('--ca-public-key <hex>', 'public key (SPKI, DER) of the root CA to expect')
      .option(...kmsConfigOption)
      .action(async (options: { from: string; caPublicKey?: string; config?: string }) => {
        const { from, caPublicKey, config } = options
        const { caPubkey, k256Pubkey } = await runOnboard({
          configFile: config,
          sourceUrl: from,
          ...(caPublicKey ? { caPublicKey: fromHex(caPublicKey, 'ca public key', 91) } : {}),
        })
        const shown = { ca_pubkey: toHex(caPubkey), k256_pubkey: toHex(k256Pubkey) }
        console.log(JSON.stringify(shown, null, 2))
      }),
  )
  .addCommand(
    new Command('onboard-service')
      .description('Wait for dstack’s Onboard calls over plain HTTP, until Finish or SIGTERM')
      .option(...kmsConfigOption)
      .action(({ config }: { config?: string }) =>
        runOnboardService({ configFile: config, signal: stopSignal() }),
      ),
  )
  .addCommand(
    new Command('doctor')
      .description('Check everything that a key release needs; exit code 1 if a check fails')
      .option(...kmsConfigOption)
      .option('--json', 'one JSON object with all findings', false)
      .action(async ({ config, json }: { config?: string; json: boolean }) =>
        showFindings(await runKmsDoctor({ configFile: config }), json),
      ),
  )
  .addCommand(
    new Command('compose')
      .description('Write the app-compose.json with which the KMS runs as a dstack app')
      .requiredOption('--image <name@sha256:…>', 'the KMS image, by digest')
      .requiredOption('--config <file>', 'the settings, which become part of the compose hash')
      .requiredOption('--key-provider-id <hex>', 'measurement of the local key provider')
      .option('--name <name>', 'of the app', 'assent-kms')
      .option('--pccs-ca <file>', 'certificates (PEM) that the settings name as collateral.caFile')
      .action(async ({ pccsCa, ...options }: KmsCompose) => {
        const config = (await readBytes(options.config)).toString('utf8')
        const ca = pccsCa === undefined ? {} : { pccsCa: await readCertificates(pccsCa) }
        process.stdout.write(writeKmsCompose({ ...options, config, ...ca }))
      }),
  )
  .addCommand(
    new Command('start')
      .description('Serve; without root keys, first wait for dstack’s Onboard calls')
      .option(...kmsConfigOption)
      .action(({ config }: { config?: string }) =>
        startKmsNode({ configFile: config, signal: stopSignal() }),
      ),
  )
  .addCommand(
    new Command('init-checkpoint')
      .description('Create the trusted checkpoint of a node that has keys but no checkpoint')
      .option(...kmsConfigOption)
      .action(({ config }: { config?: string }) => runInitCheckpoint({ configFile: config })),
  )

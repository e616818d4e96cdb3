/** The group `simulate`: parts for trying things out without hardware. */
import { defineCommand } from './command.ts'
import { appOption } from './options.ts'

export const advanceTime = defineCommand({
  path: ['simulate', 'advance-time'],
  summary: 'Advance the clock of a development chain; fails on other chains',
  examples: ['simulate advance-time 11m'],
  arguments: { time: { description: 'duration, for example 11m' } },
  needs: 'chain',
  reads: 'the newest block',
  load: () => import('./simulate/advance-time.ts'),
})

export const host = defineCommand({
  path: ['simulate', 'host'],
  summary: 'Create a simulated host, with its root certificate and collateral',
  help: `The folder gets root.der, to deploy with, and collateral.json; with report data, quote.bin as well. The secret of the host stays in the folder, so it is the same host each time.`,
  examples: [
    'simulate host .assent/host',
    'simulate host .assent/host --report-data 64-bytes-in-hex',
  ],
  arguments: { folder: { description: 'folder for the host' } },
  options: { reportData: { value: 'HEX', description: 'report data of a quote, 64 bytes' } },
  needs: 'nothing',
  reads: 'the folder',
  load: () => import('./simulate/host.ts'),
})

export const boot = defineCommand({
  path: ['simulate', 'boot'],
  summary:
    'Boot a release on a simulated host: get its keys from the KMS, and open its environment',
  help: `The KMS must accept quotes of the simulator, as the KMS of npm start does. The CVM shows the KMS a quote over the base image and the manifest. The keys are verified with the root key that the chain stores, and are not printed. If the manifest pins an environment, its digest is compared with the file, as the guest does it.
Exit code: 0 the keys are there, 1 the KMS denies them.`,
  examples: ['simulate boot app-compose.json --app shop'],
  arguments: { manifest: { description: 'the manifest: app-compose.json' } },
  options: {
    ...appOption,
    host: {
      value: 'FOLDER',
      description: 'folder of simulate host (default: from the profile)',
    },
    kmsUrl: { value: 'URL', description: 'a KMS node (default: from the profile)' },
    quote: {
      value: 'FILE',
      description: 'write the answer of the CVM to GetQuote, with zeros as report data',
    },
    sealed: {
      value: 'FILE',
      description: 'the sealed environment; read if the manifest pins one',
      default: 'env.sealed',
    },
  },
  reads: 'the root keys on-chain, the folder of the host, and the KMS',
  load: () => import('./simulate/boot.ts'),
})

export const agent = defineCommand({
  path: ['simulate', 'agent'],
  summary: 'Serve the guest agent of a simulated CVM, as dstack’s does on a socket in the CVM',
  help: `With --kms the CVM boots as an app: it asks that KMS for its keys, and ends with the reason of the KMS if it gets none. Without --kms its keys are from a simulated local key provider, as those of a KMS node. The agent serves guest API v0 and, from version 0.6 of dstack on, v1 below /v1. Only this user, or with --port this computer, can connect.`,
  examples: [
    'simulate agent .assent/host --socket .assent/agent.sock',
    'simulate agent .assent/host --compose app-compose.json --app-id 0x5FbDB2315678afecb367f032d93F642f64180aa3 --kms https://localhost:8000 --port 0 --json',
  ],
  arguments: { folder: { description: 'folder of the host; it is created if it does not exist' } },
  options: {
    socket: { value: 'PATH', description: 'Unix socket to listen on' },
    port: { value: 'PORT', description: 'or a port on 127.0.0.1; 0: any free port' },
    compose: { value: 'FILE', description: 'app-compose.json that the CVM boots' },
    appId: {
      value: 'ADDRESS',
      description: 'app id (default: the first 20 bytes of the compose hash)',
    },
    image: {
      value: 'NAME',
      description: 'name of another simulated base image (default: from the folder)',
    },
    kms: { value: 'URL', description: 'KMS that gives the app its keys' },
    dstackVersion: {
      value: 'RELEASE',
      description: 'version of dstack whose agent is served',
      choices: ['0.5', '0.6'],
      default: '0.6',
    },
  },
  needs: 'nothing',
  reads: 'the folder, the manifest, and with --kms the KMS',
  hasLines: true,
  load: () => import('./simulate/agent.ts'),
})

export const pccs = defineCommand({
  path: ['simulate', 'pccs'],
  summary: 'Serve the collateral of a simulated host, as Intel’s PCS and PCCS do',
  help: `It serves the early and the standard set, the CRLs, and the list of TCB evaluation numbers. Services use it as their PCCS together with root.der of the folder as root of trust. Only this computer can connect.`,
  examples: ['simulate pccs .assent/host --port 8081'],
  arguments: { folder: { description: 'folder of the host; it is created if it does not exist' } },
  options: {
    port: {
      value: 'PORT',
      description: 'port on 127.0.0.1; 0: any free port',
      default: '8081',
    },
    at: { value: 'TIME', description: 'time for which the collateral is issued (default: now)' },
  },
  needs: 'nothing',
  reads: 'the folder',
  hasLines: true,
  load: () => import('./simulate/pccs.ts'),
})

export const beacon = defineCommand({
  path: ['simulate', 'beacon'],
  summary: 'Serve the beacon API of a simulated beacon chain, to try the light client',
  help: `Each slot contains the newest block of the chain, and a simulated sync committee signs it. A block is final 8 to 12 slots later. The folder gets network.json, the description of the network for chainView.consensus.network; trustedBlockRoot is the root for the settings. A later start with the same folder continues with the same committees. The slots follow the clock of this computer, not the clock of the chain. Everyone can sign for this network: it proves nothing. Only this computer can connect.`,
  examples: [
    'simulate beacon .assent/beacon --port 5052',
    'simulate beacon beacon --slot 12s --json',
  ],
  arguments: {
    folder: { description: 'folder of the network; it is created if it does not exist' },
  },
  options: {
    port: {
      value: 'PORT',
      description: 'port on 127.0.0.1; 0: any free port',
      default: '5052',
    },
    slot: {
      value: 'DURATION',
      description: 'length of a slot, for a new folder',
      default: '2s',
    },
  },
  needs: 'chain',
  reads: 'the folder, and the newest block in each slot',
  hasLines: true,
  load: () => import('./simulate/beacon.ts'),
})

export const simulateCommands = [host, agent, pccs, beacon, boot, advanceTime]

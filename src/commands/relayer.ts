/** The group `relayer`. */
import { defineCommand, type OptionTable } from './command.ts'

const configOption = {
  config: {
    value: 'FILE',
    description: 'JSON file with the settings; ASSENT_RELAYER_* variables override it',
  },
} as const satisfies OptionTable

export const run = defineCommand({
  path: ['relayer', 'run'],
  summary: 'Run the relayer until SIGINT or SIGTERM',
  examples: ['relayer run --config relayer.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, its database, and the chain through the configured endpoints',
  isService: true,
  load: () => import('./relayer/run.ts'),
})

export const doctor = defineCommand({
  path: ['relayer', 'doctor'],
  summary: 'Check everything that the relayer needs; exit code 1 if a check fails',
  examples: ['relayer doctor --config relayer.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings and everything that they name; it changes nothing',
  load: () => import('./relayer/doctor.ts'),
})

export const status = defineCommand({
  path: ['relayer', 'status'],
  summary: 'Show a running relayer: health, backlog, balance, and the proofs of its hosts',
  help: `It reads /health and /metrics, which need no token. A relayer should not publish them: run the command beside it.
Exit code 1: it is degraded, or something needs attention.`,
  examples: ['relayer status', 'relayer status --relayer-url http://127.0.0.1:8480 --json'],
  options: {
    relayerUrl: { value: 'URL', description: 'the relayer (default: from the profile)' },
  },
  needs: 'nothing',
  reads: 'the relayer',
  load: () => import('./relayer/status.ts'),
})

export const relayerCommands = [run, status, doctor]

/** The complete flow on two independent nodes: quote → relayer → registry → KMS → key. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { startDemoEnvironment } from '../../scripts/demo/environment.ts'
import { readRecordedEvidence, recordedAt, simulateEvidence } from '../../scripts/demo/evidence.ts'
import { startHardhatNode } from '../../scripts/demo/hardhat-node.ts'
import { createStepReporter, type StepResult } from '../../scripts/demo/report-steps.ts'
import { runDemoSteps } from '../../scripts/demo/steps.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil, startAnvil } from '../anvil.ts'

const startAnvilAt = (at: number) => startAnvil({ args: ['--timestamp', String(at)] })

describe.each([
  { node: 'Hardhat’s node', start: startHardhatNode, present: true },
  { node: 'anvil', start: startAnvilAt, present: findAnvil() !== undefined },
])('the demo on $node', ({ start, present }) => {
  test.runIf(present)('succeeds in every step', { timeout: 180_000 }, async () => {
    const { url, stop } = await start(recordedAt)
    try {
      expect((await runDemo(url)).filter(({ ok }) => !ok)).toEqual([])
    } finally {
      await stop()
    }
  })
})

async function runDemo(url: string): Promise<readonly StepResult[]> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-demo-'))
  const evidence = readRecordedEvidence() ?? simulateEvidence(createSimulator({ at: recordedAt }))
  const demo = await startDemoEnvironment(url, folder)
  try {
    const reporter = createStepReporter(() => {})
    await runDemoSteps(reporter, demo, evidence)
    expect(reporter.steps.length).toBeGreaterThan(10)
    return reporter.steps
  } finally {
    await demo.stop()
    await rm(folder, { recursive: true })
  }
}

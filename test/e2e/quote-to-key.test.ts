/** The whole sentence: quote → relayer → registry → KMS → key, on two independent nodes. */
import { describe, expect, test } from 'vitest'
import { createWorld } from '../../scripts/demo/environment.ts'
import { readRecordedEvidence, recordedAt, simulateEvidence } from '../../scripts/demo/evidence.ts'
import { startHardhatNode } from '../../scripts/demo/hardhat-node.ts'
import { createStory, type StepResult } from '../../scripts/demo/report-steps.ts'
import { tellStory } from '../../scripts/demo/steps.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil, startAnvil } from '../anvil.ts'

const startAnvilAt = (at: number) => startAnvil({ args: ['--timestamp', String(at)] })

describe.each([
  { node: 'Hardhat’s node', start: startHardhatNode, present: true },
  { node: 'anvil', start: startAnvilAt, present: findAnvil() !== undefined },
])('on $node', ({ start, present }) => {
  test.runIf(present)('every step of the demo holds', { timeout: 180_000 }, async () => {
    const { url, stop } = await start(recordedAt)
    try {
      expect((await tell(url)).filter(({ ok }) => !ok)).toEqual([])
    } finally {
      await stop()
    }
  })
})

async function tell(url: string): Promise<readonly StepResult[]> {
  const evidence = readRecordedEvidence() ?? simulateEvidence(createSimulator({ at: recordedAt }))
  const world = await createWorld(url)
  try {
    const story = createStory(() => {})
    await tellStory(story, world, evidence)
    expect(story.steps.length).toBeGreaterThan(10)
    return story.steps
  } finally {
    await world.stop()
  }
}

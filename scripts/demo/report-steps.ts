/** Tells the demo step by step: for people on a terminal, plain in a pipe, as JSON for machines. */
import { colors as pc } from '../../src/commands/output/colors.ts'

export interface StepResult {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

export interface StepReporter {
  /** A heading between steps. */
  heading(title: string): void
  /** A line that explains, without a check. */
  note(line: string): void
  /** Runs one step; `tell` returns what was seen. A throw is a step that did not hold. */
  step(name: string, title: string, run: () => Promise<string>): Promise<boolean>
  readonly steps: readonly StepResult[]
}

/** A step that did not hold, with what was seen instead. */
export class StepFailed extends Error {}

/** @throws StepFailed unless `condition` holds */
export function requireThat(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new StepFailed(otherwise)
}

/** @param write where the lines go: standard output, or standard error when that is for JSON */
export function createStepReporter(write: (line: string) => void): StepReporter {
  const steps: StepResult[] = []
  return {
    steps,
    heading: (title) => write(`\n${pc.bold(title)}`),
    note: (line) => write(`  ${pc.dim(line)}`),
    async step(name, title, run) {
      const start = performance.now()
      let result: StepResult
      try {
        result = { name, ok: true, detail: await run() }
      } catch (error) {
        result = { name, ok: false, detail: explain(error) }
      }
      steps.push(result)
      const mark = result.ok ? pc.green('✓') : pc.red('✗')
      const time = pc.dim(`${((performance.now() - start) / 1000).toFixed(1)} s`)
      write(`${mark} ${title} ${time}`)
      for (const line of result.detail.split('\n')) write(`    ${line}`)
      return result.ok
    },
  }
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof StepFailed) return error.message
  const { code } = error as { code?: unknown }
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : ''
  return `${typeof code === 'string' ? `${code}: ` : ''}${error.message}${cause}`
}

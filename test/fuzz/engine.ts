/**
 * The fuzzing engine: runs a parser on mutated valid inputs.
 *
 * A mutant with a new result is added to the inputs for further mutations, so the search goes on where the parser
 * behaves in a new way.
 */
import { Worker } from 'node:worker_threads'

import { keepFailure, seed } from '../../scripts/test-effort.ts'
import { AssentError } from '../../src/errors/index.ts'
import { Rejection } from '../../src/quote/verdict.ts'
import { createRandom, type Random } from './random.ts'

export interface Target<I, O> {
  readonly name: string
  readonly seeds: readonly I[]
  readonly mutate: (input: I, random: Random) => I
  readonly parse: (input: I) => O | Promise<O>
  /** Checks an accepted input. Returns what is wrong, or undefined. */
  readonly doubt: (output: O, input: I) => string | undefined | Promise<string | undefined>
  /** Share of the inputs, below 1 for slow parsers. */
  readonly weight?: number
}

export interface FuzzResult {
  readonly inputs: number
  readonly accepted: number
  readonly answers: number
  readonly slowestMs: number
  readonly faults: string[]
}

/** Longest time for one input, also on a busy machine. */
const MAX_MS = 3_000
/** After this time a thread ends the process, because the parser is in an endless loop. */
const HANG_MS = 60_000
const MAX_CORPUS = 400

export async function fuzz<I, O>(target: Target<I, O>, inputs: number): Promise<FuzzResult> {
  const random = createRandom(seed, target.name)
  const corpus = [...target.seeds]
  const answers = new Set<string>()
  const faults: string[] = []
  let accepted = 0
  let slowestMs = 0
  const watch = watchFor(target.name)
  for (const input of target.seeds) {
    const { name, fault } = await ask(target, input)
    answers.add(name)
    // the parser must accept the seeds
    if (name !== 'accepted' || fault !== undefined) faults.push(`a seed: ${name} ${fault ?? ''}`)
  }
  for (let index = 0; index < inputs && faults.length < 5; index++) {
    watch.tick(index)
    // half of the mutants start from valid inputs, half from inputs with a new result
    const parent = random.pick(random.chance(0.5) ? target.seeds : corpus)
    const input = target.mutate(parent, random)
    const start = performance.now()
    const { name, fault } = await ask(target, input)
    const elapsed = performance.now() - start
    slowestMs = Math.max(slowestMs, elapsed)
    if (name === 'accepted') accepted += 1
    const wrong = fault ?? (elapsed > MAX_MS ? `${Math.round(elapsed)} ms` : undefined)
    if (wrong !== undefined) {
      faults.push(`input ${index}: ${wrong}`)
      keepFailure(`fuzz-${target.name.replaceAll(/\W+/g, '-')}-${seed}-${index}`, {
        target: target.name,
        index,
        wrong,
        input: input instanceof Uint8Array ? Buffer.from(input).toString('hex') : input,
      })
    }
    if (!answers.has(name)) {
      answers.add(name)
      if (corpus.length < MAX_CORPUS) corpus.push(input)
    }
  }
  await watch.stop()
  return { inputs, accepted, answers: answers.size, slowestMs, faults }
}

/** Runs the parser once. Returns a name for the result, and the fault if there is one. */
async function ask<I, O>(
  { parse, doubt }: Target<I, O>,
  input: I,
): Promise<{ name: string; fault?: string }> {
  let output: O
  try {
    output = await parse(input)
  } catch (error) {
    if (error instanceof Rejection) return { name: error.verdict.code }
    if (error instanceof AssentError && error.code !== 'UNEXPECTED') {
      // numbers in a message are positions and lengths, so they do not make a new result
      const words = error.message.replaceAll(/\d+/g, '#').slice(0, 80)
      return { name: `${error.code} ${words}` }
    }
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { name: 'threw', fault: stack }
  }
  let fault: string | undefined
  try {
    fault = await doubt(output, input)
  } catch (error) {
    fault = `the other reader refuses: ${error instanceof Error ? error.message : String(error)}`
  }
  return fault === undefined ? { name: 'accepted' } : { name: 'accepted', fault }
}

/** Starts a thread that ends the process if the counter stops. Nothing else can stop an endless loop. */
function watchFor(name: string): { tick(index: number): void; stop(): Promise<unknown> } {
  const count = new Int32Array(new SharedArrayBuffer(4))
  const source = `
    const { workerData } = require('node:worker_threads')
    let last = -1
    setInterval(() => {
      const now = Atomics.load(workerData.count, 0)
      if (now === last) {
        require('node:fs').writeSync(2, workerData.name + ': input ' + now + ' of seed ' + workerData.seed + ' hangs\\n')
        process.kill(process.pid, 'SIGKILL')
      }
      last = now
    }, ${HANG_MS})`
  const worker = new Worker(source, { eval: true, workerData: { count, name, seed } })
  worker.unref()
  return { tick: (index) => Atomics.store(count, 0, index), stop: () => worker.terminate() }
}

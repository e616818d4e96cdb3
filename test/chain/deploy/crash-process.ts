/**
 * A deployment, or one task of Assent, in a process of its own that dies by SIGKILL where it is told to:
 * `node killed-process.ts <order in JSON>`. Its last line of output is what it came to, and in which steps.
 */
import { promises as files } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

import hre from 'hardhat'
import { type EIP1193Provider, http } from 'viem'

import { deploy } from '../../../src/deploy/deploy.ts'
import { liveEnvironment } from '../../tasks/environment.ts'
import { connect, hardhatArtifacts, testRules } from '../dao.ts'

export type StepKind = 'send' | 'write' | 'rename'

export interface Order {
  readonly url: string
  /** Of the record. */
  readonly folder: string
  /** The step that kills it; 0 = none. */
  readonly at: number
  /** `torn`: with half of a file written. */
  readonly when: 'before' | 'torn' | 'after'
  /** Steps are sent transactions; `all`: also operations on files of `folder`. */
  readonly counts: 'sends' | 'all'
  /** A task and its arguments; the deployment if absent. */
  readonly task?: readonly [name: string, args: Readonly<Record<string, unknown>>]
}

const order = JSON.parse(process.argv[2] ?? '') as Order
const steps: StepKind[] = []

async function step<T>(kind: StepKind, whole: () => Promise<T>, half = whole): Promise<T> {
  const isHere = steps.push(kind) === order.at
  if (isHere && order.when === 'before') die()
  const done = await (isHere && order.when === 'torn' ? half : whole)()
  if (isHere) die()
  return done
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // the signal comes between two instructions; nothing more may happen
  for (;;);
}

function sending(request: EIP1193Provider['request']): EIP1193Provider['request'] {
  return ((args: { method: string }) =>
    args.method === 'eth_sendTransaction'
      ? step('send', () => request(args as never))
      : request(args as never)) as EIP1193Provider['request']
}

if (order.counts === 'all') {
  const { writeFile, rename } = files
  const isOurs = (file: unknown) => String(file).startsWith(order.folder)
  files.writeFile = (file, data, options) => {
    const write = (content: typeof data) => writeFile(file, content, options)
    if (!isOurs(file)) return write(data)
    const text = String(data)
    return step(
      'write',
      () => write(data),
      () => write(text.slice(0, text.length / 2)),
    )
  }
  files.rename = (from, to) =>
    isOurs(to) ? step('rename', () => rename(from, to)) : rename(from, to)
  syncBuiltinESMExports()
}

async function deployed(): Promise<unknown> {
  const request = sending(http(order.url)({ retryCount: 0 }).request as EIP1193Provider['request'])
  const people = await connect({ request } as unknown as EIP1193Provider)
  return deploy({
    ...people.deployer,
    artifacts: hardhatArtifacts(hre),
    rules: testRules(people.voter, people.guardian),
    record: {
      folder: order.folder,
      commit: 'c0ffee',
      compiler: { version: '0.8.35', settings: {} },
    },
  })
}

async function ran(name: string, args: object): Promise<unknown> {
  const live = await liveEnvironment(order.url)
  // every request for the connection gets this one
  const { provider } = (await live.network.getOrCreate()) as unknown as {
    provider: EIP1193Provider
  }
  provider.request = sending(provider.request.bind(provider))
  const given = { deployments: order.folder, ...args }
  const result = await live.tasks.getTask(['assent', ...name.split(' ')]).run(given)
  if (result.success) return result.value
  throw result.error
}

const value = order.task === undefined ? await deployed() : await ran(...order.task)
console.log(
  JSON.stringify({ value, steps }, (_, each) => (typeof each === 'bigint' ? `${each}` : each)),
)

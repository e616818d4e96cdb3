/** The guests of a node, in a process of their own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'

import type { Ran, Run } from './client.ts'
import type { BenchNode } from './node.ts'

export interface Client {
  /** Sends the requests and waits for the last answer. */
  run(job: Run): Promise<Ran>
  stop(): void
}

/** Starts the guests of one node. */
export async function startClient({ identities, port }: BenchNode): Promise<Client> {
  const child = fork(new URL('./client.ts', import.meta.url))
  await once(child, 'message')
  child.send({ identities, port })
  return {
    run: async (job) => {
      child.send(job)
      const [ran] = (await once(child, 'message')) as [Ran | { failed: string }]
      if ('failed' in ran) throw new Error(ran.failed)
      return ran
    },
    stop: () => void child.kill(),
  }
}

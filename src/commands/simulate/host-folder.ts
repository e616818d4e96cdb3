/** The folder of a simulated host. Its secret is in the folder: anyone who can read it can act as this host. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { describeIssues } from '../../lib/config.ts'
import { makeFolder, readJson, replaceFile, writeNewFile } from '../../lib/files.ts'
import { createImage, type OsImage } from '../../tee/simulator/image.ts'
import type { Platform } from '../../tee/simulator/platform.ts'
import { createSimulator, type Simulator } from '../../tee/simulator/simulator.ts'

const fileName = 'simulator.json'

const hostSchema = z.strictObject({
  seed: z.string().regex(/^[0-9a-f]{64}$/, '32 bytes of hex'),
  /** Unix seconds for which collateral is issued. */
  at: z.int(),
  /** Name of the host. */
  name: z.string().max(64).default('try-out'),
  /** Name of the base image that it boots. */
  image: z.string().max(64).default('assent-sim-1.0.0'),
})

/** Settings that the folder stores. */
export type HostSettings = z.output<typeof hostSchema>

/** A simulated TDX host that a folder stores: the seed of its simulator, its host and its base image. */
export interface SimulatedHost {
  readonly simulator: Simulator
  readonly host: Platform
  readonly image: OsImage
}

/** @throws FILE_UNREADABLE, INPUT_INVALID */
export async function readSimulatedHost(folder: string): Promise<SimulatedHost> {
  const file = join(folder, fileName)
  const parsed = hostSchema.safeParse(await readJson(file, 'INPUT_INVALID'))
  if (parsed.success) return start(parsed.data)
  throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`, {
    facts: { file },
  })
}

/** Creates the folder and a host in it. @throws FILE_EXISTS, FILE_UNWRITABLE */
export async function writeSimulatedHost(
  folder: string,
  given: Partial<HostSettings> = {},
  { isNew = true }: { readonly isNew?: boolean } = {},
): Promise<SimulatedHost> {
  const file = join(folder, fileName)
  const settings = hostSchema.parse({
    seed: toHex(new Uint8Array(randomBytes(32))),
    at: systemClock(),
    ...given,
  })
  await makeFolder(folder)
  const write = isNew ? writeNewFile : replaceFile
  await write(file, `${JSON.stringify(settings)}\n`, { mode: 0o600 })
  return start(settings)
}

/** The host of the folder; a new one if the folder is empty. @throws FILE_UNREADABLE, INPUT_INVALID, FILE_UNWRITABLE */
export async function openSimulatedHost(folder: string): Promise<SimulatedHost> {
  return writeSimulatedHost(folder).catch((error: unknown) => {
    if (error instanceof AssentError && error.code === 'FILE_EXISTS')
      return readSimulatedHost(folder)
    throw error
  })
}

function start({ seed, at, name, image }: HostSettings): SimulatedHost {
  const simulator = createSimulator({ seed: fromHex(seed, 'seed', 32), at })
  return {
    simulator,
    host: simulator.createPlatform({ name }),
    image: createImage({ name: image }),
  }
}

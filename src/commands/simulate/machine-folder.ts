/** The folder of a simulated machine. Its secret is in the folder: anyone who can read it can act as this machine. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { describeIssues } from '../../lib/config.ts'
import { readJson, replaceFile, writeNewFile } from '../../lib/files.ts'
import { createImage, type OsImage } from '../../tee/simulator/image.ts'
import type { Platform } from '../../tee/simulator/platform.ts'
import { createSimulator, type Simulator } from '../../tee/simulator/simulator.ts'

const fileName = 'simulator.json'

const machineSchema = z.strictObject({
  seed: z.string().regex(/^[0-9a-f]{64}$/, '32 bytes of hex'),
  /** Unix seconds for which collateral is issued. */
  at: z.int(),
  /** Name of the host. */
  name: z.string().max(64).default('try-out'),
  /** Name of the base image that it boots. */
  image: z.string().max(64).default('assent-sim-1.0.0'),
})

/** What the folder stores. */
export type MachineSettings = z.output<typeof machineSchema>

/** A simulated TDX machine that a folder stores: the seed of its simulator, its host and its base image. */
export interface SimulatedMachine {
  readonly simulator: Simulator
  readonly host: Platform
  readonly image: OsImage
}

/** @throws FILE_UNREADABLE, INPUT_INVALID */
export async function readMachine(folder: string): Promise<SimulatedMachine> {
  const file = join(folder, fileName)
  const parsed = machineSchema.safeParse(await readJson(file, 'INPUT_INVALID'))
  if (parsed.success) return start(parsed.data)
  throw new AssentError('INPUT_INVALID', `${file}: ${describeIssues(parsed.error)}`, {
    facts: { file },
  })
}

/** Makes the folder and a machine in it. @throws FILE_EXISTS, FILE_UNWRITABLE */
export async function writeMachine(
  folder: string,
  given: Partial<MachineSettings> = {},
  { isNew = true }: { readonly isNew?: boolean } = {},
): Promise<SimulatedMachine> {
  const file = join(folder, fileName)
  const settings = machineSchema.parse({
    seed: toHex(new Uint8Array(randomBytes(32))),
    at: systemClock(),
    ...given,
  })
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new AssentError('FILE_UNWRITABLE', `Cannot make ${folder}.`, { cause, facts: { folder } })
  })
  const write = isNew ? writeNewFile : replaceFile
  await write(file, `${JSON.stringify(settings)}\n`, { mode: 0o600 })
  return start(settings)
}

/** The machine of the folder; a new one if it has none. @throws FILE_UNREADABLE, INPUT_INVALID, FILE_UNWRITABLE */
export async function openMachine(folder: string): Promise<SimulatedMachine> {
  return writeMachine(folder).catch((error: unknown) => {
    if (error instanceof AssentError && error.code === 'FILE_EXISTS') return readMachine(folder)
    throw error
  })
}

function start({ seed, at, name, image }: MachineSettings): SimulatedMachine {
  const simulator = createSimulator({ seed: fromHex(seed, 'seed', 32), at })
  return {
    simulator,
    host: simulator.createPlatform({ name }),
    image: createImage({ name: image }),
  }
}

/** For Hardhat's config in a copy with marked contracts: writes down the ways that networks of this process take. */
import { appendFileSync } from 'node:fs'

import type { HardhatPlugin } from 'hardhat/types/plugins'

/** `ASSENT_MARKS`: a file to which each number is added, once a process. */
const file = process.env.ASSENT_MARKS
const seen = new Set<string>()

const listener: HardhatPlugin = {
  id: 'assent-marks-listener',
  hookHandlers: {
    network: async () => ({
      default: async () => ({
        async onCoverageData(_context, tags) {
          for (const tag of tags) {
            if (file === undefined || seen.has(tag)) continue
            seen.add(tag)
            appendFileSync(file, `${BigInt(`0x${tag}`)}\n`)
          }
        },
      }),
    }),
  },
}

export default listener

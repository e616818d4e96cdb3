/** For Hardhat's config in a copy with marked contracts: writes down the ways that networks of this process take. */
import { appendFileSync } from 'node:fs'

import type { HardhatPlugin } from 'hardhat/types/plugins'

/** `ASSENT_COVERAGE_FILE`: a file to which each number is added, once a process. */
const file = process.env.ASSENT_COVERAGE_FILE
const seen = new Set<string>()

const listener: HardhatPlugin = {
  id: 'assent-coverage-listener',
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

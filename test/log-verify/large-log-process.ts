/** Runs `assent log verify FOLDER --root-key KEY` and sends what it cost. Start it with `fork`. */
import { main } from '../../src/cli/main.ts'

export interface VerificationCost {
  /** As the command reports them. */
  readonly entries: number
  /** Largest memory of the process, bytes. */
  readonly maxRss: number
  /** Of the command alone. */
  readonly cpuSeconds: number
}

const [folder = '', rootKey = ''] = process.argv.slice(2)
const lines: string[] = []
console.log = (line: unknown) => void lines.push(String(line))
const before = process.cpuUsage()
await main(['log', 'verify', folder, '--root-key', rootKey, '--json'])
const { user, system } = process.cpuUsage(before)
const { holds, entries } = JSON.parse(lines.join('\n'))
if (holds !== true) throw new Error(lines.join('\n'))
const cost: VerificationCost = {
  entries,
  maxRss: process.resourceUsage().maxRSS * 1024,
  cpuSeconds: (user + system) / 1e6,
}
process.send?.(cost)

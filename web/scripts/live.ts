/** Serves the dashboard over a chain with random history, to look at it while it is changed: `node scripts/live.ts`. */
import { startStack } from '../test/stack.ts'

const stack = await startStack({ blocks: Number(process.argv[2] ?? 20) })
console.log(stack.url)
process.once('SIGINT', () => void stack.stop().then(() => process.exit(0)))
process.once('SIGTERM', () => void stack.stop().then(() => process.exit(0)))

#!/usr/bin/env node
// @ts-check
/** Starts the command line: compiled in the published package, straight from the source in a clone. */
import { existsSync } from 'node:fs'

import { ensureModernNode } from './modern-node.js'

ensureModernNode()

const source = new URL('../src/cli/main.ts', import.meta.url)
const compiled = new URL('../dist/cli/main.js', import.meta.url)

const { main } = await import((existsSync(source) ? source : compiled).href)
process.exitCode = await main(process.argv.slice(2))

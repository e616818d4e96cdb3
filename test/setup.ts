import 'reflect-metadata'
import fc from 'fast-check'
import { afterAll, vi } from 'vitest'

import { isNightly, seed } from '../scripts/test-effort.ts'
import { killLeftChildren } from './child-process.ts'

// every day other inputs; a night's can be had again
if (isNightly) fc.configureGlobal({ seed })

// the reporter has read it; programs that tests start print plain text
delete process.env.FORCE_COLOR

// test files share a process: what one sets must not reach the next
afterAll(() => {
  vi.unstubAllEnvs()
  killLeftChildren()
})

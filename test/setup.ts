import 'reflect-metadata'
import fc from 'fast-check'

import { isNightly, seed } from '../scripts/test-effort.ts'

// every day other inputs; a night's can be had again
if (isNightly) fc.configureGlobal({ seed })

import 'reflect-metadata'
import fc from 'fast-check'

import { isNightly, seed } from '../scripts/intensity.ts'

// every day other inputs; a night's can be had again
if (isNightly) fc.configureGlobal({ seed })

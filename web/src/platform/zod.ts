/** Imported first: zod must not try `eval`, which the page's policy forbids and would report. */
import { z } from 'zod'

z.config({ jitless: true })

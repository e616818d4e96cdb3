/** The findings of a doctor, as lines and as a JSON value. */
import { z } from 'zod'
import { type DoctorFinding, exitCodeOf } from '../../lib/doctor-finding.ts'
import type { ExitCode } from '../exit-code.ts'
import { colors as pc } from './colors.ts'
import type { Output } from './output.ts'

/** JSON form of the findings of a doctor. */
export const findingsSchema = z.strictObject({
  isFit: z.boolean(),
  findings: z.array(
    z.strictObject({
      check: z.string(),
      status: z.enum(['ok', 'warning', 'failed']),
      found: z.string(),
      nextStep: z.string().nullable().describe('the next step'),
    }),
  ),
})

/** `isFit` is false if a finding failed; warnings do not count. */
export type Findings = z.infer<typeof findingsSchema>

/** Prints one or two lines for each finding, and returns the JSON value. */
export function printFindings(output: Output, findings: readonly DoctorFinding[]): Findings {
  for (const line of findings.flatMap(describe)) output.line(line)
  return { isFit: exitCodeOf(findings) === 0, findings: [...findings] }
}

/** 1 if something is not fit. */
export function exitCodeOfFindings({ isFit }: Findings): ExitCode {
  return isFit ? 0 : 1
}

const marks = { ok: pc.green('ok     '), warning: pc.yellow('warning'), failed: pc.red('FAILED ') }

function describe({ check, status, found, nextStep }: DoctorFinding): string[] {
  const line = `${marks[status]} ${check}: ${found}`
  return nextStep === null ? [line] : [line, `        ${pc.dim(nextStep)}`]
}

/** What a doctor found, as lines or as one JSON object. */
import { type DoctorFinding, exitCodeOf } from '../lib/doctor-finding.ts'
import { colors as pc } from './colors.ts'

/** Prints the findings; the exit code becomes 1 if something is not fit. */
export function showFindings(findings: readonly DoctorFinding[], asJson: boolean): void {
  process.exitCode = exitCodeOf(findings)
  if (asJson) console.log(JSON.stringify({ isFit: process.exitCode === 0, findings }))
  else for (const finding of findings) console.log(describe(finding))
}

const marks = { ok: pc.green('ok     '), warning: pc.yellow('warning'), failed: pc.red('FAILED ') }

function describe({ check, status, found, nextStep }: DoctorFinding): string {
  const line = `${marks[status]} ${check}: ${found}`
  return nextStep === null ? line : `${line}\n        ${pc.dim(nextStep)}`
}

/** Findings about a manifest, as lines and as JSON. */
import { z } from 'zod'

import { escapeText } from '../../lib/printable.ts'
import type { ManifestFinding } from '../../manifest/finding.ts'
import { colors as pc } from './colors.ts'
import type { Output } from './output.ts'

/** JSON form of the findings of the manifest linter. */
export const manifestFindingsSchema = z.array(
  z.strictObject({
    code: z.string(),
    severity: z.enum(['error', 'warning', 'note']),
    place: z.string().describe('member of the manifest or of its Compose file'),
    found: z.string(),
    nextStep: z.string().describe('the next step'),
  }),
)

const marks = { error: pc.red('error  '), warning: pc.yellow('warning'), note: pc.dim('note   ') }

/** Prints each finding with its place and its next step. */
export function printManifestFindings(output: Output, findings: readonly ManifestFinding[]): void {
  for (const { severity, code, place, found, nextStep } of findings) {
    const at = place === '' ? '' : `${escapeText(place)}: `
    output.line(`${marks[severity]} ${at}${escapeText(found)} (${code})`)
    output.line(`        ${pc.dim(nextStep)}`)
  }
}

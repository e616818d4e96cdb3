/** JSON for another program: written to a file, or printed. */
import { replaceFile } from '../../lib/files.ts'
import type { Output } from './output.ts'

/** @param file undefined: print it */
export async function printOrWrite(
  output: Output,
  value: unknown,
  file: string | undefined,
): Promise<void> {
  const json = JSON.stringify(value, null, 2)
  if (file === undefined) {
    output.verbatim(json)
    return
  }
  await replaceFile(file, `${json}\n`)
  output.line(`Written to ${file}`)
}

/** JSON for another program: written to a file, or printed. */
import { replaceFile } from '../../lib/files.ts'
import type { Output } from './output.ts'

/**
 * @param file undefined: print it
 * @param title names the value for people; default: only the file is named
 * @throws FILE_UNWRITABLE
 */
export async function printOrWrite(
  output: Output,
  value: unknown,
  file: string | undefined,
  title?: string,
): Promise<void> {
  const json = JSON.stringify(value, null, 2)
  if (file === undefined) {
    if (title !== undefined) output.line(`${title}:`)
    output.verbatim(json)
    return
  }
  await replaceFile(file, `${json}\n`)
  output.line(title === undefined ? `Written to ${file}` : `${title}: ${file}`)
}

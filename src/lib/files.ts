/** Files that were named by whoever runs us: what cannot be read is an error that says which. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import { AssentError, type ErrorCode } from '../errors/index.ts'

/** @throws FILE_UNREADABLE */
export async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
}

/** @throws FILE_UNREADABLE, or `code` */
export async function readJson(file: string, code: ErrorCode = 'CONFIG_INVALID'): Promise<unknown> {
  const bytes = await readBytes(file)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AssentError(code, `${file} is not JSON.`, { cause, facts: { file } })
  }
}

/**
 * Certificates in PEM, to be trusted.
 *
 * @throws FILE_UNREADABLE, CONFIG_INVALID
 */
export async function readCertificates(file: string): Promise<string> {
  const text = (await readBytes(file)).toString('utf8')
  if (!isPemCertificates(text)) {
    throw new AssentError('CONFIG_INVALID', `${file} holds no certificates in PEM.`, {
      facts: { file },
    })
  }
  return text
}

/** Whether each PEM block of a text is an X.509 certificate, and there is one. */
export function isPemCertificates(text: string): boolean {
  const blocks = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? []
  try {
    return blocks.length > 0 && blocks.every((block) => new X509Certificate(block).raw.length > 0)
  } catch {
    return false
  }
}

/** Reads evidence from where the command line points: a file, standard input, or a running server. */
import { access } from 'node:fs/promises'

import { maxEvidenceBytes, type QuoteEvidence, readEvidence } from '../../audit/evidence.ts'
import {
  parseServerAddress,
  readServerCertificates,
  type ServerAddress,
} from '../../audit/server-certificate.ts'
import { AssentError } from '../../errors/index.ts'
import { readBytes } from '../../lib/files.ts'

/** Evidence, and what it was read from. */
export interface LocatedEvidence extends QuoteEvidence {
  /** The server that holds the private key of the certificate; absent for a file. */
  readonly server?: ServerAddress
  /** Certificates that the server sent, DER, its own first. */
  readonly chain?: readonly Uint8Array[]
}

/**
 * @param place path, `-`, or the address of a server
 * @throws QUOTE_AMBIGUOUS if a file is named like an address; FILE_UNREADABLE, SERVER_UNREACHABLE and the errors of
 *   `readEvidence`
 */
export async function readEvidenceAt(place: string): Promise<LocatedEvidence> {
  if (place === '-') return readEvidence(await collect(process.stdin))
  const server = parseServerAddress(place)
  if (server === undefined)
    return readEvidence(new Uint8Array(await readBytes(place, maxEvidenceBytes)))
  if (await isThere(place)) {
    throw new AssentError('QUOTE_AMBIGUOUS', `${place} is a file and reads like an address.`, {
      facts: { place },
      hint: `Write ./${place} for the file, or https://${place} for the server.`,
    })
  }
  return readServerEvidence(server)
}

/** The evidence in the certificate of a running server. @throws SERVER_UNREACHABLE, QUOTE_MISSING */
export async function readServerEvidence(server: ServerAddress): Promise<LocatedEvidence> {
  const chain = await readServerCertificates(server)
  return { ...(await readEvidence(chain[0] as Uint8Array)), server, chain }
}

async function isThere(place: string): Promise<boolean> {
  return access(place).then(
    () => true,
    () => false,
  )
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of stream) {
    pieces.push(piece)
    size += piece.length
    if (size > maxEvidenceBytes) {
      throw new AssentError('INPUT_TOO_LARGE', 'Standard input is larger than 24 MiB.', {
        facts: { expected: `at most ${maxEvidenceBytes}` },
      })
    }
  }
  return new Uint8Array(Buffer.concat(pieces))
}

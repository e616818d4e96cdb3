import { AssentError } from '../errors/index.ts'
import { colors as pc } from './colors.ts'

/** Shows an error: code, sentence, what to do; as one JSON object where a machine asked. */
export function reportError(error: unknown, json: boolean): void {
  const known =
    error instanceof AssentError
      ? error
      : new AssentError('UNEXPECTED', error instanceof Error ? error.message : String(error), {
          cause: error,
        })
  if (json) {
    console.log(JSON.stringify({ error: known.toJSON() }))
    return
  }
  console.error(`${pc.red(known.code)} ${known.message}`)
  console.error(pc.dim(known.hint))
  if (known.code === 'UNEXPECTED' && error instanceof Error)
    console.error(pc.dim(error.stack ?? ''))
}

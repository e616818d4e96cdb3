/** Names of container images, by the grammar of the distribution project (`reference` package). */
import { AssentError } from '../errors/index.ts'

/** An image name in its parts, with Docker's defaults filled in. */
export interface ImageReference {
  /** Host name of the registry, with a port if there is one. */
  readonly registry: string
  /** Path within the registry, such as `library/nginx`. */
  readonly repository: string
  /** Undefined if the name has no such part. */
  readonly tag: string | undefined
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string | undefined
}

/** Host of Docker Hub's registry; images without a host are there. */
export const dockerHub = 'docker.io'

const part = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const hostName = `${label}(?:\\.${label})*(?::[0-9]{1,5})?`
const grammar = new RegExp(
  `^(?:(${hostName})/)?(${part}(?:/${part})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`,
)
/** Most characters of a host and a repository in that grammar. */
const maxName = 255

/**
 * Parses the name of an image. The first part is a host if it has a dot or a port, or is `localhost`, as in Docker.
 *
 * @throws IMAGE_REFERENCE_INVALID
 * @example parseImageReference('nginx:1.29') // { registry: 'docker.io', repository: 'library/nginx', tag: '1.29', … }
 */
export function parseImageReference(text: string): ImageReference {
  const [first = '', ...rest] = text.slice(0, maxName + 256).split('/')
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  const full = isHost ? text : `${dockerHub}/${text}`
  const [, registry = '', path = '', tag, digest] = grammar.exec(full) ?? []
  if (path === '' || registry.length + path.length > maxName) {
    throw new AssentError('IMAGE_REFERENCE_INVALID', `${text} is not the name of an image.`, {
      facts: { found: text },
    })
  }
  const isOfficial = registry === dockerHub && !path.includes('/')
  return { registry, repository: isOfficial ? `library/${path}` : path, tag, digest }
}

/** Whether a text names an image by its digest, so that nobody can deliver another one. */
export function isPinned(text: string): boolean {
  try {
    return parseImageReference(text).digest !== undefined
  } catch {
    return false
  }
}

/** Variables that Docker Compose puts into the values of a file (Compose Specification, 12-interpolation). */

/** A variable of a Compose file. */
export interface UsedVariable {
  /** Name without `$` and braces. */
  readonly name: string
  /** Where it is used, such as `services.web.environment.TOKEN`. */
  readonly place: string
  /** Whether the file gives a value for the case that the variable is not set. */
  readonly hasDefault: boolean
}

/**
 * All variables in the texts of a value: `$NAME`, `${NAME}` and `${NAME:-default}`. `$$` is a dollar sign. Names in
 * `environment` without a value come from the environment too.
 *
 * @example usedVariables({ services: { web: { command: 'run ${TOKEN}' } } })
 * // [{ name: 'TOKEN', place: 'services.web.command', hasDefault: false }]
 */
export function usedVariables(value: unknown, place = ''): UsedVariable[] {
  if (typeof value === 'string') return inText(value, place)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, each]) => {
    const inner = place === '' ? key : `${place}.${key}`
    const isEnvironment = /^services\.[^.]+\.environment$/.test(place)
    return [
      ...(isEnvironment ? passedThrough(key, each, inner) : []),
      ...usedVariables(each, inner),
    ]
  })
}

/** `environment: [NAME]` and `environment: { NAME: }` take the value from the environment. */
function passedThrough(key: string, value: unknown, place: string): UsedVariable[] {
  const isListed = typeof value === 'string' && /^[0-9]+$/.test(key) && !value.includes('=')
  if (isListed && isVariableName(value)) return [{ name: value, place, hasDefault: false }]
  if (value === null && isVariableName(key)) return [{ name: key, place, hasDefault: false }]
  return []
}

/** Names that the guest accepts. */
export function isVariableName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) && text.length <= 255
}

function inText(text: string, place: string): UsedVariable[] {
  const found: UsedVariable[] = []
  const pattern = /\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)(:?[-+?])?|([A-Za-z_][A-Za-z0-9_]*))/g
  for (const [, escaped, braced, operator, plain] of text.matchAll(pattern)) {
    const name = braced ?? plain
    if (escaped !== undefined || name === undefined) continue
    found.push({ name, place, hasDefault: /[-+]$/.test(operator ?? '') })
  }
  return found
}

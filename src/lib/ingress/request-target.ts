/** Request targets in one spelling, so that limits, routes and logs read the same path. */

const base = 'http://host'

/**
 * Tells if a request target is in origin form (RFC 9112, section 3.2.1) and normal: no dot segments, no fragment, no
 * backslash, no percent-encoding in the path. Percent-encoding in the query is allowed.
 *
 * @example isNormalTarget('/prpc/KMS.GetMeta?json') // true
 * @example isNormalTarget('/prpc/../metrics') // false
 */
export function isNormalTarget(target: string): boolean {
  if (!target.startsWith('/')) return false
  const { origin, pathname, search } = URL.parse(target, base) ?? {}
  if (origin !== base || pathname === undefined || pathname.includes('%')) return false
  return target === `${pathname}${search}` || target === `${pathname}?`
}

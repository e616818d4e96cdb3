/**
 * Returns the Unix time in whole seconds. Passed as an argument, so that tests and the demo can set the time.
 *
 * A host can set it, so it is for dates only: a duration is measured by `performance.now()`.
 */
export type Clock = () => number

/** The clock of this host. */
export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

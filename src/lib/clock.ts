/** Returns the Unix time in whole seconds. Passed as an argument, so that tests and the demo can set the time. */
export type Clock = () => number

/** The clock of this host. */
export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

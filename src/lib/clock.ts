/** Unix time in whole seconds. Handed in, so that a test or the demo can set it. */
export type Clock = () => number

export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

export const relayerErrors = {} as const

export const chainErrors = {} as const

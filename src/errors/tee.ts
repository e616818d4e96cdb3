export const teeErrors = {} as const

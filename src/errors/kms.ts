export const kmsErrors = {} as const

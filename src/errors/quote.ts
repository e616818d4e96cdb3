export const quoteErrors = {} as const

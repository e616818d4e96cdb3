/** The option of every command that reads the settings of a KMS. */
export const kmsConfigOption = [
  '--config <file>',
  'JSON file with the settings; ASSENT_KMS_* variables win over it',
] as const

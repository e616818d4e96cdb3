/** Bytes, numbers, files and configuration: errors of every part. */
export const commonErrors = {
  HEX_INVALID: {
    why: 'A value that must be hexadecimal has another character, an odd number of digits or no 0x where one is required.',
    fix: 'Pass the bytes as an even number of hexadecimal digits.',
  },
  LENGTH_WRONG: {
    why: 'A value of fixed width has another length. Assent never pads or cuts.',
    fix: 'Pass exactly the stated number of bytes.',
  },
  INPUT_INVALID: {
    why: 'A request or file has a missing, unknown or wrong field.',
    fix: 'Correct the field named in the message.',
  },
  INPUT_TOO_LARGE: {
    why: 'The input is larger than any valid one could be.',
    fix: 'Check that the right file or body was sent.',
  },
  FILE_UNREADABLE: {
    why: 'A file does not exist or cannot be read by this user.',
    fix: 'Check the path and its permissions.',
  },
  CONFIG_INVALID: {
    why: 'The configuration lacks a value or has an unknown or wrong one. A service does not start on a guess.',
    fix: 'Correct the named setting in the file or the environment.',
  },
  SERVICE_NOT_READY: {
    why: 'The service has not found out within 5 seconds whether it could answer a request.',
    fix: 'Ask again; if it stays so, an endpoint, the agent or a collateral service hangs: `assent kms doctor` looks at each.',
  },
  UNEXPECTED: {
    why: 'An error that nobody foresaw: a bug of Assent or of a library.',
    fix: 'Report it with the message and the log around it.',
  },
} as const

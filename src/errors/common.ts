/** Errors that every part of Assent can throw: bytes, files, configuration. */
export const commonErrors = {
  HEX_INVALID: {
    why: 'A hexadecimal value contains another character, has an odd number of digits, or lacks a required 0x.',
    fix: 'Pass an even number of hexadecimal digits.',
  },
  LENGTH_WRONG: {
    why: 'A value with a fixed number of bytes has another length. Assent never pads or cuts a value.',
    fix: 'Pass exactly the stated number of bytes.',
  },
  INPUT_INVALID: {
    why: 'A request or a file has a missing, unknown or wrong field.',
    fix: 'Correct the field named in the message.',
  },
  INPUT_TOO_LARGE: {
    why: 'The input is larger than any valid input.',
    fix: 'Check that you sent the right file or body.',
  },
  FILE_UNREADABLE: {
    why: 'A file does not exist or cannot be read by this user.',
    fix: 'Check the path and its permissions.',
  },
  FILE_EXISTS: {
    why: 'The output file exists already, and replacing it could lose work.',
    fix: 'Choose another file, or pass the option that replaces it.',
  },
  FILE_UNWRITABLE: {
    why: 'A file cannot be written: its folder does not exist, or this user has no permission.',
    fix: 'Check the path and its permissions.',
  },
  CONFIG_INVALID: {
    why: 'A setting is missing, unknown or wrong. A service does not start with an incomplete configuration.',
    fix: 'Correct the setting named in the message, in the file or in the environment.',
  },
  SERVICE_NOT_READY: {
    why: 'The readiness check did not finish within 5 seconds.',
    fix: 'Ask again. If this repeats, an RPC endpoint, the agent or a PCCS does not answer; `assent kms doctor` checks each of them.',
  },
  KEYSTORE_INVALID: {
    why: 'The keystore is not a Web3 Secret Storage file of version 3 with a supported cipher.',
    fix: 'Create one with any Ethereum tool (scrypt or PBKDF2, AES-128-CTR).',
  },
  KEYSTORE_PASSWORD: {
    why: 'The password does not decrypt the keystore.',
    fix: 'Check the password. In a password file, one line break at the end is ignored, nothing else.',
  },
  SIGNER_UNREACHABLE: {
    why: 'The external signer does not answer, answers too late, or does not answer like a signer.',
    fix: 'Check its address, that it runs (web3signer in `eth1` mode) and that nobody has to unlock or confirm something. A relayer keeps its intents until the signer answers.',
  },
  SIGNER_REFUSED: {
    why: 'The external signer refused to sign, or the person at it declined.',
    fix: 'Read the reason in the message. Nothing was sent.',
  },
  SIGNER_WRONG: {
    why: 'The signer has another key, or returned a signature of another account.',
    fix: 'Check the configured account against the keys of the signer.',
  },
  UNEXPECTED: {
    why: 'Unexpected error: a bug in Assent or in a library.',
    fix: 'Report it with the message and the surrounding log lines.',
  },
} as const

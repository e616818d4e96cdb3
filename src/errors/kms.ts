export const kmsErrors = {
  KMS_SCALAR_OUT_OF_RANGE: {
    why: 'A derived P-256 scalar is not a valid private key; this happens about once in 2^32 derivations.',
    fix: 'Nothing can be done for this app id; register the app under another id.',
  },
  KMS_SIGNATURE_INVALID: {
    why: 'A secp256k1 signature is malformed: no public key could have made it.',
    fix: 'Take the signature as the KMS returned it (r, s, recovery id 0 or 1).',
  },
  KMS_CERTIFICATE_INVALID: {
    why: 'A certificate is not X.509, has trailing bytes, or a dstack extension in it is malformed or repeated.',
    fix: 'Mint the certificate again, following spec section 4.2 and 4.3 of the dstack protocol.',
  },
  KMS_KEY_INVALID: {
    why: 'A private key is not a P-256 key in the one PKCS#8 form that dstack writes.',
    fix: 'Use the key file that the KMS wrote; do not convert it with other tools.',
  },
  KMS_KEYS_UNREADABLE: {
    why: 'The file of root keys is damaged, is of the other protection kind, or was sealed by another CVM.',
    fix: 'Restore the file, or run the CVM that sealed it; a KMS never makes new root keys over old ones.',
  },
  KMS_KEYS_UNWRITABLE: {
    why: 'The root keys could not be stored durably, so none are used.',
    fix: 'Check the folder, its permissions and the free space, then start again.',
  },
  KMS_KEYS_EXPOSED: {
    why: 'The file of root keys may be read by other users of the machine.',
    fix: 'Treat the keys as leaked if others had access; else set the file’s mode to 0600.',
  },
  KMS_KEYS_EXIST: {
    why: 'A bootstrap was asked for where root keys already exist.',
    fix: 'Start the KMS with the existing keys; use another folder for another KMS.',
  },
} as const

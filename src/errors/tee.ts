/** Errors of quote sources (guest agent, configfs) and of the formats of dstack attestations. */
export const teeErrors = {
  TEE_UNAVAILABLE: {
    why: 'The quote source does not answer: the socket or the configfs entry is missing, or the connection was refused.',
    fix: 'Check that this process runs inside a CVM and that the agent socket or configfs-tsm is mounted.',
  },
  TEE_TIMEOUT: {
    why: 'The quote source did not answer in time.',
    fix: 'Try again. If this repeats, read the logs of the guest agent and of the quote generation service on the host.',
  },
  TEE_REFUSED: {
    why: 'The quote source answered with an error.',
    fix: 'Read the reason in the message. It comes from the guest agent or from the kernel.',
  },
  TEE_ANSWER_INVALID: {
    why: 'The response of the quote source does not follow the protocol.',
    fix: 'Check that the socket belongs to a dstack guest agent of a supported version.',
  },
  TEE_REPORT_DATA_MISMATCH: {
    why: 'The quote source returned a quote with other report data than requested.',
    fix: 'Do not use this source. It is faulty or replays quotes.',
  },
  TEE_CONCURRENT_USE: {
    why: 'Another process wrote to the same configfs report entry while the quote was generated.',
    fix: 'Try again. Give each process its own entry name.',
  },
  TEE_KEY_UNAVAILABLE: {
    why: 'A key was requested from the agent before the app received its keys from a KMS.',
    fix: 'Wait until the CVM has booted with a key provider.',
  },
  ATTESTATION_MALFORMED: {
    why: 'A versioned attestation is truncated, has trailing bytes, or does not follow its format.',
    fix: 'Pass the attestation as the guest agent returned it or as the certificate contains it.',
  },
  ATTESTATION_UNSUPPORTED: {
    why: 'A versioned attestation is well-formed, but does not come from a dstack CVM on Intel TDX.',
    fix: 'Create the attestation in a TDX CVM. Other platforms are not accepted.',
  },
  OS_IMAGE_MEASUREMENT_MALFORMED: {
    why: 'The measurement document of a base image is not strict CBOR as in an image release.',
    fix: 'Pass the unchanged `measurement.tdx.cbor` of the release.',
  },
} as const

/** Where quotes come from, and what a dstack image measures to. */
export const teeErrors = {
  TEE_UNAVAILABLE: {
    why: 'The source of quotes does not answer: no socket, no configfs entry, connection refused.',
    fix: 'Check that this runs inside a CVM and that the agent socket or configfs-tsm is mounted.',
  },
  TEE_TIMEOUT: {
    why: 'The source of quotes did not answer in time.',
    fix: "Try again; if it stays, look at the guest agent's log and the host's quote service.",
  },
  TEE_REFUSED: {
    why: 'The source of quotes answered with an error.',
    fix: 'Read the reason in the message; it is the guest agent or the kernel that refused.',
  },
  TEE_ANSWER_INVALID: {
    why: 'The source of quotes answered with something that is not its protocol.',
    fix: 'Check that the socket belongs to a dstack guest agent of a supported version.',
  },
  TEE_REPORT_DATA_MISMATCH: {
    why: 'The source of quotes returned a quote over other report data than was asked for.',
    fix: 'Do not use this source; it is broken or replays quotes.',
  },
  TEE_CONCURRENT_USE: {
    why: 'Another process wrote to the same configfs report entry while the quote was made.',
    fix: 'Try again; give each process its own entry name.',
  },
  TEE_KEY_UNAVAILABLE: {
    why: 'The agent was asked for a key before the app had received its keys from a KMS.',
    fix: 'Wait until the CVM has booted with a key provider.',
  },
  ATTESTATION_MALFORMED: {
    why: 'A versioned attestation is cut off, has bytes too many, or is not of its format.',
    fix: 'Pass the attestation as the guest agent or the certificate carried it.',
  },
  ATTESTATION_UNSUPPORTED: {
    why: 'A versioned attestation is well-formed and not of an Intel TDX dstack guest.',
    fix: 'Attest from a TDX CVM; other platforms are not accepted.',
  },
  OS_IMAGE_MEASUREMENT_MALFORMED: {
    why: 'The measurement document of an OS image is not the strict CBOR that a release contains.',
    fix: 'Pass measurement.tdx.cbor of the release, unchanged.',
  },
} as const

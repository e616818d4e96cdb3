/**
 * Quotes, collateral, event logs, policy.
 *
 * Three tables keep three things apart that must never be confused: bytes that are not what they claim
 * to be (thrown), evidence that is well-formed and not believed (a `rejected` verdict), and believed
 * evidence that a relying party still does not want (thrown by `checkPolicy`).
 */

/** The input does not have the shape of its format. Always thrown, never a verdict. */
export const malformedErrors = {
  QUOTE_TOO_LARGE: {
    why: 'A quote or a piece of collateral is larger than any genuine one could be.',
    fix: 'Check that the right file was passed.',
  },
  QUOTE_TRUNCATED: {
    why: 'The quote ends inside the named field.',
    fix: 'Pass the quote whole, as the TEE produced it.',
  },
  QUOTE_VERSION_UNSUPPORTED: {
    why: 'The quote has a version other than 4 or 5.',
    fix: 'Pass a TDX quote of version 4 or 5; check that the input is a raw quote and not a wrapper.',
  },
  QUOTE_KEY_TYPE_UNSUPPORTED: {
    why: 'The attestation key is not of type 2 (ECDSA with P-256).',
    fix: 'Use a quoting enclave that signs with ECDSA P-256; Intel ships no other.',
  },
  QUOTE_TEE_TYPE_UNSUPPORTED: {
    why: 'The quote is not from TDX (TEE type 0x81).',
    fix: 'Pass a TDX quote; SGX quotes are not accepted.',
  },
  QUOTE_VENDOR_UNKNOWN: {
    why: "The quoting enclave's vendor id is not Intel's.",
    fix: "Use Intel's quoting enclave.",
  },
  QUOTE_BODY_TYPE_UNSUPPORTED: {
    why: 'A version 5 quote has a body other than TD report 1.0, 1.5 or 1.5 Ex.',
    fix: 'Pass a TDX quote whose body type is 2, 3 or 4.',
  },
  QUOTE_BODY_SIZE_WRONG: {
    why: 'The declared body size is not the size of the declared body type.',
    fix: 'Pass the quote as the TEE produced it.',
  },
  QUOTE_CERTIFICATION_TYPE_UNSUPPORTED: {
    why: 'The certification data is not a QE report (6) around a PCK certificate chain (5).',
    fix: 'Configure the quote provider to embed the PCK certificate chain.',
  },
  QUOTE_SIZE_MISMATCH: {
    why: 'A length inside the quote contradicts the lengths around it.',
    fix: 'Pass the quote as the TEE produced it.',
  },
  QUOTE_PEM_MALFORMED: {
    why: 'A certificate chain is not plain PEM: certificates only, base64 in lines of 64, nothing between.',
    fix: 'Pass the chain as Intel or the quote provider issued it.',
  },
  QUOTE_DER_MALFORMED: {
    why: 'A certificate or revocation list is not strict DER.',
    fix: 'Pass the document as its issuer signed it.',
  },
  QUOTE_CERTIFICATE_MALFORMED: {
    why: 'A certificate is DER but none of the shapes Intel issues for attestation.',
    fix: 'Pass the certificate chain that belongs to the quote or the collateral.',
  },
  QUOTE_CRL_MALFORMED: {
    why: 'A revocation list is DER but not a version 2 list as Intel issues it.',
    fix: 'Pass the DER revocation list as hex.',
  },
  QUOTE_COLLATERAL_MALFORMED: {
    why: 'The collateral lacks a field, has an unknown one, or one of the wrong type.',
    fix: 'Pass the nine fields of a QuoteCollateralV3 bundle.',
  },
  QUOTE_TCB_INFO_MALFORMED: {
    why: 'The TCB info is signed but is not a TDX TCB info of version 3 in compact JSON.',
    fix: 'Fetch the TCB info from /tdx/certification/v4/tcb and pass its exact bytes.',
  },
  QUOTE_QE_IDENTITY_MALFORMED: {
    why: 'The QE identity is signed but is not an enclave identity of version 2 in compact JSON.',
    fix: 'Fetch the QE identity from /tdx/certification/v4/qe/identity and pass its exact bytes.',
  },
  QUOTE_EVALUATION_NUMBERS_MALFORMED: {
    why: "Intel's list of TCB evaluation numbers has another form than version 1.",
    fix: 'Fetch it again, from another service.',
  },
  QUOTE_EVALUATION_NUMBERS_UNSIGNED: {
    why: 'The list of TCB evaluation numbers is not signed by the TCB signing certificate that came with it.',
    fix: 'Fetch it again, from another service: this one changed it or mixed two answers.',
  },
  EVENT_LOG_MALFORMED: {
    why: 'The event log is not a list of dstack events.',
    fix: 'Pass the event log as the guest agent gave it with the quote.',
  },
  EVENT_LOG_CONTRADICTORY: {
    why: 'The digest or preimage beside an event is not the one that its name and payload give.',
    fix: 'Fetch the quote and the event log again; a log that contradicts itself is not evidence.',
  },
  VM_CONFIG_MALFORMED: {
    why: 'The vm_config is not a JSON object with a 32-byte os_image_hash.',
    fix: 'Pass the vm_config as the guest agent gave it with the quote.',
  },
  MR_CONFIG_ID_UNSUPPORTED: {
    why: 'MR_CONFIG_ID is neither unset nor of a known version, or has bytes after its hash.',
    fix: 'Boot the CVM with a dstack version that writes MR_CONFIG_ID version 1, 2 or 3.',
  },
} as const

/** Well-formed and not believed. Never thrown: `verifyQuote` returns it as a `rejected` verdict. */
export const rejectionErrors = {
  QUOTE_ROOT_UNTRUSTED: {
    why: 'A certificate chain ends in a root with another key than the trusted one.',
    fix: "Use evidence under the configured root; real evidence needs Intel's, simulated the simulator's.",
  },
  QUOTE_CHAIN_INVALID: {
    why: 'A certificate chain has the wrong length, names, constraints or a bad signature.',
    fix: 'Pass the chain as Intel issued it; if it is, do not trust this quote.',
  },
  QUOTE_CERTIFICATE_EXPIRED: {
    why: 'A certificate that the quote relies on has expired.',
    fix: 'Provision the platform again, or fetch current collateral.',
  },
  QUOTE_NOT_YET_VALID: {
    why: 'A certificate or a piece of collateral is from the future, seen from the given time.',
    fix: 'Check the clock, or the time passed.',
  },
  QUOTE_PCK_INVALID: {
    why: 'The leaf is not a PCK certificate: it lacks the SGX extension or its name.',
    fix: 'Pass the quote of a provisioned platform.',
  },
  QUOTE_PCK_REVOKED: {
    why: 'Intel revoked the PCK certificate of this platform.',
    fix: 'Do not trust this machine; its operator must re-provision it.',
  },
  QUOTE_CA_REVOKED: {
    why: 'Intel revoked the CA that issued the PCK certificate.',
    fix: 'Do not trust this machine until it has a certificate of another CA.',
  },
  QUOTE_TCB_SIGNING_REVOKED: {
    why: 'Intel revoked the certificate that signed the TCB info or the QE identity.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_CRL_EXPIRED: {
    why: 'A revocation list is past its next update.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_CRL_ISSUER_MISMATCH: {
    why: 'A revocation list was issued by another CA than the one it is needed for.',
    fix: 'Fetch the revocation list of the CA that issued the PCK certificate.',
  },
  QUOTE_CRL_SIGNATURE_INVALID: {
    why: 'A revocation list is not signed by its issuer.',
    fix: 'Fetch the collateral again from a trustworthy source.',
  },
  QUOTE_TCB_INFO_SIGNATURE_INVALID: {
    why: 'The TCB info is not what Intel signed.',
    fix: 'Pass the exact bytes that Intel serves; reformatting breaks the signature.',
  },
  QUOTE_TCB_INFO_UNSUPPORTED: {
    why: 'The TCB info is for another TEE or of another version.',
    fix: 'Fetch the TDX TCB info, version 3.',
  },
  QUOTE_TCB_INFO_EXPIRED: {
    why: 'The TCB info is past its next update.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_FMSPC_MISMATCH: {
    why: 'The TCB info is for another platform family than the PCK certificate.',
    fix: "Fetch the TCB info for the quote's FMSPC.",
  },
  QUOTE_PCEID_MISMATCH: {
    why: 'The TCB info is for another PCE than the PCK certificate.',
    fix: "Fetch the TCB info for the quote's PCEID.",
  },
  QUOTE_QE_IDENTITY_SIGNATURE_INVALID: {
    why: 'The QE identity is not what Intel signed.',
    fix: 'Pass the exact bytes that Intel serves; reformatting breaks the signature.',
  },
  QUOTE_QE_IDENTITY_UNSUPPORTED: {
    why: 'The enclave identity is for another enclave or of another version.',
    fix: 'Fetch the TDX QE identity (TD_QE), version 2.',
  },
  QUOTE_QE_IDENTITY_EXPIRED: {
    why: 'The QE identity is past its next update.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_QE_REPORT_SIGNATURE_INVALID: {
    why: 'The report of the quoting enclave is not signed by the PCK.',
    fix: 'Do not trust this quote.',
  },
  QUOTE_QE_REPORT_DATA_MISMATCH: {
    why: 'The quoting enclave did not vouch for this attestation key.',
    fix: 'Do not trust this quote.',
  },
  QUOTE_QE_IDENTITY_MISMATCH: {
    why: "The quote was signed by another enclave than Intel's quoting enclave.",
    fix: 'Do not trust this quote.',
  },
  QUOTE_SIGNATURE_INVALID: {
    why: 'The quote is not signed by its attestation key.',
    fix: 'Do not trust this quote; it was changed after signing.',
  },
  QUOTE_TDX_MODULE_MISMATCH: {
    why: 'The TDX module is not signed by Intel, has attributes, or is unknown to the TCB info.',
    fix: 'Fetch current collateral; if the module stays unknown, do not trust this quote.',
  },
  QUOTE_TCB_NOT_SUPPORTED: {
    why: 'No TCB level of the collateral covers this platform, module or quoting enclave.',
    fix: 'Update the platform; its firmware is older than anything Intel still rates.',
  },
  QUOTE_TCB_REVOKED: {
    why: 'Intel revoked the TCB level of this platform, TDX module or quoting enclave.',
    fix: 'Update the platform before it is used again.',
  },
  QUOTE_TCB_STATUS_UNKNOWN: {
    why: 'The matched TCB level has a status that this verifier does not know.',
    fix: 'Update Assent; Intel has introduced a new status.',
  },
} as const

/** Believed, and still not what this relying party accepts, or not what the log claims. */
export const refusalErrors = {
  POLICY_STATUS_REFUSED: {
    why: 'The TCB status is not among the accepted ones.',
    fix: 'Update the platform, or accept the status by policy.',
  },
  POLICY_ADVISORY_REFUSED: {
    why: 'The platform is exposed to a security advisory that the policy does not accept.',
    fix: 'Update the platform, or accept the advisory by policy.',
  },
  POLICY_TD_UNTRUSTED: {
    why: 'The TD runs with a debug or profiling attribute (bits 0 to 7), so its memory is not secret.',
    fix: 'Boot the TD without debug attributes. No policy can accept it.',
  },
  POLICY_TD_ATTRIBUTES_REFUSED: {
    why: 'The TD has an attribute that is unknown or not accepted by the policy.',
    fix: 'Boot the TD without the named attribute, or accept it by policy.',
  },
  POLICY_SEPT_VE_DISABLE_CLEAR: {
    why: 'SEPT_VE_DISABLE is clear: the host could inject exceptions into the guest.',
    fix: 'Boot the TD with SEPT_VE_DISABLE.',
  },
  POLICY_XFAM_REFUSED: {
    why: 'The TD uses an extended processor feature that the policy does not accept.',
    fix: 'Boot the TD without it, or widen the XFAM mask by policy.',
  },
  POLICY_SERVICE_TD_REFUSED: {
    why: 'A service TD is bound to this TD and could migrate or read it.',
    fix: 'Boot the TD without a service TD, or accept its hash by policy.',
  },
  POLICY_SEAM_SIGNER_REFUSED: {
    why: "The TDX module was not signed by Intel's own key.",
    fix: "Boot the platform with Intel's TDX module.",
  },
  POLICY_EVALUATION_NUMBER_TOO_LOW: {
    why: 'The collateral has a lower evaluation number than the policy demands.',
    fix: 'Fetch current collateral.',
  },
  POLICY_TCB_DATE_TOO_OLD: {
    why: 'The TCB level is older than the policy demands.',
    fix: 'Update the platform.',
  },
  POLICY_COLLATERAL_TOO_OLD: {
    why: 'The collateral was issued longer ago than the policy allows.',
    fix: 'Fetch current collateral; if Intel has none newer, allow a higher age.',
  },
  POLICY_FMSPC_REFUSED: {
    why: 'The platform family is denied, or not on the list of allowed ones.',
    fix: 'Use another platform, or allow this family by policy.',
  },
  POLICY_DEVICE_REFUSED: {
    why: 'The device is denied, or not on the list of allowed ones.',
    fix: 'Use another machine, or allow this device by policy.',
  },
  POLICY_INVALID: {
    why: 'The policy itself has an unknown field or a value that can never be meant.',
    fix: 'Correct the field named in the message.',
  },
  EVENT_LOG_RTMR3_MISMATCH: {
    why: 'The event log does not replay to the RTMR3 that the quote proves.',
    fix: 'Fetch the quote and the event log together; otherwise the log is forged.',
  },
  MR_CONFIG_ID_MISMATCH: {
    why: 'MR_CONFIG_ID binds another configuration than the event log measured.',
    fix: 'Boot the CVM with the app-compose file its host configured.',
  },
  APP_INFO_INCOMPLETE: {
    why: 'The event log lacks the named event, or its payload has the wrong length.',
    fix: 'Boot the CVM with a dstack image that measures its app id and compose hash.',
  },
} as const

/** What Intel says cannot be had. Nothing follows from it about any quote. */
export const sourceErrors = {
  PCCS_UNAVAILABLE: {
    why: 'No PCCS gives the collateral that the quote is judged by: an outage, not a verdict.',
    fix: 'Check the PCCS addresses and that they serve this platform family, then try again.',
  },
} as const

export const quoteErrors = {
  ...malformedErrors,
  ...rejectionErrors,
  ...refusalErrors,
  ...sourceErrors,
} as const

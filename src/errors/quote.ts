/**
 * Errors of quotes, collateral, event logs and quote policies.
 *
 * The tables separate four cases that callers must treat differently: malformed input (thrown), a rejected quote (a
 * verdict, not thrown), a genuine quote that the caller's policy refuses (thrown), and an outage of the PCCS (thrown).
 */

/** Malformed input: it does not follow its format. Always thrown, never a verdict. */
export const malformedErrors = {
  QUOTE_TOO_LARGE: {
    why: 'A quote or a collateral document is larger than any genuine one.',
    fix: 'Check that you passed the right file.',
  },
  QUOTE_TRUNCATED: {
    why: 'The quote ends inside the field named in the message.',
    fix: 'Pass the complete quote as the TEE produced it.',
  },
  QUOTE_VERSION_UNSUPPORTED: {
    why: 'The quote version is neither 4 nor 5.',
    fix: 'Pass a TDX quote of version 4 or 5. Check that the input is a raw quote without a wrapper.',
  },
  QUOTE_KEY_TYPE_UNSUPPORTED: {
    why: 'The attestation key type is not 2 (ECDSA with P-256).',
    fix: 'Use a quoting enclave that signs with ECDSA P-256. Intel publishes no other for TDX.',
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
    why: 'The body of a version 5 quote is not TD report 1.0, 1.5 or 1.5 Ex.',
    fix: 'Pass a TDX quote with body type 2, 3 or 4.',
  },
  QUOTE_BODY_SIZE_WRONG: {
    why: 'The declared body size does not belong to the declared body type.',
    fix: 'Pass the quote as the TEE produced it.',
  },
  QUOTE_CERTIFICATION_TYPE_UNSUPPORTED: {
    why: 'The certification data is not a QE report (type 6) with a PCK certificate chain (type 5).',
    fix: 'Configure the quote provider to include the PCK certificate chain in the quote.',
  },
  QUOTE_SIZE_MISMATCH: {
    why: 'Two length fields of the quote contradict each other.',
    fix: 'Pass the quote as the TEE produced it.',
  },
  QUOTE_PEM_MALFORMED: {
    why: 'A certificate chain is not strict PEM: only certificates, base64 lines of 64 characters, no other text.',
    fix: 'Pass the chain as Intel or the quote provider issued it.',
  },
  QUOTE_DER_MALFORMED: {
    why: 'A certificate or CRL is not strict DER.',
    fix: 'Pass the document as its issuer signed it.',
  },
  QUOTE_CERTIFICATE_MALFORMED: {
    why: 'The certificate is valid DER, but Intel does not issue certificates of this form.',
    fix: 'Pass the certificate chain that belongs to the quote or the collateral.',
  },
  QUOTE_CRL_MALFORMED: {
    why: 'The CRL is valid DER, but not a version 2 CRL as Intel issues it.',
    fix: 'Pass the DER bytes of the CRL as hex.',
  },
  QUOTE_COLLATERAL_MALFORMED: {
    why: 'The collateral has a missing field, an unknown field or a field of the wrong type.',
    fix: 'Pass the nine fields of a `QuoteCollateralV3` object.',
  },
  QUOTE_TCB_INFO_MALFORMED: {
    why: 'The TCB info has a valid signature, but it is not a TDX TCB info of version 3 in compact JSON.',
    fix: 'Fetch the TCB info from /tdx/certification/v4/tcb and pass its exact bytes.',
  },
  QUOTE_QE_IDENTITY_MALFORMED: {
    why: 'The QE identity has a valid signature, but it is not an enclave identity of version 2 in compact JSON.',
    fix: 'Fetch the QE identity from /tdx/certification/v4/qe/identity and pass its exact bytes.',
  },
  QUOTE_EVALUATION_NUMBERS_MALFORMED: {
    why: "Intel's list of TCB evaluation numbers does not have the format of version 1.",
    fix: 'Fetch the list again from another PCCS.',
  },
  QUOTE_EVALUATION_NUMBERS_UNSIGNED: {
    why: 'The list of TCB evaluation numbers is not signed by the TCB signing certificate of the same response.',
    fix: 'Fetch the list again from another PCCS. This one changed the list or mixed two responses.',
  },
  EVENT_LOG_MALFORMED: {
    why: 'The event log is not a list of dstack events.',
    fix: 'Pass the event log that the guest agent returned with the quote.',
  },
  EVENT_LOG_CONTRADICTORY: {
    why: 'An event has a digest or preimage that does not follow from its name and payload.',
    fix: 'Fetch the quote and the event log again. Do not trust a log that contradicts itself.',
  },
  VM_CONFIG_MALFORMED: {
    why: 'The VM configuration (`vm_config`) is not a JSON object with a 32-byte `os_image_hash`.',
    fix: 'Pass the VM configuration that the guest agent returned with the quote.',
  },
  MR_CONFIG_ID_UNSUPPORTED: {
    why: 'MRCONFIGID is not zero and not of version 1, 2 or 3, or has non-zero bytes after its hash.',
    fix: 'Boot the CVM with a dstack version that writes MRCONFIGID version 1, 2 or 3.',
  },
} as const

/** Reasons to reject a well-formed quote. `verifyQuote` returns them in a `rejected` verdict and never throws them. */
export const rejectionErrors = {
  QUOTE_ROOT_UNTRUSTED: {
    why: 'The root certificate of a chain has another key than the root of trust.',
    fix: "Use quotes and collateral of the configured root of trust: Intel's for real hosts, the simulator's for simulated ones.",
  },
  QUOTE_CHAIN_INVALID: {
    why: 'A certificate chain has a wrong length, wrong names or constraints, or an invalid signature.',
    fix: 'Pass the chain as Intel issued it. If it is unchanged, do not trust this quote.',
  },
  QUOTE_CERTIFICATE_EXPIRED: {
    why: 'A certificate that the quote relies on has expired.',
    fix: 'Provision the platform again, or fetch current collateral.',
  },
  QUOTE_NOT_YET_VALID: {
    why: 'At the given time, a certificate or a collateral document is not valid yet.',
    fix: 'Check the clock, or the time that you passed.',
  },
  QUOTE_PCK_INVALID: {
    why: 'The leaf certificate is not a PCK certificate: the SGX extension or the name is missing.',
    fix: 'Pass a quote of a provisioned platform.',
  },
  QUOTE_PCK_REVOKED: {
    why: 'Intel revoked the PCK certificate of this platform.',
    fix: 'Do not trust this host. Its operator must provision the platform again.',
  },
  QUOTE_CA_REVOKED: {
    why: 'Intel revoked the CA that issued the PCK certificate.',
    fix: 'Do not trust this host until it has a PCK certificate from another CA.',
  },
  QUOTE_TCB_SIGNING_REVOKED: {
    why: 'Intel revoked the certificate that signed the TCB info or the QE identity.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_CRL_EXPIRED: {
    why: 'The next update of a CRL is in the past.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_CRL_ISSUER_MISMATCH: {
    why: 'A CRL was issued by another CA than the one whose certificates it must cover.',
    fix: 'Fetch the CRL of the CA that issued the PCK certificate.',
  },
  QUOTE_CRL_SIGNATURE_INVALID: {
    why: 'A CRL does not have a valid signature of its issuer.',
    fix: 'Fetch the collateral again from another source.',
  },
  QUOTE_TCB_INFO_SIGNATURE_INVALID: {
    why: 'The signature of the TCB info is invalid: Intel did not sign these bytes.',
    fix: 'Pass the exact bytes that Intel serves. Reformatting the JSON breaks the signature.',
  },
  QUOTE_TCB_INFO_UNSUPPORTED: {
    why: 'The TCB info is for another TEE or has another version.',
    fix: 'Fetch the TDX TCB info, version 3.',
  },
  QUOTE_TCB_INFO_EXPIRED: {
    why: 'The next update of the TCB info is in the past.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_FMSPC_MISMATCH: {
    why: 'The TCB info is for another platform family (FMSPC) than the PCK certificate.',
    fix: 'Fetch the TCB info for the FMSPC of the quote.',
  },
  QUOTE_PCEID_MISMATCH: {
    why: 'The TCB info is for another PCE than the PCK certificate.',
    fix: 'Fetch the TCB info for the PCEID of the quote.',
  },
  QUOTE_QE_IDENTITY_SIGNATURE_INVALID: {
    why: 'The signature of the QE identity is invalid: Intel did not sign these bytes.',
    fix: 'Pass the exact bytes that Intel serves. Reformatting the JSON breaks the signature.',
  },
  QUOTE_QE_IDENTITY_UNSUPPORTED: {
    why: 'The enclave identity is for another enclave or has another version.',
    fix: 'Fetch the TDX QE identity (TD_QE), version 2.',
  },
  QUOTE_QE_IDENTITY_EXPIRED: {
    why: 'The next update of the QE identity is in the past.',
    fix: 'Fetch current collateral.',
  },
  QUOTE_QE_REPORT_SIGNATURE_INVALID: {
    why: 'The report of the quoting enclave is not signed by the key of the PCK certificate.',
    fix: 'Do not trust this quote.',
  },
  QUOTE_QE_REPORT_DATA_MISMATCH: {
    why: 'The report of the quoting enclave does not contain the hash of this attestation key.',
    fix: 'Do not trust this quote.',
  },
  QUOTE_QE_IDENTITY_MISMATCH: {
    why: "The enclave that signed the quote is not Intel's quoting enclave.",
    fix: 'Do not trust this quote.',
  },
  QUOTE_SIGNATURE_INVALID: {
    why: 'The quote is not signed by its attestation key.',
    fix: 'Do not trust this quote. It was changed after it was signed.',
  },
  QUOTE_TDX_MODULE_MISMATCH: {
    why: 'The TDX module is not signed by Intel, has attributes, or is missing in the TCB info.',
    fix: 'Fetch current collateral. If the module is still missing, do not trust this quote.',
  },
  QUOTE_TCB_NOT_SUPPORTED: {
    why: 'The platform, TDX module or quoting enclave does not reach any TCB level of the collateral.',
    fix: 'Update the platform. Its firmware is older than the oldest TCB level.',
  },
  QUOTE_TCB_REVOKED: {
    why: 'Intel revoked the TCB level of this platform, TDX module or quoting enclave.',
    fix: 'Update the platform before you use it again.',
  },
  QUOTE_TCB_STATUS_UNKNOWN: {
    why: 'The matching TCB level has a status that this verifier does not know.',
    fix: 'Update Assent: Intel added a status.',
  },
} as const

/** The quote is genuine, but the quote policy refuses it or the event log does not belong to it. Thrown. */
export const refusalErrors = {
  POLICY_STATUS_REFUSED: {
    why: 'The quote policy does not accept the TCB status.',
    fix: 'Update the platform, or accept the status in the policy.',
  },
  POLICY_ADVISORY_REFUSED: {
    why: 'A security advisory that the quote policy does not accept affects the platform.',
    fix: 'Update the platform, or accept the advisory in the policy.',
  },
  POLICY_TD_UNTRUSTED: {
    why: 'The TD runs with a debug or profiling attribute (bits 0 to 7), so the host can read its memory.',
    fix: 'Boot the TD without debug attributes. No policy can accept it.',
  },
  POLICY_TD_ATTRIBUTES_REFUSED: {
    why: 'The TD has an attribute that is unknown or that the quote policy does not accept.',
    fix: 'Boot the TD without this attribute, or accept it in the policy.',
  },
  POLICY_SEPT_VE_DISABLE_CLEAR: {
    why: 'SEPT_VE_DISABLE is not set, so the host can inject exceptions into the guest.',
    fix: 'Boot the TD with SEPT_VE_DISABLE.',
  },
  POLICY_XFAM_REFUSED: {
    why: 'The TD uses an extended processor feature that the quote policy does not accept.',
    fix: 'Boot the TD without this feature, or extend the XFAM mask in the policy.',
  },
  POLICY_SERVICE_TD_REFUSED: {
    why: 'A service TD is bound to this TD and can migrate it or read its memory.',
    fix: 'Boot the TD without a service TD, or accept the hash of the service TD in the policy.',
  },
  POLICY_SEAM_SIGNER_REFUSED: {
    why: "The TDX module was not signed by Intel's own key.",
    fix: "Boot the platform with Intel's TDX module.",
  },
  POLICY_EVALUATION_NUMBER_TOO_LOW: {
    why: 'The TCB evaluation number of the collateral is lower than the quote policy requires.',
    fix: 'Fetch current collateral.',
  },
  POLICY_TCB_DATE_TOO_OLD: {
    why: 'The date of the TCB level is older than the quote policy allows.',
    fix: 'Update the platform.',
  },
  POLICY_COLLATERAL_TOO_OLD: {
    why: 'The collateral was issued earlier than the quote policy allows.',
    fix: 'Fetch current collateral. If Intel has no newer one, allow a higher age.',
  },
  POLICY_FMSPC_REFUSED: {
    why: 'The quote policy denies the platform family (FMSPC) or does not list it as allowed.',
    fix: 'Use another platform, or allow this family in the policy.',
  },
  POLICY_DEVICE_REFUSED: {
    why: 'The quote policy denies the device id or does not list it as allowed.',
    fix: 'Use another host, or allow this device id in the policy.',
  },
  POLICY_INVALID: {
    why: 'The policy has an unknown field or an impossible value.',
    fix: 'Correct the field named in the message.',
  },
  EVENT_LOG_RTMR3_MISMATCH: {
    why: 'The event log does not replay to the RTMR3 in the quote.',
    fix: 'Fetch the quote and the event log together. If they still differ, the log is forged.',
  },
  MR_CONFIG_ID_MISMATCH: {
    why: 'MRCONFIGID binds the TD to another configuration than the event log shows.',
    fix: 'Boot the CVM with the app-compose file that its host configured.',
  },
  COMPOSE_HASH_MISMATCH: {
    why: 'The CVM measured another app-compose file than this one. A single changed byte makes another file.',
    fix: 'Pass the file as it was deployed, or do not trust this CVM to run it. `assent app diff` shows the difference.',
  },
  APP_INFO_INCOMPLETE: {
    why: 'The event log lacks an event of the app, or the payload of the event has the wrong length.',
    fix: 'Boot the CVM with a dstack base image that measures app id and compose hash.',
  },
} as const

/** Collateral cannot be fetched. This says nothing about any quote. Thrown. */
export const sourceErrors = {
  PCCS_UNAVAILABLE: {
    why: 'No PCCS returned the collateral for this quote. This is an outage, not a verdict.',
    fix: 'Check the PCCS addresses and that they serve this platform family. Then try again.',
  },
} as const

/**
 * All codes of quote verification. `malformedErrors`: the input does not follow its format. `rejectionErrors`: the
 * verdict. `refusalErrors`: the quote policy. `sourceErrors`: an outage of a collateral source.
 */
export const quoteErrors = {
  ...malformedErrors,
  ...rejectionErrors,
  ...refusalErrors,
  ...sourceErrors,
} as const

/** Errors of the KMS, of its clients and of its release log. */
export const kmsErrors = {
  KMS_SCALAR_OUT_OF_RANGE: {
    why: 'A derived P-256 scalar is not a valid private key; this happens about once in 2^32 derivations.',
    fix: 'This app id cannot have keys. Register the app under another id.',
  },
  KMS_EPOCH_INVALID: {
    why: 'A key epoch is outside the range of the contract. Epochs start at 1.',
    fix: "Use an epoch that the app contract returns (`epochsOf`), or no epoch for dstack's keys.",
  },
  KMS_SIGNATURE_INVALID: {
    why: 'A secp256k1 signature is malformed: no public key can be recovered from it.',
    fix: 'Pass the signature as the KMS returned it (r, s, recovery id 0 or 1).',
  },
  KMS_CERTIFICATE_INVALID: {
    why: 'A certificate is not X.509 or has trailing bytes, or one of its dstack extensions is malformed or repeated.',
    fix: 'Issue the certificate again with the extensions of the dstack protocol.',
  },
  KMS_KEY_INVALID: {
    why: "A private key is not a P-256 key in dstack's PKCS#8 form.",
    fix: 'Use the key file that the KMS wrote. Do not convert it with other tools.',
  },
  KMS_KEYS_UNREADABLE: {
    why: 'The root key file is damaged, has another type of protection, or was sealed by another CVM.',
    fix: 'Restore the file, or run the CVM that sealed it. A KMS never replaces existing root keys.',
  },
  KMS_KEYS_UNWRITABLE: {
    why: 'The root keys could not be stored durably, so the KMS does not use them.',
    fix: 'Check the folder, its permissions and the free disk space. Then start again.',
  },
  KMS_KEYS_EXPOSED: {
    why: 'Other users of this host can read the root key file.',
    fix: "If other users had access, treat the keys as leaked. Otherwise set the file's mode to 0600.",
  },
  KMS_KEYS_EXIST: {
    why: 'The folder already contains root keys, so no bootstrap is possible.',
    fix: 'Start the KMS with the existing keys. Use another folder for another KMS.',
  },
  KMS_REQUEST_INVALID: {
    why: 'The body or query of an RPC request cannot be decoded, or a field has a wrong type or size.',
    fix: 'Send the message as protobuf, or as JSON with content type application/json, snake_case names and hex bytes.',
  },
  KMS_METHOD_UNKNOWN: {
    why: 'The KMS has no method with this name.',
    fix: 'Use one of the methods in docs/kms.md.',
  },
  KMS_FEATURE_UNSUPPORTED: {
    why: 'The request uses an optional dstack feature that Assent does not implement.',
    fix: 'Send the request without it. docs/compatibility.md lists these features and what to use instead.',
  },
  KMS_API_VERSION_UNSUPPORTED: {
    why: 'The requested version of the method does not exist.',
    fix: 'Use a version listed in docs/kms.md.',
  },
  KMS_NO_ATTESTATION: {
    why: "The method releases secrets, but the client's TLS certificate is missing or contains no quote.",
    fix: 'Connect with a certificate of the temporary CA that contains a quote over its own key.',
  },
  KMS_CLIENT_UNTRUSTED: {
    why: "The client's TLS certificate is not valid now, or is signed by neither the temporary CA of this KMS nor its own key.",
    fix: 'Sign the certificate with its own key, or with the temporary CA from `GetTempCaCert`.',
  },
  KMS_EVIDENCE_INVALID: {
    why: 'The attestation in a certificate is incomplete: the event log or the platform is missing.',
    fix: 'Issue the certificate with the attestation extension of the dstack protocol.',
  },
  KMS_QUOTE_REJECTED: {
    why: 'The quote could not be verified with the root of trust and the current collateral. The facts contain the reason.',
    fix: 'Look up the rejection code in the facts. For a real host, update its TCB or use current collateral.',
  },
  KMS_REPORT_DATA_UNBOUND: {
    why: 'The quote is not for the key of this connection. It was recorded elsewhere or made for another purpose.',
    fix: 'Request a quote over the public key of the new certificate.',
  },
  KMS_BOOT_DENIED: {
    why: "The chain denies this boot. The message contains the contract's reason.",
    fix: 'Propose the missing approval: base image, device, compose hash or KMS measurement.',
  },
  KMS_SELF_DENIED: {
    why: 'The chain does not approve this KMS node any more, so it serves no requests.',
    fix: 'Approve its measurement, device and base image on-chain, or shut it down.',
  },
  KMS_GATEWAY_ANY: {
    why: 'The chain names the gateway `any`, so guests would accept every server as their gateway.',
    fix: 'Set a gateway app id on-chain, or allow this with the setting whose name contains "insecure".',
  },
  KMS_OVERLOADED: {
    why: 'This client, or all clients together, sent too many requests.',
    fix: 'Wait for the number of seconds in `retry-after`. If the traffic is legitimate, raise the limits. If many clients share one address, configure `sharedAddresses` or `trustedProxies` (docs/kms.md, Limits).',
  },
  KMS_NOT_BOOTSTRAPPED: {
    why: 'The KMS was started without root keys.',
    fix: 'Run `assent kms bootstrap` once, or onboard from a running KMS.',
  },
  KMS_KEY_CHAIN_BROKEN: {
    why: 'The signatures over a key do not lead to the expected root key.',
    fix: 'Do not use the key. This KMS did not issue it for this app.',
  },
  KMS_UNREACHABLE: {
    why: 'A client could not connect to the KMS, or the KMS closed the connection.',
    fix: 'Check the address and the health of the KMS.',
  },
  KMS_PEER_UNTRUSTED: {
    why: 'The server has another certificate than the one that the client pinned.',
    fix: 'Stop. Another server intercepts the connection, or the KMS has other root keys.',
  },
  KMS_REFUSED: {
    why: 'The KMS refused a request. The message is from the KMS. An unmodified dstack-kms does not tell its outages from its denials, so all its errors have this code.',
    fix: 'If it refused the boot of an app, run `assent app why MANIFEST --app APP`: it names each condition and its next step. The code in the facts is from the KMS.',
  },
  KMS_UNAVAILABLE: {
    why: 'The KMS, or a proxy before it, answered that it cannot decide now: too many requests, or something that the decision needs does not answer. Nothing was denied.',
    fix: 'Try again later. The code in the facts is from the KMS.',
  },
  KMS_ANSWER_INVALID: {
    why: 'The KMS returned an invalid response.',
    fix: 'Check that the address belongs to a KMS.',
  },
  KMS_CSR_INVALID: {
    why: "A certificate request has neither of dstack's two versions, or contains an impossible value.",
    fix: 'Encode the request as dstack does. Use version 2 for new clients.',
  },
  KMS_CSR_UNSIGNED: {
    why: 'A certificate request is not signed by the key that it is for, or that key is not P-256.',
    fix: 'Sign the whole encoded request with the P-256 key whose public key it contains.',
  },
  KMS_CSR_REFUSED: {
    why: 'A certificate request has names or a validity that this KMS does not sign.',
    fix: 'Request at most 64 host names or addresses, and at most ten years.',
  },
  KMS_LOG_MISSING: {
    why: 'This node has no release log, or only a part of it: the segments or the head file are missing.',
    fix: 'On a new node, run `assent kms log create`. On a node that had a log, restore the folder and the head file together.',
  },
  KMS_LOG_EXISTS: {
    why: 'The folder already contains a release log.',
    fix: 'Use the existing log. A new log needs a new node name.',
  },
  KMS_LOG_CUT: {
    why: 'The release log is shorter than before, or a segment is missing.',
    fix: 'Find out who removed entries. Restore the files, or retire this node and its name.',
  },
  KMS_LOG_BROKEN: {
    why: 'A sealed part of the release log was changed.',
    fix: 'Find out who changed it (`assent kms log verify`). Restore the files, or retire this node and its name.',
  },
  KMS_LOG_HEAD_UNREADABLE: {
    why: 'The head file is damaged, or was written by another node or with other root keys.',
    fix: 'Restore it together with the log. A node does not serve without its last head.',
  },
  KMS_LOG_UNWRITABLE: {
    why: 'An entry of the release log could not be stored durably, so nothing was released.',
    fix: 'Check the disk and its free space. The facts and the service log contain the cause. Restart the KMS if the log says so.',
  },
  KMS_LOG_ROLLED_BACK: {
    why: 'Another node remembers a longer release log of this node: the disk of this node was rolled back.',
    fix: 'Find out who did it. Restore the newest state of the disk, or retire this node and its name.',
  },
  KMS_LOG_FORKED: {
    why: 'Another node remembers a release log of this node name that is not a part of this log: a copy of the node was running.',
    fix: 'Find the copy and stop it. Keep both logs as evidence. Give this node a new name and a new log.',
  },
  KMS_LOG_UNWITNESSED: {
    why: 'Too few of the configured witnesses have recently confirmed that the release log was not rolled back.',
    fix: 'Check that the witnesses run and can be reached. The KMS then serves again without a restart.',
  },
  KMS_LOG_PEER_INVALID: {
    why: 'The head of a log was not signed just now by a node with the expected root keys.',
    fix: 'Check that the address belongs to a node of this KMS, and that no other server answers for it.',
  },
  KMS_ROOT_UNANNOUNCED: {
    why: 'The KmsAuth contract has no root key: the DAO has not executed `setKmsInfo` yet.',
    fix: 'Publish the output of `Bootstrap` (`assent kms set-info`), or get the root key from the operator who bootstrapped the KMS.',
  },
  KMS_LOG_ARCHIVED: {
    why: 'The requested entry is in a segment that this node has deleted, as configured by `releaseLog.keep`.',
    fix: 'Get the archived segment from the operator. A replica that was offline for longer than segments are kept needs a new name.',
  },
  KMS_LOG_HALTED: {
    why: 'This node stopped permanently, because its release log was cut, rolled back or copied.',
    fix: "Read halted.json beside the log and find the cause. Then retire this node's name; see docs/release-log.md.",
  },
  KMS_WORKER_LOST: {
    why: 'Another process of this KMS ended during a request, or before it was ready.',
    fix: 'Nothing was released. Read the last log lines of that process. It is restarted automatically.',
  },
  IMAGE_CLAIM_INVALID: {
    why: 'The VM configuration from the host is malformed or lacks fields that its scheme requires.',
    fix: 'Start the CVM with a `vm_config` that describes its base image, as dstack writes it.',
  },
  IMAGE_NOT_PROVEN: {
    why: 'The registers in the quote are not those of the base image that the host claims.',
    fix: 'Boot the claimed base image, on a machine shape that is approved for it.',
  },
  IMAGE_UNKNOWN: {
    why: 'The base image uses the legacy scheme, and no measurement sets are configured for it.',
    fix: 'Add the measurement sets of the image to the configuration, or use an image with a measurement document.',
  },
} as const

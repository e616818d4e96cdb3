export const kmsErrors = {
  KMS_SCALAR_OUT_OF_RANGE: {
    why: 'A derived P-256 scalar is not a valid private key; this happens about once in 2^32 derivations.',
    fix: 'Nothing can be done for this app id; register the app under another id.',
  },
  KMS_EPOCH_INVALID: {
    why: 'A key epoch is not a number that the chain can count to; epochs start at 1.',
    fix: 'Use the epoch that the app’s contract tells (epochsOf), or none for dstack’s keys.',
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
  KMS_REQUEST_INVALID: {
    why: 'The body or query of an RPC request cannot be decoded, or a field has a wrong type or width.',
    fix: 'Send the message as protobuf, or as JSON with content type application/json, snake case names and hex bytes.',
  },
  KMS_METHOD_UNKNOWN: {
    why: 'The KMS has no method of this name.',
    fix: 'Use one of the methods in docs/kms.md.',
  },
  KMS_API_VERSION_UNSUPPORTED: {
    why: 'The request asks for a version of the method that does not exist.',
    fix: 'Use the version that docs/kms.md names.',
  },
  KMS_NO_ATTESTATION: {
    why: 'The method releases secrets and the caller’s TLS certificate carries no quote, or there is no certificate.',
    fix: 'Connect with a certificate under the temporary CA that carries a quote over its own key.',
  },
  KMS_CLIENT_UNTRUSTED: {
    why: 'The caller’s TLS certificate was signed neither by the temporary CA of this KMS nor by its own key, or it is not valid now.',
    fix: 'Sign the certificate with its own key, or with the temporary CA that GetTempCaCert gives.',
  },
  KMS_EVIDENCE_INVALID: {
    why: 'The evidence in a certificate is incomplete: a quote without its log, or without its platform.',
    fix: 'Mint the certificate with the attestation extension of the dstack protocol.',
  },
  KMS_QUOTE_REJECTED: {
    why: 'The quote does not verify under the trusted root and the current collateral; the facts name the reason.',
    fix: 'Look up the rejection code in the facts; for a real machine, update its TCB or use current collateral.',
  },
  KMS_REPORT_DATA_UNBOUND: {
    why: 'The quote was not made for the key of this connection: it was recorded elsewhere, or for another purpose.',
    fix: 'Ask the TEE for a quote over the new certificate’s public key.',
  },
  KMS_BOOT_DENIED: {
    why: 'The chain says no to this boot; the message carries the contract’s reason.',
    fix: 'Have the missing approval voted in: image, device, compose hash or KMS measurement.',
  },
  KMS_SELF_DENIED: {
    why: 'The chain no longer approves this very KMS, so it serves nobody.',
    fix: 'Approve its measurements, device and image on-chain, or shut it down.',
  },
  KMS_GATEWAY_ANY: {
    why: 'The chain names `any` gateway, with which guests accept every peer as their gateway.',
    fix: 'Set a gateway app id on-chain, or allow it by the setting whose name says insecure.',
  },
  KMS_OVERLOADED: {
    why: 'This client has too many requests at once or too often, or all clients together have too many.',
    fix: 'Wait as long as `retry-after` says. If the traffic is wanted, raise the limits; if many callers share one address, state `sharedAddresses` or `trustedProxies` (docs/kms.md, Limits).',
  },
  KMS_NOT_BOOTSTRAPPED: {
    why: 'The KMS was started before it had root keys.',
    fix: 'Run `assent kms bootstrap` once, or onboard from a running KMS.',
  },
  KMS_KEY_CHAIN_BROKEN: {
    why: 'A key’s signatures do not lead to the root key that was expected.',
    fix: 'Do not use the key; it was not issued by this KMS for this app.',
  },
  KMS_UNREACHABLE: {
    why: 'A client could not reach the KMS, or the KMS broke off.',
    fix: 'Check the address and the KMS’s health.',
  },
  KMS_PEER_UNTRUSTED: {
    why: 'The server does not hold the certificate that a client pinned.',
    fix: 'Do not go on: somebody is between you and the KMS, or the KMS has other roots.',
  },
  KMS_REFUSED: {
    why: 'The KMS answered a client with an error; the message is the KMS’s own.',
    fix: 'Act on the message; the code in the facts is the KMS’s.',
  },
  KMS_ANSWER_INVALID: {
    why: 'The KMS answered with something that is no valid answer.',
    fix: 'Check that the address is a KMS’s and not something else’s.',
  },
  KMS_CSR_INVALID: {
    why: 'A certificate request is not one of dstack’s two versions, or says something impossible.',
    fix: 'Encode the request as spec section 5.8 says, version 2 for everything new.',
  },
  KMS_CSR_UNSIGNED: {
    why: 'A certificate request was not signed by the key it wants certified, or that key is not P-256.',
    fix: 'Sign the whole encoded request with the P-256 key whose public half is in it.',
  },
  KMS_CSR_REFUSED: {
    why: 'A certificate request asks for names or a validity beyond what this KMS signs.',
    fix: 'Ask for at most 64 host names or addresses, within ten years.',
  },
  KMS_LOG_MISSING: {
    why: 'This node has no release log, or only half of it: the files or the head file are gone.',
    fix: 'Run `assent kms log create` on a new node; on one that had a log, bring back folder and head file together.',
  },
  KMS_LOG_EXISTS: {
    why: 'A release log was to be begun where there is one already.',
    fix: 'Go on with the log that is there; a new one needs a new node name.',
  },
  KMS_LOG_CUT: {
    why: 'The release log is shorter than it once was, or a file of it is missing.',
    fix: 'Find out who took it back. Restore the files as they were, or retire this node and its name.',
  },
  KMS_LOG_BROKEN: {
    why: 'A part of the release log that was sealed is not what was sealed.',
    fix: 'Find out who changed it, see `assent kms log verify`; restore the files, or retire this node and its name.',
  },
  KMS_LOG_HEAD_UNREADABLE: {
    why: 'The head file is damaged, or was written by another node or with other root keys.',
    fix: 'Restore it together with the log; a node does not serve without knowing how far its log went.',
  },
  KMS_LOG_UNWRITABLE: {
    why: 'An entry of the release log could not be made durable, so nothing was released.',
    fix: 'Check the disk and its free space; the facts and the log name the cause. Restart if the KMS asks for it.',
  },
  KMS_LOG_ROLLED_BACK: {
    why: 'Another node has seen a longer release log of this node than the one it has now: its disk was set back.',
    fix: 'Find out who did it. Bring back the newest state of the disk, or retire this node and its name.',
  },
  KMS_LOG_FORKED: {
    why: 'Another node has seen a release log under this node’s name that is not a part of this one: a copy of the node ran.',
    fix: 'Find the copy and stop it. Keep both logs as evidence and give this node a new name and a new log.',
  },
  KMS_LOG_UNWITNESSED: {
    why: 'Too few of the configured witnesses have lately confirmed that this node’s release log was not taken back.',
    fix: 'Check that the witnesses run and can be reached; the KMS serves again by itself.',
  },
  KMS_LOG_PEER_INVALID: {
    why: 'A witness answered with something that a node under this KMS’s root did not sign just now.',
    fix: 'Check that the witness’s address is a replica of this KMS and nothing between answers for it.',
  },
  KMS_ROOT_UNANNOUNCED: {
    why: 'The KmsAuth contract holds no root key: the DAO has not announced one with setKmsInfo.',
    fix: 'Announce what `Bootstrap` printed (`assent set-kms-info`), or take the root key from whoever bootstrapped the KMS.',
  },
  KMS_LOG_ARCHIVED: {
    why: 'An entry was asked for that lies in a file which this node dropped, as `releaseLog.keep` says.',
    fix: 'Ask whoever archived the files. A replica that was away for longer than files are kept needs a new name.',
  },
  KMS_LOG_HALTED: {
    why: 'This node stopped for good after its release log was found to be cut, set back or copied.',
    fix: 'Read halted.json beside the log, find the cause, then retire this node’s name; see docs/release-log.md.',
  },
  KMS_WORKER_LOST: {
    why: 'Another process of this KMS ended in the middle of a question, or before it served.',
    fix: 'Nothing was released. Read what that process logged last; it is started again by itself.',
  },
  IMAGE_CLAIM_INVALID: {
    why: 'What the host says about the OS image is malformed or lacks what the declared scheme needs.',
    fix: 'Start the CVM with a vm_config that describes its image, as dstack writes it.',
  },
  IMAGE_NOT_PROVEN: {
    why: 'The registers of the quote are not those of the image that the host claims.',
    fix: 'Boot the image that is claimed, on a machine shape that is approved for it.',
  },
  IMAGE_UNKNOWN: {
    why: 'The image has the legacy scheme and no measurement sets are configured for it.',
    fix: 'Add the image’s measurement sets to the configuration, or use an image with a measurement document.',
  },
} as const

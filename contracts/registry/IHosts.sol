// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TcbStatus, Verdict} from "../types/Report.sol";

/// @notice The function of the host registry that KmsAuth calls.
interface IHostAdmission {
    /// @notice Whether this host may run CVMs now.
    /// @return isAdmitted true if host proof, approval, TCB status and bond are in order.
    /// @return validUntil first second in which that ends by itself, unix seconds; 0 if it is not admitted.
    function admission(bytes32 deviceId) external view returns (bool isAdmitted, uint40 validUntil);
}

/// @notice Keeps host proofs: which host was proven with a quote, by which operator, with which TCB status, until when.
/// @dev A host is admitted if it has a host proof that has not expired and an active approval of kind `Host`.
/// Functions marked "owner" revert with `OwnableUnauthorizedAccount` for anyone else. `notAfter` is an execution deadline:
/// later the call reverts with `ExecutionDeadlinePassed`. Times are unix seconds.
/// Trust: a quote proves the platform, not who owns it. The account that first proves a host is its operator until that
/// proof expires. An operator that the DAO named stays until the DAO names another one. What runs in the quoting TD is not
/// checked, but the TD must pass `PolicyLib.requireIsolatedTd`: no debug TD, no migratable TD.
interface IHosts is IHostAdmission {
    /// @notice The last host proof of one host.
    struct Host {
        /// @notice The account that registered the host, or that the DAO named.
        address operator;
        /// @notice Time of the registration. The quote is at most `HostRules.window` blocks older.
        uint40 attestedAt;
        /// @notice End of the host proof.
        uint40 expiresAt;
        /// @notice TCB status in the report.
        TcbStatus status;
        /// @notice Intel's id of the platform model.
        bytes6 fmspc;
        /// @notice Evaluation number of the TCB info.
        uint32 tcbEvaluationNumber;
        /// @notice Evaluation number of the QE identity.
        uint32 qeEvaluationNumber;
        /// @notice Version of the approval at the registration. A later version needs a new host proof.
        uint32 approvalVersion;
        /// @notice Oldest date of the matching TCB levels.
        uint40 tcbDate;
        /// @notice The block whose hash the quote contains.
        uint48 provenAtBlock;
        /// @notice keccak256 of the advisory ids, packed in the order of the report. The event has the ids.
        bytes32 advisories;
        /// @notice Identifies a platform with several packages, also after a firmware update; else zero.
        bytes16 platformInstanceId;
        /// @notice First 16 bytes of the keccak256 of the registered quote.
        bytes16 quoteDigest;
    }

    /// @notice The DAO's rules for host proofs.
    struct HostRules {
        /// @notice Host proofs that were registered before this time do not count.
        uint40 attestedSince;
        /// @notice A host proof ends with its collateral, but it lasts at least this many seconds.
        uint32 minLifetime;
        /// @notice A host proof lasts at most this many seconds.
        uint32 maxLifetime;
        /// @notice Maximum age of the block whose hash is in the quote, blocks; at most 8,191.
        uint16 window;
        /// @notice Lowest accepted TCB evaluation number, of TCB info and QE identity.
        uint32 minEvaluationNumber;
        /// @notice True: the first host proof of a host also approves it. False: only the DAO approves hosts.
        bool isOpen;
        /// @notice Seconds from an approval to its earliest start.
        uint32 activationDelay;
    }

    /// @notice A host proof was accepted.
    /// @param deviceId the host.
    /// @param quoteId keccak256 of the quote's signed part.
    /// @param host the complete new host proof.
    /// @param advisories ids of the advisories that concern the platform.
    /// @param operator the account that owns the host now.
    event HostProven(
        bytes32 indexed deviceId,
        address indexed operator,
        bytes32 indexed quoteId,
        Host host,
        bytes32[] advisories
    );
    /// @notice The owner named an operator for a host; zero = the next account that proves it.
    event OperatorSet(bytes32 indexed deviceId, address indexed operator);
    /// @notice The rules changed.
    event RulesSet(HostRules rules);
    /// @notice Host proofs with `status` count only before `until`, unix seconds.
    /// @param until 0 = they never count; `type(uint40).max` = always.
    event StatusAcceptedUntilSet(TcbStatus indexed status, uint40 until);
    /// @notice New host proofs with this advisory are rejected (`isDenied`), or accepted again.
    /// @param advisory advisory id as ASCII, as in a report.
    event AdvisoryDenied(bytes32 indexed advisory, bool isDenied);
    /// @notice This contract verifies quotes from now on.
    event VerifierSet(address verifier);
    /// @notice Hosts need a bond in this contract from now on; zero = no such rule.
    event BondsSet(address bonds);
    /// @notice The continuity delay changed, seconds. Zero: continuity is off.
    event ContinuityDelaySet(uint32 delay);
    /// @notice A host proof ended early, because its quote is no longer valid.
    /// @param verdict the verdict on the quote now.
    /// @param status the TCB status of the quote now; `None` if the verdict is not `Verified`.
    event HostProofEnded(bytes32 indexed deviceId, Verdict verdict, TcbStatus status);
    /// @notice The approval of a host was carried over from one device id to another, by `continueAs`; or the owner approved
    /// an earlier id of the host.
    /// @param from the old device id; its approval is withdrawn.
    /// @param to the current device id.
    /// @param operator the account that signed, or the operator of `to`.
    event HostContinued(bytes32 indexed from, bytes32 indexed to, address indexed operator);

    /// @notice The verifier rejected the quote.
    error HostQuoteRejected(Verdict verdict);

    /// @notice The quote has more bytes than `endProof` can verify in one transaction.
    error HostQuoteTooLong(uint256 found, uint256 most);

    /// @notice The report data is not for this chain, registry, operator and block.
    /// @param found first half of the report data.
    /// @param expected `reportDataFor` of the operator and the block.
    /// @param secondHalf second half of the report data; must be zero.
    error HostReportDataMismatch(bytes32 found, bytes32 expected, bytes32 secondHalf);

    /// @notice The block is in the future, too old, or its hash is not available on this chain.
    /// @param blockNumber the block of the call.
    /// @param current the block in which the call ran.
    /// @param window highest accepted age of a block, blocks.
    error HostBlockUnknown(uint256 blockNumber, uint256 current, uint256 window);

    /// @notice The current host proof is from the same block or a later one.
    /// @param blockNumber the block of the call.
    /// @param known the block of the stored host proof.
    error HostProofNotNewer(bytes32 deviceId, uint256 blockNumber, uint256 known);
    /// @notice The host was approved again, and the quote may be from before that. Make a new quote.
    /// @param blockNumber block of the quote.
    /// @param approvedIn block of the approval: the first one that a quote may name.
    error HostProofBeforeApproval(bytes32 deviceId, uint256 blockNumber, uint256 approvedIn);

    /// @notice The host belongs to another operator: its host proof has not expired, or the DAO named that operator.
    /// @param operator the account that owns the host.
    error HostOwnedByOtherOperator(bytes32 deviceId, address operator);

    /// @notice Host proofs with this TCB status do not count now.
    /// @param until first second in which they no longer counted; 0 = never.
    error HostStatusRefused(TcbStatus status, uint40 until);
    /// @notice The lower evaluation number of TCB info and QE identity is below the minimum of the rules.
    /// @param found lower evaluation number of TCB info and QE identity.
    /// @param minimum `HostRules.minEvaluationNumber`.
    error HostEvaluationNumberTooLow(uint32 found, uint32 minimum);
    /// @notice The DAO denies hosts with this advisory.
    error HostAdvisoryDenied(bytes32 advisory);

    /// @notice The host proof has expired, or a new one would be expired at once.
    /// @param expiresAt end of the proof, unix seconds.
    error HostProofExpired(uint256 expiresAt);

    /// @notice The rules contradict each other, the window is out of bounds, or the status cannot be accepted.
    error HostRulesInvalid();

    /// @notice The quote is not the one with which this host was registered.
    error HostQuoteUnknown(bytes32 deviceId);

    /// @notice The host proof cannot be ended: its quote is still valid.
    /// @param verdict verdict on the quote now.
    /// @param status its TCB status now.
    error HostProofStillValid(bytes32 deviceId, Verdict verdict, TcbStatus status);

    /// @notice The DAO does not allow continuity.
    error HostContinuityClosed();

    /// @notice A PCK certificate of this host was shown to be revoked (`endProof`), so its approval cannot be carried over.
    /// @param deviceId the first id of the host, or the new id.
    error HostCertificateRevoked(bytes32 deviceId);

    /// @notice The approval cannot be carried over: at least one condition does not hold.
    /// @param sameOperator both ids have the same operator.
    /// @param samePlatform both have the same FMSPC and, if the old one has one, platform instance id.
    /// @param proven the new id has a valid host proof that is newer.
    /// @param undecided the old id is active under its current proof, and no decision about the new id exists.
    error HostContinuityInvalid(bool sameOperator, bool samePlatform, bool proven, bool undecided);

    /// @notice The signature is past its deadline.
    /// @param deadline last second of the signature, unix seconds.
    error PermitExpired(uint256 deadline);
    /// @notice The signature is not of this operator.
    error PermitInvalid(address operator);

    /// @notice Registers the host on which `quote` was made. Anyone; the caller becomes or stays its operator.
    /// Emits `HostProven`, and `ApprovalGiven` if the rules are open and the host is new.
    /// @dev Reverts with `HostQuoteTooLong`, `HostQuoteRejected`, `HostBlockUnknown`, `HostReportDataMismatch`, `HostOwnedByOtherOperator`,
    /// `HostProofNotNewer`, `HostProofBeforeApproval`, `PolicyBreached`, `HostStatusRefused`, `HostEvaluationNumberTooLow`,
    /// `HostAdvisoryDenied`, `HostProofExpired`, and with the verifier's errors for a malformed quote.
    /// @param quote in any form that the verifier takes, at most 8,192 bytes.
    /// @param blockNumber the block whose hash is in the report data, see `reportDataFor`.
    /// @return deviceId the host.
    function register(bytes calldata quote, uint256 blockNumber) external returns (bytes32 deviceId);

    /// @notice `register` for an operator that signed a permit. Anyone may call and pays.
    /// @dev The permit is an EIP-712 signature of `HostRegistration(bytes32 quoteHash,uint256 blockNumber,uint256 deadline)`
    /// (EIP-1271 for contracts). It works once, because a host proof must be newer than the last. Also reverts with
    /// `PermitExpired` and `PermitInvalid`.
    /// @param operator signer of the permit; becomes or stays operator.
    /// @param deadline last second in which the permit is valid.
    /// @param signature 65 bytes r ‖ s ‖ v, or what an EIP-1271 contract accepts.
    function registerFor(
        address operator,
        bytes calldata quote,
        uint256 blockNumber,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 deviceId);

    /// @notice The first half of the report data that a quote must have; the second half is zero.
    /// @param operator the account that will register the host.
    /// @param blockNumber a recent block.
    /// @param blockHash its hash.
    function reportDataFor(address operator, uint256 blockNumber, bytes32 blockHash) external view returns (bytes32);

    /// @notice Ends a host proof whose quote is no longer valid: its PCK certificate or CA is revoked or expired, its TCB is
    /// revoked, or the DAO no longer accepts its TCB status. Anyone. Emits `HostProofEnded`. A revoked certificate can also be
    /// shown after the host proof has expired, once: it stops `continueAs`.
    /// @dev The quote must be invalid under the current standard evaluation number and under the one of a week ago
    /// (`IQuoteVerifier.settledEvaluationNumber`). So neither a new evaluation number nor a missing list of Intel ends all host
    /// proofs at once. For a TCB, this needs Intel's list and the documents of both numbers in the verifier; anyone can upload
    /// them. A short form with a record of the last verifier is judged by that verifier, with the collateral there.
    /// Reverts with `HostProofExpired`, `HostQuoteUnknown` and `HostProofStillValid`.
    /// @param quote the bytes with which the host was registered: from the calldata of that transaction.
    function endProof(bytes32 deviceId, bytes calldata quote) external;

    /// @notice Carries the approval of a host over to the device id that it has after a firmware update. Anyone may call.
    /// Withdraws the old id. The new id becomes active after the continuity delay, in which the guardian can suspend it.
    /// Emits `HostContinued`, `ApprovalChanged` and `ApprovalGiven`.
    /// @dev Needs an EIP-712 signature of the operator over `HostContinuity(bytes32 from,bytes32 to,uint256 deadline)`, and a
    /// host proof of the new id by the same operator. A later decision against an old id (`withdraw`, `revoke`, `suspend`,
    /// `shorten`, `setOperator`) also applies to the current id, so a change of ids does not evade a vote. If the owner approves
    /// an old id again, the host moves back to it and the current id is withdrawn: a host has one approved id. A signature works
    /// once, because an id with an earlier decision cannot be the target. An operator that the owner named stays. Reverts with `HostContinuityClosed`, `PermitExpired`, `PermitInvalid`,
    /// `HostCertificateRevoked` and `HostContinuityInvalid`.
    /// Warning: on single-package platforms only the operator's signature and the FMSPC say that both ids are one host.
    /// An operator can move each approval to another host of the same model.
    /// @param from the old device id.
    /// @param to the new device id.
    /// @param deadline last second in which the signature is valid.
    /// @param signature 65 bytes r ‖ s ‖ v, or what an EIP-1271 contract accepts.
    function continueAs(bytes32 from, bytes32 to, uint256 deadline, bytes calldata signature) external;

    /// @notice The last host proof of a host; all zero if the host was never proven.
    function hostOf(bytes32 deviceId) external view returns (Host memory);

    /// @notice The operator that the owner named for a host; zero if none.
    function namedOperatorOf(bytes32 deviceId) external view returns (address);

    /// @notice The current device id of a host, the last one that was approved: `deviceId` itself if its approval was never
    /// carried over.
    function currentIdOf(bytes32 deviceId) external view returns (bytes32);

    /// @notice The current rules.
    function rules() external view returns (HostRules memory);

    /// @notice First second in which host proofs with `status` no longer count; 0 = they never count.
    function statusAcceptedUntil(TcbStatus status) external view returns (uint40);

    /// @notice Whether new host proofs with this advisory are rejected.
    function isAdvisoryDenied(bytes32 advisory) external view returns (bool);

    /// @notice Names the operator of a host until the owner names another one. Owner. Emits `OperatorSet`.
    /// @dev Also applies to the current id of the host. The host proof stays in force.
    /// @param operator zero = the next account that proves the host, in a block after the last proof.
    /// @param notAfter execution deadline.
    function setOperator(bytes32 deviceId, address operator, uint40 notAfter) external;

    /// @notice Sets the rules. Owner. Emits `RulesSet`. Reverts with `HostRulesInvalid`.
    /// @param newRules replace all rules. `attestedSince` also applies to current host proofs, the others to new ones.
    /// @param notAfter execution deadline.
    function setRules(HostRules calldata newRules, uint40 notAfter) external;

    /// @notice Sets until when host proofs with `status` count. Owner. Emits `StatusAcceptedUntilSet`.
    /// @dev Reverts with `HostRulesInvalid` for `None` and `Revoked`.
    /// @param until first second in which they no longer count; 0 = never, `type(uint40).max` = always.
    /// @param notAfter execution deadline.
    function setStatusAcceptedUntil(TcbStatus status, uint40 until, uint40 notAfter) external;

    /// @notice Rejects new host proofs with these advisories, or accepts them again. Owner. Emits `AdvisoryDenied` for each.
    /// @dev Present host proofs keep counting; raise `HostRules.attestedSince` to require new ones.
    /// @param advisories advisory ids as ASCII, as in a report.
    /// @param isDenied true to reject them.
    /// @param notAfter execution deadline.
    function setAdvisoriesDenied(bytes32[] calldata advisories, bool isDenied, uint40 notAfter) external;

    /// @notice Sets the contract that verifies quotes. Owner. Emits `VerifierSet`.
    /// @dev Present host proofs keep counting. One that was registered in a short form with a record can be ended with the help
    /// of the last verifier only, so after two changes not at all: raise `HostRules.attestedSince` to require new proofs.
    /// @param newVerifier an `IQuoteVerifier`. It decides what a quote proves, so it is as powerful as the DAO here.
    /// @param notAfter execution deadline.
    function setVerifier(address newVerifier, uint40 notAfter) external;

    /// @notice Admits only hosts whose operator has a bond in `newBonds`; zero = no such rule. Owner. Emits `BondsSet`.
    /// @param newBonds an `IBonded`. A revert of it makes every admission revert.
    /// @param notAfter execution deadline.
    function setBonds(address newBonds, uint40 notAfter) external;

    /// @notice Sets the continuity delay. Owner. Emits `ContinuityDelaySet`.
    /// @param delay seconds from `continueAs` to the start of the new approval; 0 = `continueAs` is not possible.
    function setContinuityDelay(uint32 delay, uint40 notAfter) external;

    /// @notice The contract in which operators need a bond; zero = no such rule.
    function bonds() external view returns (address);

    /// @notice Seconds from `continueAs` to the start of the new approval; 0 = `continueAs` is not possible.
    function continuityDelay() external view returns (uint32);
}

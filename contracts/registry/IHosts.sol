// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TcbStatus, Verdict} from "../types/Report.sol";

/// @notice What KmsAuth needs to know of the registry of hosts.
interface IHostAdmission {
    /// @notice Whether a boot on this machine is fine now, and the first second at which it no longer would be (0 = none).
    function admission(bytes32 deviceId) external view returns (bool isAdmitted, uint40 holdsUntil);
}

/// @notice Which machines are proven, by whom, in which state, until when.
/// @dev Trust: a quote proves the platform, not who owns it. Whoever first proves a machine is its operator until his
/// proof expires. An operator whom the DAO named stays until the DAO names another. What runs in the quoting TD is not
/// checked, but the TD must pass `PolicyLib.standard` in all but the status: no debug TD, none that can be migrated away.
/// An admission needs both: a proof that has not expired, and an active approval of kind `Host`.
interface IHosts is IHostAdmission {
    /// @notice The last proof of one machine.
    struct Host {
        address operator;
        /// @notice When the proof was brought; the machine was alive at `provenAtBlock`, up to the window earlier.
        uint40 attestedAt;
        uint40 expiresAt;
        TcbStatus status;
        bytes6 fmspc;
        uint32 tcbEvaluationNumber;
        uint32 qeEvaluationNumber;
        /// @notice Version of the approval under which the proof was brought; another version needs another proof.
        uint32 approvalVersion;
        /// @notice Oldest date of the TCB levels matched.
        uint40 tcbDate;
        /// @notice The block whose hash the quote contains.
        uint48 provenAtBlock;
        /// @notice keccak256 of the advisory ids, packed in the order of the quote's report; the ids are in the event.
        bytes32 advisories;
        /// @notice Which platform, where it has several packages; zero otherwise. A BIOS update does not change it.
        bytes16 platformInstanceId;
        /// @notice First half of the keccak256 of the quote as it was brought.
        bytes16 quoteDigest;
    }

    /// @notice What the DAO asks of a proof. Times in seconds.
    struct Rules {
        /// @notice Proofs brought before this second no longer count.
        uint40 attestedSince;
        /// @notice A proof lasts as long as its collateral, but at least and at most this.
        uint32 minLifetime;
        uint32 maxLifetime;
        /// @notice How many blocks ago the hash in the quote may be.
        uint16 window;
        /// @notice Lowest TCB evaluation number that counts.
        uint32 minEvaluationNumber;
        /// @notice Whether a machine's first proof approves it, after the activation delay; else only the DAO does.
        bool isOpen;
        uint32 activationDelay;
    }

    /// @notice Emitted with every accepted proof.
    event HostProven(
        bytes32 indexed deviceId,
        address indexed operator,
        bytes32 indexed quoteId,
        Host host,
        bytes32[] advisories
    );
    event OperatorSet(bytes32 indexed deviceId, address indexed operator);
    event RulesSet(Rules rules);
    /// @notice Emitted when proofs of `status` are to count before `until` only.
    event StatusRuleSet(TcbStatus indexed status, uint40 until);
    event AdvisoryDenied(bytes32 indexed advisory, bool isDenied);
    event VerifierSet(address verifier);
    event BondsSet(address bonds);
    event ContinuityDelaySet(uint32 delay);
    /// @notice Emitted when the quote of a proof turned out to be worth nothing any more; the proof ended with it.
    event HostProofEnded(bytes32 indexed deviceId, Verdict verdict, TcbStatus status);
    /// @notice Emitted when a machine goes on under a new id.
    event HostContinued(bytes32 indexed from, bytes32 indexed to, address indexed operator);

    /// @notice Thrown when the quote is not to be believed.
    error HostQuoteRejected(Verdict verdict);

    /// @notice Thrown when the report data is not made for this chain, registry, operator and block.
    error HostReportDataWrong(bytes32 found, bytes32 expected, bytes32 secondHalf);

    /// @notice Thrown when the block is in the future, outside the window, or its hash is not known to this chain.
    error HostBlockUnknown(uint256 blockNumber, uint256 current, uint256 window);

    /// @notice Thrown when the known proof is from the same block or a later one.
    error HostProofNotNewer(bytes32 deviceId, uint256 blockNumber, uint256 known);

    /// @notice Thrown when someone else proves a machine whose proof has not expired, or for which the DAO named an operator.
    error HostOfAnother(bytes32 deviceId, address operator);

    error HostStatusRefused(TcbStatus status, uint40 until);
    error HostEvaluationNumberTooLow(uint32 found, uint32 minimum);
    error HostAdvisoryDenied(bytes32 advisory);

    /// @notice Thrown when the collateral's end is nearer than a proof must last and no minimum lifts it.
    error HostProofExpired(uint256 expiresAt);

    /// @notice Thrown when rules contradict each other or exceed what the chain can check.
    error HostRulesInvalid();

    /// @notice Thrown when a quote is not the one with which this machine was proven.
    error HostQuoteUnknown(bytes32 deviceId);

    /// @notice Thrown when a proof is to be ended that is still worth something.
    error HostAlive(bytes32 deviceId, Verdict verdict, TcbStatus status);

    /// @notice Thrown when the DAO lets no machine go on under a new id.
    error HostContinuityClosed();

    /// @notice Thrown when the certificate of the old id was revoked: what it was trusted with ends there.
    error HostRevoked(bytes32 deviceId);

    /// @notice Thrown unless all of these hold of the old and the new id.
    error HostNotContinuous(bool sameOperator, bool samePlatform, bool proven, bool undecided);

    error PermitExpired(uint256 deadline);
    error PermitInvalid(address operator);

    /// @notice Proves the machine on which `quote` was made; the sender becomes or stays its operator.
    function register(bytes calldata quote, uint256 blockNumber) external returns (bytes32 deviceId);

    /// @notice The same, paid by anyone: the operator signs `HostRegistration(bytes32 quoteHash,uint256 blockNumber,
    /// uint256 deadline)` (EIP-712; a contract answers EIP-1271). A permit is used up by its own proof.
    function registerFor(
        address operator,
        bytes calldata quote,
        uint256 blockNumber,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 deviceId);

    /// @notice What the first half of a quote's report data must be; the second half is zero.
    function reportDataFor(address operator, uint256 blockNumber, bytes32 blockHash) external view returns (bytes32);

    /// @notice Ends a proof whose quote is provably dead: its PCK certificate or CA revoked by a stored CRL or expired,
    /// its TCB revoked, its status one that the DAO no longer lets pass, or its TD one that the policy refuses. Anyone.
    /// @dev It must be dead under the evaluation number of now and under the one that was the standard a week ago
    /// (`IQuoteVerifier.settledNumber`): no change of number, and no lapse of Intel's list, ends all proofs at once.
    /// @param quote exactly the bytes with which the machine was proven, from the transaction that brought them.
    function endProof(bytes32 deviceId, bytes calldata quote) external;

    /// @notice Carries the approval of a machine over to the id that it has since a BIOS update: the operator signs
    /// `HostContinuity(bytes32 from,bytes32 to,uint256 deadline)` (EIP-712). The old id is withdrawn at once, the new one,
    /// proven before by the same operator, is active after the continuity delay, in which the guardian can evict it.
    /// A later decision against the old id (`withdraw`, `revoke`, `suspend`, `retire`) hits the new id as well, so that
    /// nobody evades a vote by changing ids. A signature serves once: an id that was ever decided on is never continued as.
    /// @dev Warning: on single-package platforms nothing but the operator's word and the FMSPC says that it is the same
    /// machine. Whoever has his key can move his approvals to other machines of that model, one for one.
    function continueAs(bytes32 from, bytes32 to, uint256 deadline, bytes calldata signature) external;

    function hostOf(bytes32 deviceId) external view returns (Host memory);

    /// @notice The operator whom the owner named for a machine; zero if he named none.
    function namedOperatorOf(bytes32 deviceId) external view returns (address);

    /// @notice The id under which a machine goes on now; the same id if it was never continued.
    function currentIdOf(bytes32 deviceId) external view returns (bytes32);

    function rules() external view returns (Rules memory);

    /// @notice First second at which proofs of `status` no longer count; 0 = never counted.
    function statusPassesUntil(TcbStatus status) external view returns (uint40);

    function isAdvisoryDenied(bytes32 advisory) external view returns (bool);

    /// @notice Gives a machine to another operator, who keeps it until the owner names another; zero = whoever proves it
    /// next. Only the owner.
    function setOperator(bytes32 deviceId, address operator, uint40 notAfter) external;

    function setRules(Rules calldata newRules, uint40 notAfter) external;

    function setStatusRule(TcbStatus status, uint40 until, uint40 notAfter) external;

    /// @notice Counts for later proofs; raise `attestedSince` to make the known ones be renewed.
    function setAdvisoriesDenied(bytes32[] calldata advisories, bool isDenied, uint40 notAfter) external;

    function setVerifier(address newVerifier, uint40 notAfter) external;

    /// @notice Admits only machines for which their operator has a bond in `newBonds`; zero = no such rule. Only the owner.
    function setBonds(address newBonds, uint40 notAfter) external;

    /// @notice How long a continued machine waits, and whether there is such a thing at all (zero: no). Only the owner.
    function setContinuityDelay(uint32 delay, uint40 notAfter) external;

    function bonds() external view returns (address);

    function continuityDelay() external view returns (uint32);
}

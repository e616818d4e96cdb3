// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TcbStatus, Verdict} from "../types/Report.sol";

/// @notice The functions of KmsAuth that the registry of root keys calls.
interface IKmsApprovals {
    /// @notice Whether the measurement of a KMS node is approved now.
    function kmsAllowedAggregatedMrs(bytes32 mrAggregated) external view returns (bool);

    /// @notice Whether the host is approved for KMS nodes now.
    function kmsAllowedDeviceIds(bytes32 deviceId) external view returns (bool);

    /// @notice The host registry that must admit hosts; zero = no such rule.
    function hosts() external view returns (address);
}

/// @notice Keeps the root public keys of the KMS: with which quote they were proven, and which epoch they serve.
/// @dev Two steps: anyone proves a pair of keys with the quote of its bootstrap. Then the owner approves it, which opens the
/// next epoch. The quote's report data must be dstack's bootstrap commitment to these keys.
/// Trust: the quote proves that approved KMS code created the keys on an allowed host. That they were not copied later is a
/// property of that code, not of this registry. A bootstrap quote has no time; the approval dates it.
interface IRootKeys {
    /// @notice What was proven about one pair of keys.
    struct Proof {
        /// @notice Aggregated measurement of the KMS node that created the keys.
        bytes32 mrAggregated;
        /// @notice The host on which they were created.
        bytes32 deviceId;
        /// @notice Time of the proof, unix seconds; 0 = not proven.
        uint40 provenAt;
        /// @notice TCB status of the host at that time.
        TcbStatus status;
        /// @notice Epoch that the first approval opened; 0 = never approved.
        uint32 epoch;
    }

    /// @notice A pair of keys was proven.
    /// @param id keccak256 of both keys.
    /// @param quoteId keccak256 of the quote's signed part.
    /// @param proof what was proven.
    /// @param caPublicKey SubjectPublicKeyInfo of the root CA.
    /// @param k256PublicKey compressed secp256k1 key.
    event RootKeyProven(
        bytes32 indexed id,
        bytes32 indexed quoteId,
        Proof proof,
        bytes caPublicKey,
        bytes k256PublicKey
    );
    /// @notice The first approval of a pair of keys opened an epoch.
    /// @param epoch number of the epoch, from 1.
    /// @param id the pair of keys of this epoch.
    event EpochOpened(uint32 indexed epoch, bytes32 indexed id);
    /// @notice This contract verifies quotes from now on.
    event VerifierSet(address verifier);
    /// @notice This KmsAuth says which KMS nodes are allowed. Emitted once, at initialization.
    event KmsAuthSet(address kmsAuth);

    /// @notice The verifier rejected the quote.
    error RootKeyQuoteRejected(Verdict verdict);

    /// @notice The quote does not commit to these keys, or commits to more.
    /// @param secondHalf second half of the report data; must be zero.
    /// @param found first half of the report data.
    /// @param expected `commitmentTo` of the given keys.
    error RootKeyCommitmentMismatch(bytes32 found, bytes32 expected, bytes32 secondHalf);
    /// @notice KmsAuth does not allow KMS nodes with this measurement now.
    error RootKeyMeasurementNotAllowed(bytes32 mrAggregated);
    /// @notice KmsAuth does not allow KMS nodes on this host now.
    error RootKeyDeviceNotAllowed(bytes32 deviceId);

    /// @notice The host registry of KmsAuth does not admit the host.
    error RootKeyHostNotAdmitted(bytes32 deviceId);

    /// @notice The keys do not have the lengths of dstack's KMS: 91 and 33 bytes.
    /// @param caLength bytes of the CA key; 91 are needed.
    /// @param k256Length bytes of the secp256k1 key; 33 are needed.
    error RootKeyMalformed(uint256 caLength, uint256 k256Length);
    /// @notice The keys cannot be approved: they were not proven.
    error RootKeyNotProven(bytes32 id);

    /// @notice Proves a pair of keys. Anyone may call; only an approval allows the keys. Emits `RootKeyProven`.
    /// @dev Does nothing if the keys are proven already, so an earlier call by someone else cannot make a batch fail. The quote
    /// must pass `PolicyLib.upToDate`. Reverts with `RootKeyMalformed`, `RootKeyQuoteRejected`, `RootKeyCommitmentMismatch`,
    /// `PolicyBreached`, `RootKeyMeasurementNotAllowed`, `RootKeyDeviceNotAllowed`, `RootKeyHostNotAdmitted`, and with the
    /// verifier's errors for a malformed quote.
    /// @param quote the quote of the bootstrap, in any form that the verifier takes.
    /// @param caPublicKey SubjectPublicKeyInfo of the root CA (P-256), 91 bytes of DER.
    /// @param k256PublicKey compressed secp256k1 key, 33 bytes.
    /// @return id keccak256 of both keys.
    function prove(
        bytes calldata quote,
        bytes calldata caPublicKey,
        bytes calldata k256PublicKey
    ) external returns (bytes32 id);

    /// @notice The id of a pair of keys: keccak256(caPublicKey ‖ k256PublicKey). Reverts with `RootKeyMalformed`.
    /// @param caPublicKey SubjectPublicKeyInfo in DER, 91 bytes.
    /// @param k256PublicKey compressed secp256k1 key, 33 bytes.
    function idOf(bytes calldata caPublicKey, bytes calldata k256PublicKey) external pure returns (bytes32);

    /// @notice dstack's bootstrap commitment to a pair of keys: the first half of the quote's report data.
    function commitmentTo(bytes calldata caPublicKey, bytes calldata k256PublicKey) external pure returns (bytes32);

    /// @notice What was proven about a pair of keys; all zero if nothing was.
    function proofOf(bytes32 id) external view returns (Proof memory);

    /// @notice The newest epoch; 0 = none yet. Its keys can be suspended: check `stateOf`.
    function currentEpoch() external view returns (uint32);

    /// @notice Id of the keys of an epoch; zero if it was never opened.
    function keyOf(uint32 epoch) external view returns (bytes32 id);

    /// @notice Sets the contract that verifies quotes. Owner: else reverts with `OwnableUnauthorizedAccount`.
    /// @dev Emits `VerifierSet`. Reverts with `ExecutionDeadlinePassed`.
    /// @param notAfter execution deadline, unix seconds.
    function setVerifier(address newVerifier, uint40 notAfter) external;
}

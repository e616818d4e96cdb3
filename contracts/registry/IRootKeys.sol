// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TcbStatus, Verdict} from "../types/Report.sol";

/// @notice What the registry of root keys asks KmsAuth.
interface IKmsApprovals {
    function kmsAllowedAggregatedMrs(bytes32 mrAggregated) external view returns (bool);

    function kmsAllowedDeviceIds(bytes32 deviceId) external view returns (bool);

    /// @notice The registry of hosts that boots must be admitted by; zero = no such rule.
    function hosts() external view returns (address);
}

/// @notice The public root keys of the KMS: where each was made, and which epoch it serves.
/// @dev A key enters by two steps: anyone proves it with the quote of its bootstrap, then the owner approves it, which
/// opens the next epoch. The quote's report data must be the bootstrap commitment of dstack's KMS to exactly these keys.
/// Trust: the quote proves that approved KMS code made the keys on an allowed machine. That nobody copied them since is
/// the promise of that code, not of this registry. A bootstrap quote carries no time; the approval is what dates it.
interface IRootKeys {
    /// @notice What is known of one pair of keys.
    struct Proof {
        bytes32 mrAggregated;
        bytes32 deviceId;
        uint40 provenAt;
        TcbStatus status;
        /// @notice Epoch of its first approval; 0 = never approved.
        uint32 epoch;
    }

    event RootKeyProven(
        bytes32 indexed id,
        bytes32 indexed quoteId,
        Proof proof,
        bytes caPublicKey,
        bytes k256PublicKey
    );
    event EpochOpened(uint32 indexed epoch, bytes32 indexed id);
    event VerifierSet(address verifier);
    event KmsAuthSet(address kmsAuth);

    error RootKeyQuoteRejected(Verdict verdict);

    /// @notice Thrown when the quote commits to other keys, or to anything beside them.
    error RootKeyCommitmentWrong(bytes32 found, bytes32 expected, bytes32 secondHalf);
    error RootKeyMeasurementNotAllowed(bytes32 mrAggregated);
    error RootKeyDeviceNotAllowed(bytes32 deviceId);

    /// @notice Thrown when KmsAuth asks a registry of hosts, and that one does not admit the machine.
    error RootKeyHostNotAdmitted(bytes32 deviceId);

    /// @notice Thrown when the keys have not the form that dstack's KMS gives them.
    error RootKeyMalformed(uint256 caLength, uint256 k256Length);
    error RootKeyNotProven(bytes32 id);

    /// @notice Proves a pair of keys. Anyone may; nothing is allowed by it yet. Keys that are proven already are left as
    /// they are, so that nobody can make a batch fail by being first.
    /// @dev The quote must pass `PolicyLib.upToDate`: no debug TD, nothing that can be migrated away.
    /// @param caPublicKey SubjectPublicKeyInfo of the root CA (P-256), 91 bytes of DER.
    /// @param k256PublicKey Compressed secp256k1 key, 33 bytes.
    function prove(
        bytes calldata quote,
        bytes calldata caPublicKey,
        bytes calldata k256PublicKey
    ) external returns (bytes32 id);

    /// @notice The id of a pair of keys: keccak256 of one after the other.
    function idOf(bytes calldata caPublicKey, bytes calldata k256PublicKey) external pure returns (bytes32);

    /// @notice What the first half of the report data must be (spec: dstack KMS, bootstrap).
    function commitmentTo(bytes calldata caPublicKey, bytes calldata k256PublicKey) external pure returns (bytes32);

    function proofOf(bytes32 id) external view returns (Proof memory);

    /// @notice The epoch opened last; 0 = none yet. Its key may be suspended: ask `stateOf`.
    function currentEpoch() external view returns (uint32);

    /// @notice The keys of an epoch, zero if it was never opened.
    function keyOf(uint32 epoch) external view returns (bytes32 id);

    function setVerifier(address newVerifier, uint40 notAfter) external;
}

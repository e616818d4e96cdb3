// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Approval, State} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";

/// @notice What may be used, since when, until when, on what evidence.
/// @dev Trust: the owner decides everything; the guardian can only deny, and only for a time. What the evidence says is
/// not read on-chain. Storage: the word of (kind, id) lies at keccak256(id . keccak256(kind . 0)).
interface IApprovalRegistry {
    /// @notice One thing to approve.
    struct Terms {
        Kind kind;
        bytes32 id;
        /// @notice Earliest second of use; the activation delay of the kind applies if it ends later. 0 = as soon as possible.
        uint40 activeFrom;
        /// @notice First second of no more use; 0 = never.
        uint40 expiresAt;
        /// @notice The document behind the decision: in the event whole, in storage as its keccak256.
        bytes evidence;
    }

    /// @notice Emitted when something is approved, with the whole new word.
    event ApprovalGiven(Kind indexed kind, bytes32 indexed id, Approval approval, bytes evidence);

    /// @notice Emitted on every other change of an approval, with the whole new word.
    event ApprovalChanged(Kind indexed kind, bytes32 indexed id, Approval approval);

    /// @notice Emitted when the owner names the guardian and how long its suspensions last.
    event GuardianSet(address indexed guardian, uint40 suspension);

    /// @notice Thrown when this registry does not keep approvals of that kind.
    error KindUnknown(Kind kind);

    /// @notice Thrown when an id is zero or not one of its kind.
    error IdInvalid(Kind kind, bytes32 id);

    /// @notice Thrown when an id was never approved here.
    error ApprovalUnknown(Kind kind, bytes32 id);

    /// @notice Thrown when a decision is carried out after the time it was made for.
    error DecisionTooLate(uint256 time, uint256 notAfter);

    /// @notice Thrown when someone who is neither guardian nor owner suspends.
    error GuardianUnauthorizedAccount(address account);

    /// @notice Thrown when the guardian suspends again what was suspended until `suspendedUntil`, before `restsUntil`.
    error GuardianMustRest(bytes32 id, uint256 suspendedUntil, uint256 restsUntil);

    /// @notice Thrown when a suspension would last too short or too long.
    error SuspensionOutOfBounds(uint256 suspension, uint256 minimum, uint256 maximum);

    /// @notice Approves all of `terms` or none. What is pending or active already keeps its version, and gets the end and
    /// the evidence given here and the earlier start: nobody makes a batch fail by being first. Only the owner.
    /// @param notAfter Refuses if executed later than this second, so that a forgotten queued decision does not fire.
    function approve(Terms[] calldata terms, uint40 notAfter) external;

    /// @notice Lets approvals that have an end last longer; 0 = for ever. Skips what was withdrawn or revoked. Only the owner.
    function renew(Kind kind, bytes32[] calldata ids, uint40 expiresAt, uint40 notAfter) external;

    /// @notice Lets approvals end sooner than they would; skips what was withdrawn or revoked. Only the owner.
    function retire(Kind kind, bytes32[] calldata ids, uint40 expiresAt) external;

    /// @notice Takes approvals back; skips what is already withdrawn or revoked. Only the owner.
    function withdraw(Kind kind, bytes32[] calldata ids) external;

    /// @notice Takes approvals back for good, known or not; skips what is already revoked. Only the owner.
    function revoke(Kind kind, bytes32[] calldata ids) external;

    /// @notice Stops approvals for the suspension time; skips what is already unusable. Guardian or owner.
    function suspend(Kind kind, bytes32[] calldata ids) external;

    /// @notice Ends suspensions; skips what is not suspended. Only the owner.
    function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external;

    /// @notice Names who may suspend (zero = nobody but the owner) and for how long. Only the owner.
    function setGuardian(address newGuardian, uint40 newSuspension, uint40 notAfter) external;

    /// @notice Writes down that approvals have expired: they become withdrawn, and events say so. Skips what was
    /// withdrawn or revoked. Anyone.
    function markExpired(Kind kind, bytes32[] calldata ids) external;

    /// @notice Reverts after `notAfter`. The first call of a batch whose others know no end: upgrades, dstack's functions.
    function requireNotAfter(uint40 notAfter) external view;

    function guardian() external view returns (address);

    /// @notice How long a suspension lasts, in seconds; the guardian must then rest as long for the same approval. A
    /// suspension by the owner does not make the guardian rest.
    function suspension() external view returns (uint40);

    function approvalOf(Kind kind, bytes32 id) external view returns (Approval);

    /// @notice The state now.
    function stateOf(Kind kind, bytes32 id) external view returns (State);

    /// @notice keccak256 of the evidence given with the current version; zero if none was given.
    function evidenceOf(Kind kind, bytes32 id) external view returns (bytes32);

    /// @notice Seconds from approval to activity.
    function activationDelay(Kind kind) external view returns (uint256);

    /// @notice How many ids of `kind` were ever approved or revoked.
    function count(Kind kind) external view returns (uint256);

    /// @notice Up to `limit` ids and their approvals from position `offset` (from 0), in order of first approval.
    function page(
        Kind kind,
        uint256 offset,
        uint256 limit
    ) external view returns (bytes32[] memory ids, Approval[] memory approvals);
}

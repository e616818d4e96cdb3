// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Approval, State} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";
import {IExecutionDeadline} from "./IExecutionDeadline.sol";

/// @notice Keeps approvals: what is allowed, from when, until when, and on what evidence.
/// @dev Functions marked "owner" revert with `OwnableUnauthorizedAccount` for anyone else. Times are unix seconds.
/// Batch functions skip entries that already have the requested state, so an earlier transaction by someone else cannot
/// make a batch fail. `notAfter` is an execution deadline: later the call reverts with `ExecutionDeadlinePassed`.
/// Trust: the owner decides everything. The guardian can only deny, and only for a limited time. Nothing on-chain reads
/// the evidence. Storage: the word of (kind, id) is at keccak256(id . keccak256(kind . 0)).
interface IApprovalRegistry is IExecutionDeadline {
    /// @notice One thing to approve.
    struct ApprovalTerms {
        /// @notice What kind of thing it is.
        Kind kind;
        /// @notice Its name inside the kind; see `Kind`.
        bytes32 id;
        /// @notice Start time. The activation delay of the kind counts if it ends later. 0 = as soon as possible.
        uint40 activeFrom;
        /// @notice End time: the first second in which the approval no longer counts. 0 = never.
        uint40 expiresAt;
        /// @notice The document behind the decision. The event has it whole, storage has its keccak256.
        bytes evidence;
    }

    /// @notice Something was approved, for the first time or again.
    /// @param kind what kind of thing.
    /// @param id its name inside the kind.
    /// @param approval the complete new word; decode it with `Approval`'s functions.
    /// @param evidence the document behind the decision.
    event ApprovalGiven(Kind indexed kind, bytes32 indexed id, Approval approval, bytes evidence);

    /// @notice An approval changed in another way: extended, shortened, suspended, lifted, withdrawn, revoked or marked
    /// expired. The last `ApprovalGiven` or `ApprovalChanged` of an id has its current word.
    /// @param approval the complete new word.
    event ApprovalChanged(Kind indexed kind, bytes32 indexed id, Approval approval);

    /// @notice The guardian changed, or how long a suspension lasts.
    /// @param guardian the new guardian; zero = none.
    /// @param suspension how long a suspension lasts, seconds.
    event GuardianSet(address indexed guardian, uint40 suspension);

    /// @notice This registry does not keep approvals of that kind.
    /// @param kind the kind; `Kind` names the registry that keeps it.
    error KindUnknown(Kind kind);

    /// @notice The id is zero, or not possible for its kind.
    /// @param id the id; an app needs an address, every other kind any value but zero.
    error IdInvalid(Kind kind, bytes32 id);

    /// @notice The id was never approved or revoked here.
    /// @param id an id that is not in the list of its kind.
    error ApprovalUnknown(Kind kind, bytes32 id);

    /// @notice The caller is neither the guardian nor the owner.
    error GuardianUnauthorizedAccount(address account);

    /// @notice The guardian suspended this approval before and cannot suspend it again before `cooldownUntil`.
    /// @param suspendedUntil end of the guardian's last suspension.
    /// @param cooldownUntil first second in which the guardian can suspend it again.
    error GuardianCooldown(bytes32 id, uint256 suspendedUntil, uint256 cooldownUntil);

    /// @notice The length of suspensions is out of bounds. All values in seconds.
    /// @param suspension what was asked for, seconds.
    /// @param minimum one hour.
    /// @param maximum 90 days.
    error SuspensionOutOfBounds(uint256 suspension, uint256 minimum, uint256 maximum);

    /// @notice Approves all of `terms`, or none. Owner. Emits `ApprovalGiven` for each.
    /// @dev What is pending, active or suspended already keeps its version and its suspension, and gets the new end, the new
    /// evidence and the earlier start. Reverts with `KindUnknown`, `IdInvalid`, `ApprovalNeverActive`, and with
    /// `ApprovalStateInvalid` if an id is revoked.
    /// @param notAfter execution deadline, unix seconds.
    /// @param terms the approvals. All of them succeed, or none.
    function approve(ApprovalTerms[] calldata terms, uint40 notAfter) external;

    /// @notice Moves the end of approvals to a later time. Owner. Emits `ApprovalChanged` for each.
    /// @dev Skips withdrawn and revoked ids. Reverts with `ApprovalUnknown`, `ApprovalEndInvalid`, and with
    /// `ApprovalStateInvalid` if an id is expired. A suspension stays.
    /// @param expiresAt new end; 0 = never.
    /// @param notAfter execution deadline, unix seconds.
    function extend(Kind kind, bytes32[] calldata ids, uint40 expiresAt, uint40 notAfter) external;

    /// @notice Moves the end of approvals to an earlier time. Owner. Emits `ApprovalChanged` for each.
    /// @dev Skips withdrawn and revoked ids. Reverts with `ApprovalUnknown`, `ApprovalEndInvalid`, and with
    /// `ApprovalStateInvalid` if an id is expired.
    /// @param expiresAt new end, in the future.
    function shorten(Kind kind, bytes32[] calldata ids, uint40 expiresAt) external;

    /// @notice Ends approvals immediately. A new version can be approved later. Owner. Emits `ApprovalChanged` for each.
    /// @dev Skips withdrawn and revoked ids. Reverts with `ApprovalUnknown`.
    /// @param ids ids of one kind; all must be in its list.
    function withdraw(Kind kind, bytes32[] calldata ids) external;

    /// @notice Forbids ids permanently, approved or not. Owner. Emits `ApprovalChanged` for each.
    /// @dev Skips revoked ids. Reverts with `KindUnknown` and `IdInvalid`.
    /// @param ids ids of one kind, also ones that were never approved.
    function revoke(Kind kind, bytes32[] calldata ids) external;

    /// @notice Denies approvals for the suspension time. Guardian or owner. Emits `ApprovalChanged` for each.
    /// @dev Skips ids that are neither pending nor active. Reverts with `GuardianUnauthorizedAccount`, `ApprovalUnknown`, and,
    /// for the guardian, with `GuardianCooldown`.
    /// @param ids ids of one kind; all must be in its list.
    function suspend(Kind kind, bytes32[] calldata ids) external;

    /// @notice Ends suspensions early. Owner. Emits `ApprovalChanged` for each.
    /// @dev Skips ids that are not suspended. Reverts with `ApprovalUnknown`.
    /// @param notAfter execution deadline, unix seconds.
    /// @param ids ids of one kind; all must be in its list.
    function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external;

    /// @notice Sets the guardian and the length of suspensions. Owner. Emits `GuardianSet`.
    /// @dev Reverts with `SuspensionOutOfBounds` (1 hour to 90 days). Suspensions that run keep their end.
    /// @param newGuardian the account that can suspend; zero = only the owner can.
    /// @param newSuspension how long a suspension lasts, seconds.
    /// @param notAfter execution deadline, unix seconds.
    function setGuardian(address newGuardian, uint40 newSuspension, uint40 notAfter) external;

    /// @notice Records that approvals have expired: they become withdrawn. Anyone. Emits `ApprovalChanged` for each, so that an
    /// indexer learns of the end from an event.
    /// @dev Skips withdrawn and revoked ids. Reverts with `ApprovalUnknown`, and with `ApprovalStateInvalid` if an approval
    /// has not expired.
    /// @param ids ids of one kind; all must be in its list.
    function markExpired(Kind kind, bytes32[] calldata ids) external;

    /// @notice Reverts with `ExecutionDeadlinePassed` after `notAfter`.
    /// @dev Put it first in a batch whose other calls have no execution deadline: upgrades and dstack's functions.
    /// @param notAfter execution deadline, unix seconds.
    function requireNotAfter(uint40 notAfter) external view;

    /// @notice The account that can suspend approvals; zero = none.
    function guardian() external view returns (address);

    /// @notice How long a suspension lasts, seconds. The guardian cooldown of an approval is as long.
    /// @dev A suspension by the owner starts no cooldown. 0 = never set: the owner then suspends for 90 days.
    function suspension() external view returns (uint40);

    /// @notice The approval word of an id; zero if the id was never approved or revoked.
    function approvalOf(Kind kind, bytes32 id) external view returns (Approval);

    /// @notice The state of an id now.
    function stateOf(Kind kind, bytes32 id) external view returns (State);

    /// @notice keccak256 of the evidence of the current version; zero if there was none.
    function evidenceOf(Kind kind, bytes32 id) external view returns (bytes32);

    /// @notice The block in which the current version of an approval was approved; 0 for the first version. A proof that
    /// commits to the hash of this block or a later one was made after that.
    function approvedInBlock(Kind kind, bytes32 id) external view returns (uint256);

    /// @notice Seconds from an approval of `kind` to its earliest start; 0 for a kind that is not kept here.
    function activationDelay(Kind kind) external view returns (uint256);

    /// @notice Number of ids of `kind` that were ever approved or revoked; 0 for a kind that is not kept here.
    function count(Kind kind) external view returns (uint256);

    /// @notice A page of the list of all ids of `kind`, in the order of their first approval or revocation.
    /// @param offset first position, from 0.
    /// @param limit maximum number of entries.
    /// @return ids the ids; fewer than `limit` at the end of the list.
    /// @return approvals their approval words.
    function page(
        Kind kind,
        uint256 offset,
        uint256 limit
    ) external view returns (bytes32[] memory ids, Approval[] memory approvals);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice One approval in one storage word, so that one storage proof proves it.
/// @dev Bits from the lowest: activeFrom 40, expiresAt 40 (0 = never), suspendedUntil 40, endedAt 40 (0 = not ended),
/// version 32 (0 = never approved), index 32 (position in its list, from 1), revoked 1, suspended by the guardian 1,
/// 30 unused. Times are unix seconds. The layout is part of the ABI: events carry the word, and KMS nodes and the log
/// verifier read it from storage proofs. `src/chain/approval.ts` implements the same rules.
type Approval is uint256;

using {
    activeFrom,
    expiresAt,
    suspendedUntil,
    endedAt,
    version,
    index,
    isRevoked,
    isSuspendedByGuardian,
    stateAt,
    isActiveAt,
    approve,
    extend,
    shorten,
    suspend,
    suspendAsGuardian,
    lift,
    withdraw,
    revoke
} for Approval global;

/// @notice The state of an approval at a time. docs/contracts.md has the table of transitions.
enum State {
    /// @notice Never approved.
    None,
    /// @notice Approved, but its start time has not come yet.
    Pending,
    /// @notice The only state that allows anything.
    Active,
    /// @notice After its end time. Can be approved again, as a new version.
    Expired,
    /// @notice Denied for a limited time by the guardian or the owner. Ends without a transaction.
    Suspended,
    /// @notice Ended by the owner. Can be approved again, as a new version.
    Withdrawn,
    /// @notice Forbidden permanently.
    Revoked
}

/// @notice The approval is in a state that does not allow this change.
/// @param found the state of the approval now.
error ApprovalStateInvalid(State found);

/// @notice The approval would never be active: its end is not after its start, or has passed.
/// @param from start of the approval, unix seconds.
/// @param until end of the approval, unix seconds.
error ApprovalNeverActive(uint256 from, uint256 until);

/// @notice An extension does not move the end to a later time, or a shortening does not move it to an earlier one.
/// @param found the new end, unix seconds; 0 = never.
/// @param known the current end, unix seconds; 0 = never.
error ApprovalEndInvalid(uint256 found, uint256 known);

// 40 bits: unix seconds
uint256 constant TIME_MASK = type(uint40).max;
// 32 bits: version and index
uint256 constant NUMBER_MASK = type(uint32).max;
// positions of the fields after activeFrom, which is in the lowest bits
uint256 constant EXPIRES_SHIFT = 40;
uint256 constant SUSPENDED_SHIFT = 80;
uint256 constant ENDED_SHIFT = 120;
uint256 constant VERSION_SHIFT = 160;
uint256 constant INDEX_SHIFT = 192;
// flags
uint256 constant REVOKED_BIT = 1 << 224;
uint256 constant GUARDIAN_BIT = 1 << 225;

/* READING */

/// @notice Start time, unix seconds.
function activeFrom(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self));
}

/// @notice End time, unix seconds: the first second in which the approval no longer counts. 0 = it never ends.
function expiresAt(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self) >> EXPIRES_SHIFT);
}

/// @notice End of the last suspension of this version, unix seconds. 0 = this version was never suspended.
function suspendedUntil(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self) >> SUSPENDED_SHIFT);
}

/// @notice Time of the withdrawal or revocation, unix seconds. 0 = neither happened.
function endedAt(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self) >> ENDED_SHIFT);
}

/// @notice Number of the approval of this id, from 1. 0 = never approved.
function version(Approval self) pure returns (uint32) {
    return uint32(Approval.unwrap(self) >> VERSION_SHIFT);
}

/// @notice Position in the list of its kind, from 1. 0 = never approved or revoked.
function index(Approval self) pure returns (uint32) {
    return uint32(Approval.unwrap(self) >> INDEX_SHIFT);
}

/// @notice Whether the id is forbidden permanently.
function isRevoked(Approval self) pure returns (bool) {
    return Approval.unwrap(self) & REVOKED_BIT != 0;
}

/// @notice Whether the guardian made the last suspension of this version. False if the owner made it.
function isSuspendedByGuardian(Approval self) pure returns (bool) {
    return Approval.unwrap(self) & GUARDIAN_BIT != 0;
}

/// @notice The state at `time` (unix seconds).
/// @dev If several states apply, the first of this list counts: revoked, withdrawn, expired, suspended, pending.
function stateAt(Approval self, uint256 time) pure returns (State) {
    if (self.isRevoked()) return State.Revoked;
    if (self.version() == 0) return State.None;
    if (self.endedAt() != 0) return State.Withdrawn;
    if (self.expiresAt() != 0 && self.expiresAt() <= time) return State.Expired;
    if (time < self.suspendedUntil()) return State.Suspended;
    if (time < self.activeFrom()) return State.Pending;
    return State.Active;
}

/// @notice Whether the approval allows something at `time`.
function isActiveAt(Approval self, uint256 time) pure returns (bool) {
    return self.stateAt(time) == State.Active;
}

/* TRANSITIONS: each returns the new word and stores nothing */

/// @notice None, expired or withdrawn → pending or active, as the next version and without its past suspensions.
/// Pending, active or suspended → the same state and version, with the new end and the earlier of both starts. So a second
/// approval of the same id succeeds, also after a suspension, and proofs that rely on the version stay valid.
/// @dev Reverts with `ApprovalStateInvalid` if revoked, and with `ApprovalNeverActive`.
/// @param from start time, unix seconds.
/// @param until end time, unix seconds; 0 = never.
/// @param position index that the approval gets if it has none yet.
/// @param time the current time, unix seconds.
function approve(Approval self, uint40 from, uint40 until, uint32 position, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    bool opens = found == State.None || found == State.Expired || found == State.Withdrawn;
    require(opens || _isLive(found), ApprovalStateInvalid(found));
    require(until == 0 || (until > from && until > time), ApprovalNeverActive(from, until));

    if (!opens) {
        uint40 known = self.activeFrom();
        return _with(_with(self, EXPIRES_SHIFT, until), 0, known < from ? known : from);
    }
    uint32 listed = self.index() == 0 ? position : self.index();
    return _pack(from, until, self.version() + 1, listed);
}

/// @notice Pending, active or suspended → the same state and version, with a later end.
/// @dev Reverts with `ApprovalStateInvalid` in another state, and with `ApprovalEndInvalid` if the approval has no end or
/// `until` is not later.
/// @param until new end, unix seconds; 0 = never.
function extend(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(_isLive(found), ApprovalStateInvalid(found));
    uint40 known = self.expiresAt();
    require(known != 0 && (until == 0 || until > known), ApprovalEndInvalid(until, known));

    return _with(self, EXPIRES_SHIFT, until);
}

/// @notice Pending, active or suspended → the same state and version, with an earlier end.
/// @dev Reverts with `ApprovalStateInvalid` in another state, and with `ApprovalEndInvalid` if `until` has passed or is
/// not earlier.
/// @param until new end, unix seconds.
function shorten(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(_isLive(found), ApprovalStateInvalid(found));
    uint40 known = self.expiresAt();
    require(until > time && (known == 0 || until < known), ApprovalEndInvalid(until, known));

    return _with(self, EXPIRES_SHIFT, until);
}

/// @notice Pending or active → suspended by the owner.
/// @dev Reverts with `ApprovalStateInvalid` in another state.
function suspend(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(found == State.Pending || found == State.Active, ApprovalStateInvalid(found));

    Approval unmarked = Approval.wrap(Approval.unwrap(self) & ~GUARDIAN_BIT);
    return _with(unmarked, SUSPENDED_SHIFT, until);
}

/// @notice Pending or active → suspended by the guardian. The mark starts the guardian cooldown (`ApprovalRegistry`).
/// @dev Reverts with `ApprovalStateInvalid` in another state.
function suspendAsGuardian(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    return Approval.wrap(Approval.unwrap(self.suspend(until, time)) | GUARDIAN_BIT);
}

/// @notice Suspended → the state without the suspension. The word keeps `time` as the end of the suspension.
/// @dev Reverts with `ApprovalStateInvalid` in another state.
function lift(Approval self, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(found == State.Suspended, ApprovalStateInvalid(found));

    return _with(self, SUSPENDED_SHIFT, uint40(time));
}

/// @notice Pending, active, suspended or expired → withdrawn.
/// @dev Reverts with `ApprovalStateInvalid` in another state.
function withdraw(Approval self, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(_isLive(found) || found == State.Expired, ApprovalStateInvalid(found));

    return _with(self, ENDED_SHIFT, uint40(time));
}

/// @notice Any other state → revoked. An id that was never approved can also be revoked; then it can never be approved.
/// @dev Reverts with `ApprovalStateInvalid` if revoked already. Keeps the time of an earlier withdrawal.
/// @param position index that the approval gets if it has none yet.
function revoke(Approval self, uint32 position, uint256 time) pure returns (Approval) {
    require(!self.isRevoked(), ApprovalStateInvalid(State.Revoked));

    Approval listed = self.index() == 0 ? _with32(self, INDEX_SHIFT, position) : self;
    Approval ended = listed.endedAt() == 0 ? _with(listed, ENDED_SHIFT, uint40(time)) : listed;
    return Approval.wrap(Approval.unwrap(ended) | REVOKED_BIT);
}

/// @dev The states in which an approval has an end that can change.
function _isLive(State found) pure returns (bool) {
    return found == State.Pending || found == State.Active || found == State.Suspended;
}

/// @dev A word without suspension, end and marks.
function _pack(uint40 from, uint40 until, uint32 number, uint32 position) pure returns (Approval) {
    return
        Approval.wrap(
            uint256(from) |
                (uint256(until) << EXPIRES_SHIFT) |
                (uint256(number) << VERSION_SHIFT) |
                (uint256(position) << INDEX_SHIFT)
        );
}

/// @dev The word with another time at `shift`.
function _with(Approval self, uint256 shift, uint40 time) pure returns (Approval) {
    return Approval.wrap((Approval.unwrap(self) & ~(TIME_MASK << shift)) | (uint256(time) << shift));
}

/// @dev The word with another 32-bit number at `shift`.
function _with32(Approval self, uint256 shift, uint32 number) pure returns (Approval) {
    return Approval.wrap((Approval.unwrap(self) & ~(NUMBER_MASK << shift)) | (uint256(number) << shift));
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice One approval in one storage word, so that one storage proof proves it.
/// @dev Bits from the lowest: activeFrom 40, expiresAt 40 (0 = never), suspendedUntil 40, endedAt 40 (0 = not ended),
/// version 32 (0 = never approved), index 32 (position in its list, from 1), revoked 1, suspended by the guardian 1,
/// 30 unused. Times are unix seconds.
type Approval is uint256;

using {
    activeFrom,
    expiresAt,
    suspendedUntil,
    endedAt,
    version,
    index,
    isRevoked,
    isGuardians,
    stateAt,
    isActiveAt,
    approve,
    renew,
    retire,
    suspend,
    suspendAsGuardian,
    lift,
    withdraw,
    revoke
} for Approval global;

/// @notice What an approval is worth at a time; docs/contracts.md has the table of transitions.
enum State {
    /// @notice Never approved.
    None,
    /// @notice Approved, and its time has not yet come.
    Pending,
    /// @notice The only state that allows anything.
    Active,
    /// @notice Past its end; may be approved again as a new version.
    Expired,
    /// @notice Stopped by the guardian or the owner; ends by itself.
    Suspended,
    /// @notice Taken back; may be approved again as a new version.
    Withdrawn,
    /// @notice Taken back for good.
    Revoked
}

/// @notice Thrown when an approval is not in a state from which it can be changed like that.
error ApprovalStateWrong(State found);

/// @notice Thrown when an approval would end before it starts, or has ended already.
error ApprovalNeverActive(uint256 from, uint256 until);

/// @notice Thrown when a renewal does not last longer, or a retirement not shorter, than what is known.
error ApprovalEndWrong(uint256 found, uint256 known);

uint256 constant TIME_MASK = type(uint40).max;
uint256 constant NUMBER_MASK = type(uint32).max;
uint256 constant EXPIRES_SHIFT = 40;
uint256 constant SUSPENDED_SHIFT = 80;
uint256 constant ENDED_SHIFT = 120;
uint256 constant VERSION_SHIFT = 160;
uint256 constant INDEX_SHIFT = 192;
uint256 constant REVOKED_BIT = 1 << 224;
uint256 constant GUARDIAN_BIT = 1 << 225;

/* WHAT IT SAYS */

function activeFrom(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self));
}

function expiresAt(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self) >> EXPIRES_SHIFT);
}

function suspendedUntil(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self) >> SUSPENDED_SHIFT);
}

function endedAt(Approval self) pure returns (uint40) {
    return uint40(Approval.unwrap(self) >> ENDED_SHIFT);
}

function version(Approval self) pure returns (uint32) {
    return uint32(Approval.unwrap(self) >> VERSION_SHIFT);
}

function index(Approval self) pure returns (uint32) {
    return uint32(Approval.unwrap(self) >> INDEX_SHIFT);
}

function isRevoked(Approval self) pure returns (bool) {
    return Approval.unwrap(self) & REVOKED_BIT != 0;
}

/// @notice Whether the last suspension of this version was the guardian's and not the owner's.
function isGuardians(Approval self) pure returns (bool) {
    return Approval.unwrap(self) & GUARDIAN_BIT != 0;
}

/// @notice The state at `time`; what denies more wins over what denies less.
function stateAt(Approval self, uint256 time) pure returns (State) {
    if (self.isRevoked()) return State.Revoked;
    if (self.version() == 0) return State.None;
    if (self.endedAt() != 0) return State.Withdrawn;
    if (self.expiresAt() != 0 && self.expiresAt() <= time) return State.Expired;
    if (time < self.suspendedUntil()) return State.Suspended;
    if (time < self.activeFrom()) return State.Pending;
    return State.Active;
}

function isActiveAt(Approval self, uint256 time) pure returns (bool) {
    return self.stateAt(time) == State.Active;
}

/* WHAT CAN HAPPEN TO IT */

/// @notice None, expired or withdrawn → pending or active, as the next version and with no trace of a suspension.
/// Pending or active → the same version, with the given end and the earlier of the two starts: who approves what somebody
/// else had approved a moment ago gets what he asked for, and nothing that relies on the version is cut off.
/// @param position The index it gets if it has none yet.
function approve(Approval self, uint40 from, uint40 until, uint32 position, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    bool opens = found == State.None || found == State.Expired || found == State.Withdrawn;
    require(opens || found == State.Pending || found == State.Active, ApprovalStateWrong(found));
    require(until == 0 || (until > from && until > time), ApprovalNeverActive(from, until));

    if (!opens) {
        uint40 known = self.activeFrom();
        return _with(_with(self, EXPIRES_SHIFT, until), 0, known < from ? known : from);
    }
    uint32 listed = self.index() == 0 ? position : self.index();
    return _pack(from, until, self.version() + 1, listed);
}

/// @notice Pending or active → the same, for longer. The version stays: nothing that relies on it is cut off.
function renew(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(found == State.Pending || found == State.Active, ApprovalStateWrong(found));
    uint40 known = self.expiresAt();
    require(known != 0 && (until == 0 || until > known), ApprovalEndWrong(until, known));

    return _with(self, EXPIRES_SHIFT, until);
}

/// @notice Pending, active or suspended → the same, with an end that comes sooner.
function retire(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(_isLive(found), ApprovalStateWrong(found));
    uint40 known = self.expiresAt();
    require(until > time && (known == 0 || until < known), ApprovalEndWrong(until, known));

    return _with(self, EXPIRES_SHIFT, until);
}

/// @notice Pending or active → suspended, by the owner.
function suspend(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(found == State.Pending || found == State.Active, ApprovalStateWrong(found));

    Approval unmarked = Approval.wrap(Approval.unwrap(self) & ~GUARDIAN_BIT);
    return _with(unmarked, SUSPENDED_SHIFT, until);
}

/// @notice Pending or active → suspended, by the guardian, who has to rest afterwards.
function suspendAsGuardian(Approval self, uint40 until, uint256 time) pure returns (Approval) {
    return Approval.wrap(Approval.unwrap(self.suspend(until, time)) | GUARDIAN_BIT);
}

/// @notice Suspended → what it would be without the suspension, whose end stays recorded.
function lift(Approval self, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(found == State.Suspended, ApprovalStateWrong(found));

    return _with(self, SUSPENDED_SHIFT, uint40(time));
}

/// @notice Pending, active, suspended or expired → withdrawn.
function withdraw(Approval self, uint256 time) pure returns (Approval) {
    State found = self.stateAt(time);
    require(_isLive(found) || found == State.Expired, ApprovalStateWrong(found));

    return _with(self, ENDED_SHIFT, uint40(time));
}

/// @notice Anything but revoked → revoked. What was never approved can be revoked too, so that it never will be.
/// @param position The index it gets if it has none yet.
function revoke(Approval self, uint32 position, uint256 time) pure returns (Approval) {
    require(!self.isRevoked(), ApprovalStateWrong(State.Revoked));

    Approval listed = self.index() == 0 ? _with32(self, INDEX_SHIFT, position) : self;
    Approval ended = listed.endedAt() == 0 ? _with(listed, ENDED_SHIFT, uint40(time)) : listed;
    return Approval.wrap(Approval.unwrap(ended) | REVOKED_BIT);
}

function _isLive(State found) pure returns (bool) {
    return found == State.Pending || found == State.Active || found == State.Suspended;
}

function _pack(uint40 from, uint40 until, uint32 number, uint32 position) pure returns (Approval) {
    return
        Approval.wrap(
            uint256(from) |
                (uint256(until) << EXPIRES_SHIFT) |
                (uint256(number) << VERSION_SHIFT) |
                (uint256(position) << INDEX_SHIFT)
        );
}

function _with(Approval self, uint256 shift, uint40 time) pure returns (Approval) {
    return Approval.wrap((Approval.unwrap(self) & ~(TIME_MASK << shift)) | (uint256(time) << shift));
}

function _with32(Approval self, uint256 shift, uint32 number) pure returns (Approval) {
    return Approval.wrap((Approval.unwrap(self) & ~(NUMBER_MASK << shift)) | (uint256(number) << shift));
}

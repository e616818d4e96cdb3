// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Approval, State} from "../../contracts/types/Approval.sol";

/// @notice Properties of the approval word, proven by Halmos for every word and every time.
/// @dev `word` is any 256 bits: also words that no history of transitions can produce. `now_` and `later` are unix seconds.
/// A transition that reverts ends the path, so each property speaks about the transitions that succeed.
contract ApprovalProof {
    /// @dev Halmos reports the inputs with which an `assert` fails.
    function _implies(bool a, bool b) private pure {
        assert(!a || b);
    }

    /// @notice What the guardian or the owner does to deny never makes the approval active at a time at which it was not.
    function check_DenialsNeverAllow(uint256 raw, uint8 step, uint40 until, uint40 now_, uint40 later) external pure {
        if (later < now_) return;
        Approval word = Approval.wrap(raw);
        Approval changed;
        if (step == 0) changed = word.suspend(until, now_);
        else if (step == 1) changed = word.suspendAsGuardian(until, now_);
        else if (step == 2) changed = word.withdraw(now_);
        else if (step == 3) changed = word.revoke(1, now_);
        else changed = word.shorten(until, now_);

        _implies(changed.isActiveAt(later), word.isActiveAt(later));
    }

    /// @notice Denying is immediate: nothing that was just suspended, withdrawn or revoked is active in the same second.
    function check_DenialsAreImmediate(uint256 raw, uint8 step, uint40 until, uint40 now_) external pure {
        if (until <= now_ || now_ == 0) return;
        Approval word = Approval.wrap(raw);
        Approval changed;
        if (step == 0) changed = word.suspend(until, now_);
        else if (step == 1) changed = word.suspendAsGuardian(until, now_);
        else if (step == 2) changed = word.withdraw(now_);
        else changed = word.revoke(1, now_);

        assert(!changed.isActiveAt(now_));
    }

    /// @notice Allowing is delayed: a new version is never active before its start, and never after its end. An approval of a
    /// suspended id does not end its suspension.
    function check_AllowsAreDelayed(uint256 raw, uint40 from, uint40 until, uint40 now_, uint40 later) external pure {
        Approval word = Approval.wrap(raw);
        State found = word.stateAt(now_);
        Approval changed = word.approve(from, until, 1, now_);

        bool isSuspended = found == State.Suspended;
        bool isOpen = found == State.Active || found == State.Pending || isSuspended;
        _implies(!isOpen && later < from, !changed.isActiveAt(later));
        _implies(isSuspended && later < word.suspendedUntil(), !changed.isActiveAt(later));
        _implies(until != 0 && later >= until, !changed.isActiveAt(later));
    }

    /// @notice A suspension denies until it ends, and then ends without a transaction.
    function check_SuspensionsEnd(uint256 raw, uint40 until, uint40 now_, uint40 later) external pure {
        Approval word = Approval.wrap(raw);
        Approval changed = word.suspendAsGuardian(until, now_);

        _implies(later < until, !changed.isActiveAt(later));
        _implies(later >= until, changed.stateAt(later) != State.Suspended);
        assert(changed.isSuspendedByGuardian());
    }

    /// @notice A revoked id never changes again.
    function check_RevokedIsFinal(uint256 raw, uint8 step, uint40 a, uint40 b, uint40 now_) external pure {
        Approval word = Approval.wrap(raw);
        if (!word.isRevoked()) return;
        if (step == 0) word.approve(a, b, 1, now_);
        else if (step == 1) word.extend(a, now_);
        else if (step == 2) word.shorten(a, now_);
        else if (step == 3) word.suspend(a, now_);
        else if (step == 4) word.suspendAsGuardian(a, now_);
        else if (step == 5) word.lift(now_);
        else if (step == 6) word.withdraw(now_);
        else word.revoke(1, now_);

        assert(false);
    }

    /// @notice Only an approval of something that has ended or never began gives a new version, and it is the next number.
    function check_VersionsCount(uint256 raw, uint40 from, uint40 until, uint40 now_) external pure {
        Approval word = Approval.wrap(raw);
        if (word.version() == type(uint32).max) return;
        State found = word.stateAt(now_);
        Approval changed = word.approve(from, until, 1, now_);

        bool isOpen = found == State.Active || found == State.Pending || found == State.Suspended;
        assert(changed.version() == word.version() + (isOpen ? 0 : 1));
    }

    /// @notice What was withdrawn or has expired never becomes active by itself or by another step than an approval.
    function check_EndedStaysEnded(uint256 raw, uint8 step, uint40 a, uint40 now_, uint40 later) external pure {
        Approval word = Approval.wrap(raw);
        State found = word.stateAt(now_);
        if (later < now_ || (found != State.Withdrawn && found != State.Expired)) return;
        Approval changed = word;
        if (step == 0) changed = word.extend(a, now_);
        else if (step == 1) changed = word.shorten(a, now_);
        else if (step == 2) changed = word.lift(now_);
        else if (step == 3) changed = word.withdraw(now_);

        assert(!changed.isActiveAt(later));
    }
}

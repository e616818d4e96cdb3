// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    Approval,
    ApprovalEndInvalid,
    ApprovalNeverActive,
    ApprovalStateInvalid,
    State
} from "../../contracts/types/Approval.sol";
import {Test} from "./Vm.sol";

/// @notice Lets a test catch what a pure function reverts with.
contract Word {
    function approve(
        Approval word,
        uint40 from,
        uint40 until,
        uint32 position,
        uint256 time
    ) external pure returns (Approval) {
        return word.approve(from, until, position, time);
    }

    function extend(Approval word, uint40 until, uint256 time) external pure returns (Approval) {
        return word.extend(until, time);
    }

    function shorten(Approval word, uint40 until, uint256 time) external pure returns (Approval) {
        return word.shorten(until, time);
    }

    function suspend(Approval word, uint40 until, uint256 time) external pure returns (Approval) {
        return word.suspend(until, time);
    }

    function suspendAsGuardian(Approval word, uint40 until, uint256 time) external pure returns (Approval) {
        return word.suspendAsGuardian(until, time);
    }

    function lift(Approval word, uint256 time) external pure returns (Approval) {
        return word.lift(time);
    }

    function withdraw(Approval word, uint256 time) external pure returns (Approval) {
        return word.withdraw(time);
    }

    function revoke(Approval word, uint32 position, uint256 time) external pure returns (Approval) {
        return word.revoke(position, time);
    }
}

/// @notice The table of docs/contracts.md, row by row.
contract ApprovalTest is Test {
    uint256 private constant NOW = 1_000_000;
    Word private immutable words = new Word();

    enum Step {
        Approve,
        Extend,
        Shorten,
        Suspend,
        Lift,
        Withdraw,
        Revoke
    }

    /* ONE WORD IN EACH STATE, MADE THE WAY IT COMES ABOUT */

    function _in(State state) private pure returns (Approval) {
        Approval none = Approval.wrap(0);
        if (state == State.None) return none;
        if (state == State.Pending) return none.approve(uint40(NOW + 10), uint40(NOW + 1000), 7, NOW - 10);
        Approval active = none.approve(uint40(NOW - 10), uint40(NOW + 1000), 7, NOW - 10);
        if (state == State.Active) return active;
        if (state == State.Expired) return none.approve(uint40(NOW - 10), uint40(NOW), 7, NOW - 10);
        if (state == State.Suspended) return active.suspend(uint40(NOW + 100), NOW - 5);
        if (state == State.Withdrawn) return active.withdraw(NOW - 5);
        return active.revoke(7, NOW - 5);
    }

    function _do(Step step, Approval word) private view returns (Approval) {
        if (step == Step.Approve) return words.approve(word, uint40(NOW), 0, 9, NOW);
        if (step == Step.Extend) return words.extend(word, uint40(NOW + 5000), NOW);
        if (step == Step.Shorten) return words.shorten(word, uint40(NOW + 50), NOW);
        if (step == Step.Suspend) return words.suspend(word, uint40(NOW + 100), NOW);
        if (step == Step.Lift) return words.lift(word, NOW);
        if (step == Step.Withdraw) return words.withdraw(word, NOW);
        return words.revoke(word, 9, NOW);
    }

    /// @dev Rows by step, columns by state from None to Revoked; `x` is refused, else the first letter of what it becomes
    /// (N, P, A, E, S, W, R), with `P` and `S` as lower-case where they stay.
    function _table(Step step) private pure returns (bytes memory) {
        if (step == Step.Approve) return "AAAASAx";
        if (step == Step.Extend) return "xPAxSxx";
        if (step == Step.Shorten) return "xPAxSxx";
        if (step == Step.Suspend) return "xSSxxxx";
        if (step == Step.Lift) return "xxxxAxx";
        if (step == Step.Withdraw) return "xWWWWxx";
        return "RRRRRRx";
    }

    function _letter(State state) private pure returns (bytes1) {
        return bytes("NPAESWR")[uint8(state)];
    }

    function test_EveryStateFollowsFromItsTimes() public pure {
        for (uint8 state = 0; state <= uint8(State.Revoked); state++) {
            assertEq(uint8(_in(State(state)).stateAt(NOW)), state, "state");
        }
    }

    function test_TransitionsMatchTheTable() public {
        for (uint8 step = 0; step <= uint8(Step.Revoke); step++) {
            for (uint8 state = 0; state <= uint8(State.Revoked); state++) {
                _checkCell(Step(step), State(state));
            }
        }
    }

    function _checkCell(Step step, State state) private {
        bytes1 expected = _table(step)[uint8(state)];
        if (expected == "x") vm.expectRevert(abi.encodeWithSelector(ApprovalStateInvalid.selector, state));
        Approval after_ = _do(step, _in(state));
        if (expected != "x") assertTrue(_letter(after_.stateAt(NOW)) == expected, "became another state");
    }

    /* RULES */

    function test_StrongerDenialWins() public pure {
        Approval word = Approval.wrap(0).approve(uint40(NOW + 10), uint40(NOW + 50), 1, NOW);
        Approval suspended = word.suspend(uint40(NOW + 100), NOW);

        assertEq(uint8(word.stateAt(NOW)), uint8(State.Pending), "pending before its time");
        assertEq(uint8(suspended.stateAt(NOW)), uint8(State.Suspended), "suspended wins over pending");
        assertEq(uint8(suspended.stateAt(NOW + 50)), uint8(State.Expired), "expired wins over suspended");
        assertEq(uint8(suspended.withdraw(NOW).stateAt(NOW + 50)), uint8(State.Withdrawn), "withdrawn wins");
        assertEq(uint8(suspended.withdraw(NOW).revoke(1, NOW).stateAt(NOW)), uint8(State.Revoked), "revoked wins");
    }

    function test_BoundariesBelongToTheLaterState() public pure {
        Approval word = Approval.wrap(0).approve(100, 200, 1, 50);

        assertEq(uint8(word.stateAt(99)), uint8(State.Pending), "one second before");
        assertEq(uint8(word.stateAt(100)), uint8(State.Active), "first second");
        assertEq(uint8(word.stateAt(199)), uint8(State.Active), "last second");
        assertEq(uint8(word.stateAt(200)), uint8(State.Expired), "one second after");
    }

    function test_SuspensionEndsWithoutATransaction() public pure {
        Approval word = Approval.wrap(0).approve(100, 0, 1, 50).suspend(150, 120);

        assertEq(uint8(word.stateAt(149)), uint8(State.Suspended), "still suspended");
        assertEq(uint8(word.stateAt(150)), uint8(State.Active), "active again");
    }

    function test_ApproveGivesTheNextVersionAndKeepsTheIndex() public pure {
        Approval again = _in(State.Withdrawn).approve(uint40(NOW), 0, 99, NOW);

        assertEq(again.version(), 2, "version");
        assertEq(again.index(), 7, "index");
        assertEq(again.endedAt(), 0, "ended");
        assertEq(again.suspendedUntil(), 0, "suspended");
    }

    function test_SecondApproveKeepsTheVersionAndTheEarlierStart() public pure {
        Approval active = _in(State.Active).approve(uint40(NOW + 5), uint40(NOW + 50), 99, NOW);
        assertEq(active.version(), 1, "version");
        assertEq(active.index(), 7, "index");
        assertEq(active.activeFrom(), NOW - 10, "start");
        assertEq(active.expiresAt(), NOW + 50, "end");

        Approval pending = _in(State.Pending).approve(uint40(NOW + 5), 0, 99, NOW);
        assertEq(pending.activeFrom(), NOW + 5, "the earlier start");
        assertEq(pending.expiresAt(), 0, "no end");
    }

    function test_OnlyTheGuardiansSuspensionIsMarked() public pure {
        Approval guardians = _in(State.Active).suspendAsGuardian(uint40(NOW + 100), NOW);
        assertTrue(guardians.isSuspendedByGuardian(), "guardian's");
        assertEq(uint8(guardians.stateAt(NOW)), uint8(State.Suspended), "state");
        assertTrue(guardians.lift(NOW).isSuspendedByGuardian(), "forgotten when lifted");
        assertTrue(!guardians.lift(NOW).suspend(uint40(NOW + 100), NOW).isSuspendedByGuardian(), "the owner's");
        assertTrue(!guardians.withdraw(NOW).approve(uint40(NOW), 0, 9, NOW).isSuspendedByGuardian(), "next version");
    }

    function test_ApproveRevertsWhenItCouldNeverBeActive() public {
        vm.expectRevert(abi.encodeWithSelector(ApprovalNeverActive.selector, NOW + 20, NOW + 20));
        words.approve(Approval.wrap(0), uint40(NOW + 20), uint40(NOW + 20), 1, NOW);

        vm.expectRevert(abi.encodeWithSelector(ApprovalNeverActive.selector, NOW - 20, NOW));
        words.approve(Approval.wrap(0), uint40(NOW - 20), uint40(NOW), 1, NOW);
    }

    function test_ExtendRevertsUnlessTheEndIsLater() public {
        vm.expectRevert(abi.encodeWithSelector(ApprovalEndInvalid.selector, NOW + 1000, NOW + 1000));
        words.extend(_in(State.Active), uint40(NOW + 1000), NOW);

        Approval forever = Approval.wrap(0).approve(uint40(NOW), 0, 1, NOW);
        vm.expectRevert(abi.encodeWithSelector(ApprovalEndInvalid.selector, NOW + 1000, 0));
        words.extend(forever, uint40(NOW + 1000), NOW);

        assertEq(words.extend(_in(State.Active), 0, NOW).expiresAt(), 0, "for ever");
    }

    function test_ShortenRevertsUnlessTheEndIsEarlierAndInTheFuture() public {
        vm.expectRevert(abi.encodeWithSelector(ApprovalEndInvalid.selector, NOW, NOW + 1000));
        words.shorten(_in(State.Active), uint40(NOW), NOW);

        vm.expectRevert(abi.encodeWithSelector(ApprovalEndInvalid.selector, NOW + 1000, NOW + 1000));
        words.shorten(_in(State.Active), uint40(NOW + 1000), NOW);

        assertEq(words.shorten(_in(State.Active), uint40(NOW + 1), NOW).expiresAt(), NOW + 1, "sooner");
    }

    /* FUZZ: RULES FOR EVERY WORD */

    function testFuzz_RevokedStaysRevoked(uint256 word, uint8 step, uint40 time) public view {
        Approval revoked = Approval.wrap(word | (1 << 224));
        step = uint8(bound(step, 0, uint8(Step.Revoke)));

        try this.tryStep(revoked, Step(step), time) returns (Approval after_) {
            assertTrue(after_.isRevoked(), "revived");
        } catch {}
        assertEq(uint8(revoked.stateAt(time)), uint8(State.Revoked), "state");
    }

    function tryStep(Approval word, Step step, uint256 time) external view returns (Approval) {
        if (step == Step.Approve) return words.approve(word, uint40(time), 0, 9, time);
        if (step == Step.Extend) return words.extend(word, uint40(time + 5000), time);
        if (step == Step.Shorten) return words.shorten(word, uint40(time + 50), time);
        if (step == Step.Suspend) return words.suspend(word, uint40(time + 100), time);
        if (step == Step.Lift) return words.lift(word, time);
        if (step == Step.Withdraw) return words.withdraw(word, time);
        return words.revoke(word, 9, time);
    }

    /// @dev Only approve, extend and lift may turn a denial into more; the rest deny at every later time, or as before.
    function testFuzz_DenyingStepsNeverAllow(uint256 word, uint8 step, uint40 time, uint40 later) public view {
        vm.assume(later >= time);
        Step denying = [Step.Shorten, Step.Suspend, Step.Withdraw, Step.Revoke][step % 4];
        Approval before = Approval.wrap(word);

        try this.tryStep(before, denying, time) returns (Approval after_) {
            assertTrue(!after_.isActiveAt(later) || before.isActiveAt(later), "allowed what was denied");
        } catch {}
    }

    function testFuzz_OnlyApproveChangesTheVersionAndAlwaysByOne(uint256 word, uint8 step, uint40 time) public view {
        Approval before = Approval.wrap(word);
        step = uint8(bound(step, 0, uint8(Step.Revoke)));

        try this.tryStep(before, Step(step), time) returns (Approval after_) {
            State found = before.stateAt(time);
            bool opens = Step(step) == Step.Approve && found != State.Pending && found != State.Active;
            uint256 expected = uint256(before.version()) + (opens ? 1 : 0);
            assertEq(after_.version(), expected, "version");
        } catch {}
    }

    function testFuzz_UnusedBitsAreNeverSetByApprove(
        uint40 from,
        uint40 until,
        uint32 position,
        uint40 time
    ) public view {
        try words.approve(Approval.wrap(0), from, until, position, time) returns (Approval word) {
            assertEq(Approval.unwrap(word) >> 224, 0, "bits above the index");
            assertEq(word.activeFrom(), from, "from");
            assertEq(word.expiresAt(), until, "until");
            assertEq(word.index(), position, "index");
            assertEq(word.version(), 1, "version");
        } catch {}
    }
}

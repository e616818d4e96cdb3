// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IHostBonds} from "../../../contracts/registry/IHostBonds.sol";
import {IRequests} from "../../../contracts/requests/IRequests.sol";
import {Requests} from "../../../contracts/requests/Requests.sol";
import {GasBombApp} from "../hostile/MaliciousApps.sol";
import {Asker, RequestsFixture} from "../RequestsFixture.sol";

/// @notice Reverts when it is paid, or when it is asked.
contract Refuser {
    fallback() external payable {
        revert("no");
    }
}

/// @notice Withdraws again while it is paid.
contract Greedy {
    Requests private immutable _requests;

    constructor(Requests requests_) {
        _requests = requests_;
    }

    receive() external payable {
        (bool done, ) = address(_requests).call(abi.encodeCall(_requests.withdraw, (address(this))));
        done;
    }
}

/// @notice Somebody tries to break each promise about requests (docs/contracts.md, numbers with Q).
contract RequestAttacks is RequestsFixture {
    uint256 private constant THIRD_KEY = 0xA3;

    function _refuses(bytes32 id, bytes memory result, bytes memory signature, string memory what) private {
        (bool done, ) = address(requests).call(abi.encodeCall(requests.fulfil, (id, result, signature)));
        assertTrue(!done, what);
    }

    function test_Q1_OnlyTheAssignedWorkersSignatureCounts() public {
        _work(INSTANCE_KEY, OPERATOR, 2);
        bytes32 other = _ask();
        bytes32 id = _ask();
        _work(OTHER_KEY, OTHER_OPERATOR, 2);
        _refuses(id, ANSWER, _signResult(OTHER_KEY, id, ANSWER), "another worker");
        _refuses(id, ANSWER, _signResult(INSTANCE_KEY, other, ANSWER), "for another request");
        _refuses(id, ANSWER, _signResult(INSTANCE_KEY, id, "43"), "of another result");
        _refuses(id, ANSWER, _sign(INSTANCE_KEY, keccak256(ANSWER)), "without a domain");
        _refuses(id, ANSWER, "", "no signature");
        Requests second = new Requests(instances, bonds, DAO, 500);
        bytes32 foreign = second.resultDigest(id, keccak256(ANSWER));
        _refuses(id, ANSWER, _sign(INSTANCE_KEY, foreign), "for another contract");
        bytes32 domain = keccak256("assent-request-result-v1");
        bytes32 chain = keccak256(abi.encode(domain, block.chainid + 1, address(requests), id, keccak256(ANSWER)));
        _refuses(id, ANSWER, _sign(INSTANCE_KEY, chain), "for another chain");
        assertEq(
            requests.resultDigest(id, keccak256(ANSWER)),
            keccak256(abi.encode(domain, block.chainid, address(requests), id, keccak256(ANSWER))),
            "the digest that is documented"
        );
        _answer(INSTANCE_KEY, id);
    }

    function test_Q1_WithdrawnReleaseCannotAnswerInTheSameBlock() public {
        _work(INSTANCE_KEY, OPERATOR, 2);
        bytes32 id = _ask();
        bytes memory signature = _signResult(INSTANCE_KEY, id, ANSWER);
        vm.prank(OWNER);
        app.removeComposeHash(COMPOSE);
        vm.expectRevert(abi.encodeWithSelector(IRequests.ResultUnauthorized.selector, id, vm.addr(INSTANCE_KEY)));
        requests.fulfil(id, ANSWER, signature);
    }

    function test_Q2_RequestIsPaidOnceAndToItsWorkersOperator() public {
        _work(INSTANCE_KEY, OPERATOR, 2);
        bytes32 id = _ask();
        bytes memory signature = _signResult(INSTANCE_KEY, id, ANSWER);
        vm.prank(STRANGER);
        requests.fulfil(id, ANSWER, signature);
        assertEq(requests.balanceOf(OPERATOR), 750_003, "its operator, not the sender");
        assertEq(requests.balanceOf(STRANGER), 0, "sender");
        _expectState(id, IRequests.State.Fulfilled);
        requests.fulfil(id, ANSWER, signature);
        _wait(2 hours);
        _expectState(id, IRequests.State.Fulfilled);
        requests.refund(id);
        _expectState(id, IRequests.State.Fulfilled);
        requests.assign(id);
    }

    function test_Q2_LateWorkerIsNotPaidForTheWorkOfTheNext() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        _work(OTHER_KEY, OTHER_OPERATOR, 1);
        bytes32 id = _ask();
        _wait(ANSWER_TIME + 1);
        requests.assign(id);
        _refuses(id, ANSWER, _signResult(INSTANCE_KEY, id, ANSWER), "it lost the request");
        _answer(OTHER_KEY, id);
        assertEq(requests.balanceOf(OPERATOR), 0, "late");
        assertEq(requests.balanceOf(OTHER_OPERATOR), 750_003, "on time");
    }

    function test_Q3_FeeIsPaidOrRefundedAndNeverBoth() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes32 id = _ask();
        bytes memory signature = _signResult(INSTANCE_KEY, id, ANSWER);
        _wait(1 hours + 1);
        _expectState(id, IRequests.State.Refundable);
        requests.fulfil(id, ANSWER, signature);
        requests.refund(id);
        _expectState(id, IRequests.State.Refunded);
        requests.refund(id);
        _expectState(id, IRequests.State.Refunded);
        requests.fulfil(id, ANSWER, signature);
        assertEq(requests.balanceOf(address(asker)), FEE, "once");
    }

    function test_Q3_NobodyWithdrawsTwiceOrForAnother() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        Greedy greedy = new Greedy(requests);
        vm.deal(address(greedy), FEE);
        vm.prank(address(greedy));
        bytes32 id = requests.request{value: FEE}(address(app), 0, "", uint40(vm.getBlockTimestamp() + 1 hours), 0);
        _ask();
        _wait(1 hours + 1);
        requests.refund(id);
        requests.withdraw(address(greedy));
        assertEq(address(greedy).balance, FEE, "once");
        assertEq(address(requests).balance, FEE, "the fee of another requester stays");
        vm.expectRevert(abi.encodeWithSelector(IRequests.NothingToWithdraw.selector, STRANGER));
        vm.prank(STRANGER);
        requests.withdrawTo(STRANGER);
    }

    function test_Q4_NothingStopsARefund() public {
        address refuser = address(new Refuser());
        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes32 id = _ask(1 hours, 1_000_000);
        _wait(1 hours + 1);
        // requester, app, registry of instances and bonds all fail
        vm.etch(address(asker), refuser.code);
        vm.etch(address(app), address(new GasBombApp()).code);
        vm.etch(address(instances), refuser.code);
        vm.etch(address(bonds), refuser.code);
        vm.prank(STRANGER);
        requests.refund(id);
        assertEq(requests.balanceOf(address(asker)), FEE, "refunded");
        vm.expectRevert(abi.encodeWithSelector(IRequests.PaymentFailed.selector, address(asker)));
        requests.withdraw(address(asker));
        vm.prank(address(asker));
        requests.withdrawTo(STRANGER);
        assertEq(STRANGER.balance, 100 ether + FEE, "the requester names another account");
    }

    function test_Q5_CallbackCannotUndoThePayment() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        Asker.Mood[3] memory moods = [Asker.Mood.Revert, Asker.Mood.Burn, Asker.Mood.Bomb];
        for (uint256 i = 0; i < moods.length; i++) {
            asker.setMood(moods[i], "");
            bytes32 id = _ask(1 hours, 200_000);
            bytes memory signature = _signResult(INSTANCE_KEY, id, ANSWER);
            vm.expectEmit(true, true, true, true, address(requests));
            emit IRequests.CallbackFailed(id, address(asker));
            uint256 before = gasleft();
            requests.fulfil(id, ANSWER, signature);
            assertTrue(before - gasleft() < 200_000 + 250_000, "bounded gas");
            _assertState(id, IRequests.State.Fulfilled, "final");
            assertEq(requests.balanceOf(OPERATOR), 750_003 * (i + 1), "paid");
        }
    }

    function test_Q5_CallbackThatComesBackFindsAFinishedRequest() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        bytes32 id = _ask(1 hours, 900_000);
        bytes memory signature = _signResult(INSTANCE_KEY, id, ANSWER);
        bytes[4] memory calls = [
            abi.encodeCall(requests.fulfil, (id, ANSWER, signature)),
            abi.encodeCall(requests.refund, (id)),
            abi.encodeCall(requests.assign, (id)),
            abi.encodeCall(requests.decline, (id))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            id = _ask(1 hours, 900_000);
            signature = _signResult(INSTANCE_KEY, id, ANSWER);
            if (i == 0) calls[0] = abi.encodeCall(requests.fulfil, (id, ANSWER, signature));
            else calls[i] = abi.encodePacked(bytes4(calls[i]), id);
            asker.setMood(Asker.Mood.ComeBack, calls[i]);
            requests.fulfil(id, ANSWER, signature);
            assertTrue(!asker.cameBack(), "came back");
            assertEq(requests.balanceOf(OPERATOR), 750_003 * (i + 1), "paid once");
        }
    }

    function test_Q5_CallbackGoesToTheRequesterOnly() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        vm.prank(STRANGER);
        bytes32 id = requests.request{value: FEE}(
            address(app),
            0,
            "",
            uint40(vm.getBlockTimestamp() + 1 hours),
            500_000
        );
        _answer(INSTANCE_KEY, id);
        assertEq(asker.kept().length, 0, "another contract was called");
        vm.expectRevert("stranger");
        asker.onResult(id, ANSWER);
    }

    /// @dev The worker brings the result with less and less gas: it fails completely, or the callback had its gas.
    function test_Q6_CallbackCannotBeStarved() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        bytes32 id = _ask(1 hours, 300_000);
        bytes memory call = abi.encodeCall(requests.fulfil, (id, ANSWER, _signResult(INSTANCE_KEY, id, ANSWER)));
        uint256 refused;
        bool done;
        for (uint256 gasLimit = 100_000; !done; gasLimit += 3_001) {
            (done, ) = address(requests).call{gas: gasLimit}(call);
            if (!done) refused++;
        }
        assertTrue(refused > 50, "tried with too little");
        assertEq(string(asker.kept()), string(ANSWER), "delivered");
        assertTrue(asker.gasSeen() > 295_000, vm.toString(asker.gasSeen()));
    }

    function test_Q7_DeadWorkersLoseTheirPlace() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        _work(OTHER_KEY, OTHER_OPERATOR, 9);
        address key = vm.addr(INSTANCE_KEY);
        vm.prank(OWNER);
        instances.end(key);
        vm.expectEmit(true, true, true, true, address(requests));
        emit IRequests.WorkerLeft(address(app), OPERATOR, key);
        bytes32 id = _ask();
        _assertWorker(id, OTHER_KEY, "the live one");
        assertEq(requests.workerCount(address(app)), 1, "removed");

        vm.prank(OTHER_OPERATOR);
        bonds.unbond(DEVICE, 2 * BOND);
        _assertState(_ask(), IRequests.State.Waiting, "no bond");
        assertEq(requests.workerCount(address(app)), 0, "removed without a bond");
    }

    function test_Q7_WorkerThatExpiresBeforeItsTimeIsNotChosen() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        _wait(30 days - ANSWER_TIME - 1);
        _assertWorker(_ask(), INSTANCE_KEY, "has its whole time");
        _wait(1);
        _assertState(_ask(), IRequests.State.Waiting, "would expire at its due time");
    }

    function test_Q7_OneCallLooksAtFourWorkersAtMost() public {
        for (uint256 i = 0; i < 6; i++) {
            _work(0xB0 + i, OPERATOR, 1);
            address dead = vm.addr(0xB0 + i);
            vm.prank(dead);
            instances.end(dead);
        }
        bytes32 id = _ask();
        assertEq(requests.workerCount(address(app)), 2, "four were removed");
        _assertState(id, IRequests.State.Waiting, "no further");
        _work(THIRD_KEY, OTHER_OPERATOR, 1);
        requests.assign(id);
        _assertWorker(id, THIRD_KEY, "the next call goes on");
    }

    function test_Q7_OutageCostsNoWorkerItsPlace() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes memory call = abi.encodeCall(
            requests.request,
            (address(app), 0, "", uint40(vm.getBlockTimestamp() + 1 hours), 0)
        );
        bool done;
        for (uint256 gasLimit = 60_000; !done; gasLimit += 2_003) {
            (done, ) = address(requests).call{gas: gasLimit, value: FEE}(call);
        }
        assertEq(requests.workerCount(address(app)), 1, "too little gas removed a live worker");
        vm.etch(address(keys), address(new Refuser()).code);
        (done, ) = address(requests).call{value: FEE}(call);
        assertTrue(done, "the only worker is full, so nobody is asked");
        assertEq(requests.workerCount(address(app)), 1, "a failing registry removed a live worker");
    }

    /// @dev One requester takes all capacity; the others wait, and get their answers or their money.
    function test_Q8_RequesterCannotLockOthers() public {
        _work(INSTANCE_KEY, OPERATOR, 2);
        bytes32 first = _ask(30 days, 0);
        _ask(30 days, 0);
        vm.prank(STRANGER);
        bytes32 waiting = requests.request{value: FEE}(
            address(app),
            0,
            "",
            uint40(vm.getBlockTimestamp() + 1 hours),
            0
        );
        _assertState(waiting, IRequests.State.Waiting, "full");
        assertEq(requests.workerOf(vm.addr(INSTANCE_KEY)).open, 2, "no more than it promised");
        _answer(INSTANCE_KEY, first);
        requests.assign(waiting);
        _answer(INSTANCE_KEY, waiting);
        _assertState(waiting, IRequests.State.Fulfilled, "served");
    }

    function test_Q9_RequestThatNobodyAnswersEndsAfterFiveWorkers() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        _work(OTHER_KEY, OTHER_OPERATOR, 1);
        bytes32 id = _ask(30 days, 0);
        for (uint256 i = 0; i < 5; i++) {
            _assertState(id, IRequests.State.Assigned, "assigned");
            vm.prank(i % 2 == 0 ? OPERATOR : OTHER_OPERATOR);
            requests.decline(id);
        }
        _assertState(id, IRequests.State.Refundable, "given up");
        _expectState(id, IRequests.State.Refundable);
        requests.assign(id);
        requests.refund(id);
        assertEq(requests.balanceOf(address(asker)), FEE, "at once");
    }

    function test_Q9_NoWorkerGetsLessThanItsTime() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes32 id = _ask(2 * uint256(ANSWER_TIME), 0);
        _wait(ANSWER_TIME + 1);
        _assertState(id, IRequests.State.Refundable, "less than a whole time is left");
        _expectState(id, IRequests.State.Refundable);
        requests.assign(id);
    }

    function test_Q10_OnlyLatenessAndContradictionAreFaults() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        _work(OTHER_KEY, OTHER_OPERATOR, 9);
        address key = vm.addr(INSTANCE_KEY);
        bytes32 declined = _ask();
        vm.prank(OPERATOR);
        requests.decline(declined);
        assertEq(requests.workerOf(key).lates, 0, "declined in time");

        bytes32 id = _ask();
        _assertWorker(id, INSTANCE_KEY, "its turn");
        vm.prank(OWNER);
        app.removeComposeHash(COMPOSE);
        _wait(ANSWER_TIME + 1);
        vm.expectEmit(true, true, true, true, address(requests));
        emit IRequests.MissedDue(id, key, OPERATOR, false);
        requests.assign(id);
        assertEq(requests.workerOf(key).lates, 0, "it could not answer");
    }

    function test_Q10_EndedKeyIsNoExcuse() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        bytes32 id = _ask();
        address key = vm.addr(INSTANCE_KEY);
        vm.prank(key);
        instances.end(key);
        _wait(1 hours + 1);
        requests.refund(id);
        requests.recordMissed(id);
        assertEq(requests.workerOf(key).lates, 1, "fault");
    }

    function test_Q10_ContradictionNeedsTwoSignaturesOfTheWorker() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        bytes32 id = _ask();
        address key = vm.addr(INSTANCE_KEY);
        (bytes32 one, bytes32 two) = (keccak256("one"), keccak256("two"));
        bytes memory first = _signResult(INSTANCE_KEY, id, "one");
        bytes memory second = _signResult(INSTANCE_KEY, id, "two");
        bytes memory foreign = _signResult(OTHER_KEY, id, "two");
        bytes memory elsewhere = _signResult(INSTANCE_KEY, bytes32(uint256(id) + 1), "two");
        bytes memory no = abi.encodeWithSelector(IRequests.NoContradiction.selector, id, key);
        vm.expectRevert(no);
        requests.proveContradiction(id, key, one, first, one, first);
        vm.expectRevert(no);
        requests.proveContradiction(id, key, one, first, two, foreign);
        vm.expectRevert(no);
        requests.proveContradiction(id, key, one, first, two, elsewhere);
        vm.prank(STRANGER);
        requests.proveContradiction(id, key, one, first, two, second);
        assertEq(requests.workerCount(address(app)), 0, "excluded");
        _refuses(id, "one", first, "paid after a contradiction");
        vm.expectRevert(no);
        requests.proveContradiction(id, key, one, first, two, second);
        vm.expectRevert(abi.encodeWithSelector(IRequests.WorkerUnfit.selector, key));
        vm.prank(OPERATOR);
        requests.join(address(app), key, DEVICE, 1, "");
    }

    function test_Q11_EachFaultIsSlashedOnceAndForTheDao() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        address key = vm.addr(INSTANCE_KEY);
        bytes memory nothing = abi.encodeWithSelector(IRequests.NothingToSlash.selector, key);
        vm.expectRevert(nothing);
        requests.slash(key);
        bytes32 id = _ask();
        _wait(1 hours + 1);
        requests.refund(id);
        requests.recordMissed(id);
        vm.prank(STRANGER);
        requests.slash(key);
        assertEq(coin.balanceOf(DAO), BOND / 100, "a hundredth for a late answer");
        vm.expectRevert(nothing);
        requests.slash(key);
        requests.proveContradiction(
            id,
            key,
            keccak256("one"),
            _signResult(INSTANCE_KEY, id, "one"),
            keccak256("two"),
            _signResult(INSTANCE_KEY, id, "two")
        );
        requests.slash(key);
        assertEq(coin.balanceOf(DAO), BOND / 100 + BOND, "the least bond for a contradiction");
        vm.expectRevert(nothing);
        requests.slash(key);
        assertEq(bonds.bondOf(DEVICE, OTHER_OPERATOR).bonded, 2 * BOND, "bond of another operator");
        assertEq(coin.balanceOf(STRANGER), 0, "nothing for the reporter");
    }

    function test_Q12_OnlyTheOwnerSetsTermsAndNotForEarlierRequests() public {
        IRequests.Terms memory terms = IRequests.Terms(STRANGER, 0, 5_000, 1 days);
        address[3] memory others = [STRANGER, DAO, OPERATOR];
        for (uint256 i = 0; i < others.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IRequests.TermsUnauthorized.selector, others[i], OWNER));
            vm.prank(others[i]);
            requests.setTerms(address(app), terms);
        }
        _work(INSTANCE_KEY, OPERATOR, 9);
        bytes32 id = _ask();
        uint40 due = requests.requestOf(id).due;
        vm.prank(OWNER);
        requests.setTerms(address(app), terms);
        assertEq(requests.requestOf(id).due, due, "due");
        _answer(INSTANCE_KEY, id);
        assertEq(requests.balanceOf(OPERATOR), 750_003, "the operator gets what was promised");
        vm.prank(OWNER);
        requests.setTerms(address(app), IRequests.Terms(PAYEE, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IRequests.TermsMissing.selector, address(app)));
        _ask();
    }

    function test_Q13_NobodyJoinsOrLeavesForAnother() public {
        _registerIssued(INSTANCE_KEY);
        address key = vm.addr(INSTANCE_KEY);
        bytes memory signature = _sign(INSTANCE_KEY, requests.workerDigest(address(app), OPERATOR, DEVICE));
        // a stranger cannot use the signature that names another operator
        (bool done, ) = address(requests).call(
            abi.encodeCall(requests.join, (address(app), key, DEVICE, 1, signature))
        );
        assertTrue(!done, "joined for another operator");
        vm.prank(OPERATOR);
        requests.join(address(app), key, DEVICE, 1, signature);
        bytes memory later = _sign(INSTANCE_KEY, requests.workerDigest(address(app), OTHER_OPERATOR, DEVICE));
        vm.expectRevert(abi.encodeWithSelector(IRequests.WorkerUnfit.selector, key));
        vm.prank(OTHER_OPERATOR);
        requests.join(address(app), key, DEVICE, 1, later);
        bytes memory unauthorized = abi.encodeWithSelector(IRequests.WorkerUnauthorized.selector, OTHER_OPERATOR, key);
        vm.expectRevert(unauthorized);
        vm.prank(OTHER_OPERATOR);
        requests.retire(key);
        bytes32 id = _ask();
        vm.expectRevert(unauthorized);
        vm.prank(OTHER_OPERATOR);
        requests.decline(id);
        vm.expectRevert(abi.encodeWithSelector(IRequests.WorkerUnauthorized.selector, address(0), vm.addr(OTHER_KEY)));
        vm.prank(address(0));
        requests.retire(vm.addr(OTHER_KEY));
    }
}

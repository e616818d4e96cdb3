// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IInstances} from "../../contracts/instances/IInstances.sol";
import {IFaultBonds} from "../../contracts/registry/IHostBonds.sol";
import {IRequests} from "../../contracts/requests/IRequests.sol";
import {Requests} from "../../contracts/requests/Requests.sol";
import {Asker, RequestsFixture} from "./RequestsFixture.sol";

/// @notice What requests, workers and payments do when everybody follows the rules, and which values are refused.
contract RequestsTest is RequestsFixture {
    function test_AnswerIsVerifiedPaidAndDelivered() public {
        _work(INSTANCE_KEY, OPERATOR, 2);
        bytes32 id = _ask(1 hours, 100_000);
        _assertState(id, IRequests.State.Assigned, "asked");
        _assertWorker(id, INSTANCE_KEY, "the only worker");
        assertEq(requests.workerOf(vm.addr(INSTANCE_KEY)).open, 1, "open");
        _answer(INSTANCE_KEY, id);
        _assertState(id, IRequests.State.Fulfilled, "answered");
        assertEq(string(asker.kept()), string(ANSWER), "delivered");
        assertEq(requests.balanceOf(DAO), 50_000, "5 %");
        assertEq(requests.balanceOf(PAYEE), 200_000, "20 %");
        assertEq(requests.balanceOf(OPERATOR), 750_003, "the rest");
        assertEq(requests.workerOf(vm.addr(INSTANCE_KEY)).open, 0, "free again");

        requests.withdraw(PAYEE);
        assertEq(PAYEE.balance, 200_000, "paid out by anyone");
        vm.prank(OPERATOR);
        requests.withdrawTo(address(0xBA4));
        assertEq(address(0xBA4).balance, 750_003, "paid out to another account");
        vm.expectRevert(abi.encodeWithSelector(IRequests.NothingToWithdraw.selector, OPERATOR));
        requests.withdraw(OPERATOR);
    }

    function test_KeyByQuoteWorksWithItsOwnHostOnly() public {
        _register(INSTANCE_KEY);
        address key = vm.addr(INSTANCE_KEY);
        bytes memory signature = _sign(INSTANCE_KEY, requests.workerDigest(address(app), OPERATOR, "another"));
        vm.expectRevert(abi.encodeWithSelector(IRequests.WorkerUnfit.selector, key));
        vm.prank(OPERATOR);
        requests.join(address(app), key, "another", 1, signature);
        _join(INSTANCE_KEY, OPERATOR, 1);
        _assertWorker(_ask(), INSTANCE_KEY, "by quote");
    }

    function test_RequestWaitsUntilAWorkerComes() public {
        bytes32 id = _ask();
        _assertState(id, IRequests.State.Waiting, "nobody works");
        _work(INSTANCE_KEY, OPERATOR, 1);
        requests.assign(id);
        _assertWorker(id, INSTANCE_KEY, "assigned later");
        _expectState(id, IRequests.State.Assigned);
        requests.assign(id);
    }

    function test_WorkersTakeTurns() public {
        _work(INSTANCE_KEY, OPERATOR, 9);
        _work(OTHER_KEY, OTHER_OPERATOR, 9);
        _work(0xA3, OPERATOR, 9);
        for (uint256 i = 0; i < 6; i++) _assertWorker(_ask(), INSTANCE_KEY + (i % 3), "in order");
    }

    function test_FullWorkerKeepsItsPlaceAndIsPassedOver() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        _work(OTHER_KEY, OTHER_OPERATOR, 2);
        bytes32 first = _ask();
        _assertWorker(_ask(), OTHER_KEY, "second");
        _assertWorker(_ask(), OTHER_KEY, "the first one is full");
        _assertState(_ask(), IRequests.State.Waiting, "all are full");
        assertEq(requests.workerCount(address(app)), 2, "both stay");
        _answer(INSTANCE_KEY, first);
        _assertWorker(_ask(), INSTANCE_KEY, "free again");
    }

    function test_DeclinedRequestGoesToTheNextWorker() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        _work(OTHER_KEY, OTHER_OPERATOR, 1);
        bytes32 id = _ask();
        vm.prank(OPERATOR);
        requests.decline(id);
        _assertWorker(id, OTHER_KEY, "next");
        address other = vm.addr(OTHER_KEY);
        vm.prank(other);
        requests.decline(id);
        _assertWorker(id, INSTANCE_KEY, "around");
        assertEq(requests.workerOf(vm.addr(INSTANCE_KEY)).lates, 0, "no fault");
    }

    function test_LateAnswerCountsUntilSomebodyElseIsAssigned() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes32 id = _ask();
        _wait(ANSWER_TIME);
        _assertState(id, IRequests.State.Assigned, "last second");
        _wait(1);
        _assertState(id, IRequests.State.Late, "late");
        vm.expectEmit(true, true, true, true, address(requests));
        emit IRequests.Fulfilled(id, vm.addr(INSTANCE_KEY), OPERATOR, ANSWER, false, 750_003, 200_000, 50_000);
        _answer(INSTANCE_KEY, id);
    }

    function test_FeeIsRefundedAfterTheDeadline() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes32 id = _ask();
        _expectState(id, IRequests.State.Assigned);
        requests.refund(id);
        _wait(1 hours + 1);
        _assertState(id, IRequests.State.Refundable, "over");
        requests.refund(id);
        assertEq(requests.balanceOf(address(asker)), FEE, "all of it");
        assertEq(requests.workerOf(vm.addr(INSTANCE_KEY)).open, 0, "the worker is free");
        requests.recordMissed(id);
        assertEq(requests.workerOf(vm.addr(INSTANCE_KEY)).lates, 1, "late");
        _expectState(id, IRequests.State.Refunded);
        requests.recordMissed(id);
        uint256 before = address(asker).balance;
        requests.withdraw(address(asker));
        assertEq(address(asker).balance - before, FEE, "paid out");
    }

    function test_WorkerLeavesAndComesBackWithTheSameOperatorOnly() public {
        _work(INSTANCE_KEY, OPERATOR, 1);
        _work(OTHER_KEY, OTHER_OPERATOR, 1);
        address key = vm.addr(INSTANCE_KEY);
        vm.prank(OPERATOR);
        requests.retire(key);
        assertEq(requests.workerCount(address(app)), 1, "left");
        assertEq(requests.workerAt(address(app), 0), vm.addr(OTHER_KEY), "the last one took the place");
        _join(INSTANCE_KEY, OPERATOR, 3);
        assertEq(requests.workerOf(key).capacity, 3, "capacity");
        _join(INSTANCE_KEY, OPERATOR, 4);
        assertEq(requests.workerCount(address(app)), 2, "once in the list");
    }

    function test_ValuesOutOfBoundsAreRefused() public {
        uint40 now_ = uint40(vm.getBlockTimestamp());
        vm.expectRevert(abi.encodeWithSelector(IRequests.TermsMissing.selector, STRANGER));
        asker.ask(STRANGER, now_ + 1 hours, 0, FEE);
        vm.expectRevert(abi.encodeWithSelector(IRequests.FeeInvalid.selector, 99, 100));
        asker.ask(address(app), now_ + 1 hours, 0, 99);
        (uint256 earliest, uint256 latest) = (now_ + ANSWER_TIME, now_ + 30 days);
        bytes4 invalid = IRequests.DeadlineInvalid.selector;
        vm.expectRevert(abi.encodeWithSelector(invalid, earliest - 1, earliest, latest));
        asker.ask(address(app), uint40(earliest - 1), 0, FEE);
        vm.expectRevert(abi.encodeWithSelector(invalid, latest + 1, earliest, latest));
        asker.ask(address(app), uint40(latest + 1), 0, FEE);
        vm.expectRevert(abi.encodeWithSelector(IRequests.CallbackGasInvalid.selector, 1_000_001, 1_000_000));
        asker.ask(address(app), now_ + 1 hours, 1_000_001, FEE);
        vm.expectRevert(abi.encodeWithSelector(IRequests.TooLong.selector, 4_097, 4_096));
        requests.request{value: FEE}(address(app), 0, new bytes(4_097), now_ + 1 hours, 0);

        _work(INSTANCE_KEY, OPERATOR, 1);
        bytes32 id = _ask();
        bytes memory long = new bytes(4_097);
        bytes memory signature = _signResult(INSTANCE_KEY, id, long);
        vm.expectRevert(abi.encodeWithSelector(IRequests.TooLong.selector, 4_097, 4_096));
        requests.fulfil(id, long, signature);
    }

    function test_RulesOutOfBoundsAreRefused() public {
        vm.expectRevert(IRequests.RequestRulesInvalid.selector);
        new Requests(instances, bonds, DAO, 1_001);
        vm.expectRevert(IRequests.RequestRulesInvalid.selector);
        new Requests(instances, bonds, address(0), 0);
        vm.expectRevert(IRequests.RequestRulesInvalid.selector);
        new Requests(IInstances(address(0)), bonds, DAO, 0);
        IRequests.Terms[4] memory terms = [
            IRequests.Terms(PAYEE, 0, 5_001, ANSWER_TIME),
            IRequests.Terms(PAYEE, 0, 0, 59),
            IRequests.Terms(PAYEE, 0, 0, 1 days + 1),
            IRequests.Terms(address(0), 0, 0, ANSWER_TIME)
        ];
        for (uint256 i = 0; i < terms.length; i++) {
            vm.expectRevert(IRequests.TermsInvalid.selector);
            vm.prank(OWNER);
            requests.setTerms(address(app), terms[i]);
        }
    }

    function test_WithoutBondsNobodyIsSlashed() public {
        requests = new Requests(instances, IFaultBonds(address(0)), DAO, 0);
        vm.prank(OWNER);
        requests.setTerms(address(app), IRequests.Terms(PAYEE, 0, 0, ANSWER_TIME));
        assertEq(requests.termsOf(address(app)).payee, PAYEE, "terms");
        _work(INSTANCE_KEY, address(0xB0B), 1);
        asker = new Asker(requests);
        vm.deal(address(asker), 1 ether);
        bytes32 id = _ask();
        _wait(1 hours + 1);
        requests.refund(id);
        requests.recordMissed(id);
        vm.expectRevert(abi.encodeWithSelector(IRequests.NothingToSlash.selector, vm.addr(INSTANCE_KEY)));
        requests.slash(vm.addr(INSTANCE_KEY));
    }

    /// @dev What is paid is the fee, whatever shares and fee are.
    function testFuzz_PartsAreTheFee(uint96 fee, uint16 daoShare, uint16 ownerShare) public {
        daoShare = uint16(bound(daoShare, 0, 1_000));
        ownerShare = uint16(bound(ownerShare, 0, 5_000));
        requests = new Requests(instances, bonds, DAO, daoShare);
        vm.prank(OWNER);
        requests.setTerms(address(app), IRequests.Terms(PAYEE, 0, ownerShare, ANSWER_TIME));
        _work(INSTANCE_KEY, OPERATOR, 1);
        vm.deal(address(this), fee);
        bytes32 id = requests.request{value: fee}(address(app), 0, "", uint40(vm.getBlockTimestamp() + 1 hours), 0);
        _answer(INSTANCE_KEY, id);
        uint256 paid = requests.balanceOf(DAO) + requests.balanceOf(PAYEE) + requests.balanceOf(OPERATOR);
        assertEq(paid, fee, "sum");
        assertEq(requests.balanceOf(DAO), (uint256(fee) * daoShare) / 10_000, "DAO");
        assertEq(requests.balanceOf(PAYEE), (uint256(fee) * ownerShare) / 10_000, "owner");
    }

    /// @dev The parts of an id that a reorganized chain could change.
    function testFuzz_EachRequestHasItsOwnId(bytes32 input, uint32 more) public {
        uint40 deadline = uint40(vm.getBlockTimestamp() + 1 hours);
        bytes32 first = requests.request{value: 100}(address(app), input, "", deadline, 0);
        bytes32 second = requests.request{value: 100}(address(app), input, "", deadline, 0);
        uint40 later = deadline + (more % 1 days);
        bytes32 third = requests.request{value: 100}(address(app), input, "", later, 0);
        assertTrue(first != second && second != third && first != third, "ids");
    }
}

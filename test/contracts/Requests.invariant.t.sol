// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IInstances} from "../../contracts/instances/IInstances.sol";
import {IRequests} from "../../contracts/requests/IRequests.sol";
import {Asker, RequestsFixture} from "./RequestsFixture.sol";
import {Test} from "./Vm.sol";

/// @notice Random histories: requests, answers of right and wrong workers, refusals, late work, ended keys, withdrawals, payouts.
contract RequestHistory is RequestsFixture {
    uint256 public constant KEYS = 4;
    /// @dev Open requests at the same time; more of them would only take memory.
    uint256 private constant MOST = 10;

    /// @notice First rule that was broken, empty as long as none is.
    string public broken;
    /// @notice How many requests were paid and refunded.
    uint256 public paid;
    uint256 public refunded;
    uint256 private _in;
    uint256 private _out;
    bytes32[] private _openIds;
    bytes32[] private _closedIds;
    mapping(bytes32 id => uint256) private _settlements;
    mapping(bytes32 id => address) private _assigned;

    function begin() external {
        setUp();
        for (uint256 i = 0; i < KEYS; i++) _work(_keyAt(i), _operatorOf(i), 3);
    }

    function _keyAt(uint256 i) private pure returns (uint256) {
        return INSTANCE_KEY + (i % KEYS);
    }

    function _operatorOf(uint256 i) private pure returns (address) {
        return i % 2 == 0 ? OPERATOR : OTHER_OPERATOR;
    }

    /* WHAT HAPPENS */

    function step(uint256 seed) external {
        uint256 which = seed % 16;
        uint256 more = seed >> 8;
        if (which <= 2) _request(more);
        else if (which <= 6) _fulfil(more);
        else if (which == 7) _decline(more);
        else if (which == 8) _assign(more);
        else if (which <= 10) _refund(more);
        else if (which == 11) _changeApprovals(more);
        else if (which == 12) _joinAgain(more);
        else if (which == 13) _payOut(more);
        else if (which == 14) _leaveOrEnd(more);
        else _pass(more % 3 == 0 ? 2 hours : 3 minutes);
    }

    function _request(uint256 seed) private {
        if (_openIds.length == MOST) return;
        Asker.Mood mood = [Asker.Mood.Keep, Asker.Mood.Revert, Asker.Mood.ComeBack][seed % 3];
        asker.setMood(mood, abi.encodeCall(requests.withdraw, (address(asker))));
        uint40 deadline = uint40(vm.getBlockTimestamp() + ANSWER_TIME + (seed % 3 hours));
        uint96 fee = uint96(100 + ((seed >> 16) % 1e12));
        (bool done, bytes memory answer) = address(asker).call(
            abi.encodeCall(asker.ask, (address(app), deadline, uint32(seed % 2 == 0 ? 0 : 60_000), fee))
        );
        if (!done) return;
        _in += fee;
        bytes32 id = abi.decode(answer, (bytes32));
        _openIds.push(id);
    }

    function _any(uint256 seed) private view returns (bytes32) {
        // one that is settled must not be settled again
        bytes32[] storage from = (seed >> 32) % 5 == 0 ? _closedIds : _openIds;
        return from.length == 0 ? bytes32(0) : from[seed % from.length];
    }

    function _fulfil(uint256 seed) private {
        bytes32 id = _any(seed);
        address worker = requests.requestOf(id).worker;
        // mostly the worker's own key
        uint256 key = _keyAt(seed >> 16);
        for (uint256 i = 0; i < KEYS && seed % 4 != 0; i++) if (vm.addr(_keyAt(i)) == worker) key = _keyAt(i);
        IInstances.Standing standing = instances.standingOf(vm.addr(key));
        bytes memory signature = _signResult(key, id, ANSWER);
        uint256 before = requests.balanceOf(requests.workerOf(vm.addr(key)).operator);
        (bool done, ) = address(requests).call(abi.encodeCall(requests.fulfil, (id, ANSWER, signature)));
        if (!done) return;
        if (standing != IInstances.Standing.Live) _break("a key that does not count answered");
        if (vm.addr(key) != worker) _break("another key than the assigned one answered");
        if (requests.balanceOf(requests.workerOf(vm.addr(key)).operator) <= before) _break("nobody was paid");
        _settle(id);
        paid++;
    }

    function _settle(bytes32 id) private {
        _settlements[id]++;
        if (_settlements[id] != 1) _break("a request was settled twice");
        _closedIds.push(id);
        for (uint256 i = 0; i < _openIds.length; i++) {
            if (_openIds[i] != id) continue;
            _openIds[i] = _openIds[_openIds.length - 1];
            _openIds.pop();
        }
    }

    function _decline(uint256 seed) private {
        bytes32 id = _any(seed);
        address worker = requests.requestOf(id).worker;
        vm.prank(seed % 5 == 0 ? STRANGER : worker);
        (bool done, ) = address(requests).call(abi.encodeCall(requests.decline, (id)));
        if (done && seed % 5 == 0) _break("a stranger declined");
    }

    function _assign(uint256 seed) private {
        bytes32 id = _any(seed);
        (bool done, ) = address(requests).call(abi.encodeCall(requests.assign, (id)));
        done;
    }

    function _refund(uint256 seed) private {
        bytes32 id = _any(seed);
        IRequests.State state = requests.stateOf(id);
        (bool done, ) = address(requests).call(abi.encodeCall(requests.refund, (id)));
        if (done != (state == IRequests.State.Refundable)) _break("a refund was stopped, or came too early");
        if (!done) return;
        _settle(id);
        refunded++;
        if (seed % 2 == 0) return;
        (done, ) = address(requests).call(abi.encodeCall(requests.recordMissed, (id)));
    }

    function _changeApprovals(uint256 seed) private {
        if (seed % 3 == 0) {
            vm.prank(OWNER);
            (bool done, ) = address(app).call(abi.encodeCall(app.removeComposeHash, (COMPOSE)));
            done;
        } else {
            vm.prank(OWNER);
            (bool done, ) = address(app).call(abi.encodeCall(app.addComposeHash, (COMPOSE)));
            done;
        }
    }

    /// @dev All keys are proven again, and join with another capacity.
    function _joinAgain(uint256 seed) private {
        _pass(1);
        for (uint256 i = 0; i < KEYS; i++) {
            bytes memory proof = abi.encodeCall(instances.registerIssued, (_chainProof(_keyAt(i), COMPOSE, 1)));
            (bool done, ) = address(instances).call(proof);
            address operator = _operatorOf(i);
            bytes memory signature = _sign(_keyAt(i), requests.workerDigest(address(app), operator, DEVICE));
            address account = vm.addr(_keyAt(i));
            vm.prank(operator);
            (done, ) = address(requests).call(
                abi.encodeCall(requests.join, (address(app), account, DEVICE, uint16(1 + (seed % 3)), signature))
            );
        }
    }

    function _payOut(uint256 seed) private {
        address[5] memory accounts = [DAO, PAYEE, OPERATOR, OTHER_OPERATOR, address(asker)];
        address account = accounts[seed % 5];
        (uint256 owed, uint256 before) = (requests.balanceOf(account), address(requests).balance);
        (bool done, ) = address(requests).call(abi.encodeCall(requests.withdraw, (account)));
        if (!done) return;
        _out += owed;
        if (before - address(requests).balance != owed) _break("another amount was paid out");
    }

    function _leaveOrEnd(uint256 seed) private {
        address key = vm.addr(_keyAt(seed));
        vm.prank(key);
        (bool done, ) = seed % 32 == 0
            ? address(instances).call(abi.encodeCall(instances.end, (key)))
            : address(requests).call(abi.encodeCall(requests.retire, (key)));
        done;
    }

    /* WHAT MUST HOLD */

    function _break(string memory rule) private {
        if (bytes(broken).length == 0) broken = rule;
    }

    function check() external returns (string memory) {
        (uint256 owed, uint256 assigned) = _checkRequests();
        owed +=
            requests.balanceOf(DAO) +
            requests.balanceOf(PAYEE) +
            requests.balanceOf(OPERATOR) +
            requests.balanceOf(OTHER_OPERATOR) +
            requests.balanceOf(address(asker));
        if (address(requests).balance != owed) _break("held money is not owed money");
        if (_in < _out + owed) _break("more money went out than came in");
        if (_checkWorkers() != assigned) _break("open requests of the workers are not the assigned ones");
        return broken;
    }

    /// @dev Fees of open requests, and how many of them have a worker.
    function _checkRequests() private returns (uint256 fees, uint256 assigned) {
        for (uint256 i = 0; i < _openIds.length; i++) {
            IRequests.Request memory asked = requests.requestOf(_openIds[i]);
            if (asked.settled != IRequests.State.Waiting) _break("an open request is settled");
            if (asked.assignments > 5) _break("too many workers");
            if (asked.worker != address(0)) assigned++;
            fees += asked.fee;
        }
    }

    /// @dev The list has each worker once, at its place, and nobody has more than it promised when it was chosen.
    function _checkWorkers() private returns (uint256 open) {
        uint256 listed;
        for (uint256 i = 0; i < KEYS; i++) {
            address key = vm.addr(_keyAt(i));
            IRequests.Worker memory worker = requests.workerOf(key);
            open += worker.open;
            if (worker.open > 3) _break("more than its capacity");
            if (worker.place == 0) continue;
            listed++;
            if (requests.workerAt(address(app), worker.place - 1) != key) _break("the list has another worker there");
        }
        if (requests.workerCount(address(app)) != listed) _break("a worker is in the list twice");
    }
}

/// @notice Lets the runner choose the seed of each step and nothing else.
contract RequestSteps {
    RequestHistory private immutable _history;

    constructor(RequestHistory history) {
        _history = history;
    }

    function step(uint256 seed) external {
        _history.step(seed);
        _history.check();
    }
}

/// @notice Short histories; runs and depth are in hardhat.config.ts.
contract RequestsInvariantTest is Test {
    RequestHistory private history;
    RequestSteps private steps;

    function setUp() public {
        history = new RequestHistory();
        history.begin();
        steps = new RequestSteps(history);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(steps);
    }

    function invariant_FeesArePaidOnceAndHeldMoneyIsOwed() external view {
        assertEq(history.broken(), "", "broken");
    }

    /// @dev Else the rule above would have had nothing to say.
    function test_RequestsArePaidAndRefundedInAHistory() external {
        uint256 seed = 7;
        for (uint256 i = 0; i < 240; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            steps.step(seed);
        }
        assertEq(history.broken(), "", "broken");
        assertTrue(history.paid() >= 3 && history.refunded() >= 3, vm.toString(history.refunded()));
    }
}

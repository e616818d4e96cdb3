// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {HostBonds} from "../../contracts/registry/HostBonds.sol";
import {IRequester, IRequests} from "../../contracts/requests/IRequests.sol";
import {Requests} from "../../contracts/requests/Requests.sol";
import {Coin} from "./HostBonds.t.sol";
import {InstancesFixture} from "./InstancesFixture.sol";

/// @notice A requester that does with the result what its test tells it.
contract Asker is IRequester {
    enum Mood {
        Keep,
        Revert,
        Burn,
        Bomb,
        ComeBack
    }

    Requests internal immutable _requests;
    Mood public mood;
    bytes public kept;
    uint256 public gasSeen;
    bytes public again;
    bool public cameBack;

    constructor(Requests requests_) payable {
        _requests = requests_;
    }

    receive() external payable {}

    function ask(address app, uint40 deadline, uint32 callbackGas, uint96 fee) external returns (bytes32) {
        return _requests.request{value: fee}(app, keccak256("input"), "input", deadline, callbackGas);
    }

    function setMood(Mood mood_, bytes calldata again_) external {
        (mood, again) = (mood_, again_);
    }

    function onResult(bytes32, bytes calldata result) external {
        require(msg.sender == address(_requests), "stranger");
        if (mood == Mood.Revert) revert("not today");
        if (mood == Mood.Burn) while (true) gasSeen = gasleft();
        if (mood == Mood.Bomb) {
            assembly {
                revert(0, 100000)
            }
        }
        gasSeen = gasleft();
        if (mood == Mood.ComeBack) (cameBack, ) = address(_requests).call(again);
        kept = result;
    }
}

/// @notice The registries of `InstancesFixture`, requests with bonds, and one worker.
abstract contract RequestsFixture is InstancesFixture {
    address internal constant OPERATOR = address(0x0917);
    address internal constant OTHER_OPERATOR = address(0x0918);
    address internal constant PAYEE = address(0xFEE);
    uint96 internal constant FEE = 1_000_003;
    uint96 internal constant BOND = 1_000;
    uint24 internal constant ANSWER_TIME = 10 minutes;
    bytes internal constant ANSWER = "forty-two";

    Coin internal coin = new Coin(address(this));
    HostBonds internal bonds;
    Requests internal requests;
    Asker internal asker;

    function setUp() public virtual override {
        super.setUp();
        bytes memory init = abi.encodeCall(HostBonds.initialize, (DAO, coin, BOND, 14 days));
        bonds = HostBonds(address(new ERC1967Proxy(address(new HostBonds()), init)));
        requests = new Requests(instances, bonds, DAO, 500);
        vm.prank(DAO);
        bonds.setSlashLimit(address(requests), BOND, NEVER);
        asker = new Asker(requests);
        vm.deal(address(asker), 100 ether);
        vm.deal(STRANGER, 100 ether);
        vm.prank(OWNER);
        requests.setTerms(address(app), IRequests.Terms(PAYEE, 100, 2_000, ANSWER_TIME));
        _bond(OPERATOR);
        _bond(OTHER_OPERATOR);
    }

    function _bond(address operator) internal {
        coin.transfer(operator, 2 * BOND);
        vm.startPrank(operator);
        coin.approve(address(bonds), 2 * BOND);
        bonds.deposit(DEVICE, 2 * BOND);
        vm.stopPrank();
    }

    /// @dev Registers the key by key chain, and joins.
    function _work(uint256 key, address operator, uint16 capacity) internal {
        _registerIssued(key);
        _join(key, operator, capacity);
    }

    function _join(uint256 key, address operator, uint16 capacity) internal {
        bytes memory signature = _sign(key, requests.workerDigest(address(app), operator, DEVICE));
        address account = vm.addr(key);
        vm.prank(operator);
        requests.join(address(app), account, DEVICE, capacity, signature);
    }

    function _ask() internal returns (bytes32) {
        return _ask(1 hours, 0);
    }

    function _ask(uint256 time, uint32 callbackGas) internal returns (bytes32) {
        return asker.ask(address(app), uint40(vm.getBlockTimestamp() + time), callbackGas, FEE);
    }

    function _signResult(uint256 key, bytes32 id, bytes memory result) internal view returns (bytes memory) {
        return _sign(key, requests.resultDigest(id, keccak256(result)));
    }

    function _answer(uint256 key, bytes32 id) internal {
        requests.fulfil(id, ANSWER, _signResult(key, id, ANSWER));
    }

    function _assertState(bytes32 id, IRequests.State expected, string memory what) internal view {
        assertEq(uint8(requests.stateOf(id)), uint8(expected), what);
    }

    function _assertWorker(bytes32 id, uint256 key, string memory what) internal view {
        assertEq(requests.requestOf(id).worker, key == 0 ? address(0) : vm.addr(key), what);
    }

    function _expectState(bytes32 id, IRequests.State state) internal {
        vm.expectRevert(abi.encodeWithSelector(IRequests.RequestStateInvalid.selector, id, state));
    }

    function _wait(uint256 time) internal {
        vm.warp(vm.getBlockTimestamp() + time);
    }
}

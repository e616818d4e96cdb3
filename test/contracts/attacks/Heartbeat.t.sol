// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Heartbeat} from "../../../contracts/registry/Heartbeat.sol";
import {Test} from "../Vm.sol";

/// @notice Somebody tries to break each promise about heartbeats (docs/contracts.md, numbers with T).
contract HeartbeatAttacks is Test {
    address private constant POSTER = address(0x09);
    bytes32 private constant ROOT = "root";

    Heartbeat private heartbeat = new Heartbeat();

    function setUp() public {
        vm.prank(POSTER);
        heartbeat.beat(ROOT);
    }

    function testFuzz_T1_OnlyThePosterChangesItsRoot(address stranger, bytes32 root) public {
        vm.assume(stranger != POSTER);
        vm.prank(stranger);
        heartbeat.beat(root);

        assertTrue(heartbeat.rootOf(POSTER) == ROOT, "a stranger changed it");
    }

    /// @dev Any call but the two functions: there is no owner, no initializer, no upgrade and no way to send ether.
    function testFuzz_T2_NothingElseChangesTheContract(bytes4 selector, bytes calldata rest) public {
        vm.assume(selector != heartbeat.beat.selector && selector != heartbeat.rootOf.selector);
        bytes32 code = address(heartbeat).codehash;
        (bool done, ) = address(heartbeat).call(abi.encodePacked(selector, rest));
        (bool paid, ) = address(heartbeat).call{value: 1}(abi.encodeCall(heartbeat.beat, (ROOT)));

        assertTrue(!done && !paid, "another call succeeded");
        assertTrue(heartbeat.rootOf(POSTER) == ROOT && address(heartbeat).codehash == code, "it changed");
    }
}

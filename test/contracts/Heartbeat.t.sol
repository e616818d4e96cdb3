// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Heartbeat} from "../../contracts/registry/Heartbeat.sol";
import {Log, Test} from "./Vm.sol";

contract HeartbeatTest is Test {
    Heartbeat private heartbeat = new Heartbeat();

    function testFuzz_StoresTheLastRoot(address poster, bytes32 first, bytes32 second) public {
        assertTrue(heartbeat.rootOf(poster) == 0, "a root before the first post");

        vm.startPrank(poster);
        heartbeat.beat(first);
        assertTrue(heartbeat.rootOf(poster) == first, "the first root");
        heartbeat.beat(second);
        assertTrue(heartbeat.rootOf(poster) == second, "the second root");
        vm.stopPrank();
    }

    function testFuzz_EmitsTheRoot(bytes32 root) public {
        vm.recordLogs();
        heartbeat.beat(root);
        Log[] memory logs = vm.getRecordedLogs();

        assertEq(logs.length, 1, "events");
        assertTrue(logs[0].topics[0] == Heartbeat.Beat.selector, "which event");
        assertTrue(abi.decode(logs[0].data, (bytes32)) == root, "its root");
    }

    /// @dev Nodes read this slot by a storage proof.
    function testFuzz_KeepsTheRootOfAnAccountInItsSlot(address poster, bytes32 root) public {
        vm.prank(poster);
        heartbeat.beat(root);

        bytes32 slot = keccak256(abi.encode(poster, uint256(0)));
        assertTrue(vm.load(address(heartbeat), slot) == root, "the slot");
    }
}

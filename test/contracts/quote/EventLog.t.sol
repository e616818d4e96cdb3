// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Boot, EventLog, RuntimeEvent} from "../../../contracts/quote/eventlog/EventLog.sol";
import {Bytes48} from "../../../contracts/types/Bytes48.sol";
import {Test} from "../Vm.sol";
import {Sha384Plain} from "./plain/Sha384Plain.sol";

/// @notice What the events of a boot say, and which are refused, whatever they would lead to.
contract EventLogTest is Test {
    uint256 private constant MAX_EVENTS = 256;
    bytes private constant TWENTY = hex"00112233445566778899aabbccddeeff00112233";
    bytes private constant THIRTY_TWO = hex"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    function replay(RuntimeEvent[] calldata events) external pure returns (Bytes48 memory, Boot memory) {
        return EventLog.replay(events);
    }

    function test_NoEventsLeaveTheRegisterAtZero() public view {
        (Bytes48 memory rtmr, Boot memory boot) = this.replay(new RuntimeEvent[](0));
        assertEq(rtmr.hi, 0, "register");
        assertTrue(rtmr.lo == 0 && !boot.isReady, "boot");
    }

    /// @dev Everything that is known, then everything again with other bytes, then the marker and all once more.
    function test_UsesTheFirstEventOfEachName() public view {
        RuntimeEvent[] memory events = new RuntimeEvent[](16);
        for (uint256 round = 0; round < 3; ++round) {
            uint256 first = round * 5 + (round == 2 ? 1 : 0);
            bytes memory twenty = bytes.concat(TWENTY);
            bytes memory thirtyTwo = bytes.concat(THIRTY_TWO);
            twenty[0] = thirtyTwo[0] = bytes1(uint8(round));
            events[first] = RuntimeEvent("app-id", twenty, 1);
            events[first + 1] = RuntimeEvent("compose-hash", thirtyTwo, 1);
            events[first + 2] = RuntimeEvent("instance-id", twenty, 2);
            events[first + 3] = RuntimeEvent("os-image-hash", thirtyTwo, 1);
            events[first + 4] = RuntimeEvent("key-provider", thirtyTwo, 2);
        }
        events[10] = RuntimeEvent("system-ready", "", 1);

        (Bytes48 memory rtmr, Boot memory boot) = this.replay(events);

        assertEq(bytes32(boot.appId), bytes32(TWENTY), "app");
        assertEq(boot.composeHash, bytes32(THIRTY_TWO), "compose");
        assertEq(bytes32(boot.instanceId), bytes32(TWENTY), "instance");
        assertEq(boot.osImageHash, bytes32(THIRTY_TWO), "image");
        assertEq(keccak256(boot.keyProvider), keccak256(THIRTY_TWO), "key provider");
        assertTrue(boot.isReady, "ready");
        _leadsTo(rtmr, events);
    }

    function test_InstanceIdIsOptional() public view {
        RuntimeEvent[] memory events = new RuntimeEvent[](2);
        events[0] = RuntimeEvent("instance-id", "", 1);
        events[1] = RuntimeEvent("instance-id", TWENTY, 1);
        (Bytes48 memory rtmr, Boot memory boot) = this.replay(events);
        assertEq(bytes32(boot.instanceId), 0, "instance");
        _leadsTo(rtmr, events);
    }

    function test_RecognizesTheDigestsOfMarkers() public view {
        RuntimeEvent[] memory events = new RuntimeEvent[](4);
        events[0] = RuntimeEvent("system-preparing", "", 1);
        events[1] = RuntimeEvent("boot-mr-done", "", 1);
        events[2] = RuntimeEvent("another marker", "", 1);
        events[3] = RuntimeEvent("system-ready", "", 1);
        (Bytes48 memory rtmr, ) = this.replay(events);
        _leadsTo(rtmr, events);
    }

    function test_RefusesIdentitiesOfAnotherLength() public {
        string[4] memory names = ["app-id", "compose-hash", "instance-id", "os-image-hash"];
        for (uint256 i = 0; i < 4; ++i) {
            _refused(names[i], bytes.concat(TWENTY, hex"00"), 1);
            _refused(names[i], bytes.concat(THIRTY_TWO, hex"00"), 2);
        }
    }

    /// @dev A colon ends a name in version 1, so it could begin a payload.
    function test_RefusesColonsAtAnyPlaceOfAName() public {
        for (uint256 place = 0; place < 70; ++place) {
            bytes memory name = "a name of seventy letters, which is longer than two words of 32 octets";
            name[place] = ":";
            _refused(string(name), "", 1);
        }
    }

    function test_ReadsLongNames() public view {
        RuntimeEvent[] memory events = new RuntimeEvent[](1);
        events[0] = RuntimeEvent("a name of seventy letters, which is longer than two words of 32 octets", hex"01", 1);
        (Bytes48 memory rtmr, ) = this.replay(events);
        _leadsTo(rtmr, events);
    }

    /// @dev After the boot, names are those of the app.
    function test_AllowsColonsAfterTheBoot() public view {
        RuntimeEvent[] memory events = new RuntimeEvent[](2);
        events[0] = RuntimeEvent("system-ready", "", 1);
        events[1] = RuntimeEvent("a:b", hex"01", 1);
        (Bytes48 memory rtmr, ) = this.replay(events);
        _leadsTo(rtmr, events);
    }

    function test_RefusesOtherVersions() public {
        _refused("an event", "", 0);
        _refused("an event", "", 3);
    }

    /// @dev RFC 8785 would have to escape them, and there are two ways to be wrong about it.
    function test_RefusesNamesThatWouldBeEscaped() public {
        bytes1[6] memory chars = [bytes1(0x1f), 0x7f, 0x22, 0x5c, 0x00, 0xc3];
        for (uint256 i = 0; i < chars.length; ++i) _refused(string(bytes.concat("a", chars[i])), "", 2);
    }

    function test_RefusesTooManyEvents() public {
        RuntimeEvent[] memory events = new RuntimeEvent[](MAX_EVENTS + 1);
        for (uint256 i = 0; i < events.length; ++i) events[i] = RuntimeEvent("", "", 1);
        vm.expectRevert(abi.encodeWithSelector(EventLog.EventMalformed.selector, MAX_EVENTS));
        this.replay(events);
    }

    function _refused(string memory name, bytes memory payload, uint8 version) private {
        RuntimeEvent[] memory events = new RuntimeEvent[](2);
        events[0] = RuntimeEvent("system-preparing", "", 1);
        events[1] = RuntimeEvent(name, payload, version);
        vm.expectRevert(abi.encodeWithSelector(EventLog.EventMalformed.selector, 1));
        this.replay(events);
    }

    /// @dev One event after the other, each hashed by the plain SHA-384.
    function _leadsTo(Bytes48 memory rtmr, RuntimeEvent[] memory events) private pure {
        bytes memory register = new bytes(48);
        for (uint256 i = 0; i < events.length; ++i) {
            register = _hash(bytes.concat(register, _hash(_preimage(events[i]))));
        }
        assertEq(keccak256(abi.encodePacked(rtmr.hi, rtmr.lo)), keccak256(register), "register");
    }

    function _hash(bytes memory data) private pure returns (bytes memory) {
        (bytes32 hi, bytes16 lo) = Sha384Plain.hash(data);
        return bytes.concat(hi, lo);
    }

    function _preimage(RuntimeEvent memory item) private pure returns (bytes memory) {
        if (item.version == 1) return bytes.concat(hex"01000008", ":", bytes(item.name), ":", item.payload);
        bytes memory text;
        bytes16 digits = "0123456789abcdef";
        for (uint256 i = 0; i < item.payload.length; ++i) {
            uint8 octet = uint8(item.payload[i]);
            text = bytes.concat(text, digits[octet >> 4], digits[octet & 15]);
        }
        return bytes.concat('{"name":"', bytes(item.name), '","payload":"', text, '","type":134217729}');
    }
}

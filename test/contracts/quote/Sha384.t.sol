// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Sha384} from "../../../contracts/quote/cryptography/Sha384.sol";
import {Test} from "../Vm.sol";
import {Sha384Plain} from "./plain/Sha384Plain.sol";

/// @notice SHA-384 in two lanes against known answers and against the standard written down plainly.
contract Sha384Test is Test {
    function test_MatchesKnownAnswers() public pure {
        // FIPS 180-4 examples: no bytes, one block, two blocks
        _same(
            "",
            0x38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da,
            0x274edebfe76f65fbd51ad2f14898b95b
        );
        _same(
            "abc",
            0xcb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed,
            0x8086072ba1e7cc2358baeca134c825a7
        );
        _same(
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            0x09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712,
            0xfcc7c71a557e2db966c3e9fa91746039
        );
    }

    function testFuzz_MatchesTheReference(bytes memory data) public pure {
        (bytes32 hi, bytes16 lo) = Sha384Plain.hash(data);
        _same(data, hi, lo);
    }

    /// @dev Padding: lengths on both sides of each border of a block.
    function test_PadsAroundBlockBorders() public pure {
        for (uint256 length = 105; length < 136; ++length) testFuzz_MatchesTheReference(_ones(length));
        testFuzz_MatchesTheReference(_ones(239));
        testFuzz_MatchesTheReference(_ones(240));
    }

    /// @dev A register extended twice while two blocks go by below: neither lane may change what the other comes to,
    /// whatever carries and falls between them.
    function testFuzz_LanesDoNotMix(bytes32[4] memory digests, bytes32[8] memory blocks, bool begins) public pure {
        bytes memory space = Sha384.workspace();
        bytes memory first = abi.encodePacked(digests[0], bytes16(digests[1]));
        bytes memory second = abi.encodePacked(digests[2], bytes16(digests[3]));
        bytes memory message = abi.encodePacked(blocks);
        Sha384.extend(space, Sha384.placeOf(first), Sha384.placeOf(message), true);
        Sha384.extend(space, Sha384.placeOf(second), Sha384.placeOf(message) + 128, begins);

        bytes memory register = _plain(bytes.concat(new bytes(48), first));
        (bytes32 hi, bytes16 lo) = Sha384.upper(space);
        assertEq(keccak256(bytes.concat(hi, lo)), keccak256(_plain(bytes.concat(register, second))), "upper lane");

        uint256[8] memory state = Sha384Plain.begin();
        if (!begins) Sha384Plain.compress(state, message, 0);
        Sha384Plain.compress(state, message, 128);
        (hi, lo) = Sha384.lower(space);
        uint256 wanted = (state[0] << 192) | (state[1] << 128) | (state[2] << 64) | state[3];
        assertEq(hi, bytes32(wanted), "lower lane, first 32 bytes");
        assertEq(bytes32(lo), bytes32(((state[4] << 64) | state[5]) << 128), "lower lane, last 16 bytes");
    }

    function test_LanesOfOnesDoNotMix() public pure {
        bytes32 ones = bytes32(type(uint256).max);
        bytes32[4] memory fullDigests = [ones, ones, ones, ones];
        bytes32[8] memory fullBlocks = [ones, ones, ones, ones, ones, ones, ones, ones];
        bytes32[4] memory noDigests;
        bytes32[8] memory noBlocks;
        testFuzz_LanesDoNotMix(fullDigests, fullBlocks, true);
        testFuzz_LanesDoNotMix(fullDigests, fullBlocks, false);
        testFuzz_LanesDoNotMix(fullDigests, noBlocks, false);
        testFuzz_LanesDoNotMix(noDigests, fullBlocks, false);
    }

    /// @dev A message taken in alone leaves the register as it was.
    function testFuzz_MessageAloneLeavesTheRegister(bytes32 digest, bytes32[4] memory words) public pure {
        bytes memory space = Sha384.workspace();
        bytes memory first = abi.encodePacked(digest, bytes16(digest));
        bytes memory message = abi.encodePacked(words);
        Sha384.extend(space, Sha384.placeOf(first), Sha384.placeOf(message), true);
        Sha384.take(space, Sha384.placeOf(message), true);
        (bytes32 hi, bytes16 lo) = Sha384.upper(space);
        assertEq(keccak256(bytes.concat(hi, lo)), keccak256(_plain(bytes.concat(new bytes(48), first))), "register");
    }

    /// @dev The rounds work at the beginning of memory; what lay there before, from the free pointer on, is there after.
    function test_LowMemoryIsRestored() public pure {
        uint256[40] memory early;
        for (uint256 i = 0; i < 40; ++i) early[i] = ~i;
        bytes memory space = Sha384.workspace();
        uint256 free = _free();
        Sha384.take(space, Sha384.placeOf(space), true);
        uint256 moved = _free() - free;
        for (uint256 i = 0; i < 40; ++i) assertEq(early[i], ~i, "a variable");
        assertEq(moved, 192, "the free pointer, behind one array of six words");
        bytes memory none;
        assertEq(none.length, 0, "the zero slot");
    }

    function _plain(bytes memory data) private pure returns (bytes memory) {
        (bytes32 hi, bytes16 lo) = Sha384Plain.hash(data);
        return bytes.concat(hi, lo);
    }

    function _free() private pure returns (uint256 free) {
        assembly ("memory-safe") {
            free := mload(0x40)
        }
    }

    function _same(bytes memory data, bytes32 hi, bytes16 lo) private pure {
        (bytes32 foundHi, bytes16 foundLo) = Sha384.hash(data, Sha384.workspace());
        assertEq(foundHi, hi, "first 32 bytes");
        assertEq(bytes32(foundLo), bytes32(lo), "last 16 bytes");
        (foundHi, foundLo) = Sha384Plain.hash(data);
        assertEq(foundHi, hi, "plain, first 32 bytes");
        assertEq(bytes32(foundLo), bytes32(lo), "plain, last 16 bytes");
    }

    function _ones(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; ++i) data[i] = 0xff;
    }
}

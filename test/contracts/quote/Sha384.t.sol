// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Sha384} from "../../../contracts/quote/Sha384.sol";
import {Test} from "../Vm.sol";
import {Sha384Plain} from "./plain/Sha384Plain.sol";

/// @notice SHA-384 in two lanes against known answers and against the standard written down plainly.
contract Sha384Test is Test {
    function test_KnownAnswers() public pure {
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

    function testFuzz_IsTheStandard(bytes memory data) public pure {
        (bytes32 hi, bytes16 lo) = Sha384Plain.hash(data);
        _same(data, hi, lo);
    }

    /// @dev Padding: lengths on both sides of each border of a block.
    function test_Borders() public pure {
        for (uint256 length = 105; length < 136; ++length) testFuzz_IsTheStandard(_ones(length));
        testFuzz_IsTheStandard(_ones(239));
        testFuzz_IsTheStandard(_ones(240));
    }

    /// @dev Neither lane may change what the other comes to, whatever carries and falls between them.
    function testFuzz_LanesAreApart(bytes32[4] memory above, bytes32[4] memory below) public pure {
        bytes memory space = Sha384.workspace();
        uint256[8] memory state;
        Sha384.beginUpper(state);
        Sha384.beginLower(state);
        Sha384.compress(state, space, _place(above), _place(below));

        uint256[8] memory upper = Sha384Plain.begin();
        Sha384Plain.compress(upper, abi.encodePacked(above), 0);
        uint256[8] memory lower = Sha384Plain.begin();
        Sha384Plain.compress(lower, abi.encodePacked(below), 0);
        for (uint256 i = 0; i < 8; ++i) {
            assertEq(state[i] >> 128, upper[i], "upper lane");
            assertEq(uint128(state[i]), lower[i], "lower lane");
        }
    }

    function test_LanesOfOnesAreApart() public pure {
        bytes32 ones = bytes32(type(uint256).max);
        bytes32[4] memory full = [ones, ones, ones, ones];
        bytes32[4] memory empty;
        testFuzz_LanesAreApart(full, full);
        testFuzz_LanesAreApart(full, empty);
        testFuzz_LanesAreApart(empty, full);
    }

    function _same(bytes memory data, bytes32 hi, bytes16 lo) private pure {
        (bytes32 foundHi, bytes16 foundLo) = Sha384.hash(data, Sha384.workspace());
        assertEq(foundHi, hi, "first 32 bytes");
        assertEq(bytes32(foundLo), bytes32(lo), "last 16 bytes");
        (foundHi, foundLo) = Sha384Plain.hash(data);
        assertEq(foundHi, hi, "plain, first 32 bytes");
        assertEq(bytes32(foundLo), bytes32(lo), "plain, last 16 bytes");
    }

    function _place(bytes32[4] memory words) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := words
        }
    }

    function _ones(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; ++i) data[i] = 0xff;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Der} from "../../../contracts/quote/parsing/Der.sol";
import {Test} from "../Vm.sol";

/// @notice DER of one element at a time, put together and counted out plainly.
contract DerTest is Test {
    uint256 private constant UNTIL = 4102444800; // 2100-01-01

    function open(bytes calldata der, uint256 end) external pure returns (uint256 content, uint256 next) {
        return Der.open(der, 0, end, Der.SEQUENCE);
    }

    function integer(bytes calldata der) external pure returns (uint256 value, uint256 next) {
        return Der.integer(der, 0, der.length);
    }

    function time(bytes calldata der) external pure returns (uint256 value, uint256 next) {
        return Der.time(der, 0, der.length);
    }

    function timeWithin(bytes calldata der, uint256 end) external pure returns (uint256 value, uint256 next) {
        return Der.time(der, 0, end);
    }

    /* LENGTHS */

    function testFuzz_OpensMinimalLengths(uint256 length) public view {
        length = bound(length, 0, 70_000);
        bytes memory head = _head(length);
        (uint256 content, uint256 next) = this.open(bytes.concat(head, new bytes(32)), head.length + length);
        assertEq(content, head.length, "content");
        assertEq(next, head.length + length, "next");
        _refusesOpen(head, head.length + length - 1);
    }

    function test_RefusesOtherLengths() public view {
        // indefinite, more octets than needed, four octets
        _refusesOpen(hex"3080", 1000);
        _refusesOpen(hex"30817f", 1000);
        _refusesOpen(hex"308200ff", 1000);
        _refusesOpen(hex"3083000100", 1000);
        _refusesOpen(hex"308400010000", 1 << 40);
        _refusesOpen(hex"3102", 1000);
    }

    /// @dev Any first octets: never a length that is not the one that is written.
    function testFuzz_RefusesOtherLengthEncodings(bytes8 head, uint24 end) public view {
        try this.open(abi.encodePacked(head), end) returns (uint256 content, uint256 next) {
            assertTrue(next <= end, "inside its parent");
            bytes memory expected = _head(next - content);
            assertEq(content, expected.length, "content");
            for (uint256 i = 0; i < content; ++i) assertTrue(head[i] == expected[i], "octets of the length");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    /* INTEGERS */

    function testFuzz_ReadsIntegers(uint256 value, uint8 shift) public view {
        value >>= shift;
        bytes memory der = _integer(value);
        (uint256 found, uint256 next) = this.integer(der);
        assertEq(found, value, "value");
        assertEq(next, der.length, "next");
    }

    /// @dev A value that is read has exactly this encoding.
    function testFuzz_ReadsNoOtherInteger(bytes calldata octets) public view {
        vm.assume(octets.length < 128);
        bytes memory der = bytes.concat(hex"02", bytes1(uint8(octets.length)), octets);
        try this.integer(der) returns (uint256 value, uint256) {
            assertEq(keccak256(der), keccak256(_integer(value)), "not canonical");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    function testFuzz_ChangedIntegersAreCanonicalOrRefused(
        uint256 value,
        uint8 shift,
        uint256 place,
        bytes1 octet
    ) public view {
        bytes memory der = _integer(value >> shift);
        der[place % der.length] = octet;
        try this.integer(der) returns (uint256 found, uint256 next) {
            bytes memory expected = _integer(found);
            assertEq(next, expected.length, "next");
            for (uint256 i = 0; i < next; ++i) assertTrue(der[i] == expected[i], "not canonical");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    /* TIMES */

    function testFuzz_ReadsTimes(uint256 seconds_) public view {
        seconds_ = bound(seconds_, 1, UNTIL);
        bytes memory general = _general(seconds_);
        (uint256 found, uint256 next) = this.time(bytes.concat(hex"180f", general));
        assertEq(found, seconds_, "GeneralizedTime");
        assertEq(next, 17, "next");
        if (seconds_ < 2524608000) {
            bytes memory utc = new bytes(13);
            for (uint256 i = 0; i < 13; ++i) utc[i] = general[i + 2];
            (found, next) = this.time(bytes.concat(hex"170d", utc));
            assertEq(found, seconds_, "UTCTime");
            assertEq(next, 15, "next");
        }
    }

    function testFuzz_ReadsNoOtherTime(uint256 seconds_, uint256 place, bytes1 octet) public view {
        bytes memory der = bytes.concat(hex"180f", _general(bound(seconds_, 1, UNTIL)));
        der[place % der.length] = octet;
        try this.time(der) returns (uint256 found, uint256) {
            // years beyond 9999 and before 1970 cannot be written with these digits
            assertEq(keccak256(der), keccak256(bytes.concat(hex"180f", _general(found))), "not canonical");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    function test_AcceptsOnlyDatesOfTheCalendar() public view {
        (uint256 found, ) = this.time(bytes.concat(hex"180f", "20240229235959Z"));
        assertEq(found, 1709251199, "leap day");
        (found, ) = this.time(bytes.concat(hex"180f", "20000229000000Z"));
        assertEq(found, 951782400, "leap day of a fourth century");
        string[8] memory wrong = [
            "19691231235959Z",
            "20240101006000Z",
            "20230229000000Z",
            "21000229000000Z",
            "20240431000000Z",
            "20240100000000Z",
            "20241301000000Z",
            "20240101240000Z"
        ];
        for (uint256 i = 0; i < wrong.length; ++i) _refusesTime(bytes.concat(hex"180f", bytes(wrong[i])));
        _refusesTime(bytes.concat(hex"170c", "2401010000Z00"));
        _refusesTime(bytes.concat(hex"170d", "240101000000"));
        _refusesTime(bytes.concat(hex"180f", "20240101000060Z"));
        _refusesTime(bytes.concat(hex"180f", "2024010100000/Z"));
        _refusesTime(bytes.concat(hex"180f", "2024010100000:Z"));
    }

    function test_RefusesATimeThatReachesBeyondItsParent() public view {
        bytes memory der = bytes.concat(hex"180f", "20240101000000Z");
        try this.timeWithin(der, 16) {
            assertTrue(false, "read as a time");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    /* PUTTING ELEMENTS TOGETHER */

    function _head(uint256 length) private pure returns (bytes memory) {
        if (length < 128) return bytes.concat(hex"30", bytes1(uint8(length)));
        if (length < 256) return bytes.concat(hex"3081", bytes1(uint8(length)));
        if (length < 65536) return bytes.concat(hex"3082", bytes2(uint16(length)));
        return bytes.concat(hex"3083", bytes3(uint24(length)));
    }

    function _integer(uint256 value) private pure returns (bytes memory) {
        uint256 length = 1;
        while (length < 32 && value >> (8 * length) != 0) ++length;
        bytes memory octets = value >> (8 * length - 1) == 1 ? bytes(hex"00") : bytes("");
        for (uint256 i = length; i > 0; --i) octets = bytes.concat(octets, bytes1(uint8(value >> (8 * (i - 1)))));
        return bytes.concat(hex"02", bytes1(uint8(octets.length)), octets);
    }

    /// @dev YYYYMMDDhhmmssZ, years and months counted off one after the other.
    function _general(uint256 seconds_) private pure returns (bytes memory) {
        uint256 day = seconds_ / 86400;
        uint256 year = 1970;
        while (day >= _yearLength(year)) day -= _yearLength(year++);
        uint8[12] memory lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        if (_yearLength(year) == 366) lengths[1] = 29;
        uint256 month;
        while (day >= lengths[month]) day -= lengths[month++];
        bytes memory date = bytes.concat(_two(year / 100), _two(year % 100), _two(month + 1), _two(day + 1));
        uint256 left = seconds_ % 86400;
        return bytes.concat(date, _two(left / 3600), _two((left / 60) % 60), _two(left % 60), "Z");
    }

    function _yearLength(uint256 year) private pure returns (uint256) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
    }

    function _two(uint256 number) private pure returns (bytes memory) {
        return bytes.concat(bytes1(uint8(48 + number / 10)), bytes1(uint8(48 + (number % 10))));
    }

    function _refusesOpen(bytes memory head, uint256 end) private view {
        try this.open(bytes.concat(head, new bytes(32)), end) {
            assertTrue(false, "opened");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    function _refusesTime(bytes memory der) private view {
        try this.time(der) {
            assertTrue(false, "read as a time");
        } catch (bytes memory reason) {
            _isMalformed(reason);
        }
    }

    function _isMalformed(bytes memory reason) private pure {
        assertEq(bytes32(bytes4(reason)), bytes32(Der.DerMalformed.selector), "error");
    }
}

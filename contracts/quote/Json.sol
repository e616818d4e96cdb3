// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "./ICollateralStore.sol";
import {Der} from "./Der.sol";

/// @notice Intel's signed JSON, read against a template: same fields, same order, no white space.
/// @dev Every function takes the position where its value must stand and returns the one behind it. A position
/// only grows, so one comparison with the length at the end of a document proves that nothing was read beyond it.
library Json {
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant HIGH = 0x80 * ONES;

    /// @dev A one for each digit of a date between quotation marks.
    uint256 private constant DATE_DIGITS =
        0x00_01010101_00_0101_00_0101_00_0101_00_0101_00_0101_0000_00000000000000000000;

    /// @dev Added to 32 characters at once, sets bit 7 of those that are at least "0", ":", "A" and so on.
    uint256 private constant FROM_0 = (128 - 48) * ONES;
    uint256 private constant FROM_COLON = (128 - 58) * ONES;
    uint256 private constant FROM_A = (128 - 65) * ONES;
    uint256 private constant FROM_G = (128 - 71) * ONES;
    uint256 private constant FROM_LOWER_A = (128 - 97) * ONES;
    uint256 private constant FROM_LOWER_G = (128 - 103) * ONES;

    /// @notice The `length` characters of `literal` must stand at `pos`.
    function expect(bytes memory json, uint256 pos, bytes32 literal, uint256 length) internal pure returns (uint256) {
        unchecked {
            if (!(isAt(json, pos, literal, length))) revert ICollateralStore.JsonMalformed(pos);
            return pos + length;
        }
    }

    /// @notice Whether the `length` characters of `literal` stand at `pos`.
    function isAt(bytes memory json, uint256 pos, bytes32 literal, uint256 length) internal pure returns (bool) {
        unchecked {
            return (word(json, pos) ^ uint256(literal)) >> (256 - 8 * length) == 0;
        }
    }

    /// @notice A whole number without sign, leading zeros, fraction or exponent, of at most nine digits.
    function number(bytes memory json, uint256 pos) internal pure returns (uint256 value, uint256 next) {
        unchecked {
            uint256 head = word(json, pos);
            next = pos;
            while (true) {
                uint256 digit = (head >> 248) - 0x30;
                if (digit > 9) break;
                value = value * 10 + digit;
                head <<= 8;
                ++next;
            }
            uint256 length = next - pos;
            if (!(length != 0 && length < 10 && (length == 1 || !isAt(json, pos, "0", 1))))
                revert ICollateralStore.JsonMalformed(pos);
        }
    }

    /// @notice `"2026-06-08T11:32:35Z"` as unix seconds.
    function date(bytes memory json, uint256 pos) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            uint256 head = word(json, pos);
            // quotes and punctuation where they belong
            if (
                !(head & 0xff00000000ff0000ff0000ff0000ff0000ff0000ffff00000000000000000000 ==
                    0x2200000000_2d0000_2d0000_540000_3a0000_3a0000_5a22_00000000000000000000)
            ) revert ICollateralStore.JsonMalformed(pos);
            uint256 pairs = Der.pairsOf(head, DATE_DIGITS);
            if (pairs == 0) revert ICollateralStore.JsonMalformed(pos);
            seconds_ = Der.unixTime(
                Der.octet(pairs, 2) * 100 + Der.octet(pairs, 4),
                Der.octet(pairs, 7),
                Der.octet(pairs, 10),
                Der.octet(pairs, 13),
                Der.octet(pairs, 16),
                Der.octet(pairs, 19)
            );
            // until 2106, so that four bytes hold it
            if (seconds_ == 0 || seconds_ >> 32 != 0) revert ICollateralStore.JsonMalformed(pos);
            next = pos + 22;
        }
    }

    /// @notice `length` bytes, 16 at most, written in hexadecimal digits of either case; left-aligned.
    function hexBytes(bytes memory json, uint256 pos, uint256 length) internal pure returns (bytes32 value) {
        unchecked {
            // what follows the digits becomes zeros
            uint256 unused = 256 - 16 * length;
            uint256 c = ((word(json, pos) >> unused) << unused) | ((0x30 * ONES) & ((1 << unused) - 1));
            // bit 7 flips at each border: it is set inside "0" to "9", "A" to "F", "a" to "f"
            uint256 valid = (c + FROM_0) ^ (c + FROM_COLON) ^ (c + FROM_A) ^ (c + FROM_G);
            valid ^= (c + FROM_LOWER_A) ^ (c + FROM_LOWER_G);
            if (valid & HIGH & ~c != HIGH) revert ICollateralStore.JsonMalformed(pos);

            // letters have bit 6 set, and "A" is 65
            uint256 v = (c & (0x0f * ONES)) + 9 * ((c >> 6) & ONES);
            v = (v | (v >> 4)) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
            v = (v | (v >> 8)) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
            v = (v | (v >> 16)) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
            v = (v | (v >> 32)) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
            value = bytes32((v | (v >> 64)) << 128);
        }
    }

    /// @notice A string without escapes, from behind its opening quotation mark to its closing one.
    function text(bytes memory json, uint256 pos) internal pure returns (uint256 end) {
        unchecked {
            for (end = pos; end < json.length; end += 32) {
                uint256 c = word(json, end);
                // bit 7 of quotation marks, and of what may not stand in a string: controls, escapes, not ASCII
                uint256 quote = _equal(c, 0x22 * ONES);
                uint256 bad =
                    _equal(c, 0x5c * ONES) | (~(c + 0x60 * ONES) & HIGH) | (c & HIGH) | _equal(c, 0x7f * ONES);
                if (quote > bad) {
                    assembly ("memory-safe") {
                        end := add(end, shr(3, clz(quote)))
                    }
                    // whatever is bad must stand behind the mark
                    if (bad >> (248 - 8 * ((end - pos) % 32)) != 0) revert ICollateralStore.JsonMalformed(end);
                    return end;
                }
                if (bad != 0) revert ICollateralStore.JsonMalformed(end);
            }
            revert ICollateralStore.JsonMalformed(end);
        }
    }

    /// @dev Bit 7 of every lane in which `a` and `b` are equal.
    function _equal(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            uint256 x = a ^ b;
            return ~(((x & ~HIGH) + ~HIGH) | x) & HIGH;
        }
    }

    /// @notice A string of 1 to 31 characters without escapes, left-aligned.
    function shortText(bytes memory json, uint256 pos) internal pure returns (bytes32 value, uint256 next) {
        unchecked {
            uint256 end = text(json, pos);
            uint256 length = end - pos;
            if (length == 0 || length >= 32) revert ICollateralStore.JsonMalformed(pos);
            uint256 unused = 256 - 8 * length;
            value = bytes32((word(json, pos) >> unused) << unused);
            next = end + 1;
        }
    }

    /// @notice The 32 characters at `pos`; beyond the end of `json` they mean nothing.
    function word(bytes memory json, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(json, 32), pos))
        }
    }
}

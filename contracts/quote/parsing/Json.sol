// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "../collateral/ICollateralStore.sol";
import {Der} from "./Der.sol";

/// @notice Parses values of Intel's signed JSON, which contains no white space (RFC 8259).
/// @dev Every function takes the position of its value and returns the position after it. The caller compares the
/// position after the outermost value with the length, so nothing is accepted from beyond the end.
library Json {
    /// @notice Most nested objects and lists, as in Intel's library.
    uint256 internal constant MAX_DEPTH = 32;

    /// @dev 1 in each octet.
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    /// @dev Bit 7 of each octet.
    uint256 private constant HIGH = 0x80 * ONES;

    /// @dev 1 for each digit of a date between quotation marks.
    uint256 private constant DATE_DIGITS =
        0x00_01010101_00_0101_00_0101_00_0101_00_0101_00_0101_0000_00000000000000000000;

    /// @dev Added to 32 characters at once, each of these sets bit 7 of the characters from "0", ":", "A" … on.
    uint256 private constant FROM_0 = (128 - 48) * ONES;
    uint256 private constant FROM_COLON = (128 - 58) * ONES;
    uint256 private constant FROM_A = (128 - 65) * ONES;
    uint256 private constant FROM_G = (128 - 71) * ONES;
    uint256 private constant FROM_LOWER_A = (128 - 97) * ONES;
    uint256 private constant FROM_LOWER_G = (128 - 103) * ONES;

    /// @notice Requires the `length` characters of `literal` at `pos`.
    /// @param literal characters, left-aligned.
    /// @param length number of characters, at most 32.
    /// @return position after the literal.
    function expect(bytes memory json, uint256 pos, bytes32 literal, uint256 length) internal pure returns (uint256) {
        unchecked {
            if (!(isAt(json, pos, literal, length))) revert ICollateralStore.JsonMalformed(pos);
            return pos + length;
        }
    }

    /// @notice Whether the `length` characters of `literal` are at `pos`.
    function isAt(bytes memory json, uint256 pos, bytes32 literal, uint256 length) internal pure returns (bool) {
        unchecked {
            return (word(json, pos) ^ uint256(literal)) >> (256 - 8 * length) == 0;
        }
    }

    /// @notice A whole number of at most ten digits, without sign, leading zeros, fraction or exponent.
    /// @return value the number.
    /// @return next position after the last digit.
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
            if (!(length != 0 && length < 11 && (length == 1 || !isAt(json, pos, "0", 1))))
                revert ICollateralStore.JsonMalformed(pos);
        }
    }

    /// @notice A time such as `"2026-06-08T11:32:35Z"`, as unix seconds; before 2106, so that it fits into 32 bits.
    /// @return seconds_ unix seconds.
    /// @return next position after the closing quotation mark.
    function date(bytes memory json, uint256 pos) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            uint256 head = word(json, pos);
            // quotation marks and punctuation at their positions
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
            // before 2106, so that it fits into four bytes
            if (seconds_ == 0 || seconds_ >> 32 != 0) revert ICollateralStore.JsonMalformed(pos);
            next = pos + 22;
        }
    }

    /// @notice Up to 16 bytes in hexadecimal digits of either case; left-aligned.
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

    /// @notice The end of a string without escapes.
    /// @param pos position after its opening quotation mark.
    /// @return end position of its closing quotation mark.
    function text(bytes memory json, uint256 pos) internal pure returns (uint256 end) {
        unchecked {
            for (end = pos; end < json.length; end += 32) {
                uint256 c = word(json, end);
                // bit 7 of quotation marks, and of what may not stand in a string: controls, escapes, not ASCII
                uint256 quote = _equal(c, 0x22 * ONES);
                uint256 bad = _equal(c, 0x5c * ONES) | ((~(c + 0x60 * ONES) | c | ((c & ~HIGH) + ONES)) & HIGH);
                if (quote > bad) {
                    end += _firstLane(quote);
                    // bad characters may only follow the quotation mark
                    if (bad >> (248 - 8 * ((end - pos) % 32)) != 0) revert ICollateralStore.JsonMalformed(end);
                    return end;
                }
                if (bad != 0) revert ICollateralStore.JsonMalformed(end);
            }
            revert ICollateralStore.JsonMalformed(end);
        }
    }

    /* VALUES THAT NOBODY READS */

    /// @notice A name and its colon, from its opening quotation mark.
    function key(bytes memory json, uint256 pos) internal pure returns (uint256) {
        unchecked {
            return expect(json, _string(json, expect(json, pos, '"', 1)), ":", 1);
        }
    }

    /// @notice Any value, inside of `depth` objects and lists.
    /// @param depth objects and lists around the value; at most `MAX_DEPTH`.
    function skip(bytes memory json, uint256 pos, uint256 depth) internal pure returns (uint256) {
        unchecked {
            // a bit for each object or list that was opened here: 1 for an object
            uint256 kinds;
            uint256 opened = depth;
            while (true) {
                uint256 c = octet(json, pos);
                if (c == 0x7b || c == 0x5b) {
                    if (++depth > MAX_DEPTH) revert ICollateralStore.JsonMalformed(pos);
                    kinds = (kinds << 1) | ((c >> 5) & 1);
                    // both are closed by the character after the next
                    if (octet(json, ++pos) != c + 2) {
                        if (c == 0x7b) pos = key(json, pos);
                        continue;
                    }
                } else if (c == 0x22) {
                    pos = _string(json, pos + 1);
                } else {
                    pos = _scalar(json, pos);
                }
                // behind a value, or before the end of an empty one
                while (true) {
                    if (depth == opened) return pos;
                    c = octet(json, pos++);
                    if (c == 0x2c) {
                        if (kinds & 1 == 1) pos = key(json, pos);
                        break;
                    }
                    if (c != (kinds & 1 == 1 ? 0x7d : 0x5d)) revert ICollateralStore.JsonMalformed(pos - 1);
                    --depth;
                    kinds >>= 1;
                }
            }
            return pos;
        }
    }

    /// @dev A string with escapes and characters of every kind, from behind its opening quotation mark; returns the
    /// position behind the closing one.
    function _string(bytes memory json, uint256 pos) private pure returns (uint256) {
        unchecked {
            while (pos < json.length) {
                uint256 c = word(json, pos);
                // bit 7 of controls: ASCII below the space
                uint256 stop = _equal(c, 0x22 * ONES) | _equal(c, 0x5c * ONES);
                stop |= ~((c & ~HIGH) + 0x60 * ONES) & ~c & HIGH;
                if (stop == 0) {
                    pos += 32;
                    continue;
                }
                pos += _firstLane(stop);
                uint256 end = octet(json, pos);
                if (end == 0x22) return pos + 1;
                if (end != 0x5c) break;
                pos = _escape(json, pos + 1);
            }
            revert ICollateralStore.JsonMalformed(pos);
        }
    }

    /// @dev What follows a backslash.
    function _escape(bytes memory json, uint256 pos) private pure returns (uint256) {
        unchecked {
            uint256 c = octet(json, pos);
            if (c == 0x75) {
                hexBytes(json, pos + 1, 2);
                return pos + 5;
            }
            bool known = c == 0x22 || c == 0x5c || c == 0x2f || c == 0x62;
            known = known || c == 0x66 || c == 0x6e || c == 0x72 || c == 0x74;
            if (!known) revert ICollateralStore.JsonMalformed(pos);
            return pos + 1;
        }
    }

    /// @dev `true`, `false`, `null` or a number.
    function _scalar(bytes memory json, uint256 pos) private pure returns (uint256) {
        unchecked {
            if (isAt(json, pos, "true", 4) || isAt(json, pos, "null", 4)) return pos + 4;
            if (isAt(json, pos, "false", 5)) return pos + 5;
            if (octet(json, pos) == 0x2d) ++pos;
            pos = octet(json, pos) == 0x30 ? pos + 1 : _digits(json, pos);
            if (octet(json, pos) == 0x2e) pos = _digits(json, pos + 1);
            if (octet(json, pos) | 0x20 == 0x65) {
                uint256 sign = octet(json, ++pos);
                if (sign == 0x2b || sign == 0x2d) ++pos;
                pos = _digits(json, pos);
            }
            return pos;
        }
    }

    /// @dev One digit or more.
    function _digits(bytes memory json, uint256 pos) private pure returns (uint256 end) {
        unchecked {
            for (end = pos; octet(json, end) - 0x30 < 10; ++end) {}
            if (end == pos) revert ICollateralStore.JsonMalformed(pos);
        }
    }

    /// @dev How many octets stand before the highest one of `lanes` that is not zero.
    function _firstLane(uint256 lanes) private pure returns (uint256 index) {
        assembly ("memory-safe") {
            // halves the search five times; chains of before Osaka do not count leading zeros
            let shift := shl(7, iszero(shr(128, lanes)))
            lanes := shl(shift, lanes)
            index := shr(3, shift)
            shift := shl(6, iszero(shr(192, lanes)))
            lanes := shl(shift, lanes)
            index := add(index, shr(3, shift))
            shift := shl(5, iszero(shr(224, lanes)))
            lanes := shl(shift, lanes)
            index := add(index, shr(3, shift))
            shift := shl(4, iszero(shr(240, lanes)))
            lanes := shl(shift, lanes)
            index := add(add(index, shr(3, shift)), iszero(shr(248, lanes)))
        }
    }

    /// @dev Bit 7 of every lane in which `a` and `b` are equal.
    function _equal(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            uint256 x = a ^ b;
            return ~(((x & ~HIGH) + ~HIGH) | x) & HIGH;
        }
    }

    /// @notice A string of at least one character without escapes: itself, left-aligned, up to 31 of them; of a longer
    /// one keccak-256.
    /// @return value the string, or its hash.
    /// @return next position after the closing quotation mark.
    function name(bytes memory json, uint256 pos) internal pure returns (bytes32 value, uint256 next) {
        unchecked {
            uint256 end = text(json, pos);
            uint256 length = end - pos;
            if (length == 0) revert ICollateralStore.JsonMalformed(pos);
            next = end + 1;
            if (length > 31) {
                assembly ("memory-safe") {
                    value := keccak256(add(add(json, 32), pos), length)
                }
                return (value, next);
            }
            uint256 unused = 256 - 8 * length;
            value = bytes32((word(json, pos) >> unused) << unused);
        }
    }

    /// @notice The character at `pos`; beyond the end of `json` it means nothing.
    function octet(bytes memory json, uint256 pos) internal pure returns (uint256) {
        return word(json, pos) >> 248;
    }

    /// @notice The 32 characters at `pos`; beyond the end of `json` they mean nothing.
    function word(bytes memory json, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(json, 32), pos))
        }
    }
}

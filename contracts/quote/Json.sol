// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "./ICollateralStore.sol";
import {Der} from "./Der.sol";

/// @notice Intel's signed JSON, read against a template: same fields, same order, no white space.
/// @dev Every function takes the position where its value must stand and returns the one behind it. A position
/// only grows, so one comparison with the length at the end of a document proves that nothing was read beyond it.
library Json {
    /// @notice The `length` characters of `literal` must stand at `pos`.
    function expect(bytes memory json, uint256 pos, bytes32 literal, uint256 length) internal pure returns (uint256) {
        unchecked {
            require(isAt(json, pos, literal, length), ICollateralStore.JsonMalformed(pos));
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
            require(
                length != 0 && length < 10 && (length == 1 || !isAt(json, pos, "0", 1)),
                ICollateralStore.JsonMalformed(pos)
            );
        }
    }

    /// @notice `"2026-06-08T11:32:35Z"` as unix seconds.
    function date(bytes memory json, uint256 pos) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            uint256 head = word(json, pos);
            // quotes and punctuation where they belong
            require(
                head & 0xff00000000ff0000ff0000ff0000ff0000ff0000ffff00000000000000000000 ==
                    0x2200000000_2d0000_2d0000_540000_3a0000_3a0000_5a22_00000000000000000000,
                ICollateralStore.JsonMalformed(pos)
            );
            seconds_ = Der.unixTime(
                _pair(head, 1, pos) * 100 + _pair(head, 3, pos),
                _pair(head, 6, pos),
                _pair(head, 9, pos),
                _pair(head, 12, pos),
                _pair(head, 15, pos),
                _pair(head, 18, pos)
            );
            // until 2106, so that four bytes hold it
            require(seconds_ != 0 && seconds_ >> 32 == 0, ICollateralStore.JsonMalformed(pos));
            next = pos + 22;
        }
    }

    /// @notice A string of `length` bytes in hexadecimal digits of either case, left-aligned; up to 32 bytes.
    /// @dev Without its quotation marks.
    function hexBytes(bytes memory json, uint256 pos, uint256 length) internal pure returns (bytes32 value) {
        unchecked {
            uint256 result;
            for (uint256 i = 0; i < length; ++i) {
                uint256 head = word(json, pos + 2 * i);
                result = (result << 8) | (_nibble(head >> 248, pos) << 4) | _nibble((head >> 240) & 0xff, pos);
            }
            value = bytes32(result << (256 - 8 * length));
        }
    }

    /// @notice A string without escapes, from behind its opening quotation mark to its closing one.
    function text(bytes memory json, uint256 pos) internal pure returns (uint256 end) {
        unchecked {
            end = pos;
            while (true) {
                uint256 head = word(json, end);
                for (uint256 i = 0; i < 32; ++i) {
                    uint256 char = head >> 248;
                    if (char == 0x22) return end;
                    require(char > 0x1f && char < 0x7f && char != 0x5c, ICollateralStore.JsonMalformed(end));
                    head <<= 8;
                    ++end;
                }
                require(end <= json.length, ICollateralStore.JsonMalformed(end));
            }
        }
    }

    /// @notice A string of 1 to 31 characters without escapes, left-aligned.
    function shortText(bytes memory json, uint256 pos) internal pure returns (bytes32 value, uint256 next) {
        unchecked {
            uint256 end = text(json, pos);
            uint256 length = end - pos;
            require(length != 0 && length < 32, ICollateralStore.JsonMalformed(pos));
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

    function _pair(uint256 head, uint256 index, uint256 pos) private pure returns (uint256) {
        unchecked {
            uint256 high = ((head >> (248 - 8 * index)) & 0xff) - 0x30;
            uint256 low = ((head >> (240 - 8 * index)) & 0xff) - 0x30;
            require(high < 10 && low < 10, ICollateralStore.JsonMalformed(pos));
            return high * 10 + low;
        }
    }

    function _nibble(uint256 char, uint256 pos) private pure returns (uint256) {
        unchecked {
            if (char - 0x30 < 10) return char - 0x30;
            char |= 0x20;
            require(char - 0x61 < 6, ICollateralStore.JsonMalformed(pos));
            return char - 0x57;
        }
    }
}

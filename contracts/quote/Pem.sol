// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice PEM certificates in the one form in which Intel's tools write them: LF, lines of 64 characters.
library Pem {
    bytes28 private constant BEGIN = "-----BEGIN CERTIFICATE-----\n";
    bytes25 private constant END = "-----END CERTIFICATE-----";

    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;

    /// @notice Thrown when the text at `offset` is not a PEM certificate in that form.
    error PemMalformed(uint256 offset);

    /// @notice Decodes the certificate whose PEM starts at `pos` and ends before `end`.
    /// @return der the certificate.
    /// @return next just behind the END line, without its line feed.
    function decode(
        bytes memory text,
        uint256 pos,
        uint256 end
    ) internal pure returns (bytes memory der, uint256 next) {
        unchecked {
            require(pos + 53 <= end && bytes28(_word(text, pos)) == BEGIN, PemMalformed(pos));
            pos += 28;
            uint256 out;
            assembly ("memory-safe") {
                der := mload(0x40)
                out := add(der, 32)
            }
            // room for the whole text is more than its decoding needs; given back below
            for (; pos + 65 <= end && uint8(_word(text, pos + 64)[0]) == 0x0a; pos += 65) {
                // the END line, or a full last line with padding
                if (text[pos] == "-" || text[pos + 63] == "=") break;
                uint256 high = _decode32(_word(text, pos), pos);
                uint256 low = _decode32(_word(text, pos + 32), pos + 32);
                assembly ("memory-safe") {
                    mstore(out, high)
                    mstore(add(out, 24), low)
                    out := add(out, 48)
                }
            }
            for (; pos + 5 <= end && text[pos] != "-"; pos += 4) {
                (uint256 bytes3_, uint256 length) = _decode4(uint32(bytes4(_word(text, pos))), pos);
                assembly ("memory-safe") {
                    mstore(out, shl(232, bytes3_))
                    out := add(out, length)
                }
                bool last = text[pos + 4] == "\n";
                require(last || length == 3, PemMalformed(pos));
                if (last) {
                    pos += 5;
                    break;
                }
            }
            require(pos + 25 <= end && bytes25(_word(text, pos)) == END, PemMalformed(pos));
            next = pos + 25;
            assembly ("memory-safe") {
                mstore(der, sub(sub(out, der), 32))
                mstore(0x40, and(add(out, 63), not(31)))
            }
        }
    }

    /// @dev 32 characters to 24 bytes, left-aligned, all lanes of the word at once.
    function _decode32(bytes32 chars, uint256 pos) private pure returns (uint256 value) {
        unchecked {
            uint256 c = uint256(chars);
            require(c & HIGH == 0, PemMalformed(pos));
            // one in each lane whose character is at least k
            uint256 ge47 = _atLeast(c, 47);
            uint256 ge48 = _atLeast(c, 48);
            uint256 ge65 = _atLeast(c, 65);
            uint256 ge97 = _atLeast(c, 97);
            uint256 plus = _atLeast(c, 43) - _atLeast(c, 44);
            uint256 slash = ge47 - ge48;
            uint256 valid = plus + slash + ge48 - _atLeast(c, 58) + ge65 - _atLeast(c, 91) + ge97 - _atLeast(c, 123);
            require(valid == ONES, PemMalformed(pos));

            c = c + 19 * plus + 16 * slash + 4 * ge48 - 69 * ge65 - 6 * ge97;
            // 6 bits in 8 to 12 in 16 to 24 in 32, then close the gaps
            c = ((c & 0x003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f) |
                ((c & 0x3f003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f00) >> 2));
            c = ((c & 0x00000fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff) |
                ((c & 0x0fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff0000) >> 4));
            c = ((c & 0x0000000000ffffff0000000000ffffff0000000000ffffff0000000000ffffff) |
                ((c & 0x00ffffff0000000000ffffff0000000000ffffff0000000000ffffff00000000) >> 8));
            c = ((c & 0x00000000000000000000ffffffffffff00000000000000000000ffffffffffff) |
                ((c & 0x0000ffffffffffff00000000000000000000ffffffffffff0000000000000000) >> 16));
            value = ((c & 0xffffffffffffffffffffffff) | ((c >> 128) << 96)) << 64;
        }
    }

    function _atLeast(uint256 c, uint256 k) private pure returns (uint256) {
        unchecked {
            return ((c + (128 - k) * ONES) >> 7) & ONES;
        }
    }

    /// @dev Four characters, of which the last one or two may be padding over zero bits.
    function _decode4(uint32 chars, uint256 pos) private pure returns (uint256 value, uint256 length) {
        unchecked {
            length = 3;
            if (chars & 0xff == 0x3d) {
                length = (chars >> 8) & 0xff == 0x3d ? 1 : 2;
                // "A" stands for six zero bits
                chars = length == 1 ? (chars & 0xffff0000) | 0x4141 : (chars & 0xffffff00) | 0x41;
            }
            uint256 padded = (uint256(chars) << 224) | 0x41414141414141414141414141414141414141414141414141414141;
            value = _decode32(bytes32(padded), pos) >> 232;
            require(value & (0xffffff >> (8 * length)) == 0, PemMalformed(pos));
        }
    }

    function _word(bytes memory text, uint256 pos) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(add(text, 32), pos))
        }
    }
}

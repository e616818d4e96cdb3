// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice PEM certificates in the one form in which Intel's tools write them: LF, lines of 64 characters.
/// @dev 32 characters are decoded at once, an octet of the word each. `test/contracts/quote/Pem.t.sol` compares that
/// with a decoder of one character at a time.
library Pem {
    bytes28 private constant BEGIN = "-----BEGIN CERTIFICATE-----\n";
    bytes25 private constant END = "-----END CERTIFICATE-----";

    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant TWOS = 0x0202020202020202020202020202020202020202020202020202020202020202;
    uint256 private constant FOURS = 0x0404040404040404040404040404040404040404040404040404040404040404;
    uint256 private constant NINETEENS = 0x1313131313131313131313131313131313131313131313131313131313131313;
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant ALL_A = 0x4141414141414141414141414141414141414141414141414141414141414141;

    /// @dev Added to 32 characters at once, sets bit 7 of those that are at least "+", ",", "/" and so on.
    uint256 private constant FROM_PLUS = 0x5555555555555555555555555555555555555555555555555555555555555555;
    uint256 private constant FROM_COMMA = 0x5454545454545454545454545454545454545454545454545454545454545454;
    uint256 private constant FROM_SLASH = 0x5151515151515151515151515151515151515151515151515151515151515151;
    uint256 private constant FROM_0 = 0x5050505050505050505050505050505050505050505050505050505050505050;
    uint256 private constant FROM_COLON = 0x4646464646464646464646464646464646464646464646464646464646464646;
    uint256 private constant FROM_A = 0x3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f;
    uint256 private constant FROM_BRACKET = 0x2525252525252525252525252525252525252525252525252525252525252525;
    uint256 private constant FROM_LOWER_A = 0x1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f;
    uint256 private constant FROM_BRACE = 0x0505050505050505050505050505050505050505050505050505050505050505;

    /// @dev The right one of two lanes of 6 bits in 8, 12 in 16, 24 in 32, 48 in 64; then the left one.
    uint256 private constant RIGHT_6 = 0x003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f;
    uint256 private constant RIGHT_12 = 0x00000fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff;
    uint256 private constant RIGHT_24 = 0x0000000000ffffff0000000000ffffff0000000000ffffff0000000000ffffff;
    uint256 private constant RIGHT_48 = 0x00000000000000000000ffffffffffff00000000000000000000ffffffffffff;
    uint256 private constant LEFT_6 = 0x3f003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f00;
    uint256 private constant LEFT_12 = 0x0fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff0000;
    uint256 private constant LEFT_24 = 0x00ffffff0000000000ffffff0000000000ffffff0000000000ffffff00000000;
    uint256 private constant LEFT_48 = 0x0000ffffffffffff00000000000000000000ffffffffffff0000000000000000;

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
            if (pos + 53 > end || bytes28(bytes32(_word(text, pos))) != BEGIN) revert PemMalformed(pos);
            pos += 28;
            uint256 out;
            assembly ("memory-safe") {
                der := mload(0x40)
                out := add(der, 32)
            }
            (pos, out) = _lines(text, pos, end, out);
            if (_byte(text, pos) != 0x2d) (pos, out) = _lastLine(text, pos, end, out);
            if (pos + 25 > end || bytes25(bytes32(_word(text, pos))) != END) revert PemMalformed(pos);
            next = pos + 25;
            assembly ("memory-safe") {
                mstore(der, sub(sub(out, der), 32))
                mstore(0x40, and(add(out, 63), not(31)))
            }
        }
    }

    /// @dev Whole lines of 64 characters to 48 bytes each, until the END line or a last line with padding.
    function _lines(bytes memory text, uint256 pos, uint256 end, uint256 out) private pure returns (uint256, uint256) {
        unchecked {
            uint256 valid = HIGH;
            for (; pos + 65 <= end; pos += 65) {
                uint256 first = _word(text, pos);
                uint256 second = _word(text, pos + 32);
                bool isWhole = _byte(text, pos + 64) == 0x0a && second & 0xff != 0x3d;
                if (!isWhole || first >> 248 == 0x2d) break;
                uint256 known;
                (first, known) = _decode32(first);
                valid &= known;
                (second, known) = _decode32(second);
                valid &= known;
                assembly ("memory-safe") {
                    mstore(out, first)
                    mstore(add(out, 24), second)
                    out := add(out, 48)
                }
            }
            if (valid != HIGH) revert PemMalformed(pos);
            return (pos, out);
        }
    }

    /// @dev A last line of 4 to 64 characters, of which one or two may be padding behind zero bits.
    function _lastLine(
        bytes memory text,
        uint256 pos,
        uint256 end,
        uint256 out
    ) private pure returns (uint256, uint256) {
        unchecked {
            uint256 length = 4;
            while (_byte(text, pos + length) != 0x0a) {
                length += 4;
                if (length > 64) revert PemMalformed(pos);
            }
            uint256 next = pos + length + 1;
            if (next > end) revert PemMalformed(pos);
            uint256 padding;
            if (_byte(text, next - 2) == 0x3d) padding = _byte(text, next - 3) == 0x3d ? 2 : 1;
            _decodeUpTo(text, pos, length - padding, out);
            out += (length / 4) * 3 - padding;
            uint256 rest;
            assembly ("memory-safe") {
                rest := mload(out)
            }
            if (padding != 0 && rest >> (256 - 8 * padding) != 0) revert PemMalformed(pos);
            return (next, out);
        }
    }

    /// @dev `count` characters, 64 at most; what is missing of the last 32 is "A", which stands for six zero bits.
    function _decodeUpTo(bytes memory text, uint256 pos, uint256 count, uint256 out) private pure {
        unchecked {
            for (uint256 from = 0; from < count; from += 32) {
                uint256 missing = from + 32 > count ? 8 * (from + 32 - count) : 0;
                uint256 c = (_word(text, pos + from) >> missing) << missing;
                (uint256 value, uint256 known) = _decode32(c | (ALL_A & ((1 << missing) - 1)));
                if (known & HIGH != HIGH) revert PemMalformed(pos);
                assembly ("memory-safe") {
                    mstore(add(out, mul(24, div(from, 32))), value)
                }
            }
        }
    }

    /// @dev 32 characters to 24 bytes, left-aligned. Bit 7 of `known` is set for each character of the alphabet.
    function _decode32(uint256 c) private pure returns (uint256 v, uint256 known) {
        unchecked {
            uint256 comma = c + FROM_COMMA;
            uint256 upper = c + FROM_A;
            uint256 lower = c + FROM_LOWER_A;
            // bit 7 flips at each border: it is set inside "+", "/" to "9", "A" to "Z", "a" to "z"
            known = comma ^ upper ^ lower ^ (c + FROM_PLUS) ^ (c + FROM_SLASH);
            known ^= (c + FROM_COLON) ^ (c + FROM_BRACKET) ^ (c + FROM_BRACE);
            known &= ~c;

            // "+" is 43 and means 62; from each border on, another difference; 69 is 5 when only six bits count
            v = ((comma >> 7) & ONES) | ((lower >> 6) & TWOS) | (((c + FROM_0) >> 5) & FOURS);
            v = c + NINETEENS - 3 * v - 5 * ((upper >> 7) & ONES);

            v = (v & RIGHT_6) | ((v & LEFT_6) >> 2);
            v = (v & RIGHT_12) | ((v & LEFT_12) >> 4);
            v = (v & RIGHT_24) | ((v & LEFT_24) >> 8);
            v = (v & RIGHT_48) | ((v & LEFT_48) >> 16);
            v = ((v >> 128) << 160) | ((v & type(uint96).max) << 64);
        }
    }

    function _byte(bytes memory text, uint256 pos) private pure returns (uint256) {
        return _word(text, pos) >> 248;
    }

    function _word(bytes memory text, uint256 pos) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(text, 32), pos))
        }
    }
}

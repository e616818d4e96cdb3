// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice PEM certificates in the one form in which Intel's tools write them: LF, lines of 64 characters.
/// @dev 32 characters are decoded at once, an octet of the word each. `test/contracts/quote/Pem.t.sol` compares that
/// with a decoder of one character at a time.
library Pem {
    /// @dev First line (RFC 7468 §5.1).
    bytes28 private constant BEGIN = "-----BEGIN CERTIFICATE-----\n";
    /// @dev Last line, without its line feed.
    bytes25 private constant END = "-----END CERTIFICATE-----";

    /// @dev 1 in each octet; the constants after it hold another octet 32 times.
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant FOURS = 0x0404040404040404040404040404040404040404040404040404040404040404;
    uint256 private constant NINETEENS = 0x1313131313131313131313131313131313131313131313131313131313131313;
    uint256 private constant SPACES = 0x2020202020202020202020202020202020202020202020202020202020202020;
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant ALL_A = 0x4141414141414141414141414141414141414141414141414141414141414141;

    /// @dev Added to 32 characters at once, each of these sets bit 7 of the characters from "+", ",", "/" … on.
    uint256 private constant FROM_PLUS = 0x5555555555555555555555555555555555555555555555555555555555555555;
    uint256 private constant FROM_COMMA = 0x5454545454545454545454545454545454545454545454545454545454545454;
    uint256 private constant FROM_SLASH = 0x5151515151515151515151515151515151515151515151515151515151515151;
    uint256 private constant FROM_0 = 0x5050505050505050505050505050505050505050505050505050505050505050;
    uint256 private constant FROM_COLON = 0x4646464646464646464646464646464646464646464646464646464646464646;
    uint256 private constant FROM_LOWER_A = 0x1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f;
    uint256 private constant FROM_BRACE = 0x0505050505050505050505050505050505050505050505050505050505050505;

    /// @dev Masks for joining groups of 6 bits: the right group of each pair, of 6 bits in 8, 12 in 16, 24 in 32, 48 in
    /// 64.
    uint256 private constant RIGHT_6 = 0x003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f;
    uint256 private constant RIGHT_12 = 0x00000fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff;
    uint256 private constant RIGHT_24 = 0x0000000000ffffff0000000000ffffff0000000000ffffff0000000000ffffff;
    uint256 private constant RIGHT_48 = 0x00000000000000000000ffffffffffff00000000000000000000ffffffffffff;
    /// @dev The left group of each pair.
    uint256 private constant LEFT_6 = 0x3f003f003f003f003f003f003f003f003f003f003f003f003f003f003f003f00;
    uint256 private constant LEFT_12 = 0x0fff00000fff00000fff00000fff00000fff00000fff00000fff00000fff0000;
    uint256 private constant LEFT_24 = 0x00ffffff0000000000ffffff0000000000ffffff0000000000ffffff00000000;
    uint256 private constant LEFT_48 = 0x0000ffffffffffff00000000000000000000ffffffffffff0000000000000000;

    /// @notice The text at `offset` is not a PEM certificate in the form that Intel uses: lines of 64 characters, a
    /// line feed after each.
    error PemMalformed(uint256 offset);

    /// @notice Decodes the PEM certificate that starts at `pos`. Reverts with `PemMalformed`.
    /// @param end the certificate must end before this position.
    /// @return der the certificate.
    /// @return next position after the END line, without its line feed.
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
            uint256 start;
            assembly ("memory-safe") {
                start := add(text, 32)
            }
            (pos, out) = _lines(start + pos, start + end, out);
            pos -= start;
            if (_byte(text, pos) != 0x2d) (pos, out) = _lastLine(text, pos, end, out);
            if (pos + 25 > end || bytes25(bytes32(_word(text, pos))) != END) revert PemMalformed(pos);
            next = pos + 25;
            assembly ("memory-safe") {
                mstore(der, sub(sub(out, der), 32))
                mstore(0x40, and(add(out, 63), not(31)))
            }
        }
    }

    /// @dev Decodes whole lines in memory, of 64 characters to 48 bytes each. Stops at the first line that is shorter,
    /// has a character outside the alphabet, or would go past `end`.
    function _lines(uint256 place, uint256 end, uint256 out) private pure returns (uint256, uint256) {
        assembly ("memory-safe") {
            // 32 characters to 24 bytes, the lower 12 of each half of `v`; bit 7 of an octet of `known` says that the
            // character is of the alphabet
            function decode32(c) -> v, known {
                let comma := add(c, FROM_COMMA)
                let lower := or(c, SPACES)
                // bit 7 flips at each border: it is set inside "+", "/" to "9", and letters of either case
                known := xor(xor(comma, add(c, FROM_PLUS)), xor(add(c, FROM_SLASH), add(c, FROM_COLON)))
                known := xor(known, xor(add(lower, FROM_LOWER_A), add(lower, FROM_BRACE)))
                known := and(known, not(c))

                // "+" is 43 and means 62; from each border on, another difference; 69 is 5 when only six bits count
                let letter := and(shr(6, c), ONES)
                v := or(and(shr(7, comma), ONES), and(shr(5, add(c, FROM_0)), FOURS))
                v := or(v, and(shl(1, letter), shr(4, c)))
                v := sub(sub(add(c, NINETEENS), mul(3, v)), mul(5, letter))

                v := or(and(v, RIGHT_6), shr(2, and(v, LEFT_6)))
                let left := and(v, LEFT_12)
                v := xor(v, xor(left, shr(4, left)))
                left := and(v, LEFT_24)
                v := xor(v, xor(left, shr(8, left)))
                left := and(v, LEFT_48)
                v := xor(v, xor(left, shr(16, left)))
            }

            for {
                let last := sub(end, 64)
            } lt(place, last) {} {
                if xor(byte(0, mload(add(place, 64))), 0x0a) {
                    break
                }
                let first, known := decode32(mload(place))
                let second, known2 := decode32(mload(add(place, 32)))
                if xor(and(and(known, known2), HIGH), HIGH) {
                    break
                }
                mstore(out, shl(32, first))
                mstore(add(out, 12), shl(160, first))
                mstore(add(out, 24), shl(32, second))
                mstore(add(out, 36), shl(160, second))
                out := add(out, 48)
                place := add(place, 65)
            }
        }
        return (place, out);
    }

    /// @dev Decodes the last line: 4 to 64 characters, of which one or two can be padding. The bits under the padding
    /// must be zero (RFC 4648 §3.5), so that a certificate has one text only.
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

            uint256 line = _filled(text, pos, length - padding, out);
            (uint256 behind, ) = _lines(line, line + 65, out);
            if (behind == line) revert PemMalformed(pos);
            out += (length / 4) * 3 - padding;
            uint256 rest;
            assembly ("memory-safe") {
                rest := mload(out)
            }
            if (padding != 0 && rest >> (256 - 8 * padding) != 0) revert PemMalformed(pos);
            return (next, out);
        }
    }

    /// @dev A copy of `count` characters, filled up to a whole line with "A", which stands for six zero bits.
    function _filled(bytes memory text, uint256 pos, uint256 count, uint256 out) private pure returns (uint256 line) {
        assembly ("memory-safe") {
            line := add(out, 96)
            mcopy(line, add(add(text, 32), pos), count)
            let rest := add(line, count)
            mstore(rest, ALL_A)
            mstore(add(rest, 32), ALL_A)
            mstore8(add(line, 64), 0x0a)
        }
    }

    /// @dev One character.
    function _byte(bytes memory text, uint256 pos) private pure returns (uint256) {
        return _word(text, pos) >> 248;
    }

    /// @dev 32 characters from `pos` on.
    function _word(bytes memory text, uint256 pos) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(text, 32), pos))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice PEM certificates in the one form in which Intel's tools write them: LF, lines of 64 characters.
library Pem {
    bytes28 private constant BEGIN = "-----BEGIN CERTIFICATE-----\n";
    bytes25 private constant END = "-----END CERTIFICATE-----";

    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant HIGH = 0x80 * ONES;

    /// @dev Every other lane of 8, 16, 32 and 64 bits, the lowest among them.
    uint256 private constant EVEN_8 = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant EVEN_16 = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant EVEN_32 = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant EVEN_64 = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;

    /// @dev Added to 32 characters at once, sets bit 7 of those that are at least "+", ",", "/" and so on.
    uint256 private constant FROM_PLUS = (128 - 43) * ONES;
    uint256 private constant FROM_COMMA = (128 - 44) * ONES;
    uint256 private constant FROM_SLASH = (128 - 47) * ONES;
    uint256 private constant FROM_0 = (128 - 48) * ONES;
    uint256 private constant FROM_COLON = (128 - 58) * ONES;
    uint256 private constant FROM_A = (128 - 65) * ONES;
    uint256 private constant FROM_BRACKET = (128 - 91) * ONES;
    uint256 private constant FROM_LOWER_A = (128 - 97) * ONES;
    uint256 private constant FROM_BRACE = (128 - 123) * ONES;

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
            if (pos + 53 > end || bytes28(_word(text, pos)) != BEGIN) revert PemMalformed(pos);
            pos += 28;
            uint256 out;
            assembly ("memory-safe") {
                der := mload(0x40)
                out := add(der, 32)
            }
            (pos, out) = _decodeLines(text, pos, end, out);
            for (; pos + 5 <= end && _byte(text, pos) != 0x2d; pos += 4) {
                (uint256 bytes3_, uint256 length) = _decode4(uint32(bytes4(_word(text, pos))), pos);
                assembly ("memory-safe") {
                    mstore(out, shl(232, bytes3_))
                    out := add(out, length)
                }
                bool last = _byte(text, pos + 4) == 0x0a;
                if (!(last || length == 3)) revert PemMalformed(pos);
                if (last) {
                    pos += 5;
                    break;
                }
            }
            if (pos + 25 > end || bytes25(_word(text, pos)) != END) revert PemMalformed(pos);
            next = pos + 25;
            assembly ("memory-safe") {
                mstore(der, sub(sub(out, der), 32))
                mstore(0x40, and(add(out, 63), not(31)))
            }
        }
    }

    /// @dev Whole lines of 64 characters to 48 bytes each, until the END line or a last line with padding.
    /// The same as `_decode32`, which decodes the last line, without its calls: a leaf has 27 lines.
    function _decodeLines(
        bytes memory text,
        uint256 pos,
        uint256 end,
        uint256 out
    ) private pure returns (uint256, uint256) {
        uint256 bad;
        assembly ("memory-safe") {
            function decode(c) -> v, wrong {
                let valid := xor(
                    add(c, 0x5555555555555555555555555555555555555555555555555555555555555555),
                    add(c, 0x5454545454545454545454545454545454545454545454545454545454545454)
                )
                valid := xor(
                    valid,
                    xor(
                        add(c, 0x5151515151515151515151515151515151515151515151515151515151515151),
                        add(c, 0x4646464646464646464646464646464646464646464646464646464646464646)
                    )
                )
                valid := xor(
                    valid,
                    xor(
                        add(c, 0x3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f),
                        add(c, 0x2525252525252525252525252525252525252525252525252525252525252525)
                    )
                )
                valid := xor(
                    valid,
                    xor(
                        add(c, 0x1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f),
                        add(c, 0x0505050505050505050505050505050505050505050505050505050505050505)
                    )
                )
                wrong := xor(
                    and(and(valid, not(c)), 0x8080808080808080808080808080808080808080808080808080808080808080),
                    0x8080808080808080808080808080808080808080808080808080808080808080
                )
                v := sub(
                    add(c, 0x1313131313131313131313131313131313131313131313131313131313131313),
                    mul(
                        3,
                        and(
                            shr(7, add(c, 0x5454545454545454545454545454545454545454545454545454545454545454)),
                            0x0101010101010101010101010101010101010101010101010101010101010101
                        )
                    )
                )
                v := sub(
                    v,
                    mul(
                        12,
                        and(
                            shr(7, add(c, 0x5050505050505050505050505050505050505050505050505050505050505050)),
                            0x0101010101010101010101010101010101010101010101010101010101010101
                        )
                    )
                )
                v := sub(
                    v,
                    mul(
                        69,
                        and(
                            shr(7, add(c, 0x3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f)),
                            0x0101010101010101010101010101010101010101010101010101010101010101
                        )
                    )
                )
                v := sub(
                    v,
                    mul(
                        6,
                        and(
                            shr(7, add(c, 0x1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f)),
                            0x0101010101010101010101010101010101010101010101010101010101010101
                        )
                    )
                )
                v := or(
                    and(v, 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff),
                    shr(2, and(v, not(0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)))
                )
                v := or(
                    and(v, 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff),
                    shr(4, and(v, not(0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)))
                )
                v := or(
                    and(v, 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff),
                    shr(8, and(v, not(0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff)))
                )
                v := or(
                    and(v, 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff),
                    shr(16, and(v, not(0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)))
                )
                v := or(shl(160, shr(128, v)), shl(64, and(v, 0xffffffffffffffffffffffff)))
            }
            let place := add(add(text, 32), pos)
            let last := add(add(text, 32), end)
            for {} iszero(gt(add(place, 65), last)) {
                place := add(place, 65)
            } {
                let first := mload(place)
                let second := mload(add(place, 32))
                if iszero(eq(byte(0, mload(add(place, 64))), 0x0a)) {
                    break
                }
                if or(eq(byte(0, first), 0x2d), eq(byte(31, second), 0x3d)) {
                    break
                }
                let value, wrong := decode(first)
                mstore(out, value)
                bad := or(bad, wrong)
                value, wrong := decode(second)
                mstore(add(out, 24), value)
                bad := or(bad, wrong)
                out := add(out, 48)
            }
            pos := sub(place, add(text, 32))
        }
        if (bad != 0) revert PemMalformed(pos);
        return (pos, out);
    }

    /// @dev 32 characters to 24 bytes, left-aligned, all lanes of the word at once.
    function _decode32(uint256 c, uint256 pos) private pure returns (uint256) {
        unchecked {
            // bit 7 flips at each border: it is set inside "+", "/" to "9", "A" to "Z", "a" to "z"
            uint256 valid = (c + FROM_PLUS) ^ (c + FROM_COMMA) ^ (c + FROM_SLASH) ^ (c + FROM_COLON);
            valid ^= (c + FROM_A) ^ (c + FROM_BRACKET) ^ (c + FROM_LOWER_A) ^ (c + FROM_BRACE);
            if (valid & HIGH & ~c != HIGH) revert PemMalformed(pos);

            // "+" is 43 and means 62; from each border on, another difference
            uint256 v = c + 19 * ONES - 3 * (((c + FROM_COMMA) >> 7) & ONES);
            v -= 12 * (((c + FROM_0) >> 7) & ONES) + 69 * (((c + FROM_A) >> 7) & ONES);
            v -= 6 * (((c + FROM_LOWER_A) >> 7) & ONES);

            // 6 bits in 8 to 12 in 16 to 24 in 32 to 48 in 64 to 96 in 128
            v = (v & EVEN_8) | ((v & ~EVEN_8) >> 2);
            v = (v & EVEN_16) | ((v & ~EVEN_16) >> 4);
            v = (v & EVEN_32) | ((v & ~EVEN_32) >> 8);
            v = (v & EVEN_64) | ((v & ~EVEN_64) >> 16);
            return ((v << 64) & ((2 ** 96 - 1) << 64)) | ((v >> 128) << 160);
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
            value = _decode32(padded, pos) >> 232;
            if (value & (0xffffff >> (8 * length)) != 0) revert PemMalformed(pos);
        }
    }

    function _byte(bytes memory text, uint256 pos) private pure returns (uint256) {
        return uint256(_word(text, pos)) >> 248;
    }

    function _word(bytes memory text, uint256 pos) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(add(text, 32), pos))
        }
    }
}

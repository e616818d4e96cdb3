// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice SHA-384 (FIPS 180-4), which the EVM lacks; about 35,000 gas for each block of 128 bytes.
/// @dev Words of 64 bits lie in cells of 128, so that doubling a word makes every rotation one shift, and two
/// words of the schedule are computed at once. What a shift leaves above bit 63 is cut off by the next mask.
/// The tests compare it with node:crypto at every border of the padding.
library Sha384 {
    uint256 private constant LANES = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;

    /// @dev The round constants, a cell each.
    bytes private constant ROUND_CONSTANTS =
        hex"0000000000000000428a2f98d728ae2200000000000000007137449123ef65cd0000000000000000b5c0fbcfec4d3b2f"
        hex"0000000000000000e9b5dba58189dbbc00000000000000003956c25bf348b538000000000000000059f111f1b605d019"
        hex"0000000000000000923f82a4af194f9b0000000000000000ab1c5ed5da6d81180000000000000000d807aa98a3030242"
        hex"000000000000000012835b0145706fbe0000000000000000243185be4ee4b28c0000000000000000550c7dc3d5ffb4e2"
        hex"000000000000000072be5d74f27b896f000000000000000080deb1fe3b1696b100000000000000009bdc06a725c71235"
        hex"0000000000000000c19bf174cf6926940000000000000000e49b69c19ef14ad20000000000000000efbe4786384f25e3"
        hex"00000000000000000fc19dc68b8cd5b50000000000000000240ca1cc77ac9c6500000000000000002de92c6f592b0275"
        hex"00000000000000004a7484aa6ea6e48300000000000000005cb0a9dcbd41fbd4000000000000000076f988da831153b5"
        hex"0000000000000000983e5152ee66dfab0000000000000000a831c66d2db432100000000000000000b00327c898fb213f"
        hex"0000000000000000bf597fc7beef0ee40000000000000000c6e00bf33da88fc20000000000000000d5a79147930aa725"
        hex"000000000000000006ca6351e003826f0000000000000000142929670a0e6e70000000000000000027b70a8546d22ffc"
        hex"00000000000000002e1b21385c26c92600000000000000004d2c6dfc5ac42aed000000000000000053380d139d95b3df"
        hex"0000000000000000650a73548baf63de0000000000000000766a0abb3c77b2a8000000000000000081c2c92e47edaee6"
        hex"000000000000000092722c851482353b0000000000000000a2bfe8a14cf103640000000000000000a81a664bbc423001"
        hex"0000000000000000c24b8b70d0f897910000000000000000c76c51a30654be300000000000000000d192e819d6ef5218"
        hex"0000000000000000d69906245565a9100000000000000000f40e35855771202a0000000000000000106aa07032bbd1b8"
        hex"000000000000000019a4c116b8d2d0c800000000000000001e376c085141ab5300000000000000002748774cdf8eeb99"
        hex"000000000000000034b0bcb5e19b48a80000000000000000391c0cb3c5c95a6300000000000000004ed8aa4ae3418acb"
        hex"00000000000000005b9cca4f7763e3730000000000000000682e6ff3d6b2b8a30000000000000000748f82ee5defb2fc"
        hex"000000000000000078a5636f43172f60000000000000000084c87814a1f0ab7200000000000000008cc702081a6439ec"
        hex"000000000000000090befffa23631e280000000000000000a4506cebde82bde90000000000000000bef9a3f7b2c67915"
        hex"0000000000000000c67178f2e372532b0000000000000000ca273eceea26619c0000000000000000d186b8c721c0c207"
        hex"0000000000000000eada7dd6cde0eb1e0000000000000000f57d4f7fee6ed178000000000000000006f067aa72176fba"
        hex"00000000000000000a637dc5a2c898a60000000000000000113f9804bef90dae00000000000000001b710b35131c471b"
        hex"000000000000000028db77f523047d84000000000000000032caab7b40c7249300000000000000003c9ebe0a15c9bebc"
        hex"0000000000000000431d67c49c100d4c00000000000000004cc5d4becb3e42b60000000000000000597f299cfc657e2a"
        hex"00000000000000005fcb6fab3ad6faec00000000000000006c44198c4a475817";

    /// @notice Room to work in, for any number of hashes: the round constants, then the schedule, 80 cells each.
    function workspace() internal pure returns (bytes memory space) {
        return bytes.concat(ROUND_CONSTANTS, new bytes(1376));
    }

    /// @notice The digest of `data`: its first 32 and its last 16 bytes.
    function hash(bytes memory data, bytes memory space) internal pure returns (bytes32 hi, bytes16 lo) {
        unchecked {
            bytes memory message = _padded(data);
            uint256[8] memory state = [
                uint256(0xcbbb9d5dc1059ed8),
                0x629a292a367cd507,
                0x9159015a3070dd17,
                0x152fecd8f70e5939,
                0x67332667ffc00b31,
                0x8eb44a8768581511,
                0xdb0c2e0d64f98fa7,
                0x47b5481dbefa4fa4
            ];
            for (uint256 i = 0; i < message.length; i += 128) {
                _schedule(message, i, space);
                _compress(state, space);
            }
            hi = bytes32((state[0] << 192) | (state[1] << 128) | (state[2] << 64) | state[3]);
            lo = bytes16(uint128((state[4] << 64) | state[5]));
        }
    }

    /// @dev One bit, zeros, and the length in bits, up to whole blocks.
    function _padded(bytes memory data) private pure returns (bytes memory message) {
        unchecked {
            uint256 length = data.length;
            uint256 blocks = (length + 17 + 127) / 128;
            message = new bytes(blocks * 128);
            assembly ("memory-safe") {
                let out := add(message, 32)
                mcopy(out, add(data, 32), length)
                mstore8(add(out, length), 0x80)
                let end := add(out, sub(mul(blocks, 128), 32))
                // the length takes 16 bytes, of which a memory array fills at most the last 8
                mstore(end, or(mload(end), mul(length, 8)))
            }
        }
    }

    /// @dev W of FIPS 180-4 §6.4.2 step 1.
    function _schedule(bytes memory message, uint256 from, bytes memory space) private pure {
        assembly ("memory-safe") {
            // cell t lies at w + 16 t
            let w := add(space, 1344)
            let word := add(add(message, 32), from)
            for {
                let i := 0
            } lt(i, 128) {
                i := add(i, 32)
            } {
                let m := mload(add(word, i))
                let cell := add(w, mul(i, 2))
                mstore(cell, or(shl(128, shr(192, m)), and(shr(128, m), 0xffffffffffffffff)))
                mstore(add(cell, 32), or(shl(128, and(shr(64, m), 0xffffffffffffffff)), and(m, 0xffffffffffffffff)))
            }
            for {
                let p := add(w, 256)
                let end := add(w, 1280)
            } lt(p, end) {
                p := add(p, 32)
            } {
                let x := mload(sub(p, 240))
                let double := or(x, shl(64, x))
                let sum := and(xor(xor(shr(1, double), shr(8, double)), shr(7, x)), LANES)
                x := mload(sub(p, 32))
                double := or(x, shl(64, x))
                sum := add(sum, and(xor(xor(shr(19, double), shr(61, double)), shr(6, x)), LANES))
                mstore(p, and(add(sum, add(mload(sub(p, 112)), mload(sub(p, 256)))), LANES))
            }
        }
    }

    /// @dev FIPS 180-4 §6.4.2 steps 2 to 4. Eight rounds at a time, so that the letters are back in their places.
    function _compress(uint256[8] memory state, bytes memory space) private pure {
        assembly ("memory-safe") {
            let a := mload(state)
            let b := mload(add(state, 32))
            let c := mload(add(state, 64))
            let d := mload(add(state, 96))
            let e := mload(add(state, 128))
            let f := mload(add(state, 160))
            let g := mload(add(state, 192))
            let h := mload(add(state, 224))
            for {
                let p := space
                let end := add(space, 1280)
            } lt(p, end) {
                p := add(p, 128)
            } {
                {
                    let x := or(e, shl(64, e))
                    let t := add(add(h, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(g, and(e, xor(f, g))))
                    t := add(t, add(mload(add(p, 16)), mload(add(p, 1328))))
                    d := and(add(d, t), 0xffffffffffffffff)
                    x := or(a, shl(64, a))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(a, xor(b, c)), and(b, c)))
                    h := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(d, shl(64, d))
                    let t := add(add(g, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(f, and(d, xor(e, f))))
                    t := add(t, add(mload(add(p, 32)), mload(add(p, 1344))))
                    c := and(add(c, t), 0xffffffffffffffff)
                    x := or(h, shl(64, h))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(h, xor(a, b)), and(a, b)))
                    g := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(c, shl(64, c))
                    let t := add(add(f, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(e, and(c, xor(d, e))))
                    t := add(t, add(mload(add(p, 48)), mload(add(p, 1360))))
                    b := and(add(b, t), 0xffffffffffffffff)
                    x := or(g, shl(64, g))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(g, xor(h, a)), and(h, a)))
                    f := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(b, shl(64, b))
                    let t := add(add(e, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(d, and(b, xor(c, d))))
                    t := add(t, add(mload(add(p, 64)), mload(add(p, 1376))))
                    a := and(add(a, t), 0xffffffffffffffff)
                    x := or(f, shl(64, f))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(f, xor(g, h)), and(g, h)))
                    e := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(a, shl(64, a))
                    let t := add(add(d, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(c, and(a, xor(b, c))))
                    t := add(t, add(mload(add(p, 80)), mload(add(p, 1392))))
                    h := and(add(h, t), 0xffffffffffffffff)
                    x := or(e, shl(64, e))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(e, xor(f, g)), and(f, g)))
                    d := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(h, shl(64, h))
                    let t := add(add(c, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(b, and(h, xor(a, b))))
                    t := add(t, add(mload(add(p, 96)), mload(add(p, 1408))))
                    g := and(add(g, t), 0xffffffffffffffff)
                    x := or(d, shl(64, d))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(d, xor(e, f)), and(e, f)))
                    c := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(g, shl(64, g))
                    let t := add(add(b, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(a, and(g, xor(h, a))))
                    t := add(t, add(mload(add(p, 112)), mload(add(p, 1424))))
                    f := and(add(f, t), 0xffffffffffffffff)
                    x := or(c, shl(64, c))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(c, xor(d, e)), and(d, e)))
                    b := and(t, 0xffffffffffffffff)
                }
                {
                    let x := or(f, shl(64, f))
                    let t := add(add(a, xor(xor(shr(14, x), shr(18, x)), shr(41, x))), xor(h, and(f, xor(g, h))))
                    t := add(t, add(mload(add(p, 128)), mload(add(p, 1440))))
                    e := and(add(e, t), 0xffffffffffffffff)
                    x := or(b, shl(64, b))
                    t := add(add(t, xor(xor(shr(28, x), shr(34, x)), shr(39, x))), xor(and(b, xor(c, d)), and(c, d)))
                    a := and(t, 0xffffffffffffffff)
                }
            }
            mstore(state, and(add(mload(state), a), 0xffffffffffffffff))
            mstore(add(state, 32), and(add(mload(add(state, 32)), b), 0xffffffffffffffff))
            mstore(add(state, 64), and(add(mload(add(state, 64)), c), 0xffffffffffffffff))
            mstore(add(state, 96), and(add(mload(add(state, 96)), d), 0xffffffffffffffff))
            mstore(add(state, 128), and(add(mload(add(state, 128)), e), 0xffffffffffffffff))
            mstore(add(state, 160), and(add(mload(add(state, 160)), f), 0xffffffffffffffff))
            mstore(add(state, 192), and(add(mload(add(state, 192)), g), 0xffffffffffffffff))
            mstore(add(state, 224), and(add(mload(add(state, 224)), h), 0xffffffffffffffff))
        }
    }
}

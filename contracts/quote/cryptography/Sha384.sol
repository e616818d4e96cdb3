// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice SHA-384 (FIPS 180-4), for which the EVM has no precompile. It computes two messages at the same time: about
/// 28,600 gas for a block of 128 bytes of each. The lower lane of a word hashes any message; the upper lane is a
/// register like RTMR3, extended by one digest at a time.
/// @dev Layout: a word of 64 bits stands twice in its lane, one copy after the other, so that a rotation is one shift.
/// The lower lane has 131 bits, which leaves room for the carries of a sum of four such pairs. The upper lane has the
/// other 125 bits, enough for the longest rotation (61). Bits that a shift leaves above a word, or moves from the upper
/// lane into the lower, are masked before the next addition.
/// `test/contracts/quote/Sha384.t.sol` compares the result with the standard's algorithm on plain words of 64 bits.
library Sha384 {
    /// @dev Masks of one word in each lane: both lanes, then the upper, then the lower.
    uint256 private constant LANES = 0x0000000000000007fffffffffffffff80000000000000000ffffffffffffffff;
    uint256 private constant UPPER = 0x0000000000000007fffffffffffffff800000000000000000000000000000000;
    uint256 private constant LOWER = 0x000000000000000000000000000000000000000000000000ffffffffffffffff;
    /// @dev Multiplied by this, a lane holds its word twice.
    uint256 private constant TWICE = 0x10000000000000001;
    /// @dev Multiplied by this, a word stands in both lanes.
    uint256 private constant BOTH = 0x0000000000000000000000000000000800000000000000000000000000000001;
    /// @dev Padding of a block with a register (48 bytes) and a digest (48 bytes): one bit, then the length in bits.
    uint256 private constant PADDING = 0x8000000000000000 << 131;
    /// @dev The length: 96 bytes.
    uint256 private constant LENGTH = 768 << 131;

    /// @dev The rounds work in the first bytes of memory, where addresses are constants, and restore them at the end.
    uint256 private constant LOW = 1024;
    /// @dev Offsets in the working memory, after the eight words of the state: initial hash values, the saved low
    /// memory, 80 round constants.
    uint256 private constant BEGINNING = 288;
    uint256 private constant KEPT = 544;
    uint256 private constant CONSTANTS = 1568;
    uint256 private constant END = 4128;

    /// @notice Allocates the working memory with the constants of FIPS 180-4, for any number of hashes. It lies above
    /// the memory in which the rounds work.
    /// @return space working memory, which further calls pass on.
    function workspace() internal pure returns (bytes memory space) {
        assembly ("memory-safe") {
            space := mload(0x40)
            if lt(space, LOW) {
                space := LOW
            }
            mstore(space, sub(END, 32))
            mstore(0x40, add(space, END))
            // clear what was in this memory before
            calldatacopy(add(space, 32), calldatasize(), 256)
            // §5.3.4
            let beginning := add(space, BEGINNING)
            mstore(beginning, mul(0xcbbb9d5dc1059ed8, BOTH))
            mstore(add(beginning, 32), mul(0x629a292a367cd507, BOTH))
            mstore(add(beginning, 64), mul(0x9159015a3070dd17, BOTH))
            mstore(add(beginning, 96), mul(0x152fecd8f70e5939, BOTH))
            mstore(add(beginning, 128), mul(0x67332667ffc00b31, BOTH))
            mstore(add(beginning, 160), mul(0x8eb44a8768581511, BOTH))
            mstore(add(beginning, 192), mul(0xdb0c2e0d64f98fa7, BOTH))
            mstore(add(beginning, 224), mul(0x47b5481dbefa4fa4, BOTH))
            // §4.2.3
            let k := add(space, CONSTANTS)
            mstore(k, mul(0x428a2f98d728ae22, BOTH))
            mstore(add(k, 32), mul(0x7137449123ef65cd, BOTH))
            mstore(add(k, 64), mul(0xb5c0fbcfec4d3b2f, BOTH))
            mstore(add(k, 96), mul(0xe9b5dba58189dbbc, BOTH))
            mstore(add(k, 128), mul(0x3956c25bf348b538, BOTH))
            mstore(add(k, 160), mul(0x59f111f1b605d019, BOTH))
            mstore(add(k, 192), mul(0x923f82a4af194f9b, BOTH))
            mstore(add(k, 224), mul(0xab1c5ed5da6d8118, BOTH))
            mstore(add(k, 256), mul(0xd807aa98a3030242, BOTH))
            mstore(add(k, 288), mul(0x12835b0145706fbe, BOTH))
            mstore(add(k, 320), mul(0x243185be4ee4b28c, BOTH))
            mstore(add(k, 352), mul(0x550c7dc3d5ffb4e2, BOTH))
            mstore(add(k, 384), mul(0x72be5d74f27b896f, BOTH))
            mstore(add(k, 416), mul(0x80deb1fe3b1696b1, BOTH))
            mstore(add(k, 448), mul(0x9bdc06a725c71235, BOTH))
            mstore(add(k, 480), mul(0xc19bf174cf692694, BOTH))
            mstore(add(k, 512), mul(0xe49b69c19ef14ad2, BOTH))
            mstore(add(k, 544), mul(0xefbe4786384f25e3, BOTH))
            mstore(add(k, 576), mul(0x0fc19dc68b8cd5b5, BOTH))
            mstore(add(k, 608), mul(0x240ca1cc77ac9c65, BOTH))
            mstore(add(k, 640), mul(0x2de92c6f592b0275, BOTH))
            mstore(add(k, 672), mul(0x4a7484aa6ea6e483, BOTH))
            mstore(add(k, 704), mul(0x5cb0a9dcbd41fbd4, BOTH))
            mstore(add(k, 736), mul(0x76f988da831153b5, BOTH))
            mstore(add(k, 768), mul(0x983e5152ee66dfab, BOTH))
            mstore(add(k, 800), mul(0xa831c66d2db43210, BOTH))
            mstore(add(k, 832), mul(0xb00327c898fb213f, BOTH))
            mstore(add(k, 864), mul(0xbf597fc7beef0ee4, BOTH))
            mstore(add(k, 896), mul(0xc6e00bf33da88fc2, BOTH))
            mstore(add(k, 928), mul(0xd5a79147930aa725, BOTH))
            mstore(add(k, 960), mul(0x06ca6351e003826f, BOTH))
            mstore(add(k, 992), mul(0x142929670a0e6e70, BOTH))
            mstore(add(k, 1024), mul(0x27b70a8546d22ffc, BOTH))
            mstore(add(k, 1056), mul(0x2e1b21385c26c926, BOTH))
            mstore(add(k, 1088), mul(0x4d2c6dfc5ac42aed, BOTH))
            mstore(add(k, 1120), mul(0x53380d139d95b3df, BOTH))
            mstore(add(k, 1152), mul(0x650a73548baf63de, BOTH))
            mstore(add(k, 1184), mul(0x766a0abb3c77b2a8, BOTH))
            mstore(add(k, 1216), mul(0x81c2c92e47edaee6, BOTH))
            mstore(add(k, 1248), mul(0x92722c851482353b, BOTH))
            mstore(add(k, 1280), mul(0xa2bfe8a14cf10364, BOTH))
            mstore(add(k, 1312), mul(0xa81a664bbc423001, BOTH))
            mstore(add(k, 1344), mul(0xc24b8b70d0f89791, BOTH))
            mstore(add(k, 1376), mul(0xc76c51a30654be30, BOTH))
            mstore(add(k, 1408), mul(0xd192e819d6ef5218, BOTH))
            mstore(add(k, 1440), mul(0xd69906245565a910, BOTH))
            mstore(add(k, 1472), mul(0xf40e35855771202a, BOTH))
            mstore(add(k, 1504), mul(0x106aa07032bbd1b8, BOTH))
            mstore(add(k, 1536), mul(0x19a4c116b8d2d0c8, BOTH))
            mstore(add(k, 1568), mul(0x1e376c085141ab53, BOTH))
            mstore(add(k, 1600), mul(0x2748774cdf8eeb99, BOTH))
            mstore(add(k, 1632), mul(0x34b0bcb5e19b48a8, BOTH))
            mstore(add(k, 1664), mul(0x391c0cb3c5c95a63, BOTH))
            mstore(add(k, 1696), mul(0x4ed8aa4ae3418acb, BOTH))
            mstore(add(k, 1728), mul(0x5b9cca4f7763e373, BOTH))
            mstore(add(k, 1760), mul(0x682e6ff3d6b2b8a3, BOTH))
            mstore(add(k, 1792), mul(0x748f82ee5defb2fc, BOTH))
            mstore(add(k, 1824), mul(0x78a5636f43172f60, BOTH))
            mstore(add(k, 1856), mul(0x84c87814a1f0ab72, BOTH))
            mstore(add(k, 1888), mul(0x8cc702081a6439ec, BOTH))
            mstore(add(k, 1920), mul(0x90befffa23631e28, BOTH))
            mstore(add(k, 1952), mul(0xa4506cebde82bde9, BOTH))
            mstore(add(k, 1984), mul(0xbef9a3f7b2c67915, BOTH))
            mstore(add(k, 2016), mul(0xc67178f2e372532b, BOTH))
            mstore(add(k, 2048), mul(0xca273eceea26619c, BOTH))
            mstore(add(k, 2080), mul(0xd186b8c721c0c207, BOTH))
            mstore(add(k, 2112), mul(0xeada7dd6cde0eb1e, BOTH))
            mstore(add(k, 2144), mul(0xf57d4f7fee6ed178, BOTH))
            mstore(add(k, 2176), mul(0x06f067aa72176fba, BOTH))
            mstore(add(k, 2208), mul(0x0a637dc5a2c898a6, BOTH))
            mstore(add(k, 2240), mul(0x113f9804bef90dae, BOTH))
            mstore(add(k, 2272), mul(0x1b710b35131c471b, BOTH))
            mstore(add(k, 2304), mul(0x28db77f523047d84, BOTH))
            mstore(add(k, 2336), mul(0x32caab7b40c72493, BOTH))
            mstore(add(k, 2368), mul(0x3c9ebe0a15c9bebc, BOTH))
            mstore(add(k, 2400), mul(0x431d67c49c100d4c, BOTH))
            mstore(add(k, 2432), mul(0x4cc5d4becb3e42b6, BOTH))
            mstore(add(k, 2464), mul(0x597f299cfc657e2a, BOTH))
            mstore(add(k, 2496), mul(0x5fcb6fab3ad6faec, BOTH))
            mstore(add(k, 2528), mul(0x6c44198c4a475817, BOTH))
        }
    }

    /// @notice SHA-384 of `data`.
    /// @return hi the first 32 bytes.
    /// @return lo the last 16 bytes.
    function hash(bytes memory data, bytes memory space) internal pure returns (bytes32 hi, bytes16 lo) {
        bytes memory message = padded(data);
        uint256 start = placeOf(message);
        uint256 end = start + message.length;
        for (uint256 place = start; place < end; place += 128) take(space, place, place == start);
        return lower(space);
    }

    /// @notice `data` with the padding of FIPS 180-4 §5.1.2.
    /// @param data the message.
    function padded(bytes memory data) internal pure returns (bytes memory message) {
        message = padding(data.length);
        assembly ("memory-safe") {
            mcopy(add(message, 32), add(data, 32), mload(data))
        }
    }

    /// @notice A padded message for `length` bytes that the caller will write.
    /// @param length bytes of the message.
    function padding(uint256 length) internal pure returns (bytes memory message) {
        unchecked {
            uint256 blocks = (length + 17 + 127) / 128;
            message = new bytes(blocks * 128);
            assembly ("memory-safe") {
                let out := add(message, 32)
                // the length takes 16 bytes, of which a memory array fills at most the last 8
                mstore(add(out, sub(mul(blocks, 128), 32)), mul(length, 8))
                mstore8(add(out, length), 0x80)
            }
        }
    }

    /// @notice Memory address of the first byte of `message`.
    function placeOf(bytes memory message) internal pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := add(message, 32)
        }
    }

    /// @notice Hashes the 128 bytes at `place` in the lower lane. The register in the upper lane does not change.
    /// @param begins true for the first block of a message.
    function take(bytes memory space, uint256 place, bool begins) internal pure {
        uint256[6] memory register;
        for (uint256 i = 0; i < 6; ++i) register[i] = _word(space, i) & UPPER;
        extend(space, place, place, begins);
        for (uint256 i = 0; i < 6; ++i) _setWord(space, i, register[i] | (_word(space, i) & LOWER));
    }

    /// @notice Extends the register in the upper lane by the 48 bytes at `digest`, and hashes the 128 bytes at `place`
    /// in the lower lane.
    /// @param begins true if that block is the first of its message.
    function extend(bytes memory space, uint256 digest, uint256 place, bool begins) internal pure {
        _load(space, digest, place);
        _begin(space, begins);
        _rounds(space);
    }

    /// @notice The register.
    /// @return hi the first 32 bytes.
    /// @return lo the last 16 bytes.
    function upper(bytes memory space) internal pure returns (bytes32 hi, bytes16 lo) {
        assembly ("memory-safe") {
            let state := add(space, 32)
            hi := or(
                or(shl(61, and(mload(state), UPPER)), shr(3, and(mload(add(state, 32)), UPPER))),
                or(shr(67, and(mload(add(state, 64)), UPPER)), shr(131, mload(add(state, 96))))
            )
            lo := or(shl(61, and(mload(add(state, 128)), UPPER)), shr(3, and(mload(add(state, 160)), UPPER)))
        }
    }

    /// @notice The hash in the lower lane.
    /// @return hi the first 32 bytes.
    /// @return lo the last 16 bytes.
    function lower(bytes memory space) internal pure returns (bytes32 hi, bytes16 lo) {
        assembly ("memory-safe") {
            let state := add(space, 32)
            hi := or(
                or(shl(192, mload(state)), shl(128, and(mload(add(state, 32)), LOWER))),
                or(shl(64, and(mload(add(state, 64)), LOWER)), and(mload(add(state, 96)), LOWER))
            )
            lo := or(shl(192, mload(add(state, 128))), shl(128, and(mload(add(state, 160)), LOWER)))
        }
    }

    /// @dev A word of the state.
    /// @param index 0 to 7, in the order a to h of FIPS 180-4.
    function _word(bytes memory space, uint256 index) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(space, 32), mul(index, 32)))
        }
    }

    /// @dev Writes a word of the state.
    function _setWord(bytes memory space, uint256 index, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(add(add(space, 32), mul(index, 32)), word)
        }
    }

    /// @dev W of FIPS 180-4 §6.4.2 step 1, as far as it is the message itself: in the upper lane register, digest, padding.
    /// From here to the end of `_rounds` nothing but assembly may look at memory.
    function _load(bytes memory space, uint256 digest, uint256 place) private pure {
        // not marked as memory-safe: no variable of the compiler may lie where the words are
        assembly {
            mcopy(add(space, KEPT), 0, LOW)
            let l := mload(place)
            mstore(0, mul(or(and(mload(add(space, 32)), UPPER), shr(192, l)), TWICE))
            mstore(32, mul(or(and(mload(add(space, 64)), UPPER), and(shr(128, l), LOWER)), TWICE))
            mstore(64, mul(or(and(mload(add(space, 96)), UPPER), and(shr(64, l), LOWER)), TWICE))
            mstore(96, mul(or(and(mload(add(space, 128)), UPPER), and(l, LOWER)), TWICE))
            l := mload(add(place, 32))
            mstore(128, mul(or(and(mload(add(space, 160)), UPPER), shr(192, l)), TWICE))
            mstore(160, mul(or(and(mload(add(space, 192)), UPPER), and(shr(128, l), LOWER)), TWICE))
            // the digest
            let hi := mload(digest)
            let lo := mload(add(digest, 32))
            mstore(192, mul(or(and(shr(61, hi), UPPER), and(shr(64, l), LOWER)), TWICE))
            mstore(224, mul(or(and(shl(3, hi), UPPER), and(l, LOWER)), TWICE))
            l := mload(add(place, 64))
            mstore(256, mul(or(and(shl(67, hi), UPPER), shr(192, l)), TWICE))
            mstore(288, mul(or(shl(131, and(hi, LOWER)), and(shr(128, l), LOWER)), TWICE))
            mstore(320, mul(or(and(shr(61, lo), UPPER), and(shr(64, l), LOWER)), TWICE))
            mstore(352, mul(or(and(shl(3, lo), UPPER), and(l, LOWER)), TWICE))
            l := mload(add(place, 96))
            mstore(384, mul(or(PADDING, shr(192, l)), TWICE))
            mstore(416, mul(and(shr(128, l), LOWER), TWICE))
            mstore(448, mul(and(shr(64, l), LOWER), TWICE))
            mstore(480, mul(or(LENGTH, and(l, LOWER)), TWICE))
        }
    }

    /// @dev A hash begins in the upper lane, and perhaps in the lower.
    function _begin(bytes memory space, bool both) private pure {
        assembly {
            let state := add(space, 32)
            let beginning := add(space, BEGINNING)
            switch both
            case 1 {
                mcopy(state, beginning, 256)
            }
            default {
                for {
                    let end := add(state, 256)
                } lt(state, end) {
                    state := add(state, 32)
                    beginning := add(beginning, 32)
                } {
                    mstore(state, or(and(mload(beginning), UPPER), and(mload(state), LOWER)))
                }
            }
        }
    }

    /// @dev FIPS 180-4 §6.4.2. Sixteen rounds at a time; then the next sixteen words of the schedule, each in the place of
    /// the word sixteen rounds before. Behind these words lie the constants of the same rounds.
    function _rounds(bytes memory space) private pure {
        assembly {
            let a := mul(mload(add(space, 32)), TWICE)
            let b := mul(mload(add(space, 64)), TWICE)
            let c := mul(mload(add(space, 96)), TWICE)
            let d := mul(mload(add(space, 128)), TWICE)
            let e := mul(mload(add(space, 160)), TWICE)
            let f := mul(mload(add(space, 192)), TWICE)
            let g := mul(mload(add(space, 224)), TWICE)
            let h := mul(mload(add(space, 256)), TWICE)
            for {
                // where the constants of the next rounds are
                let p := add(space, CONSTANTS)
            } 1 {} {
                mcopy(512, p, 512)
                {
                    let t := add(
                        add(
                            add(h, and(xor(xor(shr(14, e), shr(18, e)), shr(41, e)), LANES)),
                            xor(g, and(e, xor(f, g)))
                        ),
                        add(mload(512), mload(0))
                    )
                    d := mul(and(add(d, t), LANES), TWICE)
                    h := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, a), shr(34, a)), shr(39, a)), LANES)),
                                xor(and(a, xor(b, c)), and(b, c))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(g, and(xor(xor(shr(14, d), shr(18, d)), shr(41, d)), LANES)),
                            xor(f, and(d, xor(e, f)))
                        ),
                        add(mload(544), mload(32))
                    )
                    c := mul(and(add(c, t), LANES), TWICE)
                    g := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, h), shr(34, h)), shr(39, h)), LANES)),
                                xor(and(h, xor(a, b)), and(a, b))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(f, and(xor(xor(shr(14, c), shr(18, c)), shr(41, c)), LANES)),
                            xor(e, and(c, xor(d, e)))
                        ),
                        add(mload(576), mload(64))
                    )
                    b := mul(and(add(b, t), LANES), TWICE)
                    f := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, g), shr(34, g)), shr(39, g)), LANES)),
                                xor(and(g, xor(h, a)), and(h, a))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(e, and(xor(xor(shr(14, b), shr(18, b)), shr(41, b)), LANES)),
                            xor(d, and(b, xor(c, d)))
                        ),
                        add(mload(608), mload(96))
                    )
                    a := mul(and(add(a, t), LANES), TWICE)
                    e := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, f), shr(34, f)), shr(39, f)), LANES)),
                                xor(and(f, xor(g, h)), and(g, h))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(d, and(xor(xor(shr(14, a), shr(18, a)), shr(41, a)), LANES)),
                            xor(c, and(a, xor(b, c)))
                        ),
                        add(mload(640), mload(128))
                    )
                    h := mul(and(add(h, t), LANES), TWICE)
                    d := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, e), shr(34, e)), shr(39, e)), LANES)),
                                xor(and(e, xor(f, g)), and(f, g))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(c, and(xor(xor(shr(14, h), shr(18, h)), shr(41, h)), LANES)),
                            xor(b, and(h, xor(a, b)))
                        ),
                        add(mload(672), mload(160))
                    )
                    g := mul(and(add(g, t), LANES), TWICE)
                    c := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, d), shr(34, d)), shr(39, d)), LANES)),
                                xor(and(d, xor(e, f)), and(e, f))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(b, and(xor(xor(shr(14, g), shr(18, g)), shr(41, g)), LANES)),
                            xor(a, and(g, xor(h, a)))
                        ),
                        add(mload(704), mload(192))
                    )
                    f := mul(and(add(f, t), LANES), TWICE)
                    b := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, c), shr(34, c)), shr(39, c)), LANES)),
                                xor(and(c, xor(d, e)), and(d, e))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(a, and(xor(xor(shr(14, f), shr(18, f)), shr(41, f)), LANES)),
                            xor(h, and(f, xor(g, h)))
                        ),
                        add(mload(736), mload(224))
                    )
                    e := mul(and(add(e, t), LANES), TWICE)
                    a := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, b), shr(34, b)), shr(39, b)), LANES)),
                                xor(and(b, xor(c, d)), and(c, d))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(h, and(xor(xor(shr(14, e), shr(18, e)), shr(41, e)), LANES)),
                            xor(g, and(e, xor(f, g)))
                        ),
                        add(mload(768), mload(256))
                    )
                    d := mul(and(add(d, t), LANES), TWICE)
                    h := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, a), shr(34, a)), shr(39, a)), LANES)),
                                xor(and(a, xor(b, c)), and(b, c))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(g, and(xor(xor(shr(14, d), shr(18, d)), shr(41, d)), LANES)),
                            xor(f, and(d, xor(e, f)))
                        ),
                        add(mload(800), mload(288))
                    )
                    c := mul(and(add(c, t), LANES), TWICE)
                    g := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, h), shr(34, h)), shr(39, h)), LANES)),
                                xor(and(h, xor(a, b)), and(a, b))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(f, and(xor(xor(shr(14, c), shr(18, c)), shr(41, c)), LANES)),
                            xor(e, and(c, xor(d, e)))
                        ),
                        add(mload(832), mload(320))
                    )
                    b := mul(and(add(b, t), LANES), TWICE)
                    f := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, g), shr(34, g)), shr(39, g)), LANES)),
                                xor(and(g, xor(h, a)), and(h, a))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(e, and(xor(xor(shr(14, b), shr(18, b)), shr(41, b)), LANES)),
                            xor(d, and(b, xor(c, d)))
                        ),
                        add(mload(864), mload(352))
                    )
                    a := mul(and(add(a, t), LANES), TWICE)
                    e := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, f), shr(34, f)), shr(39, f)), LANES)),
                                xor(and(f, xor(g, h)), and(g, h))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(d, and(xor(xor(shr(14, a), shr(18, a)), shr(41, a)), LANES)),
                            xor(c, and(a, xor(b, c)))
                        ),
                        add(mload(896), mload(384))
                    )
                    h := mul(and(add(h, t), LANES), TWICE)
                    d := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, e), shr(34, e)), shr(39, e)), LANES)),
                                xor(and(e, xor(f, g)), and(f, g))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(c, and(xor(xor(shr(14, h), shr(18, h)), shr(41, h)), LANES)),
                            xor(b, and(h, xor(a, b)))
                        ),
                        add(mload(928), mload(416))
                    )
                    g := mul(and(add(g, t), LANES), TWICE)
                    c := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, d), shr(34, d)), shr(39, d)), LANES)),
                                xor(and(d, xor(e, f)), and(e, f))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(b, and(xor(xor(shr(14, g), shr(18, g)), shr(41, g)), LANES)),
                            xor(a, and(g, xor(h, a)))
                        ),
                        add(mload(960), mload(448))
                    )
                    f := mul(and(add(f, t), LANES), TWICE)
                    b := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, c), shr(34, c)), shr(39, c)), LANES)),
                                xor(and(c, xor(d, e)), and(d, e))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }
                {
                    let t := add(
                        add(
                            add(a, and(xor(xor(shr(14, f), shr(18, f)), shr(41, f)), LANES)),
                            xor(h, and(f, xor(g, h)))
                        ),
                        add(mload(992), mload(480))
                    )
                    e := mul(and(add(e, t), LANES), TWICE)
                    a := mul(
                        and(
                            add(
                                add(t, and(xor(xor(shr(28, b), shr(34, b)), shr(39, b)), LANES)),
                                xor(and(b, xor(c, d)), and(c, d))
                            ),
                            LANES
                        ),
                        TWICE
                    )
                }

                p := add(p, 512)
                if eq(p, add(space, END)) {
                    break
                }
                {
                    let x := mload(32)
                    let y := mload(448)
                    mstore(
                        0,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(288), mload(0))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(64)
                    let y := mload(480)
                    mstore(
                        32,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(320), mload(32))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(96)
                    let y := mload(0)
                    mstore(
                        64,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(352), mload(64))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(128)
                    let y := mload(32)
                    mstore(
                        96,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(384), mload(96))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(160)
                    let y := mload(64)
                    mstore(
                        128,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(416), mload(128))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(192)
                    let y := mload(96)
                    mstore(
                        160,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(448), mload(160))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(224)
                    let y := mload(128)
                    mstore(
                        192,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(480), mload(192))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(256)
                    let y := mload(160)
                    mstore(
                        224,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(0), mload(224))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(288)
                    let y := mload(192)
                    mstore(
                        256,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(32), mload(256))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(320)
                    let y := mload(224)
                    mstore(
                        288,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(64), mload(288))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(352)
                    let y := mload(256)
                    mstore(
                        320,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(96), mload(320))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(384)
                    let y := mload(288)
                    mstore(
                        352,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(128), mload(352))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(416)
                    let y := mload(320)
                    mstore(
                        384,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(160), mload(384))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(448)
                    let y := mload(352)
                    mstore(
                        416,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(192), mload(416))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(480)
                    let y := mload(384)
                    mstore(
                        448,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(224), mload(448))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
                {
                    let x := mload(0)
                    let y := mload(416)
                    mstore(
                        480,
                        mul(
                            and(
                                add(
                                    add(
                                        and(xor(xor(shr(1, x), shr(8, x)), shr(7, and(x, LANES))), LANES),
                                        and(xor(xor(shr(19, y), shr(61, y)), shr(6, and(y, LANES))), LANES)
                                    ),
                                    add(mload(256), mload(480))
                                ),
                                LANES
                            ),
                            TWICE
                        )
                    )
                }
            }
            mcopy(0, add(space, KEPT), LOW)
            mstore(add(space, 32), and(add(mload(add(space, 32)), a), LANES))
            mstore(add(space, 64), and(add(mload(add(space, 64)), b), LANES))
            mstore(add(space, 96), and(add(mload(add(space, 96)), c), LANES))
            mstore(add(space, 128), and(add(mload(add(space, 128)), d), LANES))
            mstore(add(space, 160), and(add(mload(add(space, 160)), e), LANES))
            mstore(add(space, 192), and(add(mload(add(space, 192)), f), LANES))
            mstore(add(space, 224), and(add(mload(add(space, 224)), g), LANES))
            mstore(add(space, 256), and(add(mload(add(space, 256)), h), LANES))
        }
    }
}

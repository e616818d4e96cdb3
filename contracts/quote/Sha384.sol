// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice SHA-384 (FIPS 180-4), which the EVM lacks, of two messages at once: about 30,000 gas for a block of 128
/// bytes of each.
/// @dev A lane is 128 bits: a word of 64 bits with room for its double, which makes every rotation one shift, and
/// for what additions carry. The upper lane is one message, the lower lane the other. What a shift leaves above a
/// word, or lets fall from the upper lane into the lower, is cut off before it is added to anything.
/// `test/contracts/quote/Sha384.t.sol` compares it with the standard's plain words of 64 bits.
library Sha384 {
    /// @dev The words of both lanes, without the room above them.
    uint256 private constant LANES = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
    uint256 private constant UPPER = 0x0000000000000000ffffffffffffffff00000000000000000000000000000000;
    uint256 private constant LOWER = 0x000000000000000000000000000000000000000000000000ffffffffffffffff;
    /// @dev Times this, a lane holds its word twice; times `BOTH`, both lanes hold the word of the lower one.
    uint256 private constant TWICE = 0x10000000000000001;
    uint256 private constant BOTH = 0x100000000000000000000000000000001;

    /// @dev Where the message's words are in the room to work in, behind eighty constants and a zero; then the place
    /// for what the rounds put back.
    uint256 private constant SCHEDULE = 2624;
    uint256 private constant KEPT = 3136;

    bytes private constant ROUND_CONSTANTS =
        hex"428a2f98d728ae227137449123ef65cdb5c0fbcfec4d3b2fe9b5dba58189dbbc3956c25bf348b53859f111f1b605d019"
        hex"923f82a4af194f9bab1c5ed5da6d8118d807aa98a303024212835b0145706fbe243185be4ee4b28c550c7dc3d5ffb4e2"
        hex"72be5d74f27b896f80deb1fe3b1696b19bdc06a725c71235c19bf174cf692694e49b69c19ef14ad2efbe4786384f25e3"
        hex"0fc19dc68b8cd5b5240ca1cc77ac9c652de92c6f592b02754a7484aa6ea6e4835cb0a9dcbd41fbd476f988da831153b5"
        hex"983e5152ee66dfaba831c66d2db43210b00327c898fb213fbf597fc7beef0ee4c6e00bf33da88fc2d5a79147930aa725"
        hex"06ca6351e003826f142929670a0e6e7027b70a8546d22ffc2e1b21385c26c9264d2c6dfc5ac42aed53380d139d95b3df"
        hex"650a73548baf63de766a0abb3c77b2a881c2c92e47edaee692722c851482353ba2bfe8a14cf10364a81a664bbc423001"
        hex"c24b8b70d0f89791c76c51a30654be30d192e819d6ef5218d69906245565a910f40e35855771202a106aa07032bbd1b8"
        hex"19a4c116b8d2d0c81e376c085141ab532748774cdf8eeb9934b0bcb5e19b48a8391c0cb3c5c95a634ed8aa4ae3418acb"
        hex"5b9cca4f7763e373682e6ff3d6b2b8a3748f82ee5defb2fc78a5636f43172f6084c87814a1f0ab728cc702081a6439ec"
        hex"90befffa23631e28a4506cebde82bde9bef9a3f7b2c67915c67178f2e372532bca273eceea26619cd186b8c721c0c207"
        hex"eada7dd6cde0eb1ef57d4f7fee6ed17806f067aa72176fba0a637dc5a2c898a6113f9804bef90dae1b710b35131c471b"
        hex"28db77f523047d8432caab7b40c724933c9ebe0a15c9bebc431d67c49c100d4c4cc5d4becb3e42b6597f299cfc657e2a"
        hex"5fcb6fab3ad6faec6c44198c4a475817";

    /// @notice Room to work in, for any number of hashes: the round constants, then what a block needs.
    function workspace() internal pure returns (bytes memory space) {
        bytes memory constants = ROUND_CONSTANTS;
        space = new bytes(3616);
        assembly ("memory-safe") {
            let out := add(space, 32)
            for {
                let place := add(constants, 32)
                let end := add(place, 640)
            } lt(place, end) {
                place := add(place, 32)
            } {
                let four := mload(place)
                mstore(out, mul(shr(192, four), BOTH))
                mstore(add(out, 32), mul(and(shr(128, four), 0xffffffffffffffff), BOTH))
                mstore(add(out, 64), mul(and(shr(64, four), 0xffffffffffffffff), BOTH))
                mstore(add(out, 96), mul(and(four, 0xffffffffffffffff), BOTH))
                out := add(out, 128)
            }
        }
    }

    /// @notice The digest of `data`: its first 32 and its last 16 bytes.
    function hash(bytes memory data, bytes memory space) internal pure returns (bytes32 hi, bytes16 lo) {
        bytes memory message = padded(data);
        uint256[8] memory state;
        beginLower(state);
        uint256 place = at(message, 0);
        for (uint256 end = place + message.length; place < end; place += 128) compress(state, space, place, place);
        return lower(state);
    }

    /// @notice `data`, one bit, zeros, and the length in bits, up to whole blocks.
    function padded(bytes memory data) internal pure returns (bytes memory message) {
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

    /// @notice The place of byte `offset` of `message` in memory.
    function at(bytes memory message, uint256 offset) internal pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := add(add(message, 32), offset)
        }
    }

    /// @notice Sets the upper lane to where every hash begins.
    function beginUpper(uint256[8] memory state) internal pure {
        _begin(state, 128);
    }

    /// @notice Sets the lower lane to where every hash begins.
    function beginLower(uint256[8] memory state) internal pure {
        _begin(state, 0);
    }

    /// @notice What the upper lane has come to.
    function upper(uint256[8] memory state) internal pure returns (bytes32 hi, bytes16 lo) {
        assembly ("memory-safe") {
            hi := or(
                or(shl(64, and(mload(state), UPPER)), and(mload(add(state, 32)), UPPER)),
                or(shr(64, and(mload(add(state, 64)), UPPER)), shr(128, mload(add(state, 96))))
            )
            lo := or(shl(64, mload(add(state, 128))), and(mload(add(state, 160)), UPPER))
            lo := and(lo, not(0xffffffffffffffffffffffffffffffff))
        }
    }

    /// @notice What the lower lane has come to.
    function lower(uint256[8] memory state) internal pure returns (bytes32 hi, bytes16 lo) {
        assembly ("memory-safe") {
            hi := or(
                or(shl(192, mload(state)), shl(128, and(mload(add(state, 32)), LOWER))),
                or(shl(64, and(mload(add(state, 64)), LOWER)), and(mload(add(state, 96)), LOWER))
            )
            lo := or(shl(192, mload(add(state, 128))), shl(128, and(mload(add(state, 160)), LOWER)))
        }
    }

    /// @notice Takes in the 128 bytes at `upperBlock` and those at `lowerBlock`.
    function compress(
        uint256[8] memory state,
        bytes memory space,
        uint256 upperBlock,
        uint256 lowerBlock
    ) internal pure {
        _load(space, upperBlock, lowerBlock);
        _rounds(state, space);
    }

    /// @dev W of FIPS 180-4 §6.4.2 step 1, as far as it is the message itself.
    function _load(bytes memory space, uint256 upperBlock, uint256 lowerBlock) private pure {
        assembly ("memory-safe") {
            let p := add(space, SCHEDULE)
            for {
                let end := add(upperBlock, 128)
            } lt(upperBlock, end) {
                upperBlock := add(upperBlock, 32)
            } {
                let u := mload(upperBlock)
                let l := mload(lowerBlock)
                mstore(p, or(and(shr(64, u), UPPER), shr(192, l)))
                mstore(add(p, 32), or(and(u, UPPER), and(shr(128, l), LOWER)))
                mstore(add(p, 64), or(and(shl(64, u), UPPER), and(shr(64, l), LOWER)))
                mstore(add(p, 96), or(and(shl(128, u), UPPER), and(l, LOWER)))
                p := add(p, 128)
                lowerBlock := add(lowerBlock, 32)
            }
        }
    }

    /// @dev FIPS 180-4 §6.4.2. Sixteen rounds at a time; from the seventeenth on, each computes its word of the schedule
    /// first, in the place of the word sixteen rounds before. Those sixteen words lie at the very beginning of memory,
    /// where their places are numbers; what else is there is put back before anything else can look at it.
    function _rounds(uint256[8] memory state, bytes memory space) private pure {
        // not marked as memory-safe: no variable of the compiler may lie where the words are
        assembly {
            let a := mload(state)
            let b := mload(add(state, 32))
            let c := mload(add(state, 64))
            let d := mload(add(state, 96))
            let e := mload(add(state, 128))
            let f := mload(add(state, 160))
            let g := mload(add(state, 192))
            let h := mload(add(state, 224))
            mcopy(add(space, KEPT), 0, 512)
            mcopy(0, add(space, SCHEDULE), 512)
            // where the constants of the next rounds are
            let p := add(space, 32)
            {
                let x := mul(e, TWICE)
                let t := add(
                    add(add(h, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(g, and(e, xor(f, g)))),
                    add(mload(p), mload(0))
                )
                d := and(add(d, t), LANES)
                let y := mul(a, TWICE)
                h := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(a, xor(b, c)), and(b, c))
                    ),
                    LANES
                )
            }
            {
                let x := mul(d, TWICE)
                let t := add(
                    add(add(g, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(f, and(d, xor(e, f)))),
                    add(mload(add(p, 32)), mload(32))
                )
                c := and(add(c, t), LANES)
                let y := mul(h, TWICE)
                g := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(h, xor(a, b)), and(a, b))
                    ),
                    LANES
                )
            }
            {
                let x := mul(c, TWICE)
                let t := add(
                    add(add(f, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(e, and(c, xor(d, e)))),
                    add(mload(add(p, 64)), mload(64))
                )
                b := and(add(b, t), LANES)
                let y := mul(g, TWICE)
                f := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(g, xor(h, a)), and(h, a))
                    ),
                    LANES
                )
            }
            {
                let x := mul(b, TWICE)
                let t := add(
                    add(add(e, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(d, and(b, xor(c, d)))),
                    add(mload(add(p, 96)), mload(96))
                )
                a := and(add(a, t), LANES)
                let y := mul(f, TWICE)
                e := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(f, xor(g, h)), and(g, h))
                    ),
                    LANES
                )
            }
            {
                let x := mul(a, TWICE)
                let t := add(
                    add(add(d, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(c, and(a, xor(b, c)))),
                    add(mload(add(p, 128)), mload(128))
                )
                h := and(add(h, t), LANES)
                let y := mul(e, TWICE)
                d := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(e, xor(f, g)), and(f, g))
                    ),
                    LANES
                )
            }
            {
                let x := mul(h, TWICE)
                let t := add(
                    add(add(c, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(b, and(h, xor(a, b)))),
                    add(mload(add(p, 160)), mload(160))
                )
                g := and(add(g, t), LANES)
                let y := mul(d, TWICE)
                c := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(d, xor(e, f)), and(e, f))
                    ),
                    LANES
                )
            }
            {
                let x := mul(g, TWICE)
                let t := add(
                    add(add(b, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(a, and(g, xor(h, a)))),
                    add(mload(add(p, 192)), mload(192))
                )
                f := and(add(f, t), LANES)
                let y := mul(c, TWICE)
                b := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(c, xor(d, e)), and(d, e))
                    ),
                    LANES
                )
            }
            {
                let x := mul(f, TWICE)
                let t := add(
                    add(add(a, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(h, and(f, xor(g, h)))),
                    add(mload(add(p, 224)), mload(224))
                )
                e := and(add(e, t), LANES)
                let y := mul(b, TWICE)
                a := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(b, xor(c, d)), and(c, d))
                    ),
                    LANES
                )
            }
            {
                let x := mul(e, TWICE)
                let t := add(
                    add(add(h, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(g, and(e, xor(f, g)))),
                    add(mload(add(p, 256)), mload(256))
                )
                d := and(add(d, t), LANES)
                let y := mul(a, TWICE)
                h := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(a, xor(b, c)), and(b, c))
                    ),
                    LANES
                )
            }
            {
                let x := mul(d, TWICE)
                let t := add(
                    add(add(g, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(f, and(d, xor(e, f)))),
                    add(mload(add(p, 288)), mload(288))
                )
                c := and(add(c, t), LANES)
                let y := mul(h, TWICE)
                g := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(h, xor(a, b)), and(a, b))
                    ),
                    LANES
                )
            }
            {
                let x := mul(c, TWICE)
                let t := add(
                    add(add(f, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(e, and(c, xor(d, e)))),
                    add(mload(add(p, 320)), mload(320))
                )
                b := and(add(b, t), LANES)
                let y := mul(g, TWICE)
                f := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(g, xor(h, a)), and(h, a))
                    ),
                    LANES
                )
            }
            {
                let x := mul(b, TWICE)
                let t := add(
                    add(add(e, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(d, and(b, xor(c, d)))),
                    add(mload(add(p, 352)), mload(352))
                )
                a := and(add(a, t), LANES)
                let y := mul(f, TWICE)
                e := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(f, xor(g, h)), and(g, h))
                    ),
                    LANES
                )
            }
            {
                let x := mul(a, TWICE)
                let t := add(
                    add(add(d, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(c, and(a, xor(b, c)))),
                    add(mload(add(p, 384)), mload(384))
                )
                h := and(add(h, t), LANES)
                let y := mul(e, TWICE)
                d := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(e, xor(f, g)), and(f, g))
                    ),
                    LANES
                )
            }
            {
                let x := mul(h, TWICE)
                let t := add(
                    add(add(c, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(b, and(h, xor(a, b)))),
                    add(mload(add(p, 416)), mload(416))
                )
                g := and(add(g, t), LANES)
                let y := mul(d, TWICE)
                c := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(d, xor(e, f)), and(e, f))
                    ),
                    LANES
                )
            }
            {
                let x := mul(g, TWICE)
                let t := add(
                    add(add(b, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(a, and(g, xor(h, a)))),
                    add(mload(add(p, 448)), mload(448))
                )
                f := and(add(f, t), LANES)
                let y := mul(c, TWICE)
                b := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(c, xor(d, e)), and(d, e))
                    ),
                    LANES
                )
            }
            {
                let x := mul(f, TWICE)
                let t := add(
                    add(add(a, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)), xor(h, and(f, xor(g, h)))),
                    add(mload(add(p, 480)), mload(480))
                )
                e := and(add(e, t), LANES)
                let y := mul(b, TWICE)
                a := and(
                    add(
                        add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                        xor(and(b, xor(c, d)), and(c, d))
                    ),
                    LANES
                )
            }

            // a zero stands behind the last constant
            for {
                p := add(p, 512)
            } mload(p) {
                p := add(p, 512)
            } {
                {
                    let x := mload(32)
                    let xx := mul(x, TWICE)
                    let y := mload(448)
                    let yy := mul(y, TWICE)
                    mstore(
                        0,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(288), mload(0))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(e, TWICE)
                    let t := add(
                        add(
                            add(h, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(g, and(e, xor(f, g)))
                        ),
                        add(mload(p), mload(0))
                    )
                    d := and(add(d, t), LANES)
                    let y := mul(a, TWICE)
                    h := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(a, xor(b, c)), and(b, c))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(64)
                    let xx := mul(x, TWICE)
                    let y := mload(480)
                    let yy := mul(y, TWICE)
                    mstore(
                        32,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(320), mload(32))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(d, TWICE)
                    let t := add(
                        add(
                            add(g, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(f, and(d, xor(e, f)))
                        ),
                        add(mload(add(p, 32)), mload(32))
                    )
                    c := and(add(c, t), LANES)
                    let y := mul(h, TWICE)
                    g := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(h, xor(a, b)), and(a, b))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(96)
                    let xx := mul(x, TWICE)
                    let y := mload(0)
                    let yy := mul(y, TWICE)
                    mstore(
                        64,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(352), mload(64))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(c, TWICE)
                    let t := add(
                        add(
                            add(f, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(e, and(c, xor(d, e)))
                        ),
                        add(mload(add(p, 64)), mload(64))
                    )
                    b := and(add(b, t), LANES)
                    let y := mul(g, TWICE)
                    f := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(g, xor(h, a)), and(h, a))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(128)
                    let xx := mul(x, TWICE)
                    let y := mload(32)
                    let yy := mul(y, TWICE)
                    mstore(
                        96,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(384), mload(96))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(b, TWICE)
                    let t := add(
                        add(
                            add(e, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(d, and(b, xor(c, d)))
                        ),
                        add(mload(add(p, 96)), mload(96))
                    )
                    a := and(add(a, t), LANES)
                    let y := mul(f, TWICE)
                    e := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(f, xor(g, h)), and(g, h))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(160)
                    let xx := mul(x, TWICE)
                    let y := mload(64)
                    let yy := mul(y, TWICE)
                    mstore(
                        128,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(416), mload(128))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(a, TWICE)
                    let t := add(
                        add(
                            add(d, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(c, and(a, xor(b, c)))
                        ),
                        add(mload(add(p, 128)), mload(128))
                    )
                    h := and(add(h, t), LANES)
                    let y := mul(e, TWICE)
                    d := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(e, xor(f, g)), and(f, g))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(192)
                    let xx := mul(x, TWICE)
                    let y := mload(96)
                    let yy := mul(y, TWICE)
                    mstore(
                        160,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(448), mload(160))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(h, TWICE)
                    let t := add(
                        add(
                            add(c, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(b, and(h, xor(a, b)))
                        ),
                        add(mload(add(p, 160)), mload(160))
                    )
                    g := and(add(g, t), LANES)
                    let y := mul(d, TWICE)
                    c := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(d, xor(e, f)), and(e, f))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(224)
                    let xx := mul(x, TWICE)
                    let y := mload(128)
                    let yy := mul(y, TWICE)
                    mstore(
                        192,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(480), mload(192))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(g, TWICE)
                    let t := add(
                        add(
                            add(b, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(a, and(g, xor(h, a)))
                        ),
                        add(mload(add(p, 192)), mload(192))
                    )
                    f := and(add(f, t), LANES)
                    let y := mul(c, TWICE)
                    b := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(c, xor(d, e)), and(d, e))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(256)
                    let xx := mul(x, TWICE)
                    let y := mload(160)
                    let yy := mul(y, TWICE)
                    mstore(
                        224,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(0), mload(224))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(f, TWICE)
                    let t := add(
                        add(
                            add(a, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(h, and(f, xor(g, h)))
                        ),
                        add(mload(add(p, 224)), mload(224))
                    )
                    e := and(add(e, t), LANES)
                    let y := mul(b, TWICE)
                    a := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(b, xor(c, d)), and(c, d))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(288)
                    let xx := mul(x, TWICE)
                    let y := mload(192)
                    let yy := mul(y, TWICE)
                    mstore(
                        256,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(32), mload(256))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(e, TWICE)
                    let t := add(
                        add(
                            add(h, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(g, and(e, xor(f, g)))
                        ),
                        add(mload(add(p, 256)), mload(256))
                    )
                    d := and(add(d, t), LANES)
                    let y := mul(a, TWICE)
                    h := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(a, xor(b, c)), and(b, c))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(320)
                    let xx := mul(x, TWICE)
                    let y := mload(224)
                    let yy := mul(y, TWICE)
                    mstore(
                        288,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(64), mload(288))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(d, TWICE)
                    let t := add(
                        add(
                            add(g, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(f, and(d, xor(e, f)))
                        ),
                        add(mload(add(p, 288)), mload(288))
                    )
                    c := and(add(c, t), LANES)
                    let y := mul(h, TWICE)
                    g := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(h, xor(a, b)), and(a, b))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(352)
                    let xx := mul(x, TWICE)
                    let y := mload(256)
                    let yy := mul(y, TWICE)
                    mstore(
                        320,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(96), mload(320))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(c, TWICE)
                    let t := add(
                        add(
                            add(f, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(e, and(c, xor(d, e)))
                        ),
                        add(mload(add(p, 320)), mload(320))
                    )
                    b := and(add(b, t), LANES)
                    let y := mul(g, TWICE)
                    f := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(g, xor(h, a)), and(h, a))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(384)
                    let xx := mul(x, TWICE)
                    let y := mload(288)
                    let yy := mul(y, TWICE)
                    mstore(
                        352,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(128), mload(352))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(b, TWICE)
                    let t := add(
                        add(
                            add(e, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(d, and(b, xor(c, d)))
                        ),
                        add(mload(add(p, 352)), mload(352))
                    )
                    a := and(add(a, t), LANES)
                    let y := mul(f, TWICE)
                    e := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(f, xor(g, h)), and(g, h))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(416)
                    let xx := mul(x, TWICE)
                    let y := mload(320)
                    let yy := mul(y, TWICE)
                    mstore(
                        384,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(160), mload(384))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(a, TWICE)
                    let t := add(
                        add(
                            add(d, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(c, and(a, xor(b, c)))
                        ),
                        add(mload(add(p, 384)), mload(384))
                    )
                    h := and(add(h, t), LANES)
                    let y := mul(e, TWICE)
                    d := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(e, xor(f, g)), and(f, g))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(448)
                    let xx := mul(x, TWICE)
                    let y := mload(352)
                    let yy := mul(y, TWICE)
                    mstore(
                        416,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(192), mload(416))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(h, TWICE)
                    let t := add(
                        add(
                            add(c, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(b, and(h, xor(a, b)))
                        ),
                        add(mload(add(p, 416)), mload(416))
                    )
                    g := and(add(g, t), LANES)
                    let y := mul(d, TWICE)
                    c := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(d, xor(e, f)), and(e, f))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(480)
                    let xx := mul(x, TWICE)
                    let y := mload(384)
                    let yy := mul(y, TWICE)
                    mstore(
                        448,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(224), mload(448))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(g, TWICE)
                    let t := add(
                        add(
                            add(b, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(a, and(g, xor(h, a)))
                        ),
                        add(mload(add(p, 448)), mload(448))
                    )
                    f := and(add(f, t), LANES)
                    let y := mul(c, TWICE)
                    b := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(c, xor(d, e)), and(d, e))
                        ),
                        LANES
                    )
                }
                {
                    let x := mload(0)
                    let xx := mul(x, TWICE)
                    let y := mload(416)
                    let yy := mul(y, TWICE)
                    mstore(
                        480,
                        and(
                            add(
                                add(
                                    and(xor(xor(shr(1, xx), shr(8, xx)), shr(7, x)), LANES),
                                    and(xor(xor(shr(19, yy), shr(61, yy)), shr(6, y)), LANES)
                                ),
                                add(mload(256), mload(480))
                            ),
                            LANES
                        )
                    )
                }
                {
                    let x := mul(f, TWICE)
                    let t := add(
                        add(
                            add(a, and(xor(xor(shr(14, x), shr(18, x)), shr(41, x)), LANES)),
                            xor(h, and(f, xor(g, h)))
                        ),
                        add(mload(add(p, 480)), mload(480))
                    )
                    e := and(add(e, t), LANES)
                    let y := mul(b, TWICE)
                    a := and(
                        add(
                            add(t, and(xor(xor(shr(28, y), shr(34, y)), shr(39, y)), LANES)),
                            xor(and(b, xor(c, d)), and(c, d))
                        ),
                        LANES
                    )
                }
            }
            mcopy(0, add(space, KEPT), 512)
            mstore(state, and(add(mload(state), a), LANES))
            mstore(add(state, 32), and(add(mload(add(state, 32)), b), LANES))
            mstore(add(state, 64), and(add(mload(add(state, 64)), c), LANES))
            mstore(add(state, 96), and(add(mload(add(state, 96)), d), LANES))
            mstore(add(state, 128), and(add(mload(add(state, 128)), e), LANES))
            mstore(add(state, 160), and(add(mload(add(state, 160)), f), LANES))
            mstore(add(state, 192), and(add(mload(add(state, 192)), g), LANES))
            mstore(add(state, 224), and(add(mload(add(state, 224)), h), LANES))
        }
    }

    /// @dev FIPS 180-4 §5.3.4
    function _begin(uint256[8] memory state, uint256 shift) private pure {
        unchecked {
            uint256 keep = uint256(type(uint128).max) << (128 - shift);
            state[0] = (state[0] & keep) | (0xcbbb9d5dc1059ed8 << shift);
            state[1] = (state[1] & keep) | (0x629a292a367cd507 << shift);
            state[2] = (state[2] & keep) | (0x9159015a3070dd17 << shift);
            state[3] = (state[3] & keep) | (0x152fecd8f70e5939 << shift);
            state[4] = (state[4] & keep) | (0x67332667ffc00b31 << shift);
            state[5] = (state[5] & keep) | (0x8eb44a8768581511 << shift);
            state[6] = (state[6] & keep) | (0xdb0c2e0d64f98fa7 << shift);
            state[7] = (state[7] & keep) | (0x47b5481dbefa4fa4 << shift);
        }
    }
}

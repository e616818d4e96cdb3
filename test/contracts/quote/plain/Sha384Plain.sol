// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice SHA-384 as FIPS 180-4 writes it, in words of 64 bits and without assembly: what `Sha384` is held against.
library Sha384Plain {
    /// @dev §4.2.3
    bytes private constant K =
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

    function hash(bytes memory data) internal pure returns (bytes32 hi, bytes16 lo) {
        uint256 zeros = (239 - (data.length % 128)) % 128;
        bytes memory message = bytes.concat(data, bytes1(0x80), new bytes(zeros), bytes16(uint128(8 * data.length)));
        uint256[8] memory state = begin();
        for (uint256 i = 0; i < message.length; i += 128) compress(state, message, i);
        hi = bytes32((state[0] << 192) | (state[1] << 128) | (state[2] << 64) | state[3]);
        lo = bytes16(uint128((state[4] << 64) | state[5]));
    }

    /// @notice §5.3.4
    function begin() internal pure returns (uint256[8] memory) {
        return
            [
                uint256(0xcbbb9d5dc1059ed8),
                0x629a292a367cd507,
                0x9159015a3070dd17,
                0x152fecd8f70e5939,
                0x67332667ffc00b31,
                0x8eb44a8768581511,
                0xdb0c2e0d64f98fa7,
                0x47b5481dbefa4fa4
            ];
    }

    /// @notice §6.4.2
    function compress(uint256[8] memory state, bytes memory message, uint256 from) internal pure {
        uint64[80] memory w = _schedule(message, from);
        uint64[8] memory v;
        for (uint256 i = 0; i < 8; ++i) v[i] = uint64(state[i]);
        unchecked {
            for (uint256 t = 0; t < 80; ++t) {
                uint64 one = v[7] + _sum1(v[4]) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + _word(K, 8 * t) + w[t];
                uint64 two = _sum0(v[0]) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
                (v[7], v[6], v[5], v[4]) = (v[6], v[5], v[4], v[3] + one);
                (v[3], v[2], v[1], v[0]) = (v[2], v[1], v[0], one + two);
            }
            for (uint256 i = 0; i < 8; ++i) state[i] = uint64(state[i] + v[i]);
        }
    }

    function _schedule(bytes memory message, uint256 from) private pure returns (uint64[80] memory w) {
        unchecked {
            for (uint256 t = 0; t < 16; ++t) w[t] = _word(message, from + 8 * t);
            for (uint256 t = 16; t < 80; ++t) {
                uint64 a = w[t - 15];
                uint64 b = w[t - 2];
                uint64 sigma0 = _rotate(a, 1) ^ _rotate(a, 8) ^ (a >> 7);
                uint64 sigma1 = _rotate(b, 19) ^ _rotate(b, 61) ^ (b >> 6);
                w[t] = sigma1 + w[t - 7] + sigma0 + w[t - 16];
            }
        }
    }

    function _sum0(uint64 x) private pure returns (uint64) {
        return _rotate(x, 28) ^ _rotate(x, 34) ^ _rotate(x, 39);
    }

    function _sum1(uint64 x) private pure returns (uint64) {
        return _rotate(x, 14) ^ _rotate(x, 18) ^ _rotate(x, 41);
    }

    function _rotate(uint64 x, uint256 by) private pure returns (uint64) {
        return (x >> by) | (x << (64 - by));
    }

    function _word(bytes memory data, uint256 from) private pure returns (uint64 value) {
        for (uint256 i = 0; i < 8; ++i) value = (value << 8) | uint8(data[from + i]);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice A SHA-384 digest: 48 bytes, in a word and a half.
struct Bytes48 {
    /// @notice Bytes 0 to 31.
    bytes32 hi;
    /// @notice Bytes 32 to 47.
    bytes16 lo;
}

using Bytes48Lib for Bytes48 global;

/// @notice Functions of a SHA-384 digest.
library Bytes48Lib {
    /// @notice The 48 bytes in the order in which a quote has them.
    function toBytes(Bytes48 memory value) internal pure returns (bytes memory) {
        return bytes.concat(value.hi, value.lo);
    }

    /// @notice keccak256 of the 48 bytes: use it as the key of a mapping.
    function key(Bytes48 memory value) internal pure returns (bytes32) {
        return keccak256(bytes.concat(value.hi, value.lo));
    }

    /// @notice Whether both digests are the same.
    function equals(Bytes48 memory a, Bytes48 memory b) internal pure returns (bool) {
        return a.hi == b.hi && a.lo == b.lo;
    }

    /// @notice Whether all 48 bytes are zero.
    function isZero(Bytes48 memory value) internal pure returns (bool) {
        return value.hi == 0 && value.lo == 0;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice A SHA-384 measurement: its first 32 and its last 16 bytes.
struct Bytes48 {
    bytes32 hi;
    bytes16 lo;
}

using Bytes48Lib for Bytes48 global;

library Bytes48Lib {
    /// @notice The 48 bytes as they stand in a quote.
    function toBytes(Bytes48 memory value) internal pure returns (bytes memory) {
        return bytes.concat(value.hi, value.lo);
    }

    /// @notice keccak-256 of the 48 bytes: the key under which a measurement is stored.
    function key(Bytes48 memory value) internal pure returns (bytes32) {
        return keccak256(bytes.concat(value.hi, value.lo));
    }

    function equals(Bytes48 memory a, Bytes48 memory b) internal pure returns (bool) {
        return a.hi == b.hi && a.lo == b.lo;
    }

    function isZero(Bytes48 memory value) internal pure returns (bool) {
        return value.hi == 0 && value.lo == 0;
    }
}

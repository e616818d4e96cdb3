// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Stores creation code of another contract, or a part of it, as the code of this account.
/// @dev The first byte is STOP, so a call of this account executes nothing.
contract CreationCode {
    /// @param code what to store, at most 24,575 bytes (EIP-170).
    constructor(bytes memory code) {
        assembly ("memory-safe") {
            let length := mload(code)
            mstore8(add(code, 0x1f), 0)
            return(add(code, 0x1f), add(length, 1))
        }
    }
}

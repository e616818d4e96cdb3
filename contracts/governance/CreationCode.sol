// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Creation code of another contract, or a part of it, kept as the code of this account.
/// @dev The first byte is STOP, so that nobody runs it.
contract CreationCode {
    constructor(bytes memory code) {
        assembly ("memory-safe") {
            let length := mload(code)
            mstore8(add(code, 0x1f), 0)
            return(add(code, 0x1f), add(length, 1))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Keeps bytes as the code of an account. For more than a few words this costs less gas than storage, both to
/// write and to read.
/// @dev The code begins with STOP, so that nobody can execute it. EIP-170 allows 24,576 bytes of code, one of which is
/// STOP.
library CodeStore {
    /// @dev Init code: returns everything after these eleven bytes as the code.
    bytes11 private constant PREFIX = 0x600b5981380380925939f3;

    /// @notice The bytes do not fit into one account, or the gas did not suffice to create it.
    /// @param length number of bytes; at most 24,575.
    error CodeTooLong(uint256 length);

    /// @notice Writes `data` to a new account.
    /// @return pointer its address.
    function write(bytes memory data) internal returns (address pointer) {
        bytes memory init = _init(data);
        assembly ("memory-safe") {
            pointer := create(0, add(init, 32), mload(init))
        }
        require(pointer != address(0), CodeTooLong(data.length));
    }

    /// @notice Writes `data` to the account whose address follows from this contract and the data (CREATE2). Writes
    /// nothing if that account exists already.
    /// @return pointer its address.
    function writeNamed(bytes memory data) internal returns (address pointer) {
        pointer = nameOf(data);
        if (pointer.code.length != 0) return pointer;
        bytes memory init = _init(data);
        assembly ("memory-safe") {
            pointer := create2(0, add(init, 32), mload(init), 0)
        }
        require(pointer != address(0), CodeTooLong(data.length));
    }

    /// @notice The address at which `writeNamed` of this contract stores `data`. Nobody can store anything else there.
    function nameOf(bytes memory data) internal view returns (address) {
        return _named(keccak256(_init(data)));
    }

    /// @notice Reads data that `writeNamed` of this contract stored at `pointer`. Returns no bytes for any other
    /// account, so a record of somebody else is never taken for one of this contract.
    /// @dev Computes the CREATE2 address from the code that it read, and compares it with `pointer`.
    function readNamed(address pointer) internal view returns (bytes memory data) {
        bytes32 init;
        assembly ("memory-safe") {
            data := mload(0x40)
            let length := extcodesize(pointer)
            // the init code is placed before the data, so that both can be hashed together
            mstore(data, shr(160, PREFIX))
            extcodecopy(pointer, add(data, 31), 0, length)
            init := keccak256(add(data, 20), add(length, 11))
            mstore(data, sub(length, iszero(iszero(length))))
            mstore(0x40, and(add(add(data, 63), length), not(31)))
        }
        if (_named(init) != pointer) {
            assembly ("memory-safe") {
                mstore(data, 0)
            }
        }
    }

    /// @notice Reads the data at an account that `write` created. Returns no bytes for an account without code.
    /// @dev Does not check who wrote them: `pointer` must come from this contract's storage.
    function read(address pointer) internal view returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := extcodesize(pointer)
            // an account without code gives no bytes
            let length := sub(size, iszero(iszero(size)))
            data := mload(0x40)
            mstore(data, length)
            extcodecopy(pointer, add(data, 32), 1, length)
            mstore(0x40, and(add(add(data, 63), length), not(31)))
        }
    }

    /// @notice The EXTCODEHASH of an account that keeps `data`.
    function codeHash(bytes memory data) internal pure returns (bytes32) {
        return keccak256(bytes.concat(bytes1(0), data));
    }

    /// @dev The CREATE2 address for init code with this hash and salt 0 (EIP-1014).
    function _named(bytes32 init) private view returns (address pointer) {
        assembly ("memory-safe") {
            let place := mload(0x40)
            mstore(place, or(shl(248, 0xff), shl(88, address())))
            mstore(add(place, 21), 0)
            mstore(add(place, 53), init)
            pointer := and(keccak256(place, 85), 0xffffffffffffffffffffffffffffffffffffffff)
        }
    }

    /// @dev Init code that deploys STOP ‖ data.
    function _init(bytes memory data) private pure returns (bytes memory) {
        return bytes.concat(PREFIX, bytes1(0), data);
    }
}

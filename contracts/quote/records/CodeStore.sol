// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Bytes kept as the code of an account: cheap to write once, cheap to read whole.
library CodeStore {
    /// @dev Init code: return everything behind these eleven bytes; the first of it is STOP.
    bytes11 private constant PREFIX = 0x600b5981380380925939f3;

    /// @notice Thrown when the bytes cannot be written (EIP-170: 24,575 of them at most).
    error CodeTooLong(uint256 length);

    /// @notice Writes `data` under a new address.
    function write(bytes memory data) internal returns (address pointer) {
        bytes memory init = _init(data);
        assembly ("memory-safe") {
            pointer := create(0, add(init, 32), mload(init))
        }
        require(pointer != address(0), CodeTooLong(data.length));
    }

    /// @notice Writes `data` under the address that follows from the writer and the data, unless it is there.
    function writeNamed(bytes memory data) internal returns (address pointer) {
        pointer = nameOf(data);
        if (pointer.code.length != 0) return pointer;
        bytes memory init = _init(data);
        assembly ("memory-safe") {
            pointer := create2(0, add(init, 32), mload(init), 0)
        }
        require(pointer != address(0), CodeTooLong(data.length));
    }

    /// @notice The address under which this contract writes `data` by name, and nobody anything else.
    function nameOf(bytes memory data) internal view returns (address) {
        return _named(keccak256(_init(data)));
    }

    /// @notice What is written under `pointer` if this contract has written it by name; no bytes otherwise.
    function readNamed(address pointer) internal view returns (bytes memory data) {
        bytes32 init;
        assembly ("memory-safe") {
            data := mload(0x40)
            let length := extcodesize(pointer)
            // the init code stands where it has to for its last part to be the data
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

    function read(address pointer) internal view returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := extcodesize(pointer)
            // an account without code reads as no bytes
            let length := sub(size, iszero(iszero(size)))
            data := mload(0x40)
            mstore(data, length)
            extcodecopy(pointer, add(data, 32), 1, length)
            mstore(0x40, and(add(add(data, 63), length), not(31)))
        }
    }

    /// @notice What `EXTCODEHASH` says of an account with these data.
    function codeHash(bytes memory data) internal pure returns (bytes32) {
        return keccak256(bytes.concat(bytes1(0), data));
    }

    /// @dev The address of CREATE2 with no salt (EIP-1014).
    function _named(bytes32 init) private view returns (address pointer) {
        assembly ("memory-safe") {
            let place := mload(0x40)
            mstore(place, or(shl(248, 0xff), shl(88, address())))
            mstore(add(place, 21), 0)
            mstore(add(place, 53), init)
            pointer := and(keccak256(place, 85), 0xffffffffffffffffffffffffffffffffffffffff)
        }
    }

    function _init(bytes memory data) private pure returns (bytes memory) {
        return bytes.concat(PREFIX, bytes1(0), data);
    }
}

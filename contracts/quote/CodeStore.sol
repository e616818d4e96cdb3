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
        bytes32 init = keccak256(_init(data));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), init)))));
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

    function _init(bytes memory data) private pure returns (bytes memory) {
        return bytes.concat(PREFIX, bytes1(0), data);
    }
}

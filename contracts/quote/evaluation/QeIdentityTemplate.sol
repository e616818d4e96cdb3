// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {TcbBlob} from "./TcbBlob.sol";

/// @notice The QE identity in the form in which Intel has always published it: only its levels change. Up to two levels
/// fit into a slot in place of an address, which saves an account with the document and a cold read at each
/// verification.
library QeIdentityTemplate {
    /// @dev Levels that fit into 20 bytes.
    uint256 private constant MAX_LEVELS = 2;

    /// @dev Bytes 4 to 77 of the packed form, in three overlapping words: ISVPRODID (2 bytes), MISCSELECT (4), mask
    /// (4), ATTRIBUTES (16), mask (16), MRSIGNER (32).
    uint256 private constant FROM_4 = 0x000200000000ffffffff11000000000000000000000000000000fbffffffffff;
    /// @dev The word from byte 36 on.
    uint256 private constant FROM_36 = 0xffff0000000000000000dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1ba;
    /// @dev The word from byte 46 on.
    uint256 private constant FROM_46 = 0xdc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5;

    /// @notice The levels of a QE identity in place of an address.
    /// @return levels the levels, left-aligned.
    /// @return count their number; 0 if the document has another form.
    function levelsOf(bytes memory blob) internal pure returns (address levels, uint256 count) {
        uint256 head = TcbBlob.word(blob, 0) >> 224;
        count = head >> 24;
        uint256 length = TcbBlob.QE_LEVELS + TcbBlob.ISV_LEVEL * count;
        // with advisories it would be longer
        bool isUsual = count <= MAX_LEVELS && blob.length == length && head == (count << 24) | length;
        isUsual = isUsual && TcbBlob.word(blob, 4) == FROM_4;
        isUsual = isUsual && TcbBlob.word(blob, 36) == FROM_36 && TcbBlob.word(blob, 46) == FROM_46;
        if (!isUsual) return (address(0), 0);
        uint256 unused = 256 - 80 * count;
        levels = address(bytes20(bytes32((TcbBlob.word(blob, TcbBlob.QE_LEVELS) >> unused) << unused)));
    }

    /// @notice The packed QE identity with these levels: the inverse of `levelsOf`.
    /// @param levels the packed levels of a usual QE identity.
    /// @param count number of levels.
    function blobOf(address levels, uint256 count) internal pure returns (bytes memory blob) {
        uint256 length = TcbBlob.QE_LEVELS + TcbBlob.ISV_LEVEL * count;
        assembly ("memory-safe") {
            blob := mload(0x40)
            mstore(blob, length)
            // up to the word that the last level is written into
            mstore(0x40, add(blob, 160))
        }
        TcbBlob.put(blob, 0, (count << 248) | (length << 224), 4);
        TcbBlob.put(blob, 4, FROM_4, 32);
        TcbBlob.put(blob, 36, FROM_36, 32);
        TcbBlob.put(blob, 46, FROM_46, 32);
        TcbBlob.put(blob, TcbBlob.QE_LEVELS, uint256(uint160(levels)) << 96, 20);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice A TCB level without its SVNs, from the highest byte: status (1 byte), date (4, unix seconds), index of the
/// first advisory (2), number of advisories (1).
type Level is uint64;

using LevelLib for Level global;

/// @notice Packs and reads levels.
library LevelLib {
    /// @notice A level of these parts.
    /// @param status_ number of `TcbStatus`.
    /// @param date_ unix seconds.
    /// @param firstAdvisory_ index in the document's list.
    /// @param advisoryCount_ at most 255.
    function pack(
        uint256 status_,
        uint256 date_,
        uint256 firstAdvisory_,
        uint256 advisoryCount_
    ) internal pure returns (Level) {
        return Level.wrap(uint64((status_ << 56) | (date_ << 24) | (firstAdvisory_ << 8) | advisoryCount_));
    }

    /// @notice A number of `TcbStatus`; `None` for a status that this verifier does not know.
    function status(Level level) internal pure returns (uint256) {
        return Level.unwrap(level) >> 56;
    }

    /// @notice Unix seconds: a platform of this level has all fixes up to this date.
    function date(Level level) internal pure returns (uint256) {
        return uint32(Level.unwrap(level) >> 24);
    }

    /// @notice Index in the document's list of advisories.
    function firstAdvisory(Level level) internal pure returns (uint256) {
        return uint16(Level.unwrap(level) >> 8);
    }

    /// @notice At most 255.
    function advisoryCount(Level level) internal pure returns (uint256) {
        return uint8(Level.unwrap(level));
    }
}

/// @notice How TCB info and QE identity are packed: everything but their dates.
///
/// TCB info:     levels 1 | modules 1 | advisoriesAt 2 | PCEID 2 | tdxModule hash 32
///               | levels × (SGX components 16 | PCESVN 2 | TDX components 16 | Level 8), greatest first
///               | modules × (major version 1 | levels 1 | hash 32 | levels × (ISVSVN 2 | Level 8))
///               | advisories × 3 | texts × 32
/// QE identity:  levels 1 | 0 | advisoriesAt 2 | ISVPRODID 2 | MISCSELECT 4 | mask 4 | ATTRIBUTES 16 | mask 16
///               | MRSIGNER 32 | levels × (ISVSVN 2 | Level 8) | advisories × 3 | texts × 32
///
/// A hash is keccak-256 of MRSIGNERSEAM ‖ SEAMATTRIBUTES as Intel expects them.
/// An advisory is the number in "INTEL-SA-00837", a digit in four bits, or 0x800000 + i for the i-th text from the blob's end.
library TcbBlob {
    /// @notice Offset of the platform's levels in a packed TCB info.
    uint256 internal constant TCB_LEVELS = 38;
    /// @notice Bytes of a platform's level.
    uint256 internal constant TCB_LEVEL = 42;
    /// @notice Bytes of a module identity before its levels.
    uint256 internal constant MODULE = 34;
    /// @notice Bytes of a level of a module or an enclave.
    uint256 internal constant ISV_LEVEL = 10;
    /// @notice Offset of the levels in a packed QE identity.
    uint256 internal constant QE_LEVELS = 78;
    /// @notice Advisory codes from here on stand for texts.
    uint256 internal constant TEXT_CODE = 0x800000;

    /// @notice The 32 bytes from `pos` on. It may read past the end: the caller uses only bytes inside the blob.
    function word(bytes memory blob, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(blob, 32), pos))
        }
    }

    /// @notice PCEID of a packed TCB info.
    function pceId(bytes memory tcb) internal pure returns (uint256) {
        return uint16(word(tcb, 0) >> 208);
    }

    /// @notice Writes the `length` highest bytes of `value` at `pos` and returns the position after them. The 32 bytes
    /// from `pos` on are overwritten.
    /// @param pos offset in `blob`.
    /// @param value the bytes, left-aligned.
    /// @param length number of bytes.
    function put(bytes memory blob, uint256 pos, uint256 value, uint256 length) internal pure returns (uint256) {
        assembly ("memory-safe") {
            mstore(add(add(blob, 32), pos), value)
        }
        unchecked {
            return pos + length;
        }
    }

    /// @notice Writes the advisory ids of a level into memory at `place`, one in each word, and returns the position
    /// after them.
    /// @param place memory address of the first id.
    function advisories(bytes memory blob, Level level, uint256 place) internal pure returns (uint256) {
        unchecked {
            uint256 count = level.advisoryCount();
            if (count == 0) return place;
            uint256 pos = uint16(word(blob, 0) >> 224) + 3 * level.firstAdvisory();
            for (uint256 end = pos + 3 * count; pos < end; pos += 3) {
                bytes32 id = advisory(blob, word(blob, pos) >> 232);
                assembly ("memory-safe") {
                    mstore(place, id)
                }
                place += 32;
            }
            return place;
        }
    }

    /// @notice The id behind a code of three bytes.
    /// @param code number of an Intel advisory, or the index of a text.
    function advisory(bytes memory blob, uint256 code) internal pure returns (bytes32) {
        unchecked {
            if (code >= TEXT_CODE) return bytes32(word(blob, blob.length - 32 * (code - TEXT_CODE + 1)));
            uint256 digits = (code & 0xf) | ((code & 0xf0) << 4) | ((code & 0xf00) << 8);
            digits |= 0x3030303030 | ((code & 0xf000) << 12) | ((code & 0xf0000) << 16);
            return bytes32("INTEL-SA-") | bytes32(digits << 144);
        }
    }
}

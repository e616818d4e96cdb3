// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice One status with its date and advisories: status 1 | date 4 | first advisory 2 | their number 1.
type Level is uint64;

using LevelLib for Level global;

library LevelLib {
    function pack(
        uint256 status_,
        uint256 date_,
        uint256 firstAdvisory_,
        uint256 advisoryCount_
    ) internal pure returns (Level) {
        return Level.wrap(uint64((status_ << 56) | (date_ << 24) | (firstAdvisory_ << 8) | advisoryCount_));
    }

    /// @notice A `TcbStatus`; `None` stands for a status string that this verifier does not know.
    function status(Level level) internal pure returns (uint256) {
        return Level.unwrap(level) >> 56;
    }

    function date(Level level) internal pure returns (uint256) {
        return uint32(Level.unwrap(level) >> 24);
    }

    function firstAdvisory(Level level) internal pure returns (uint256) {
        return uint16(Level.unwrap(level) >> 8);
    }

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
    uint256 internal constant TCB_LEVELS = 38;
    uint256 internal constant TCB_LEVEL = 42;
    uint256 internal constant MODULE = 34;
    uint256 internal constant ISV_LEVEL = 10;
    uint256 internal constant QE_LEVELS = 78;
    uint256 internal constant TEXT_CODE = 0x800000;

    /// @notice The 32 bytes at `pos`.
    function word(bytes memory blob, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(blob, 32), pos))
        }
    }

    function pceId(bytes memory tcb) internal pure returns (uint256) {
        return uint16(word(tcb, 0) >> 208);
    }

    /// @notice Puts the `length` highest bytes of `value` at `pos`; up to 32 bytes are overwritten.
    function put(bytes memory blob, uint256 pos, uint256 value, uint256 length) internal pure returns (uint256) {
        assembly ("memory-safe") {
            mstore(add(add(blob, 32), pos), value)
        }
        unchecked {
            return pos + length;
        }
    }

    /// @notice Writes the ids of a level's advisories to `place` in memory; returns where they end.
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

    /// @notice The id that an advisory's three bytes stand for.
    function advisory(bytes memory blob, uint256 code) internal pure returns (bytes32) {
        unchecked {
            if (code >= TEXT_CODE) return bytes32(word(blob, blob.length - 32 * (code - TEXT_CODE + 1)));
            uint256 digits = (code & 0xf) | ((code & 0xf0) << 4) | ((code & 0xf00) << 8);
            digits |= 0x3030303030 | ((code & 0xf000) << 12) | ((code & 0xf0000) << 16);
            return bytes32("INTEL-SA-") | bytes32(digits << 144);
        }
    }
}

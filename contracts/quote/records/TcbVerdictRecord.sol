// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice The verdict on one TCB of one host, with the collateral on which it rests. A record keeps it: seven words in
/// this layout, then the advisories. A later quote of the same TCB then needs only its signature checked.
struct TcbVerdict {
    /// @notice The small numbers, packed; see `TcbVerdictWord`.
    TcbVerdictWord facts;
    /// @notice TEE_TCB_SVN ‖ TEE_TCB_SVN2.
    uint256 svns;
    /// @notice keccak-256 of the attestation key.
    bytes32 keyHash;
    /// @notice keccak-256 of MRSIGNERSEAM ‖ SEAMATTRIBUTES.
    bytes32 moduleHash;
    /// @notice SHA-256 of the PPID.
    bytes32 deviceId;
    /// @notice Platform instance id (16 bytes) ‖ oldest issue date of TCB info and QE identity (16, unix seconds).
    uint256 instanceAndDate;
    /// @notice Address of the host's PCK record (20 bytes), with which a quote is verified when this verdict is no
    /// longer good.
    bytes32 pckRecord;
}

/// @notice From the highest byte: status (1 byte), launch status (1), current status (1), number of the CA (1),
/// evaluation number of the TCB info (1), of the QE identity (1), signers (1), cap (1), set epoch (3), TCB epoch (3),
/// unused (1), TCB date (4), earliest end of everything except CRLs (5), FMSPC (6), number of advisories (2). Signers
/// are bits of `Freshness.revoked`: if one is set there, the verdict is no longer good.
type TcbVerdictWord is uint256;

using TcbVerdictWordLib for TcbVerdictWord global;

/// @notice Reads the fields of a `TcbVerdictWord`.
library TcbVerdictWordLib {
    /// @notice The status that counts, a number of `TcbStatus`.
    function status(TcbVerdictWord facts) internal pure returns (uint256) {
        return TcbVerdictWord.unwrap(facts) >> 248;
    }

    /// @notice Status of the TCB that launched the TD.
    function launchStatus(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 240);
    }

    /// @notice Status of the TCB that runs the TD now.
    function currentStatus(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 232);
    }

    /// @notice Number of the CA that issued the PCK certificate, in the collateral store.
    function ca(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 224);
    }

    /// @notice Evaluation number of the TCB info.
    function tcbNumber(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 216);
    }

    /// @notice Evaluation number of the QE identity.
    function qeNumber(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 208);
    }

    /// @notice TCB signing keys of both documents, as bits of `Freshness.revoked`.
    function signers(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 200);
    }

    /// @notice Cap, set epoch and TCB epoch. The verdict is good only while they are the same.
    function conditions(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint64(TcbVerdictWord.unwrap(facts) >> 136);
    }

    /// @notice Oldest date of the matching levels, unix seconds.
    function tcbDate(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint32(TcbVerdictWord.unwrap(facts) >> 104);
    }

    /// @notice Earliest end of PCK certificate, TCB info and QE identity, unix seconds.
    function until(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint40(TcbVerdictWord.unwrap(facts) >> 64);
    }

    /// @notice Platform family.
    function fmspc(TcbVerdictWord facts) internal pure returns (bytes6) {
        return bytes6(uint48(TcbVerdictWord.unwrap(facts) >> 16));
    }

    /// @notice Number of advisory ids after the seven words.
    function advisoryCount(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint16(TcbVerdictWord.unwrap(facts));
    }
}

/// @notice Packs and opens records of verdicts: one byte for the kind, seven words, the advisories.
library TcbVerdictRecord {
    /// @notice First byte of a record of this kind.
    uint256 internal constant KIND = 2;

    /// @notice The verdict in a record, without a copy. `record` must be of this kind.
    function open(bytes memory record) internal pure returns (TcbVerdict memory tcbVerdict) {
        assembly ("memory-safe") {
            tcbVerdict := add(record, 33)
        }
    }

    /// @notice The advisory ids in a record, without a copy. It overwrites the last word of the verdict with the length
    /// of the list, so read `pckRecord` before.
    function advisories(bytes memory record, uint256 count) internal pure returns (bytes32[] memory list) {
        assembly ("memory-safe") {
            // the list is laid over its record: its length takes the place of the host's address
            list := add(record, 225)
            mstore(list, count)
        }
    }

    /// @notice The record of a verdict.
    function pack(TcbVerdict memory tcbVerdict, bytes32[] memory list) internal pure returns (bytes memory) {
        return
            abi.encodePacked(
                uint8(KIND),
                TcbVerdictWord.unwrap(tcbVerdict.facts),
                tcbVerdict.svns,
                tcbVerdict.keyHash,
                tcbVerdict.moduleHash,
                tcbVerdict.deviceId,
                tcbVerdict.instanceAndDate,
                tcbVerdict.pckRecord,
                list
            );
    }

    /// @notice The conditions that are present now, in the form of `TcbVerdictWord.conditions`.
    function conditions(uint256 cap, uint256 setEpoch, uint256 tcbEpoch) internal pure returns (uint256) {
        return (cap << 56) | (setEpoch << 32) | (tcbEpoch << 8);
    }
}

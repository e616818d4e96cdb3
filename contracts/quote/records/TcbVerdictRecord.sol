// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice How the TCB of one host and one TDX module was judged, and under which collateral, as it lies in a record:
/// seven words. The advisories follow.
struct TcbVerdict {
    TcbVerdictWord facts;
    /// @notice TEE_TCB_SVN ‖ TEE_TCB_SVN2.
    uint256 svns;
    /// @notice keccak-256 of the attestation key, and of MRSIGNERSEAM ‖ SEAMATTRIBUTES.
    bytes32 keyHash;
    bytes32 moduleHash;
    bytes32 deviceId;
    /// @notice Platform instance id 16 | oldest issue date of TCB info and QE identity 16.
    uint256 instanceAndDate;
    /// @notice Record of the host (20 bytes): judged anew with it when this one is no longer good.
    bytes32 pckRecord;
}

/// @notice status 1 | of the launch 1 | current 1 | CA 1 | number of TCB info 1 | of QE identity 1 | signers 1 | cap 1
/// | set epoch 3 | TCB epoch 3 | 0 1 | TCB date 4 | earliest end of everything but the CRLs 5 | FMSPC 6
/// | advisories 2. Signers are the bits of `Freshness.revoked` that end it.
type TcbVerdictWord is uint256;

using TcbVerdictWordLib for TcbVerdictWord global;

library TcbVerdictWordLib {
    /// @notice The status that counts, a `TcbStatus`.
    function status(TcbVerdictWord facts) internal pure returns (uint256) {
        return TcbVerdictWord.unwrap(facts) >> 248;
    }

    function launchStatus(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 240);
    }

    function currentStatus(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 232);
    }

    /// @notice The number of the CA in the store.
    function ca(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 224);
    }

    function tcbNumber(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 216);
    }

    function qeNumber(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 208);
    }

    function signers(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint8(TcbVerdictWord.unwrap(facts) >> 200);
    }

    /// @notice Cap, set epoch, TCB epoch: good while these are the same.
    function conditions(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint64(TcbVerdictWord.unwrap(facts) >> 136);
    }

    function tcbDate(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint32(TcbVerdictWord.unwrap(facts) >> 104);
    }

    function until(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint40(TcbVerdictWord.unwrap(facts) >> 64);
    }

    function fmspc(TcbVerdictWord facts) internal pure returns (bytes6) {
        return bytes6(uint48(TcbVerdictWord.unwrap(facts) >> 16));
    }

    function advisoryCount(TcbVerdictWord facts) internal pure returns (uint256) {
        return uint16(TcbVerdictWord.unwrap(facts));
    }
}

/// @notice How a tcbVerdict lies in the code of an account: a kind, seven words, the advisories.
library TcbVerdictRecord {
    uint256 internal constant KIND = 2;

    /// @notice The tcbVerdict of a record, read where it stands; `record` must be one of this kind.
    function open(bytes memory record) internal pure returns (TcbVerdict memory tcbVerdict) {
        assembly ("memory-safe") {
            tcbVerdict := add(record, 33)
        }
    }

    function advisories(bytes memory record, uint256 count) internal pure returns (bytes32[] memory list) {
        assembly ("memory-safe") {
            // the list is laid over its record: its length takes the place of the host's address
            list := add(record, 225)
            mstore(list, count)
        }
    }

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

    /// @notice `TcbVerdictWord.conditions` as they have to be.
    function conditions(uint256 cap, uint256 setEpoch, uint256 tcbEpoch) internal pure returns (uint256) {
        return (cap << 56) | (setEpoch << 32) | (tcbEpoch << 8);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice How the TCB of one host and one TDX module was judged, and under which collateral, as it lies in a record:
/// seven words. The advisories follow.
struct Judgement {
    JudgementFacts facts;
    /// @notice TEE_TCB_SVN ‖ TEE_TCB_SVN2.
    uint256 svns;
    /// @notice keccak-256 of the attestation key, and of MRSIGNERSEAM ‖ SEAMATTRIBUTES.
    bytes32 keyHash;
    bytes32 moduleHash;
    bytes32 deviceId;
    /// @notice Platform instance id 16 | oldest issue date of TCB info and QE identity 16.
    uint256 instanceAndDate;
    /// @notice Record of the host (20 bytes): judged anew with it when this one is no longer good.
    bytes32 host;
}

/// @notice status 1 | of the launch 1 | current 1 | CA 1 | number of TCB info 1 | of QE identity 1 | signers 1 | cap 1
/// | set epoch 3 | TCB epoch 3 | 0 1 | TCB date 4 | earliest end of everything but the CRLs 5 | FMSPC 6
/// | advisories 2. Signers are the bits of `Freshness.revoked` that end it.
type JudgementFacts is uint256;

using JudgementFactsLib for JudgementFacts global;

library JudgementFactsLib {
    /// @notice The status that counts, a `TcbStatus`.
    function status(JudgementFacts facts) internal pure returns (uint256) {
        return JudgementFacts.unwrap(facts) >> 248;
    }

    function launchStatus(JudgementFacts facts) internal pure returns (uint256) {
        return uint8(JudgementFacts.unwrap(facts) >> 240);
    }

    function currentStatus(JudgementFacts facts) internal pure returns (uint256) {
        return uint8(JudgementFacts.unwrap(facts) >> 232);
    }

    /// @notice The number of the CA in the store.
    function ca(JudgementFacts facts) internal pure returns (uint256) {
        return uint8(JudgementFacts.unwrap(facts) >> 224);
    }

    function tcbNumber(JudgementFacts facts) internal pure returns (uint256) {
        return uint8(JudgementFacts.unwrap(facts) >> 216);
    }

    function qeNumber(JudgementFacts facts) internal pure returns (uint256) {
        return uint8(JudgementFacts.unwrap(facts) >> 208);
    }

    function signers(JudgementFacts facts) internal pure returns (uint256) {
        return uint8(JudgementFacts.unwrap(facts) >> 200);
    }

    /// @notice Cap, set epoch, TCB epoch: good while these are the same.
    function conditions(JudgementFacts facts) internal pure returns (uint256) {
        return uint64(JudgementFacts.unwrap(facts) >> 136);
    }

    function tcbDate(JudgementFacts facts) internal pure returns (uint256) {
        return uint32(JudgementFacts.unwrap(facts) >> 104);
    }

    function until(JudgementFacts facts) internal pure returns (uint256) {
        return uint40(JudgementFacts.unwrap(facts) >> 64);
    }

    function fmspc(JudgementFacts facts) internal pure returns (bytes6) {
        return bytes6(uint48(JudgementFacts.unwrap(facts) >> 16));
    }

    function advisoryCount(JudgementFacts facts) internal pure returns (uint256) {
        return uint16(JudgementFacts.unwrap(facts));
    }
}

/// @notice How a judgement lies in the code of an account: a kind, seven words, the advisories.
library VerdictRecord {
    uint256 internal constant KIND = 2;

    /// @notice The judgement of a record, read where it stands; `record` must be one of this kind.
    function open(bytes memory record) internal pure returns (Judgement memory judgement) {
        assembly ("memory-safe") {
            judgement := add(record, 33)
        }
    }

    function advisories(bytes memory record, uint256 count) internal pure returns (bytes32[] memory list) {
        assembly ("memory-safe") {
            // the list is laid over its record: its length takes the place of the host's address
            list := add(record, 225)
            mstore(list, count)
        }
    }

    function pack(Judgement memory judgement, bytes32[] memory list) internal pure returns (bytes memory) {
        return
            abi.encodePacked(
                uint8(KIND),
                JudgementFacts.unwrap(judgement.facts),
                judgement.svns,
                judgement.keyHash,
                judgement.moduleHash,
                judgement.deviceId,
                judgement.instanceAndDate,
                judgement.host,
                list
            );
    }

    /// @notice `JudgementFacts.conditions` as they have to be.
    function conditions(uint256 cap, uint256 setEpoch, uint256 tcbEpoch) internal pure returns (uint256) {
        return (cap << 56) | (setEpoch << 32) | (tcbEpoch << 8);
    }
}

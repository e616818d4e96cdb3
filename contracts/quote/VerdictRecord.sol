// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {TcbStatus} from "../types/Report.sol";
import {Issuer} from "./ICollateralStore.sol";

/// @notice How the TCB of one host and one TDX module was judged, and under which collateral.
struct Judgement {
    TcbStatus status;
    TcbStatus launchStatus;
    TcbStatus currentStatus;
    Issuer ca;
    uint256 tcbNumber;
    uint256 qeNumber;
    /// @notice Bits of `Freshness.revoked` that end it.
    uint256 signers;
    uint256 tcbDate;
    /// @notice Earliest end of everything but the CRLs.
    uint256 until;
    uint256 issuedAt;
    bytes6 fmspc;
    bytes32 deviceId;
    bytes16 platformInstanceId;
    bytes32[] advisories;
    // good while these are the same
    uint256 cap;
    uint256 setEpoch;
    uint256 tcbEpoch;
    uint256 caEpoch;
    /// @notice TEE_TCB_SVN ‖ TEE_TCB_SVN2.
    uint256 svns;
    /// @notice keccak-256 of the attestation key, and of MRSIGNERSEAM ‖ SEAMATTRIBUTES.
    bytes32 keyHash;
    bytes32 moduleHash;
    /// @notice Record of the host: judged anew with it when this one is no longer good.
    address host;
}

/// @notice How a judgement lies in the code of an account: a kind, seven words, the advisories.
library VerdictRecord {
    uint256 internal constant KIND = 2;

    function pack(Judgement memory judgement) internal pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(
            uint8(KIND),
            judgement.status,
            judgement.launchStatus,
            judgement.currentStatus,
            judgement.ca,
            uint8(judgement.tcbNumber),
            uint8(judgement.qeNumber),
            uint8(judgement.signers),
            uint8(judgement.cap),
            uint24(judgement.setEpoch),
            uint24(judgement.tcbEpoch),
            uint8(judgement.caEpoch)
        );
        return
            abi.encodePacked(
                head,
                uint32(judgement.tcbDate),
                uint40(judgement.until),
                judgement.fmspc,
                uint16(judgement.advisories.length),
                judgement.svns,
                judgement.keyHash,
                judgement.moduleHash,
                judgement.deviceId,
                judgement.platformInstanceId,
                uint128(judgement.issuedAt),
                bytes32(bytes20(judgement.host)),
                judgement.advisories
            );
    }

    function unpack(bytes memory record) internal pure returns (Judgement memory judgement) {
        unchecked {
            uint256 word = _word(record, 0);
            judgement.status = TcbStatus(word >> 248);
            judgement.launchStatus = TcbStatus(uint8(word >> 240));
            judgement.currentStatus = TcbStatus(uint8(word >> 232));
            judgement.ca = Issuer(uint8(word >> 224));
            judgement.tcbNumber = uint8(word >> 216);
            judgement.qeNumber = uint8(word >> 208);
            judgement.signers = uint8(word >> 200);
            judgement.cap = uint8(word >> 192);
            judgement.setEpoch = uint24(word >> 168);
            judgement.tcbEpoch = uint24(word >> 144);
            judgement.caEpoch = uint8(word >> 136);
            judgement.tcbDate = uint32(word >> 104);
            judgement.until = uint40(word >> 64);
            judgement.fmspc = bytes6(uint48(word >> 16));
            judgement.svns = _word(record, 1);
            judgement.keyHash = bytes32(_word(record, 2));
            judgement.moduleHash = bytes32(_word(record, 3));
            judgement.deviceId = bytes32(_word(record, 4));
            judgement.platformInstanceId = bytes16(uint128(_word(record, 5) >> 128));
            judgement.issuedAt = uint128(_word(record, 5));
            judgement.host = host(record);
            bytes32[] memory advisories = new bytes32[](uint16(word));
            for (uint256 i = 0; i < advisories.length; ++i) advisories[i] = bytes32(_word(record, 7 + i));
            judgement.advisories = advisories;
        }
    }

    /// @notice The record of the host that was judged.
    function host(bytes memory record) internal pure returns (address) {
        return address(bytes20(bytes32(_word(record, 6))));
    }

    function _word(bytes memory record, uint256 index) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(record, 33), mul(32, index)))
        }
    }
}

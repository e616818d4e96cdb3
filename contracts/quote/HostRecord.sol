// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {TcbStatus} from "../types/Report.sol";
import {Issuer} from "./ICollateralStore.sol";

/// @notice What the PCK certificate and the QE report of a quote prove: the part that any later quote of the same
/// attestation key proves again.
struct Host {
    // PCK certificate
    uint256 x;
    uint256 y;
    uint256 serial;
    uint256 notAfter;
    Issuer ca;
    uint256 caEpoch;
    uint256 components;
    uint256 pceSvn;
    bytes2 pceId;
    bytes6 fmspc;
    bytes16 ppid;
    bytes16 platformInstanceId;
    // QE report
    bytes32 keyHash;
    bytes4 miscSelect;
    bytes16 attributes;
    bytes32 signer;
    uint256 product;
    uint256 svn;
    // How CRL and QE identity judged that, good while `setEpoch` and `cap` are the same
    uint256 setEpoch;
    uint256 cap;
    TcbStatus qeStatus;
    uint256 qeDate;
    uint256 qeNumber;
    uint256 qeIssuedAt;
    uint256 qeUntil;
    uint256 qeDocumentSigner;
}

/// @notice How a host lies in the code of an account: a kind and eight words.
library HostRecord {
    uint256 internal constant KIND = 1;
    uint256 internal constant LENGTH = 257;

    function pack(Host memory host) internal pure returns (bytes memory) {
        return bytes.concat(bytes1(uint8(KIND)), _certificate(host), _qe(host));
    }

    function unpack(bytes memory record, Host memory host) internal pure {
        unchecked {
            uint256 word = _word(record, 0);
            host.qeStatus = TcbStatus(word >> 248);
            host.ca = Issuer(uint8(word >> 240));
            host.caEpoch = uint8(word >> 232);
            host.pceSvn = uint16(word >> 216);
            host.pceId = bytes2(uint16(word >> 200));
            host.fmspc = bytes6(uint48(word >> 152));
            host.product = uint16(word >> 136);
            host.svn = uint16(word >> 120);
            host.setEpoch = uint24(word >> 96);
            host.cap = uint8(word >> 88);
            host.qeNumber = uint8(word >> 80);
            host.qeDocumentSigner = uint8(word >> 72);
            host.miscSelect = bytes4(uint32(word >> 40));
            host.notAfter = uint40(word);
            word = _word(record, 1);
            host.components = word >> 128;
            host.ppid = bytes16(uint128(word));
            word = _word(record, 2);
            host.platformInstanceId = bytes16(uint128(word >> 128));
            host.attributes = bytes16(uint128(word));
            word = _word(record, 3);
            host.serial = word >> 96;
            host.qeUntil = uint32(word >> 64);
            host.qeIssuedAt = uint32(word >> 32);
            host.qeDate = uint32(word);
            host.x = _word(record, 4);
            host.y = _word(record, 5);
            host.signer = bytes32(_word(record, 6));
            host.keyHash = bytes32(_word(record, 7));
        }
    }

    function _certificate(Host memory host) private pure returns (bytes memory) {
        return
            abi.encodePacked(
                host.qeStatus,
                host.ca,
                uint8(host.caEpoch),
                uint16(host.pceSvn),
                host.pceId,
                host.fmspc,
                uint16(host.product),
                uint16(host.svn),
                uint24(host.setEpoch),
                uint8(host.cap),
                uint8(host.qeNumber),
                uint8(host.qeDocumentSigner),
                host.miscSelect
            );
    }

    function _qe(Host memory host) private pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(
            uint40(host.notAfter),
            uint128(host.components),
            host.ppid,
            host.platformInstanceId,
            host.attributes,
            uint160(host.serial),
            uint32(host.qeUntil),
            uint32(host.qeIssuedAt),
            uint32(host.qeDate)
        );
        return abi.encodePacked(head, host.x, host.y, host.signer, host.keyHash);
    }

    function _word(bytes memory record, uint256 index) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(record, 33), mul(32, index)))
        }
    }
}

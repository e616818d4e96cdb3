// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "./CodeStore.sol";
import {Digest} from "./Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {DocumentLib, DocumentWord} from "./Slots.sol";

/// @notice What is kept of an issuer's certificate: everything that its signatures are checked against.
struct IssuerRecord {
    uint256 x;
    uint256 y;
    /// @notice keccak-256 of the name in DER.
    bytes32 name;
    uint256 serial;
    /// @notice The earlier end of the certificate and its root.
    uint256 notAfter;
    /// @notice keccak-256 and length of the PEM text of the certificate and its root.
    bytes32 chainHash;
    uint256 chainLength;
    /// @notice Of TCB signing certificates: which serial number this is, counted from 0.
    uint256 generation;
}

struct IssuerSlot {
    address record;
    uint40 notBefore;
    uint40 notAfter;
}

/// @notice The root that everything has to lead back to, and who checks signatures.
struct Trust {
    address p256;
    uint256 x;
    uint256 y;
    /// @notice keccak-256 of the root's name in DER.
    bytes32 name;
    uint256 notAfter;
}

/// @notice All that the store keeps.
struct Collateral {
    ICollateralStore.Freshness freshness;
    mapping(bytes32 family => ICollateralStore.DocumentSlot) newest;
    mapping(bytes32 family => mapping(uint256 number => ICollateralStore.DocumentSlot)) older;
    /// @notice Bit n set: number n is among the older ones.
    mapping(bytes32 family => uint256) held;
    mapping(Issuer => IssuerSlot) issuers;
    mapping(Issuer => ICollateralStore.CrlSlot) crls;
    /// @notice keccak-256 of the serial numbers as listed: tells whether only the dates of a CRL moved.
    mapping(Issuer => bytes32) listed;
    /// @notice Serial numbers of the TCB signing certificates, in the order in which they came.
    uint256[] signerSerials;
    uint256 numbersIssuedAt;
}

using {CollateralLib.documentUnder, CollateralLib.issuer} for Collateral global;
using {CollateralLib.requireSigned} for Trust global;

library CollateralLib {
    /// @notice The document with the highest number that is not above `cap`; empty when there is none.
    function documentUnder(
        Collateral storage self,
        bytes32 family,
        uint256 cap
    ) internal view returns (DocumentWord word) {
        word = DocumentLib.load(self.newest[family]);
        if (word.evaluationNumber() <= cap) return word;
        uint256 held = self.held[family];
        uint256 number = cap;
        while (number != 0 && (held >> number) & 1 == 0) --number;
        return DocumentLib.load(self.older[family][number]);
    }

    function issuer(Collateral storage self, Issuer which) internal view returns (IssuerRecord memory record) {
        address pointer = self.issuers[which].record;
        if (pointer == address(0)) return record;
        bytes memory words = CodeStore.read(pointer);
        assembly ("memory-safe") {
            // eight words, as `abi.encode` has written them
            record := add(words, 32)
        }
    }

    /// @notice The CA that issues in the name `commonName`; `Root` when it is neither.
    function caNamed(bytes32 commonName) internal pure returns (Issuer) {
        if (commonName == "Intel SGX PCK Platform CA") return Issuer.PlatformCa;
        if (commonName == "Intel SGX PCK Processor CA") return Issuer.ProcessorCa;
        return Issuer.Root;
    }

    /// @notice Not from the future, and in force for some time until 2106.
    function requireDates(uint256 issuedAt, uint256 nextUpdate) internal view {
        require(
            issuedAt <= block.timestamp && issuedAt < nextUpdate && nextUpdate >> 32 == 0,
            ICollateralStore.CollateralDates(issuedAt, nextUpdate)
        );
    }

    function requireSigned(
        Trust memory trust,
        bytes32 digest,
        uint256 r,
        uint256 s,
        Issuer signer,
        uint256 x,
        uint256 y
    ) internal view {
        require(Digest.isSigned(trust.p256, digest, r, s, x, y), ICollateralStore.SignatureInvalid(signer));
    }

    function min(uint256 a, uint256 b) internal pure returns (uint256 lower) {
        assembly ("memory-safe") {
            lower := xor(b, mul(xor(a, b), lt(a, b)))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "../records/CodeStore.sol";
import {Digest} from "../cryptography/Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {DocumentLib, DocumentWord} from "./StorageSlots.sol";

/// @notice The key and the name of an issuer: everything that its signatures are checked against.
struct IssuerRecord {
    uint256 x;
    uint256 y;
    /// @notice keccak-256 of the name in DER.
    bytes32 name;
}

/// @notice One issuer: a key with a name, whatever certificates the root has given it.
struct IssuerSlot {
    /// @notice The account whose code is the `IssuerRecord`. It never changes.
    address record;
    /// @notice Of the certificate that lasts longest among those that the root CRL does not list.
    uint40 notBefore;
    uint40 notAfter;
    /// @notice Number of the next issuer with the same task; 0 when there is none.
    uint8 next;
}

/// @notice One certificate of an issuer, without its signature: a signature has a second form that is as valid.
struct CertificateSlot {
    uint160 serial;
    uint40 notBefore;
    /// @notice The earlier end of the certificate and its root.
    uint40 notAfter;
    /// @notice Number of the issuer; 0 for no certificate.
    uint8 issuer;
}

/// @notice What Intel's list of evaluation numbers says beyond the standard number of now.
struct NumbersSlot {
    uint32 issuedAt;
    /// @notice Which TCB signing key signed the list, counted from 0.
    uint8 signer;
    /// @notice The standard number before `since`, or a week before the list was stored.
    uint8 previous;
    /// @notice Since when the standard number is the standard one.
    uint32 since;
    /// @notice The number that becomes the standard one at `nextFrom`, if that is not 0, and stays it until `nextUntil`.
    uint8 next;
    uint32 nextFrom;
    uint32 nextUntil;
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
    /// @notice By number: 1 the first Platform CA, 2 the first Processor CA, 3 to 8 the TCB signing keys, 9 to 16
    /// further CAs.
    mapping(uint256 issuer => IssuerSlot) issuers;
    /// @notice By the number of the issuer; 0 is the root.
    mapping(uint256 issuer => ICollateralStore.CrlSlot) crls;
    /// @notice keccak-256 of the serial numbers as listed: tells whether only the dates of a CRL moved.
    mapping(uint256 issuer => bytes32) listed;
    /// @notice By keccak-256 of the PEM text of a certificate and its root: whose it is.
    mapping(bytes32 text => CertificateSlot) chains;
    NumbersSlot numbers;
    /// @notice By the number of the issuer: every certificate it was shown with.
    mapping(uint256 issuer => CertificateSlot[]) certificates;
}

using {CollateralLib.documentUnder} for Collateral global;
using {CollateralLib.requireSigned} for Trust global;

library CollateralLib {
    /// @notice The first number of CAs beyond the first of each name.
    uint256 internal constant FIRST_FURTHER_CA = 9;
    /// @notice How long the standard number before the one of now counts where something is taken away.
    uint256 internal constant SETTLING = 7 days;

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

    /// @notice What `record` of an issuer's slot holds.
    function recordOf(address pointer) internal view returns (IssuerRecord memory record) {
        bytes memory words = CodeStore.read(pointer);
        assembly ("memory-safe") {
            // three words, as `abi.encode` has written them
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

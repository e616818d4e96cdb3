// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "../records/CodeStore.sol";
import {Digest} from "../cryptography/Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {DocumentLib, DocumentWord} from "./StorageSlots.sol";

/// @notice Key and name of an issuer: everything that is needed to check its signatures.
struct IssuerRecord {
    /// @notice Public key, P-256.
    uint256 x;
    /// @notice Its second coordinate.
    uint256 y;
    /// @notice keccak-256 of the name in DER.
    bytes32 name;
}

/// @notice One issuer: a key with a name. The root may have given it several certificates.
struct IssuerSlot {
    /// @notice Account whose code is the `IssuerRecord`. It never changes.
    address record;
    /// @notice Start of the certificate that lasts longest of those that the root CRL does not list, unix seconds.
    uint40 notBefore;
    /// @notice Its end, or that of its root if it is earlier.
    uint40 notAfter;
    /// @notice Number of the next issuer with the same task; 0 for the last.
    uint8 next;
}

/// @notice One certificate of an issuer. Its signature is not part of it, because an ECDSA signature has two valid
/// forms.
struct CertificateSlot {
    /// @notice Serial number.
    uint160 serial;
    /// @notice Start of validity, unix seconds.
    uint40 notBefore;
    /// @notice The earlier end of the certificate and its root.
    uint40 notAfter;
    /// @notice Number of the issuer; 0 for no certificate.
    uint8 issuer;
}

/// @notice Intel's list of evaluation numbers, without the standard number of now, which is in `Freshness`.
struct NumbersSlot {
    /// @notice Issue time of the list, unix seconds; 0 = no list is stored.
    uint32 issuedAt;
    /// @notice TCB signing key that signed the list, counted from 0.
    uint8 signer;
    /// @notice The settled number when the standard one came; 0 = there was no list.
    uint8 previous;
    /// @notice Time from which this store uses the standard number, unix seconds.
    uint32 since;
    /// @notice The number that becomes the standard one at `nextFrom`.
    uint8 next;
    /// @notice Unix seconds; 0 = the list announces no next number.
    uint32 nextFrom;
    /// @notice Last second in which `next` is the standard number by this list.
    uint32 nextUntil;
}

/// @notice The root of trust, and the contract that checks signatures.
struct Trust {
    /// @notice Precompile, or a contract with its interface.
    address p256;
    /// @notice Public key of the root certificate.
    uint256 x;
    /// @notice Its second coordinate.
    uint256 y;
    /// @notice keccak-256 of the root's name in DER.
    bytes32 name;
    /// @notice End of the root certificate, unix seconds.
    uint256 notAfter;
}

/// @notice Everything that the store keeps.
struct Collateral {
    /// @notice Ends of the CRLs, the standard number and the epochs: the slot that every verification reads.
    ICollateralStore.Freshness freshness;
    /// @notice Per family the document with the highest evaluation number.
    mapping(bytes32 family => ICollateralStore.DocumentSlot) newest;
    /// @notice The other documents, by family and evaluation number.
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
    /// @notice Intel's list of evaluation numbers.
    NumbersSlot numbers;
    /// @notice By the number of the issuer: every certificate it was shown with.
    mapping(uint256 issuer => CertificateSlot[]) certificates;
}

using {CollateralLib.documentUnder} for Collateral global;
using {CollateralLib.requireSigned} for Trust global;

/// @notice Rules that verifier and uploads share.
library CollateralLib {
    /// @notice Lowest number of a CA after the first Platform CA and the first Processor CA.
    uint256 internal constant FIRST_FURTHER_CA = 9;
    /// @notice Time for which the number that was settled before still counts where a proof would be ended.
    uint256 internal constant SETTLING = 7 days;

    /// @notice The document of a family with the highest evaluation number that is not above `cap`; all zero if no
    /// document has such a number.
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

    /// @notice The key and name of an issuer.
    /// @param pointer `IssuerSlot.record`.
    function recordOf(address pointer) internal view returns (IssuerRecord memory record) {
        bytes memory words = CodeStore.read(pointer);
        assembly ("memory-safe") {
            // three words, as `abi.encode` has written them
            record := add(words, 32)
        }
    }

    /// @notice The task of a CA with this common name; `Root` if it is neither of Intel's PCK CAs.
    function caNamed(bytes32 commonName) internal pure returns (Issuer) {
        if (commonName == "Intel SGX PCK Platform CA") return Issuer.PlatformCa;
        if (commonName == "Intel SGX PCK Processor CA") return Issuer.ProcessorCa;
        return Issuer.Root;
    }

    /// @notice Requires that a document is not from the future and ends before 2106, when its times would no longer fit
    /// into 32 bits. An expired document passes: its end is checked at each use.
    function requireDates(uint256 issuedAt, uint256 nextUpdate) internal view {
        require(
            issuedAt <= block.timestamp && issuedAt < nextUpdate && nextUpdate >> 32 == 0,
            ICollateralStore.CollateralDates(issuedAt, nextUpdate)
        );
    }

    /// @notice Reverts with `SignatureInvalid` unless (r, s) is a signature over `digest` by the key (x, y).
    /// @param signer the issuer, for the error.
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

    /// @notice The smaller number, without a jump.
    function min(uint256 a, uint256 b) internal pure returns (uint256 lower) {
        assembly ("memory-safe") {
            lower := xor(b, mul(xor(a, b), lt(a, b)))
        }
    }
}

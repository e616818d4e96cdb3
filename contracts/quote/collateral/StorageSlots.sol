// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore, Issuer} from "./ICollateralStore.sol";

/// @notice `Freshness` as one word. A verification needs half of its fields, and unpacking all of them would cost gas.
type FreshnessSlot is uint256;
/// @notice `DocumentSlot` as one word.
type DocumentWord is uint256;
/// @notice `CrlSlot` as one word.
type CrlWord is uint256;

using FreshnessLib for FreshnessSlot global;
using DocumentLib for DocumentWord global;
using CrlLib for CrlWord global;

/// @notice Reads the fields of `Freshness`; times are unix seconds.
library FreshnessLib {
    /// @dev Number of the first Platform CA.
    uint256 private constant PLATFORM_CA = uint256(Issuer.PlatformCa);

    /// @notice Reads the slot.
    function load(ICollateralStore.Freshness storage fresh) internal view returns (FreshnessSlot word) {
        assembly ("memory-safe") {
            word := sload(fresh.slot)
        }
    }

    /// @notice End of the root CRL.
    /// @return unix seconds.
    function rootCrlUntil(FreshnessSlot word) internal pure returns (uint256) {
        return uint32(FreshnessSlot.unwrap(word));
    }

    /// @notice End of the CRL of the first Platform CA or the first Processor CA.
    /// @param ca number of the issuer.
    /// @return unix seconds.
    function crlUntil(FreshnessSlot word, uint256 ca) internal pure returns (uint256) {
        return uint32(FreshnessSlot.unwrap(word) >> (ca == PLATFORM_CA ? 32 : 64));
    }

    /// @notice Issue time of that CRL, rounded down to an hour.
    function crlIssuedAt(FreshnessSlot word, uint256 ca) internal pure returns (uint256) {
        return 3600 * uint256(uint24(FreshnessSlot.unwrap(word) >> (ca == PLATFORM_CA ? 96 : 120)));
    }

    /// @notice Grows when a CRL, the QE identity or the standard number changes.
    function setEpoch(FreshnessSlot word) internal pure returns (uint256) {
        return uint24(FreshnessSlot.unwrap(word) >> 144);
    }

    /// @notice Grows when a TCB info or the standard number changes.
    function tcbEpoch(FreshnessSlot word) internal pure returns (uint256) {
        return uint24(FreshnessSlot.unwrap(word) >> 168);
    }

    /// @notice Bit n - 1 is set if all certificates of issuer n are revoked.
    function revoked(FreshnessSlot word) internal pure returns (uint256) {
        return uint16(FreshnessSlot.unwrap(word) >> 192);
    }

    /// @notice Whether the root CRL lists all certificates of the issuer with this number.
    function isRevoked(FreshnessSlot word, uint256 issuer) internal pure returns (bool) {
        return (revoked(word) >> (issuer - 1)) & 1 == 1;
    }

    /// @notice The same for a TCB signing key, counted from 0.
    function isSignerRevoked(FreshnessSlot word, uint256 signer) internal pure returns (bool) {
        return (FreshnessSlot.unwrap(word) >> (194 + signer)) & 1 == 1;
    }

    /// @notice The standard evaluation number; 0 = no list was stored.
    function standard(FreshnessSlot word) internal pure returns (uint256) {
        return uint8(FreshnessSlot.unwrap(word) >> 208);
    }

    /// @notice Last second in which it is the standard number by the stored list.
    /// @return unix seconds.
    function standardUntil(FreshnessSlot word) internal pure returns (uint256) {
        return uint32(FreshnessSlot.unwrap(word) >> 216);
    }
}

/// @notice Reads the fields of `DocumentSlot`; times are unix seconds.
library DocumentLib {
    /// @notice Reads the slot.
    function load(ICollateralStore.DocumentSlot storage document) internal view returns (DocumentWord word) {
        assembly ("memory-safe") {
            word := sload(document.slot)
        }
    }

    /// @notice Account with the packed document, or the levels of a usual QE identity.
    function blob(DocumentWord word) internal pure returns (address) {
        return address(uint160(DocumentWord.unwrap(word)));
    }

    /// @notice Issue time.
    /// @return unix seconds.
    function issuedAt(DocumentWord word) internal pure returns (uint256) {
        return uint32(DocumentWord.unwrap(word) >> 160);
    }

    /// @notice End of the document or of its signer's certificate, whichever is earlier.
    /// @return unix seconds.
    function until(DocumentWord word) internal pure returns (uint256) {
        return uint32(DocumentWord.unwrap(word) >> 192);
    }

    /// @notice Evaluation number.
    function evaluationNumber(DocumentWord word) internal pure returns (uint256) {
        return uint8(DocumentWord.unwrap(word) >> 224);
    }

    /// @notice TCB signing key, counted from 0.
    function signer(DocumentWord word) internal pure returns (uint256) {
        return uint8(DocumentWord.unwrap(word) >> 232);
    }

    /// @notice Number of levels in `blob`; 0 if `blob` is an account.
    function levels(DocumentWord word) internal pure returns (uint256) {
        return uint8(DocumentWord.unwrap(word) >> 240);
    }
}

/// @notice Reads the fields of `CrlSlot`; times are unix seconds.
library CrlLib {
    /// @notice Reads the slot.
    function load(ICollateralStore.CrlSlot storage crl) internal view returns (CrlWord word) {
        assembly ("memory-safe") {
            word := sload(crl.slot)
        }
    }

    /// @notice Account with the sorted serial numbers.
    function serials(CrlWord word) internal pure returns (address) {
        return address(uint160(CrlWord.unwrap(word)));
    }

    /// @notice Issue time.
    /// @return unix seconds.
    function issuedAt(CrlWord word) internal pure returns (uint256) {
        return uint40(CrlWord.unwrap(word) >> 160);
    }

    /// @notice Number of serial numbers.
    function count(CrlWord word) internal pure returns (uint256) {
        return uint16(CrlWord.unwrap(word) >> 200);
    }

    /// @notice End of the CRL or of its issuer's certificate, whichever is earlier.
    /// @return unix seconds.
    function until(CrlWord word) internal pure returns (uint256) {
        return uint32(CrlWord.unwrap(word) >> 216);
    }
}

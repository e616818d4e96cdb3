// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore, Issuer} from "./ICollateralStore.sol";

/// @notice `Freshness` as it lies in its slot: a quote needs half of it, and pays for every field taken apart.
type FreshnessSlot is uint256;
/// @notice `DocumentSlot` as it lies in its slot.
type DocumentWord is uint256;
/// @notice `CrlSlot` as it lies in its slot.
type CrlWord is uint256;

using FreshnessLib for FreshnessSlot global;
using DocumentLib for DocumentWord global;
using CrlLib for CrlWord global;

library FreshnessLib {
    uint256 private constant PLATFORM_CA = uint256(Issuer.PlatformCa);

    function load(ICollateralStore.Freshness storage fresh) internal view returns (FreshnessSlot word) {
        assembly ("memory-safe") {
            word := sload(fresh.slot)
        }
    }

    function rootCrlUntil(FreshnessSlot word) internal pure returns (uint256) {
        return uint32(FreshnessSlot.unwrap(word));
    }

    /// @notice Until when the CRL of the first CA of that name lasts.
    function crlUntil(FreshnessSlot word, uint256 ca) internal pure returns (uint256) {
        return uint32(FreshnessSlot.unwrap(word) >> (ca == PLATFORM_CA ? 32 : 64));
    }

    /// @notice When the CRL of the first CA of that name was issued, to the hour, in seconds.
    function crlIssuedAt(FreshnessSlot word, uint256 ca) internal pure returns (uint256) {
        return 3600 * uint256(uint24(FreshnessSlot.unwrap(word) >> (ca == PLATFORM_CA ? 96 : 120)));
    }

    function setEpoch(FreshnessSlot word) internal pure returns (uint256) {
        return uint24(FreshnessSlot.unwrap(word) >> 144);
    }

    function tcbEpoch(FreshnessSlot word) internal pure returns (uint256) {
        return uint24(FreshnessSlot.unwrap(word) >> 168);
    }

    function revoked(FreshnessSlot word) internal pure returns (uint256) {
        return uint16(FreshnessSlot.unwrap(word) >> 192);
    }

    /// @notice Whether the root CRL lists all certificates of the issuer with this number.
    function isRevoked(FreshnessSlot word, uint256 issuer) internal pure returns (bool) {
        return (revoked(word) >> (issuer - 1)) & 1 == 1;
    }

    /// @notice The same of a TCB signing key, counted from 0.
    function isSignerRevoked(FreshnessSlot word, uint256 signer) internal pure returns (bool) {
        return (FreshnessSlot.unwrap(word) >> (194 + signer)) & 1 == 1;
    }

    function standard(FreshnessSlot word) internal pure returns (uint256) {
        return uint8(FreshnessSlot.unwrap(word) >> 208);
    }

    function standardUntil(FreshnessSlot word) internal pure returns (uint256) {
        return uint32(FreshnessSlot.unwrap(word) >> 216);
    }
}

library DocumentLib {
    function load(ICollateralStore.DocumentSlot storage document) internal view returns (DocumentWord word) {
        assembly ("memory-safe") {
            word := sload(document.slot)
        }
    }

    function blob(DocumentWord word) internal pure returns (address) {
        return address(uint160(DocumentWord.unwrap(word)));
    }

    function issuedAt(DocumentWord word) internal pure returns (uint256) {
        return uint32(DocumentWord.unwrap(word) >> 160);
    }

    function until(DocumentWord word) internal pure returns (uint256) {
        return uint32(DocumentWord.unwrap(word) >> 192);
    }

    function evaluationNumber(DocumentWord word) internal pure returns (uint256) {
        return uint8(DocumentWord.unwrap(word) >> 224);
    }

    function signer(DocumentWord word) internal pure returns (uint256) {
        return uint8(DocumentWord.unwrap(word) >> 232);
    }

    function levels(DocumentWord word) internal pure returns (uint256) {
        return uint8(DocumentWord.unwrap(word) >> 240);
    }
}

library CrlLib {
    function load(ICollateralStore.CrlSlot storage crl) internal view returns (CrlWord word) {
        assembly ("memory-safe") {
            word := sload(crl.slot)
        }
    }

    function serials(CrlWord word) internal pure returns (address) {
        return address(uint160(CrlWord.unwrap(word)));
    }

    function issuedAt(CrlWord word) internal pure returns (uint256) {
        return uint40(CrlWord.unwrap(word) >> 160);
    }

    function count(CrlWord word) internal pure returns (uint256) {
        return uint16(CrlWord.unwrap(word) >> 200);
    }

    function until(CrlWord word) internal pure returns (uint256) {
        return uint32(CrlWord.unwrap(word) >> 216);
    }
}

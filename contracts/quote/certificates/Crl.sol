// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "../collateral/ICollateralStore.sol";
import {Der} from "../parsing/Der.sol";
import {Digest} from "../cryptography/Digest.sol";
import {X509} from "./X509.sol";

/// @notice A certificate revocation list (RFC 5280 §5), parsed. Its signature is not verified yet.
struct RevocationList {
    /// @notice SHA-256 of the signed part.
    bytes32 digest;
    /// @notice Signature, first half.
    uint256 r;
    /// @notice Signature, second half.
    uint256 s;
    /// @notice keccak-256 of the issuer's name in DER.
    bytes32 issuer;
    /// @notice CN of the issuer, left-aligned.
    bytes32 issuerCommonName;
    /// @notice Issue time, unix seconds.
    uint256 thisUpdate;
    /// @notice End, unix seconds.
    uint256 nextUpdate;
    /// @notice Serial numbers, 20 bytes each, in the order of the list.
    bytes serials;
}

/// @notice Parses CRLs, and keeps their serial numbers as a sorted set that is searched where it is stored.
library Crl {
    /// @notice Most entries of a CRL: so many serial numbers fit into the code of one account.
    uint256 internal constant MAX_ENTRIES = 1200;

    /// @dev Octets after the serial number of a usual entry: tag and length of a UTCTime, then the extension with the
    /// reason.
    uint256 private constant ENTRY_TAIL = 0x170d00000000000000000000000000300c300a0603551d1504030a01_00000000;
    /// @dev Octets of ENTRY_TAIL that are compared. The time and the reason may have any value.
    uint256 private constant ENTRY_MASK = 0xffff00000000000000000000000000ffffffffffffffffffffffffff_00000000;

    /// @notice Parses a CRL: version 2, ecdsa-with-SHA256, no critical extension. Reverts with `DerMalformed` and
    /// `CrlTooLong`.
    /// @param der the CRL.
    /// @return list issuer, times, serial numbers in the order of the CRL, and signature.
    function parse(bytes memory der) internal view returns (RevocationList memory list) {
        unchecked {
            uint256 tbs = Der.openLast(der, 0, der.length, Der.SEQUENCE);
            (uint256 pos, uint256 end) = Der.open(der, tbs, der.length, Der.SEQUENCE);
            list.digest = Digest.sha256Of(der, tbs, end - tbs);
            (list.r, list.s) = X509.signature(der, end, der.length);

            // version 2
            require(Der.word(der, pos) >> 232 == 0x020101, Der.DerMalformed(pos));
            pos = X509.algorithm(der, pos + 3);
            (list.issuer, list.issuerCommonName, pos) = X509.name(der, pos, end);
            (list.thisUpdate, pos) = Der.time(der, pos, end);
            (list.nextUpdate, pos) = Der.time(der, pos, end);
            // without revoked certificates, the list is absent
            if (Der.word(der, pos) >> 248 == Der.SEQUENCE) {
                uint256 next;
                uint256 listAt = pos;
                (pos, next) = Der.open(der, pos, end, Der.SEQUENCE);
                // and must not be present and empty (RFC 5280 §5.1.2.6)
                if (pos == next) revert Der.DerMalformed(listAt);
                list.serials = _entries(der, pos, next);
                pos = next;
            }
            _extensions(der, pos, end);
        }
    }

    /// @dev Reads the entries: SEQUENCE { serial INTEGER, revocationDate Time, [extensions] } each.
    function _entries(bytes memory der, uint256 pos, uint256 end) private pure returns (bytes memory serials) {
        unchecked {
            uint256 out;
            assembly ("memory-safe") {
                serials := mload(0x40)
                out := add(serials, 32)
            }
            uint256 limit = out + 20 * MAX_ENTRIES;
            while (pos < end) {
                (pos, out) = _usualEntries(der, pos, end, out, limit);
                if (pos == end) break;
                uint256 serial;
                (serial, pos) = _entry(der, pos, end);
                if (out >= limit) revert ICollateralStore.CrlTooLong(pos);
                assembly ("memory-safe") {
                    mstore(out, shl(96, serial))
                    out := add(out, 20)
                }
            }
            assembly ("memory-safe") {
                mstore(serials, sub(sub(out, serials), 32))
                mstore(0x40, and(add(out, 63), not(31)))
            }
        }
    }

    /// @dev Reads entries in the form in which Intel writes them, up to the first in another form or without room: a
    /// serial number of 20 octets (or 21 with a leading zero), a UTCTime and a reason. This is ten times cheaper than
    /// the general form.
    function _usualEntries(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 out,
        uint256 limit
    ) private pure returns (uint256, uint256) {
        assembly ("memory-safe") {
            let start := add(der, 32)
            let place := add(start, pos)
            let last := add(start, end)
            for {} lt(place, last) {} {
                let head := mload(place)
                let next := add(place, 53)
                let serial := shl(32, head)
                switch eq(shr(224, head), 0x30330214)
                case 1 {
                    // positive, and without an unnecessary zero octet
                    if gt(sub(shr(247, serial), 1), 254) {
                        break
                    }
                }
                default {
                    if iszero(eq(shr(215, head), 0x6068042a01)) {
                        break
                    }
                    serial := shl(40, head)
                    next := add(place, 54)
                }
                let isUsual := eq(and(mload(sub(next, 29)), ENTRY_MASK), ENTRY_TAIL)
                if iszero(and(and(isUsual, iszero(gt(next, last))), lt(out, limit))) {
                    break
                }
                mstore(out, serial)
                out := add(out, 20)
                place := next
            }
            pos := sub(place, start)
        }
        return (pos, out);
    }

    /// @dev Reads one entry of any form.
    /// @return serial the serial number, up to 20 octets.
    /// @return next position of the next entry.
    function _entry(bytes memory der, uint256 pos, uint256 end) private pure returns (uint256 serial, uint256 next) {
        unchecked {
            uint256 content;
            (content, next) = Der.open(der, pos, end, Der.SEQUENCE);
            (serial, content) = Der.integer(der, content, next);
            require(serial >> 160 == 0, Der.DerMalformed(pos));
            uint256 tag = Der.word(der, content) >> 248;
            require(tag == Der.UTC_TIME || tag == Der.GENERALIZED_TIME, Der.DerMalformed(content));
            (, content) = Der.open(der, content, next, tag);
            if (content != next) Der.openLast(der, content, next, Der.SEQUENCE);
        }
    }

    /// @dev Requires that no extension is critical. A critical one could say that the list is a delta CRL or covers
    /// only some of the certificates (RFC 5280 §5.2.4, §5.2.5), and then a missing serial number would prove nothing.
    function _extensions(bytes memory der, uint256 pos, uint256 end) private pure {
        pos = Der.openLast(der, pos, end, 0xa0);
        pos = Der.openLast(der, pos, end, Der.SEQUENCE);
        while (pos < end) {
            (uint256 content, uint256 next) = Der.open(der, pos, end, Der.SEQUENCE);
            (, content) = Der.open(der, content, next, Der.OID);
            Der.openLast(der, content, next, Der.OCTET_STRING);
            pos = next;
        }
    }

    /// @notice The same serial numbers in ascending order.
    /// @dev Insertion sort with a binary search and one copy for each entry, so that the gas does not depend on the
    /// order of the list. Places after the set are filled with the highest number, so that every search has the same
    /// number of steps. `test/contracts/quote/Crl.t.sol` compares the result with a plain sort.
    /// @param serials 20 bytes for each serial number.
    function sorted(bytes memory serials) internal pure returns (bytes memory result) {
        assembly ("memory-safe") {
            result := mload(0x40)
            let length := mload(serials)
            mstore(result, length)
            let first := add(result, 32)
            // one word more, because entries of 20 bytes are read as 32
            mstore(0x40, add(first, and(add(length, 63), not(31))))
            // room for 64 entries, doubled until all fit; the room after the set is not allocated
            let room := 1280
            for {} lt(room, length) {} {
                room := shl(1, room)
            }
            mstore(first, not(0))
            for {
                let filled := 32
            } lt(filled, room) {
                filled := shl(1, filled)
            } {
                mcopy(add(first, filled), first, filled)
            }
            let from := add(serials, 32)
            for {
                let end := first
                let last := add(first, length)
            } lt(end, last) {
                end := add(end, 20)
                from := add(from, 20)
            } {
                let word := and(mload(from), 0xffffffffffffffffffffffffffffffffffffffff000000000000000000000000)
                // binary search for the first entry that is not smaller
                let low := first
                for {
                    let half := shr(1, room)
                } gt(half, 640) {
                    half := shr(1, half)
                } {
                    low := add(low, mul(half, lt(mload(add(low, sub(half, 20))), word)))
                }
                low := add(low, mul(640, lt(mload(add(low, 620)), word)))
                low := add(low, mul(320, lt(mload(add(low, 300)), word)))
                low := add(low, mul(160, lt(mload(add(low, 140)), word)))
                low := add(low, mul(80, lt(mload(add(low, 60)), word)))
                low := add(low, mul(40, lt(mload(add(low, 20)), word)))
                low := add(low, mul(20, lt(mload(low), word)))
                mcopy(add(low, 20), low, sub(end, low))
                mstore(low, or(word, and(mload(low), 0xffffffffffffffffffffffff)))
            }
        }
    }

    /// @notice Whether a stored set contains a serial number. Binary search.
    /// @param pointer account that keeps the set, from `CodeStore`.
    /// @param count number of serial numbers in it.
    function contains(address pointer, uint256 count, uint256 serial) internal view returns (bool found) {
        assembly ("memory-safe") {
            // in free memory, which is not allocated
            let serials := mload(0x40)
            extcodecopy(pointer, serials, 1, mul(20, count))
            for {
                let low := 0
            } lt(low, count) {} {
                let middle := shr(1, add(low, count))
                let here := shr(96, mload(add(serials, mul(20, middle))))
                switch lt(here, serial)
                case 1 {
                    low := add(middle, 1)
                }
                default {
                    found := or(found, eq(here, serial))
                    count := middle
                }
            }
        }
    }
}

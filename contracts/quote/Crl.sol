// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "./ICollateralStore.sol";
import {Der} from "./Der.sol";
import {Digest} from "./Digest.sol";
import {X509} from "./X509.sol";

/// @notice A certificate revocation list (RFC 5280 §5), read and not yet believed.
struct RevocationList {
    /// @notice SHA-256 of the part that is signed.
    bytes32 digest;
    uint256 r;
    uint256 s;
    bytes32 issuer;
    bytes32 issuerCommonName;
    uint256 thisUpdate;
    uint256 nextUpdate;
    /// @notice Serial numbers, 20 bytes each, in the order of the list.
    bytes serials;
}

/// @notice CRLs and the exact set of serial numbers in one: packed, sorted, searched where it is stored.
library Crl {
    /// @notice More would not fit into the code of one account.
    uint256 internal constant MAX_ENTRIES = 1200;

    /// @dev Behind the serial number: UTCTime of 13 characters, then the reason in 14 octets.
    uint256 private constant ENTRY_TAIL = 0x170d00000000000000000000000000300c300a0603551d1504030a01_00000000;
    uint256 private constant ENTRY_MASK = 0xffff00000000000000000000000000ffffffffffffffffffffffffff_00000000;

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
            // the list is left out when nothing is revoked
            if (Der.word(der, pos) >> 248 == Der.SEQUENCE) {
                uint256 next;
                (pos, next) = Der.open(der, pos, end, Der.SEQUENCE);
                list.serials = _entries(der, pos, next);
                pos = next;
            }
            _extensions(der, pos, end);
        }
    }

    /// @dev SEQUENCE { serial INTEGER, revocationDate Time, [extensions] } each.
    function _entries(bytes memory der, uint256 pos, uint256 end) private pure returns (bytes memory serials) {
        unchecked {
            uint256 out;
            assembly ("memory-safe") {
                serials := mload(0x40)
                out := add(serials, 32)
            }
            uint256 limit = out + 20 * MAX_ENTRIES;
            while (pos < end) {
                uint256 serial;
                (serial, pos) = _entry(der, pos, end);
                require(out < limit, ICollateralStore.CrlTooLong(pos));
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

    function _entry(bytes memory der, uint256 pos, uint256 end) private pure returns (uint256 serial, uint256 next) {
        unchecked {
            uint256 head = Der.word(der, pos);
            // 20 octets, or 21 with the leading zero; a UTCTime and a reason: Intel's entries in two comparisons
            if (head >> 224 == 0x30330214 && (head << 32) >> 255 == 0 && (head << 32) >> 247 != 0) next = pos + 53;
            else if (head >> 216 == 0x3034021500 && (head << 40) >> 255 == 1) next = pos + 54;
            if (next != 0 && next <= end && Der.word(der, next - 29) & ENTRY_MASK == ENTRY_TAIL) {
                return (Der.word(der, next - 61) & type(uint160).max, next);
            }
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

    /// @dev None of them may be critical: a list of changes or for a part of the certificates is not a set.
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

    /// @notice The same serial numbers in ascending order (merge sort: no order of the list makes it dear).
    function sorted(bytes memory serials) internal pure returns (bytes memory result) {
        unchecked {
            uint256 count = serials.length / 20;
            uint256[] memory from = new uint256[](count);
            uint256[] memory to = new uint256[](count);
            for (uint256 i = 0; i < count; ++i) from[i] = Der.word(serials, 20 * i) >> 96;
            for (uint256 width = 1; width < count; width *= 2) {
                for (uint256 start = 0; start < count; start += 2 * width) {
                    _merge(from, to, start, _min(start + width, count), _min(start + 2 * width, count));
                }
                (from, to) = (to, from);
            }
            result = new bytes(serials.length + 32);
            for (uint256 i = 0; i < count; ++i) {
                uint256 serial = from[i] << 96;
                assembly ("memory-safe") {
                    mstore(add(add(result, 32), mul(20, i)), serial)
                }
            }
            assembly ("memory-safe") {
                mstore(result, mload(serials))
            }
        }
    }

    function _merge(
        uint256[] memory from,
        uint256[] memory to,
        uint256 start,
        uint256 middle,
        uint256 end
    ) private pure {
        assembly ("memory-safe") {
            let left := add(add(from, 32), mul(start, 32))
            let leftEnd := add(add(from, 32), mul(middle, 32))
            let right := leftEnd
            let rightEnd := add(add(from, 32), mul(end, 32))
            let out := add(add(to, 32), mul(start, 32))
            for {} or(lt(left, leftEnd), lt(right, rightEnd)) {
                out := add(out, 32)
            } {
                // take from the left while the right is used up or not smaller
                switch and(lt(left, leftEnd), or(iszero(lt(right, rightEnd)), iszero(lt(mload(right), mload(left)))))
                case 1 {
                    mstore(out, mload(left))
                    left := add(left, 32)
                }
                default {
                    mstore(out, mload(right))
                    right := add(right, 32)
                }
            }
        }
    }

    /// @notice Whether `serial` is in the sorted set of `count` that `CodeStore` wrote at `pointer`.
    function contains(address pointer, uint256 count, uint256 serial) internal view returns (bool found) {
        assembly ("memory-safe") {
            // above whatever is in use, and forgotten again
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

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}

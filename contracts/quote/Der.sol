// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice The DER that Intel's certificates and CRLs need (X.690), read in place and refused when not canonical.
/// @dev Positions are offsets into `der`. Every read of content follows a check that it lies inside its parent;
/// additions cannot overflow because a length has at most three octets.
library Der {
    uint256 internal constant BOOLEAN = 0x01;
    uint256 internal constant INTEGER = 0x02;
    uint256 internal constant BIT_STRING = 0x03;
    uint256 internal constant OCTET_STRING = 0x04;
    uint256 internal constant OID = 0x06;
    uint256 internal constant UTC_TIME = 0x17;
    uint256 internal constant GENERALIZED_TIME = 0x18;
    uint256 internal constant SEQUENCE = 0x30;
    uint256 internal constant SET = 0x31;

    /// @notice Thrown when what stands at `offset` is not the DER that has to stand there.
    error DerMalformed(uint256 offset);

    /// @notice Opens the element at `at`, which must have `tag` and lie inside its parent's `end`.
    function open(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 tag
    ) internal pure returns (uint256 content, uint256 next) {
        unchecked {
            uint256 head = word(der, pos);
            if (pos + 2 > end || head >> 248 != tag) revert DerMalformed(pos);

            uint256 length = (head >> 240) & 0xff;
            content = pos + 2;
            if (length > 0x7f) {
                uint256 octets = length & 0x7f;
                if (octets < 1 || octets > 3) revert DerMalformed(pos);
                length = (head << 16) >> (256 - 8 * octets);
                // minimal: the short form where it fits, no leading zero octet
                if (length <= 0x7f || length >> (8 * (octets - 1)) == 0) revert DerMalformed(pos);
                content += octets;
            }
            next = content + length;
            if (next > end) revert DerMalformed(pos);
        }
    }

    /// @notice Opens the element at `at`, which must fill its parent up to `end`.
    function openLast(bytes memory der, uint256 pos, uint256 end, uint256 tag) internal pure returns (uint256 content) {
        uint256 next;
        (content, next) = open(der, pos, end, tag);
        if (next != end) revert DerMalformed(next);
    }

    /// @notice Reads a positive INTEGER of up to 32 octets.
    function integer(bytes memory der, uint256 pos, uint256 end) internal pure returns (uint256 value, uint256 next) {
        uint256 content;
        (content, next) = open(der, pos, end, INTEGER);
        unchecked {
            uint256 length = next - content;
            if (length == 0) revert DerMalformed(pos);
            uint256 head = word(der, content);
            if (head >> 248 == 0 && length > 1) {
                // the zero octet is there to keep the number positive, and only then
                if ((head >> 247) & 1 != 1) revert DerMalformed(pos);
                head = word(der, content + 1);
                --length;
            } else {
                if (head >> 255 != 0) revert DerMalformed(pos);
            }
            if (length > 32) revert DerMalformed(pos);
            value = head >> (256 - 8 * length);
        }
    }

    /// @notice Reads a UTCTime or GeneralizedTime in the forms that RFC 5280 allows, as unix seconds.
    function time(bytes memory der, uint256 pos, uint256 end) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            uint256 head = word(der, pos);
            uint256 digits;
            uint256 year;
            if (head >> 240 == 0x170d) {
                next = pos + 15;
                digits = (head << 16) >> 160;
                year = _pair(digits, 10, pos);
                year += year < 50 ? 2000 : 1900;
            } else {
                if (head >> 240 != 0x180f) revert DerMalformed(pos);
                next = pos + 17;
                digits = (head << 32) >> 160;
                year = _pair(head >> 224, 0, pos) * 100 + _pair(digits, 10, pos);
            }
            if (next > end || uint8(word(der, next - 1) >> 248) != 0x5a) revert DerMalformed(pos);
            seconds_ = unixTime(
                year,
                _pair(digits, 8, pos),
                _pair(digits, 6, pos),
                _pair(digits, 4, pos),
                _pair(digits, 2, pos),
                _pair(digits, 0, pos)
            );
            if (seconds_ == 0) revert DerMalformed(pos);
        }
    }

    /// @notice Unix seconds of a date in the Gregorian calendar, 0 when there is no such second from 1970 on.
    function unixTime(
        uint256 year,
        uint256 month,
        uint256 day,
        uint256 hour,
        uint256 minute,
        uint256 second
    ) internal pure returns (uint256) {
        unchecked {
            if (year < 1970 || month - 1 > 11 || day - 1 > 30 || hour > 23 || minute > 59 || second > 59) return 0;
            if (day > 28) {
                bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                uint256 last = month == 2 ? (leap ? 29 : 28) : 30 + ((month + (month >> 3)) & 1);
                if (day > last) return 0;
            }
            // days since 0000-03-01, so that the leap day is the last of its year
            uint256 y = month > 2 ? year : year - 1;
            uint256 m = month > 2 ? month - 3 : month + 9;
            uint256 days_ = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
            return ((days_ * 24 + hour) * 60 + minute) * 60 + second;
        }
    }

    /// @notice The 32 bytes at `at`; beyond the end of `der` they mean nothing.
    function word(bytes memory der, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(der, 32), pos))
        }
    }

    /// @notice keccak-256 of `der[from:to]`.
    function hash(bytes memory der, uint256 from, uint256 to) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(add(add(der, 32), from), sub(to, from))
        }
    }

    /// @dev Two ASCII digits, the second of them `place` bytes above the lowest.
    function _pair(uint256 digits, uint256 place, uint256 pos) private pure returns (uint256) {
        unchecked {
            uint256 high = ((digits >> (8 * place + 8)) & 0xff) - 0x30;
            uint256 low = ((digits >> (8 * place)) & 0xff) - 0x30;
            if (high >= 10 || low >= 10) revert DerMalformed(pos);
            return high * 10 + low;
        }
    }
}

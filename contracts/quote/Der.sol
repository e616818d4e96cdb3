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
            uint256 length = (head >> 240) & 0xff;
            content = pos + 2;
            if (length > 0x7f) (content, length) = _longForm(head, pos);
            next = content + length;
            // an element that ends inside its parent begins there
            if (head >> 248 != tag || next > end) revert DerMalformed(pos);
        }
    }

    /// @notice Opens the element at `at`, which must fill its parent up to `end`.
    function openLast(bytes memory der, uint256 pos, uint256 end, uint256 tag) internal pure returns (uint256 content) {
        unchecked {
            uint256 head = word(der, pos);
            uint256 length = (head >> 240) & 0xff;
            content = pos + 2;
            if (length > 0x7f) (content, length) = _longForm(head, pos);
            if (head >> 248 != tag || content + length != end) revert DerMalformed(pos);
        }
    }

    /// @notice Opens the element of `length` octets, fewer than 128, that must fill its parent up to `end`.
    function openExact(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 tag,
        uint256 length
    ) internal pure returns (uint256 content) {
        unchecked {
            content = pos + 2;
            if (word(der, pos) >> 240 != (tag << 8) | length || content + length != end) revert DerMalformed(pos);
        }
    }

    /// @dev One to three octets of length: as few as possible, and only where one octet does not do.
    function _longForm(uint256 head, uint256 pos) private pure returns (uint256 content, uint256 length) {
        unchecked {
            uint256 octets = (head >> 240) & 0x7f;
            if (octets - 1 > 2) revert DerMalformed(pos);
            length = (head << 16) >> (256 - 8 * octets);
            // minimal: the short form where it fits, no leading zero octet
            if (length <= 0x7f || length >> (8 * (octets - 1)) == 0) revert DerMalformed(pos);
            content = pos + 2 + octets;
        }
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
            uint256 pairs;
            uint256 year;
            if (head >> 240 == 0x170d) {
                next = pos + 15;
                // YYMMDDhhmmss
                pairs = _pairs((head << 16) >> 160, 0x303030303030303030303030, pos);
                year = pairs >> 80;
                year += year < 50 ? 2000 : 1900;
            } else {
                if (head >> 240 != 0x180f) revert DerMalformed(pos);
                next = pos + 17;
                // YYYYMMDDhhmmss
                pairs = _pairs((head << 16) >> 144, 0x3030303030303030303030303030, pos);
                year = (pairs >> 96) * 100 + ((pairs >> 80) & 0xff);
            }
            if (next > end || word(der, next - 1) >> 248 != 0x5a) revert DerMalformed(pos);
            seconds_ = unixTime(
                year,
                (pairs >> 64) & 0xff,
                (pairs >> 48) & 0xff,
                (pairs >> 32) & 0xff,
                (pairs >> 16) & 0xff,
                pairs & 0xff
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

    /// @dev ASCII digits, as many as `zeros` are "0", to numbers of two digits, 16 bits each.
    function _pairs(uint256 digits, uint256 zeros, uint256 pos) private pure returns (uint256) {
        unchecked {
            uint256 d = digits ^ zeros;
            if (((d + 0x7676767676767676767676767676) | d) & 0x8080808080808080808080808080 != 0) {
                revert DerMalformed(pos);
            }
            return 10 * ((d >> 8) & 0x00ff00ff00ff00ff00ff00ff00ff) + (d & 0x00ff00ff00ff00ff00ff00ff00ff);
        }
    }
}

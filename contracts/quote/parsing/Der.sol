// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Parses the DER (X.690) that Intel's certificates and CRLs use. Everything that is not canonical is refused.
/// @dev Positions are offsets into `der`. Before content is read, its end is compared with the end of its parent.
/// Additions cannot overflow, because a length has at most three octets.
library Der {
    /// @dev Tags (X.690 §8.1.2).
    uint256 internal constant BOOLEAN = 0x01;
    /// @dev Always positive here.
    uint256 internal constant INTEGER = 0x02;
    /// @dev Its first octet is the number of unused bits.
    uint256 internal constant BIT_STRING = 0x03;
    uint256 internal constant OCTET_STRING = 0x04;
    uint256 internal constant OID = 0x06;
    /// @dev Times: UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5).
    uint256 internal constant UTC_TIME = 0x17;
    uint256 internal constant GENERALIZED_TIME = 0x18;
    /// @dev Constructed tags.
    uint256 internal constant SEQUENCE = 0x30;
    uint256 internal constant SET = 0x31;

    /// @dev 1 for each digit of a GeneralizedTime after tag and length.
    uint256 private constant DIGITS = 0x0000_0101010101010101010101010101_00000000000000000000000000000000;

    /// @notice The octets at `offset` are not the DER that is expected there.
    error DerMalformed(uint256 offset);

    /// @notice Opens the element at `pos`, which must have `tag` and must not go past `end`.
    /// @return content position of its content.
    /// @return next position after it.
    function open(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 tag
    ) internal pure returns (uint256 content, uint256 next) {
        unchecked {
            uint256 head = word(der, pos);
            uint256 length = octet(head, 1);
            content = pos + 2;
            if (length > 0x7f) (content, length) = _longForm(head, pos);
            next = content + length;
            // an element that ends inside its parent also begins inside it
            if (differ(head >> 248, tag) | isAbove(next, end) != 0) revert DerMalformed(pos);
        }
    }

    /// @notice Opens the element at `pos`, which must end exactly at `end`.
    /// @param tag the expected tag octet.
    /// @return content position of the first octet of the content.
    function openLast(bytes memory der, uint256 pos, uint256 end, uint256 tag) internal pure returns (uint256 content) {
        unchecked {
            uint256 head = word(der, pos);
            uint256 length = octet(head, 1);
            content = pos + 2;
            if (length > 0x7f) (content, length) = _longForm(head, pos);
            if (differ(head >> 248, tag) | differ(content + length, end) != 0) revert DerMalformed(pos);
        }
    }

    /// @notice Opens an element with exactly `length` octets of content (fewer than 128), which must end at `end`.
    /// @param tag the expected tag octet.
    /// @param length octets of the content.
    /// @return content position of the first octet of the content.
    function openExact(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 tag,
        uint256 length
    ) internal pure returns (uint256 content) {
        unchecked {
            content = pos + 2;
            uint256 head = word(der, pos) >> 240;
            if (differ(head, (tag << 8) | length) | differ(content + length, end) != 0) revert DerMalformed(pos);
        }
    }

    /// @dev Reads a length of one to three octets. It must be minimal (X.690 §10.1).
    function _longForm(uint256 head, uint256 pos) private pure returns (uint256 content, uint256 length) {
        unchecked {
            // two octets of length: content of more than 255 octets
            length = (head << 16) >> 240;
            if ((head << 8) >> 248 == 0x82 && length > 0xff) return (pos + 4, length);
            uint256 octets = (head >> 240) & 0x7f;
            if (octets - 1 > 2) revert DerMalformed(pos);
            length = (head << 16) >> (256 - 8 * octets);
            // minimal (X.690 §10.1): short form if possible, no leading zero octet
            if (length <= 0x7f || length >> (8 * (octets - 1)) == 0) revert DerMalformed(pos);
            content = pos + 2 + octets;
        }
    }

    /// @notice Reads a positive INTEGER of up to 256 bits. A leading zero octet is allowed only where the next bit is
    /// 1.
    /// @return value the number.
    /// @return next position after the element.
    function integer(bytes memory der, uint256 pos, uint256 end) internal pure returns (uint256 value, uint256 next) {
        unchecked {
            uint256 head = word(der, pos);
            uint256 length = octet(head, 1);
            next = pos + 2 + length;
            // the highest nine bits: a zero octet is there to keep the number positive, and only then
            uint256 first = (head << 16) >> 247;
            uint256 bad = differ(head >> 248, INTEGER) | isAbove(length - 1, 32) | isAbove(next, end);
            bad |= isAbove(first, 255) | (isAbove(length, 1) & isAbove(1, first));
            if (length == 33) bad |= isAbove(first, 1);
            if (bad != 0) revert DerMalformed(pos);
            value = length == 33 ? word(der, pos + 3) : word(der, pos + 2) >> (256 - 8 * length);
        }
    }

    /// @notice Reads a UTCTime or GeneralizedTime in the forms of RFC 5280 §4.1.2.5, as unix seconds.
    /// @return seconds_ unix seconds.
    /// @return next position after the element.
    function time(bytes memory der, uint256 pos, uint256 end) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            uint256 head = word(der, pos);
            // YYMMDDhhmmssZ in the form of the other
            if (head >> 240 == 0x170d) {
                next = pos + 15;
                head = (0x180f << 240) | ((head << 16) >> 32);
                head |= octet(head, 4) < 0x35 ? 0x3230 << 224 : 0x3139 << 224;
            } else {
                next = pos + 17;
            }
            // YYYYMMDDhhmmssZ
            uint256 pairs = pairsOf(head, DIGITS);
            bool isTime = head >> 240 == 0x180f && octet(head, 16) == 0x5a && next <= end;
            if (pairs != 0 && isTime) {
                seconds_ = unixTime(
                    octet(pairs, 3) * 100 + octet(pairs, 5),
                    octet(pairs, 7),
                    octet(pairs, 9),
                    octet(pairs, 11),
                    octet(pairs, 13),
                    octet(pairs, 15)
                );
            }
            if (seconds_ == 0) revert DerMalformed(pos);
        }
    }

    /// @notice Converts digits to numbers, 32 characters at once.
    /// @param ones 1 at each position that must be a digit.
    /// @return at each such position the number that the digit forms with the one before it; 0 if one is not a digit.
    function pairsOf(uint256 text, uint256 ones) internal pure returns (uint256) {
        unchecked {
            uint256 digits = (text ^ (0x30 * ones)) & (0xff * ones);
            if (((digits + 0x76 * ones) | digits) & (0x80 * ones) != 0) return 0;
            return 10 * (digits >> 8) + digits;
        }
    }

    /// @notice Unix seconds of a date in the Gregorian calendar; 0 for an impossible date, and before 1970.
    function unixTime(
        uint256 year,
        uint256 month,
        uint256 day,
        uint256 hour,
        uint256 minute,
        uint256 second
    ) internal pure returns (uint256) {
        unchecked {
            uint256 bad = isAbove(1970, year) | isAbove(month - 1, 11) | isAbove(day - 1, 30);
            if (bad | isAbove(hour, 23) | isAbove(minute, 59) | isAbove(second, 59) != 0) return 0;
            if (day > 28) {
                bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                uint256 last = month == 2 ? (leap ? 29 : 28) : 30 + ((month + (month >> 3)) & 1);
                if (day > last) return 0;
            }
            // days since 0000-03-01, so that the leap day is the last of its year
            if (month > 2) {
                month -= 3;
            } else {
                month += 9;
                --year;
            }
            uint256 century = year / 100;
            uint256 days_ = (1461 * year) / 4 - century + century / 4 + (153 * month + 2) / 5 + day - 719469;
            return ((days_ * 24 + hour) * 60 + minute) * 60 + second;
        }
    }

    /// @notice The 32 bytes from `pos` on. Bytes after the end of `der` have no meaning.
    function word(bytes memory der, uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(der, 32), pos))
        }
    }

    /// @notice The octet `index` of a word, from the left.
    function octet(uint256 head, uint256 index) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(index, head)
        }
    }

    /// @notice Not 0 if `a` and `b` differ. Conditions are combined without a jump for each.
    function differ(uint256 a, uint256 b) internal pure returns (uint256) {
        return a ^ b;
    }

    /// @notice 1 if `a` is larger than `b`, else 0.
    function isAbove(uint256 a, uint256 b) internal pure returns (uint256 above) {
        assembly ("memory-safe") {
            above := gt(a, b)
        }
    }

    /// @notice keccak-256 of `der[from:to]`.
    function hash(bytes memory der, uint256 from, uint256 to) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(add(add(der, 32), from), sub(to, from))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Where the parts of a quote stand in `data`. Nothing is believed yet.
struct Parts {
    bytes data;
    /// @notice How it came in, and what it leaves out: a form of `QuoteParser`.
    uint256 form;
    uint256 version;
    uint256 bodyType;
    uint256 signedAt;
    uint256 signedLength;
    uint256 bodyAt;
    uint256 bodyLength;
    /// @notice r, s, x, y: the signature and the attestation key, 128 bytes.
    uint256 signatureAt;
    /// @notice QE report (384 bytes) and the PCK's signature over it (64).
    uint256 qeReportAt;
    uint256 qeAuthAt;
    uint256 qeAuthLength;
    /// @notice PEM chain of a raw quote, or DER leaf.
    uint256 chainAt;
    uint256 chainLength;
    /// @notice Record of a short form.
    address record;
}

/// @notice The field of a quote that is not as it must be.
enum QuoteField {
    Length,
    Version,
    KeyType,
    TeeType,
    Vendor,
    BodyType,
    BodySize,
    AuthSize,
    CertificationType,
    CertificationSize,
    QeAuthSize,
    ChainType,
    ChainSize,
    LeafSize
}

/// @notice Byte layout of TDX quotes v4 and v5 and of the short forms, one function per structure.
library QuoteParser {
    uint256 internal constant RAW = 0;
    uint256 internal constant LEAF = 0xa1;
    uint256 internal constant KNOWN_PCK = 0xa2;
    uint256 internal constant KNOWN_KEY = 0xa3;

    uint256 private constant HEADER = 48;
    /// @dev Bytes of `Parts`.
    uint256 private constant PARTS = 480;
    uint128 private constant INTEL_QE = 0x939a7233f79c4ca9940a0db3957f0607;

    /// @notice Thrown when a quote is malformed: which field, and where it stands.
    error QuoteMalformed(QuoteField field, uint256 offset);

    /// @notice Room for the parts of one quote; its only element has no parts yet.
    /// @dev A struct that is declared is filled field by field, which costs 200 gas more.
    function blank() internal pure returns (Parts[] memory one) {
        assembly ("memory-safe") {
            let place := mload(0x40)
            // behind the call data there are zeros
            calldatacopy(place, calldatasize(), PARTS)
            mstore(add(place, PARTS), 1)
            mstore(add(place, add(PARTS, 32)), place)
            mstore(0x40, add(place, add(PARTS, 64)))
            one := add(place, PARTS)
        }
    }

    /// @param parts blank ones.
    function parse(Parts memory parts, bytes memory data) internal pure {
        parts.data = data;
        if (data.length == 0) revert QuoteMalformed(QuoteField.Length, 0);
        uint256 form = uint256(_word(data, 0)) >> 248;
        if (form == KNOWN_KEY) _knownKeyForm(parts);
        else if (form == KNOWN_PCK) _knownPckForm(parts);
        else if (form == LEAF) _leafForm(parts);
        else _raw(parts);
    }

    /// @notice Parses one of the further quotes of a batch: its signature, then its signed part, under `key` (x ‖ y).
    function parseSigned(bytes memory quote, bytes memory key) internal pure returns (Parts memory parts) {
        _need(quote, 0, 64);
        bytes memory data = new bytes(quote.length + 64);
        assembly ("memory-safe") {
            mcopy(add(data, 32), add(quote, 32), 64)
            mcopy(add(data, 96), add(key, 32), 64)
            mcopy(add(data, 160), add(quote, 96), sub(mload(quote), 64))
        }
        parts.data = data;
        parts.form = KNOWN_KEY;
        _signedLast(parts, 128);
    }

    /// @dev As the TEE produced it.
    function _raw(Parts memory parts) private pure {
        unchecked {
            bytes memory data = parts.data;
            _signed(parts, 0);
            uint256 pos = parts.signedLength;
            _need(data, pos, 4);
            uint256 size = _u32(data, pos);
            pos += 4;
            if (size > data.length - pos) revert QuoteMalformed(QuoteField.AuthSize, pos - 4);
            _authData(parts, pos, pos + size);
        }
    }

    /// @dev Signature, key, and certification data of type 6, which must fill up to `end`.
    function _authData(Parts memory parts, uint256 pos, uint256 end) private pure {
        unchecked {
            bytes memory data = parts.data;
            if (pos + 590 > end) revert QuoteMalformed(QuoteField.AuthSize, pos - 4);
            parts.signatureAt = pos;
            if (_u16(data, pos + 128) != 6) revert QuoteMalformed(QuoteField.CertificationType, pos + 128);
            if (_u32(data, pos + 130) != end - pos - 134)
                revert QuoteMalformed(QuoteField.CertificationSize, pos + 130);
            parts.qeReportAt = pos + 134;
            uint256 authLength = _u16(data, pos + 582);
            if (pos + 590 + authLength > end) revert QuoteMalformed(QuoteField.QeAuthSize, pos + 582);
            parts.qeAuthAt = pos + 584;
            parts.qeAuthLength = authLength;
            pos += 584 + authLength;
            if (_u16(data, pos) != 5) revert QuoteMalformed(QuoteField.ChainType, pos);
            if (_u32(data, pos + 2) != end - pos - 6) revert QuoteMalformed(QuoteField.ChainSize, pos + 2);
            parts.chainAt = pos + 6;
            parts.chainLength = end - pos - 6;
        }
    }

    /// @dev tag, u16 length, DER leaf, then as in a known-PCK form from the signature on.
    function _leafForm(Parts memory parts) private pure {
        unchecked {
            parts.form = LEAF;
            _need(parts.data, 1, 2);
            parts.chainAt = 3;
            parts.chainLength = _u16(parts.data, 1);
            if (parts.chainLength > parts.data.length - 3) revert QuoteMalformed(QuoteField.LeafSize, 1);
            _qeParts(parts, 3 + parts.chainLength);
        }
    }

    /// @dev tag, address of the record, then signature, key, QE report, its signature, QE auth data, signed part.
    function _knownPckForm(Parts memory parts) private pure {
        parts.form = KNOWN_PCK;
        _record(parts);
        _qeParts(parts, 21);
    }

    /// @dev tag, address of the record, signature, key, signed part.
    function _knownKeyForm(Parts memory parts) private pure {
        parts.form = KNOWN_KEY;
        _record(parts);
        parts.signatureAt = 21;
        _need(parts.data, 21, 128);
        _signedLast(parts, 149);
    }

    function _record(Parts memory parts) private pure {
        _need(parts.data, 1, 20);
        parts.record = address(bytes20(_word(parts.data, 1)));
    }

    function _qeParts(Parts memory parts, uint256 pos) private pure {
        unchecked {
            bytes memory data = parts.data;
            _need(data, pos, 578);
            parts.signatureAt = pos;
            parts.qeReportAt = pos + 128;
            parts.qeAuthAt = pos + 578;
            parts.qeAuthLength = _u16(data, pos + 576);
            _need(data, pos + 578, parts.qeAuthLength);
            _signedLast(parts, pos + 578 + parts.qeAuthLength);
        }
    }

    /// @dev The signed part, which must be the rest.
    function _signedLast(Parts memory parts, uint256 pos) private pure {
        _signed(parts, pos);
        unchecked {
            uint256 length = parts.data.length;
            if (pos + parts.signedLength != length) revert QuoteMalformed(QuoteField.Length, length);
        }
    }

    /// @dev Header and body.
    function _signed(Parts memory parts, uint256 pos) private pure {
        unchecked {
            bytes memory data = parts.data;
            _need(data, pos, HEADER);
            // version 4 or 5, ECDSA P-256, TDX; then Intel's QE
            uint256 head = uint256(_word(data, pos));
            uint256 version = head >> 248;
            bool isKnown = head >> 192 == (version << 56) | 0x00000200_81000000 && (version == 4 || version == 5);
            if (!isKnown || uint128(head >> 32) != INTEL_QE) _refuseHeader(data, pos);
            parts.version = version;
            parts.signedAt = pos;

            uint256 bodyAt = pos + HEADER;
            uint256 bodyType = 2;
            if (version == 5) {
                _need(data, bodyAt, 6);
                bodyType = _u16(data, bodyAt);
                if (bodyType < 2 || bodyType > 4) revert QuoteMalformed(QuoteField.BodyType, bodyAt);
                if (_u32(data, bodyAt + 2) != _bodyLength(bodyType))
                    revert QuoteMalformed(QuoteField.BodySize, bodyAt + 2);
                bodyAt += 6;
            }
            parts.bodyType = bodyType;
            parts.bodyAt = bodyAt;
            parts.bodyLength = _bodyLength(bodyType);
            _need(data, bodyAt, parts.bodyLength);
            parts.signedLength = bodyAt + parts.bodyLength - pos;
        }
    }

    /// @dev The first field that is not as it must be.
    function _refuseHeader(bytes memory data, uint256 pos) private pure {
        uint256 version = _u16(data, pos);
        if (version != 4 && version != 5) revert QuoteMalformed(QuoteField.Version, pos);
        if (_u16(data, pos + 2) != 2) revert QuoteMalformed(QuoteField.KeyType, pos + 2);
        if (_u32(data, pos + 4) != 0x81) revert QuoteMalformed(QuoteField.TeeType, pos + 4);
        revert QuoteMalformed(QuoteField.Vendor, pos + 12);
    }

    function _bodyLength(uint256 bodyType) private pure returns (uint256) {
        return
            bodyType == 2
                ? 584
                : bodyType == 3
                    ? 648
                    : 885;
    }

    function _need(bytes memory data, uint256 pos, uint256 length) private pure {
        unchecked {
            if (pos + length > data.length) revert QuoteMalformed(QuoteField.Length, pos);
        }
    }

    function _u16(bytes memory data, uint256 pos) private pure returns (uint256) {
        uint256 head = uint256(_word(data, pos));
        return (head >> 248) | ((head >> 232) & 0xff00);
    }

    function _u32(bytes memory data, uint256 pos) private pure returns (uint256) {
        uint256 head = uint256(_word(data, pos));
        return (head >> 248) | ((head >> 232) & 0xff00) | ((head >> 216) & 0xff0000) | ((head >> 200) & 0xff000000);
    }

    function _word(bytes memory data, uint256 pos) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(add(data, 32), pos))
        }
    }
}

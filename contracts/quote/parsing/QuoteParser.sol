// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Positions of the parts of a quote in `data`. Nothing is verified yet.
struct Parts {
    /// @notice The quote as it was given; of a further quote in a batch, signature and key come first.
    bytes data;
    /// @notice Encoding of the quote: `RAW`, `LEAF`, `KNOWN_PCK` or `KNOWN_KEY`. The compact forms leave out what a
    /// record contains.
    uint256 form;
    /// @notice Quote format: 4 or 5.
    uint256 version;
    /// @notice Version of the TD report: 2 = 1.0, 3 = 1.5, 4 = 1.5 Ex.
    uint256 bodyType;
    /// @notice Position of header and body, which the quote signature covers.
    uint256 signedAt;
    /// @notice Length of header and body, bytes.
    uint256 signedLength;
    /// @notice Position of the TD report.
    uint256 bodyAt;
    /// @notice 584, 648 or 885 bytes.
    uint256 bodyLength;
    /// @notice r, s, x, y: the signature and the attestation key, 128 bytes.
    uint256 signatureAt;
    /// @notice QE report (384 bytes) and the PCK's signature over it (64).
    uint256 qeReportAt;
    /// @notice QE authentication data: bytes that the QE report binds together with the attestation key.
    uint256 qeAuthAt;
    /// @notice At most 65,535 bytes.
    uint256 qeAuthLength;
    /// @notice PEM chain of a raw quote, or DER leaf.
    uint256 chainAt;
    /// @notice Length of the chain or of the leaf, bytes.
    uint256 chainLength;
    /// @notice Verification record that a compact form refers to; else zero.
    address record;
}

/// @notice The field because of which a quote is malformed. Append, never reorder.
enum QuoteField {
    /// @notice The quote ends too early, or bytes follow its end.
    Length,
    /// @notice Neither 4 nor 5.
    Version,
    /// @notice Another attestation key type than 2, ECDSA P-256.
    KeyType,
    /// @notice Another TEE type than 0x81, TDX.
    TeeType,
    /// @notice Another QE vendor than Intel.
    Vendor,
    /// @notice In version 5: not a TD report 1.0, 1.5 or 1.5 Ex.
    BodyType,
    /// @notice In version 5: the stated size is not that of the body type.
    BodySize,
    /// @notice The signature section does not fit into the quote.
    AuthSize,
    /// @notice The outer certification data has another type than 6, QE report.
    CertificationType,
    /// @notice The outer certification data does not end with the signature section.
    CertificationSize,
    /// @notice The QE authentication data does not fit.
    QeAuthSize,
    /// @notice The inner certification data has another type than 5, PCK chain in PEM.
    ChainType,
    /// @notice The PCK chain does not end with the outer certification data.
    ChainSize,
    /// @notice In the form with a leaf: the stated size does not fit.
    LeafSize
}

/// @notice Byte layout of TDX quotes of versions 4 and 5 and of the compact forms, one function for each structure.
/// @dev Source: Intel, "TDX DCAP Quoting Library API", quote format. Integers in a quote are little-endian. In a raw
/// quote, bytes after the signature section are ignored, because quote providers add padding; in a compact form nothing
/// may follow.
library QuoteParser {
    /// @notice As the quoting enclave produced it. Its first byte is the version, 4 or 5.
    uint256 internal constant RAW = 0;
    /// @notice With the PCK certificate in DER instead of the PEM chain.
    uint256 internal constant LEAF = 0xa1;
    /// @notice With the address of a record instead of the PCK certificate.
    uint256 internal constant KNOWN_PCK = 0xa2;
    /// @notice With the address of a record instead of PCK certificate and QE report.
    uint256 internal constant KNOWN_KEY = 0xa3;

    /// @dev Bytes of the quote header.
    uint256 private constant HEADER = 48;
    /// @dev Size in memory of `Parts`, bytes.
    uint256 private constant PARTS = 480;
    /// @dev QE vendor id of Intel.
    uint128 private constant INTEL_QE = 0x939a7233f79c4ca9940a0db3957f0607;

    /// @notice The quote does not follow its format.
    /// @param field the first wrong field.
    /// @param offset its position in the given bytes.
    error QuoteMalformed(QuoteField field, uint256 offset);

    /// @notice Allocates the parts of one quote, all zero, as the single element of an array.
    /// @dev A declared struct would be initialized field by field, which costs 200 gas more.
    function blank() internal pure returns (Parts[] memory one) {
        assembly ("memory-safe") {
            let place := mload(0x40)
            // bytes after the calldata read as zero
            calldatacopy(place, calldatasize(), PARTS)
            mstore(add(place, PARTS), 1)
            mstore(add(place, add(PARTS, 32)), place)
            mstore(0x40, add(place, add(PARTS, 64)))
            one := add(place, PARTS)
        }
    }

    /// @notice Finds the parts of a quote in any form. Reverts with `QuoteMalformed`.
    /// @param parts from `blank`.
    /// @param data the quote.
    function parse(Parts memory parts, bytes memory data) internal pure {
        parts.data = data;
        if (data.length == 0) revert QuoteMalformed(QuoteField.Length, 0);
        uint256 form = uint256(_word(data, 0)) >> 248;
        if (form == KNOWN_KEY) _knownKeyForm(parts);
        else if (form == KNOWN_PCK) _knownPckForm(parts);
        else if (form == LEAF) _leafForm(parts);
        else _raw(parts);
    }

    /// @notice Parses a further quote of a batch: signature (64 bytes), then header and body.
    /// @param key attestation key of the first quote, x ‖ y.
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

    /// @dev Header, body, u32 size of the signature section, signature section.
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

    /// @dev Signature section: signature, attestation key, then certification data of type 6, which must end at `end`:
    /// QE report, its signature, QE authentication data, certification data of type 5 with the PCK chain.
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

    /// @dev Form byte, u16 length, PCK certificate in DER, then as `_knownPckForm` from the signature on.
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

    /// @dev Form byte, address of the record, signature, attestation key, QE report, its signature, QE authentication
    /// data, header and body.
    function _knownPckForm(Parts memory parts) private pure {
        parts.form = KNOWN_PCK;
        _record(parts);
        _qeParts(parts, 21);
    }

    /// @dev Form byte, address of the record, signature, attestation key, header and body.
    function _knownKeyForm(Parts memory parts) private pure {
        parts.form = KNOWN_KEY;
        _record(parts);
        parts.signatureAt = 21;
        _need(parts.data, 21, 128);
        _signedLast(parts, 149);
    }

    /// @dev Reads the address of the record, 20 bytes after the form byte.
    function _record(Parts memory parts) private pure {
        _need(parts.data, 1, 20);
        parts.record = address(bytes20(_word(parts.data, 1)));
    }

    /// @dev Signature (64), attestation key (64), QE report (384), its signature (64), u16 length and QE authentication
    /// data.
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

    /// @dev Header and body, which must end with the data.
    function _signedLast(Parts memory parts, uint256 pos) private pure {
        _signed(parts, pos);
        unchecked {
            uint256 length = parts.data.length;
            if (pos + parts.signedLength != length) revert QuoteMalformed(QuoteField.Length, length);
        }
    }

    /// @dev Header and body. Only version 5 states type and size of the body; in version 4 it is a TD report 1.0.
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

    /// @dev Reverts with the first header field that is wrong. Separate, because a correct header is compared in one
    /// step.
    function _refuseHeader(bytes memory data, uint256 pos) private pure {
        uint256 version = _u16(data, pos);
        if (version != 4 && version != 5) revert QuoteMalformed(QuoteField.Version, pos);
        if (_u16(data, pos + 2) != 2) revert QuoteMalformed(QuoteField.KeyType, pos + 2);
        if (_u32(data, pos + 4) != 0x81) revert QuoteMalformed(QuoteField.TeeType, pos + 4);
        revert QuoteMalformed(QuoteField.Vendor, pos + 12);
    }

    /// @dev Bytes of a TD report.
    function _bodyLength(uint256 bodyType) private pure returns (uint256) {
        return
            bodyType == 2
                ? 584
                : bodyType == 3
                    ? 648
                    : 885;
    }

    /// @dev Reverts with `QuoteMalformed` unless `length` bytes follow `pos`.
    function _need(bytes memory data, uint256 pos, uint256 length) private pure {
        unchecked {
            if (pos + length > data.length) revert QuoteMalformed(QuoteField.Length, pos);
        }
    }

    /// @dev A little-endian number of two bytes. The caller has checked the bounds.
    function _u16(bytes memory data, uint256 pos) private pure returns (uint256) {
        uint256 head = uint256(_word(data, pos));
        return (head >> 248) | ((head >> 232) & 0xff00);
    }

    /// @dev A little-endian number of four bytes. The caller has checked the bounds.
    function _u32(bytes memory data, uint256 pos) private pure returns (uint256) {
        uint256 head = uint256(_word(data, pos));
        return (head >> 248) | ((head >> 232) & 0xff00) | ((head >> 216) & 0xff0000) | ((head >> 200) & 0xff000000);
    }

    /// @dev 32 bytes from `pos` on. It may read past the end of `data`: the caller uses only bytes that it checked.
    function _word(bytes memory data, uint256 pos) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(add(data, 32), pos))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Der} from "../parsing/Der.sol";
import {Digest} from "../cryptography/Digest.sol";

/// @notice The fields of a certificate (RFC 5280) that the verifier needs. Its signature is not verified yet.
struct Certificate {
    /// @notice SHA-256 of the signed part (tbsCertificate).
    bytes32 digest;
    /// @notice Signature, first half.
    uint256 r;
    /// @notice Signature, second half.
    uint256 s;
    /// @notice Serial number, at most 20 octets.
    uint256 serial;
    /// @notice keccak-256 of the issuer's name in DER.
    bytes32 issuer;
    /// @notice CN of the issuer, left-aligned.
    bytes32 issuerCommonName;
    /// @notice Start of validity, unix seconds.
    uint256 notBefore;
    /// @notice End of validity, unix seconds.
    uint256 notAfter;
    /// @notice keccak-256 of the subject's name in DER.
    bytes32 subject;
    /// @notice CN of the subject, left-aligned.
    bytes32 commonName;
    /// @notice Public key, P-256.
    uint256 x;
    /// @notice Its second coordinate.
    uint256 y;
    /// @notice basicConstraints says that it is a CA.
    bool isAuthority;
    /// @notice First octet of the key usage; see the constants of `X509`.
    uint256 keyUsage;
    /// @notice Position of the value of Intel's SGX extension; 0 without one.
    uint256 sgxAt;
    /// @notice End of that value.
    uint256 sgxEnd;
    /// @notice Position of the usual part of a leaf in the usual form; else 0.
    uint256 usualAt;
    /// @notice Of a leaf in the usual form: 16 component SVNs and PCESVN, an octet each.
    uint256 svns;
}

/// @notice The fields of Intel's SGX extension (OID 1.2.840.113741.1.13.1) as right-aligned numbers.
struct SgxExtension {
    /// @notice Provisioning id of the platform, 16 bytes.
    uint256 ppid;
    /// @notice 16 component SVNs of the CPU, an octet each.
    uint256 components;
    /// @notice SVN of the provisioning certification enclave.
    uint256 pceSvn;
    /// @notice Its id, 2 bytes.
    uint256 pceId;
    /// @notice Platform family, 6 bytes.
    uint256 fmspc;
    /// @notice 16 bytes; zero under the Processor CA.
    uint256 platformInstanceId;
}

/// @notice Parses Intel's P-256 certificates: version 3, ecdsa-with-SHA256, in one pass over the DER.
/// @dev It rejects what it does not need to understand: unknown critical extensions, other algorithms, other encodings
/// than DER.
library X509 {
    /// @notice Key usage digitalSignature (RFC 5280 §4.2.1.3).
    uint256 internal constant DIGITAL_SIGNATURE = 0x80;
    /// @notice Key usage keyCertSign.
    uint256 internal constant KEY_CERT_SIGN = 0x04;
    /// @notice Key usage cRLSign.
    uint256 internal constant CRL_SIGN = 0x02;

    /// @dev SEQUENCE { OID 1.2.840.10045.4.3.2 }
    bytes12 private constant ECDSA_WITH_SHA256 = 0x300a06082a8648ce3d040302;
    /// @dev SubjectPublicKeyInfo of an uncompressed P-256 key, up to its x
    bytes27 private constant P256_KEY = 0x3059301306072a8648ce3d020106082a8648ce3d03010703420004;
    /// @dev OID 1.2.840.113741.1.13.1 with tag and length
    bytes11 private constant SGX_OID = 0x06092a864886f84d010d01;
    /// @dev OID 1.2.840.113741.1.13.1, one arc more follows
    bytes11 private constant SGX_FIELD_OID = 0x060a2a864886f84d010d01;
    /// @dev OID 1.2.840.113741.1.13.1.2, one arc more follows
    bytes12 private constant SGX_TCB_OID = 0x060b2a864886f84d010d0102;

    /// @dev SEQUENCE { OID 1.2.840.113741.1.13.1.2.0, INTEGER } with an octet below 128, up to that octet's highest bit
    uint256 private constant ONE_OCTET_SVN = 0x3010060b2a864886f84d010d0102000201 << 1;
    /// @dev Extensions that may be critical: bit n stands for OID 2.5.29.n, bit 0 for Intel's SGX extension.
    uint256 private constant KNOWN_EXTENSIONS = (1 << 14) | (1 << 15) | (1 << 19) | (1 << 31) | (1 << 35);
    /// @dev Stands for any other extension that is critical.
    uint256 private constant CRITICAL = 1 << 255;

    /// @dev Length of the usual form of a leaf, from the byte after its serial number to the end of the signed part.
    /// Intel's Platform CA has written every leaf in this form so far.
    uint256 private constant USUAL_LENGTH = 1147;
    /// @dev keccak-256 of that part, with zeros in place of everything that differs between leaves: both times, key,
    /// key ids, a digit of the CRL address, PPID, SVNs, CPUSVN, PCEID, FMSPC, platform instance id, two flags. So one
    /// hash replaces the walk over the DER.
    uint256 private constant USUAL_SHAPE = 0x22934f6e8b77e51d5659f114f4ef422b43253bb4e27b06854010485daf40e051;
    /// @dev keccak-256 of the issuer's name in the usual form.
    bytes32 private constant USUAL_ISSUER = 0xfc023d85bd2073504d59f24a7ab325cd1841e2aa6eb6f25512665d57128d616c;
    /// @dev keccak-256 of the subject's name in the usual form.
    bytes32 private constant USUAL_SUBJECT = 0x1d435d94385294e93f12fbdc7f8d92f361ea0fe81070c14312155af11b5fa596;
    /// @dev Positions of the differing fields in the usual form: both times begin here.
    uint256 private constant USUAL_TIMES = 128;
    /// @dev End of both times.
    uint256 private constant USUAL_TIMES_END = 158;
    /// @dev x ‖ y of the public key.
    uint256 private constant USUAL_KEY = 299;
    /// @dev Value of the SGX extension.
    uint256 private constant USUAL_SGX = 593;
    /// @dev 16 bytes.
    uint256 private constant USUAL_PPID = 613;
    /// @dev First of the 17 SVNs.
    uint256 private constant USUAL_SVNS = 666;
    /// @dev 2 bytes.
    uint256 private constant USUAL_PCEID = 1004;
    /// @dev 6 bytes.
    uint256 private constant USUAL_FMSPC = 1022;
    /// @dev 16 bytes.
    uint256 private constant USUAL_INSTANCE = 1061;
    /// @dev Bit 7 of 17 octets: an INTEGER of one octet that has it is negative.
    uint256 private constant NEGATIVE = 0x8080808080808080808080808080808080;

    /// @notice Valid DER, but not a certificate that this verifier can evaluate.
    /// @param offset position of the first unsupported field.
    error CertificateUnsupported(uint256 offset);

    /// @notice Parses a certificate. Reverts with `DerMalformed` and `CertificateUnsupported`.
    /// @param der exactly one certificate.
    function parse(bytes memory der) internal view returns (Certificate memory certificate) {
        (uint256 pos, uint256 end) = _start(der, certificate);
        _rest(der, pos, end, certificate);
    }

    /// @notice Parses a PCK certificate. One in the usual form is compared as a whole, which costs less gas.
    /// @dev `test/contracts/quote/X509.t.sol` checks that both ways give the same fields.
    /// @param der exactly one certificate.
    function parseLeaf(bytes memory der) internal view returns (Certificate memory certificate) {
        (uint256 pos, uint256 end) = _start(der, certificate);
        if (end - pos == USUAL_LENGTH && _isUsual(der, pos, certificate)) _usualRest(der, pos, end, certificate);
        else _rest(der, pos, end, certificate);
    }

    /// @dev Reads digest, signature, version and serial number.
    /// @return next position after the serial number.
    /// @return tbsEnd end of the signed part.
    function _start(
        bytes memory der,
        Certificate memory certificate
    ) private view returns (uint256 next, uint256 tbsEnd) {
        unchecked {
            uint256 end = der.length;
            uint256 tbs = Der.openLast(der, 0, end, Der.SEQUENCE);
            uint256 pos;
            (pos, tbsEnd) = Der.open(der, tbs, end, Der.SEQUENCE);
            certificate.digest = Digest.sha256Of(der, tbs, tbsEnd - tbs);
            (certificate.r, certificate.s) = signature(der, tbsEnd, end);

            // version 3
            if (Der.word(der, pos) >> 216 != 0xa003020102) revert CertificateUnsupported(pos);
            pos += 5;
            (certificate.serial, next) = Der.integer(der, pos, tbsEnd);
            if (certificate.serial >> 160 != 0) revert CertificateUnsupported(pos);
        }
    }

    /// @dev Reads everything after the serial number.
    function _rest(bytes memory der, uint256 pos, uint256 end, Certificate memory certificate) private pure {
        pos = algorithm(der, pos);
        (certificate.issuer, certificate.issuerCommonName, pos) = name(der, pos, end);
        pos = _validity(der, pos, end, certificate);
        (certificate.subject, certificate.commonName, pos) = name(der, pos, end);
        pos = _publicKey(der, pos, certificate);
        _extensions(der, pos, end, certificate);
    }

    /// @dev Whether the octets at `pos` have the usual form: a copy with zeros in place of the differing fields must
    /// have the hash `USUAL_SHAPE`. Sets `svns`. An SVN of 128 or more is a longer INTEGER, so the form does not cover
    /// it.
    function _isUsual(
        bytes memory der,
        uint256 pos,
        Certificate memory certificate
    ) private pure returns (bool isUsual) {
        uint256 svns;
        assembly ("memory-safe") {
            // in free memory, which is not allocated
            let shape := mload(0x40)
            mcopy(shape, add(add(der, 32), pos), USUAL_LENGTH)
            // component SVNs and PCESVN: the only octet that differs in 18
            let place := add(shape, USUAL_SVNS)
            for {
                let last := add(place, 306)
            } lt(place, last) {
                place := add(place, 18)
            } {
                svns := or(shl(8, svns), byte(0, mload(place)))
                mstore8(place, 0)
            }
            // bytes after the calldata read as zero
            let zeros := calldatasize()
            calldatacopy(add(shape, 130), zeros, 12)
            calldatacopy(add(shape, 145), zeros, 12)
            calldatacopy(add(shape, USUAL_KEY), zeros, 64)
            calldatacopy(add(shape, 384), zeros, 20)
            mstore8(add(shape, 480), 0)
            calldatacopy(add(shape, 524), zeros, 20)
            calldatacopy(add(shape, USUAL_PPID), zeros, 16)
            calldatacopy(add(shape, 972), zeros, 16)
            calldatacopy(add(shape, USUAL_PCEID), zeros, 2)
            calldatacopy(add(shape, USUAL_FMSPC), zeros, 6)
            calldatacopy(add(shape, USUAL_INSTANCE), zeros, 16)
            mstore8(add(shape, 1128), 0)
            mstore8(add(shape, 1146), 0)
            isUsual := and(eq(keccak256(shape, USUAL_LENGTH), USUAL_SHAPE), iszero(and(svns, NEGATIVE)))
        }
        certificate.svns = svns;
    }

    /// @dev The fields of a leaf in the usual form. It is no CA, and its key usage allows signatures.
    function _usualRest(bytes memory der, uint256 pos, uint256 end, Certificate memory certificate) private pure {
        unchecked {
            certificate.usualAt = pos;
            (certificate.issuer, certificate.issuerCommonName) = (USUAL_ISSUER, "Intel SGX PCK Platform CA");
            (certificate.subject, certificate.commonName) = (USUAL_SUBJECT, "Intel SGX PCK Certificate");
            uint256 next;
            (certificate.notBefore, next) = Der.time(der, pos + USUAL_TIMES, pos + USUAL_TIMES_END);
            (certificate.notAfter, ) = Der.time(der, next, pos + USUAL_TIMES_END);
            certificate.x = Der.word(der, pos + USUAL_KEY);
            certificate.y = Der.word(der, pos + USUAL_KEY + 32);
            certificate.keyUsage = 0xc0;
            (certificate.sgxAt, certificate.sgxEnd) = (pos + USUAL_SGX, end);
        }
    }

    /// @notice Reads the end of a certificate or CRL: AlgorithmIdentifier, BIT STRING { SEQUENCE { r, s } }. It must
    /// end at `end`.
    /// @param pos position of the AlgorithmIdentifier.
    /// @return r first part of the ECDSA signature.
    /// @return s second part of the ECDSA signature.
    function signature(bytes memory der, uint256 pos, uint256 end) internal pure returns (uint256 r, uint256 s) {
        unchecked {
            pos = algorithm(der, pos);
            pos = Der.openLast(der, pos, end, Der.BIT_STRING);
            if (Der.word(der, pos) >> 248 != 0) revert Der.DerMalformed(pos);
            pos = Der.openLast(der, pos + 1, end, Der.SEQUENCE);
            (r, pos) = Der.integer(der, pos, end);
            (s, pos) = Der.integer(der, pos, end);
            if (pos != end) revert Der.DerMalformed(pos);
        }
    }

    /// @notice Reads a Name whose first attribute is a common name of at most 32 characters, as in all of Intel's
    /// certificates.
    /// @return digest keccak-256 of the whole Name in DER.
    /// @return commonName left-aligned.
    /// @return next position after the Name.
    function name(
        bytes memory der,
        uint256 pos,
        uint256 end
    ) internal pure returns (bytes32 digest, bytes32 commonName, uint256 next) {
        unchecked {
            uint256 content;
            (content, next) = Der.open(der, pos, end, Der.SEQUENCE);
            digest = Der.hash(der, pos, next);
            // SET { SEQUENCE { OID 2.5.4.3, UTF8String or PrintableString } }, 32 characters at most
            uint256 head = Der.word(der, content);
            uint256 length = uint8(head >> 168);
            uint256 shape = (0x3100300006035504030c00 + ((length + 9) << 72) + ((length + 7) << 56)) | length;
            // the two kinds of strings differ in five bits
            if ((head >> 168 != shape && head >> 168 != shape ^ 0x1f00) || length - 1 > 31) {
                revert CertificateUnsupported(content);
            }
            content += 11;
            if (content + length > next) revert CertificateUnsupported(content);
            commonName = bytes32((Der.word(der, content) >> (256 - 8 * length)) << (256 - 8 * length));
        }
    }

    /// @notice Reads the SGX extension of a PCK certificate. Reverts with `CertificateUnsupported` if a field is
    /// missing or occurs twice.
    /// @return sgx PPID, SVNs, PCEID, FMSPC and platform instance id (Intel, "PCK Certificate and CRL Profile").
    function sgxExtension(
        bytes memory der,
        Certificate memory certificate
    ) internal pure returns (SgxExtension memory sgx) {
        if (certificate.usualAt != 0) return _usualSgxExtension(der, certificate);
        unchecked {
            uint256 end = certificate.sgxEnd;
            uint256 pos = Der.openLast(der, certificate.sgxAt, end, Der.SEQUENCE);
            uint256 seen;
            while (pos < end) {
                (uint256 content, uint256 next) = Der.open(der, pos, end, Der.SEQUENCE);
                uint256 head = Der.word(der, content);
                uint256 field = uint8(head >> 160);
                if (bytes11(bytes32(head)) != SGX_FIELD_OID || field >= 8 || (seen >> field) & 1 != 0) {
                    revert CertificateUnsupported(content);
                }
                seen |= 1 << field;
                content += 12;
                if (field == 2) (sgx.components, sgx.pceSvn) = _tcb(der, content, next);
                else if (field == 1) sgx.ppid = _octets(der, content, next, 16);
                else if (field == 3) sgx.pceId = _octets(der, content, next, 2);
                else if (field == 4) sgx.fmspc = _octets(der, content, next, 6);
                else if (field == 6) sgx.platformInstanceId = _octets(der, content, next, 16);
                pos = next;
            }
            // PPID, TCB, PCEID, FMSPC and the SGX type are in every PCK certificate
            if (seen & 0x3e != 0x3e) revert CertificateUnsupported(certificate.sgxAt);
        }
    }

    /// @dev The same for a leaf in the usual form, from its fixed positions.
    function _usualSgxExtension(
        bytes memory der,
        Certificate memory certificate
    ) private pure returns (SgxExtension memory sgx) {
        unchecked {
            uint256 pos = certificate.usualAt;
            sgx.ppid = Der.word(der, pos + USUAL_PPID) >> 128;
            sgx.components = certificate.svns >> 8;
            sgx.pceSvn = uint8(certificate.svns);
            sgx.pceId = Der.word(der, pos + USUAL_PCEID) >> 240;
            sgx.fmspc = Der.word(der, pos + USUAL_FMSPC) >> 208;
            sgx.platformInstanceId = Der.word(der, pos + USUAL_INSTANCE) >> 128;
        }
    }

    /// @notice Requires the AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 §3.2). Returns the position after it.
    function algorithm(bytes memory der, uint256 pos) internal pure returns (uint256) {
        if (bytes12(bytes32(Der.word(der, pos))) != ECDSA_WITH_SHA256) revert CertificateUnsupported(pos);
        return pos + 12;
    }

    /// @dev SEQUENCE { notBefore, notAfter }.
    function _validity(
        bytes memory der,
        uint256 pos,
        uint256 end,
        Certificate memory certificate
    ) private pure returns (uint256 next) {
        (pos, next) = Der.open(der, pos, end, Der.SEQUENCE);
        (certificate.notBefore, pos) = Der.time(der, pos, next);
        (certificate.notAfter, pos) = Der.time(der, pos, next);
        if (pos != next) revert Der.DerMalformed(pos);
    }

    /// @dev SubjectPublicKeyInfo of an uncompressed P-256 key. Whether the point is on the curve is checked by the
    /// P-256 contract.
    function _publicKey(bytes memory der, uint256 pos, Certificate memory certificate) private pure returns (uint256) {
        unchecked {
            if (bytes27(bytes32(Der.word(der, pos))) != P256_KEY) revert CertificateUnsupported(pos);
            certificate.x = Der.word(der, pos + 27);
            certificate.y = Der.word(der, pos + 59);
            return pos + 91;
        }
    }

    /// @dev Reads the extensions. An unknown critical extension is refused (RFC 5280 §4.2), and so is a second one of a
    /// known kind.
    function _extensions(bytes memory der, uint256 pos, uint256 end, Certificate memory certificate) private pure {
        unchecked {
            pos = Der.openLast(der, pos, end, 0xa3);
            pos = Der.openLast(der, pos, end, Der.SEQUENCE);
            uint256 seen;
            while (pos < end) {
                (uint256 content, uint256 next) = Der.open(der, pos, end, Der.SEQUENCE);
                uint256 head = Der.word(der, content);
                uint256 known;
                uint256 value;
                if (head >> 224 == 0x0603551d) {
                    // OID 2.5.29.x: 14 SKI, 15 key usage, 19 basic constraints, 31 CRL points, 35 AKI
                    uint256 arc = (head >> 216) & 0xff;
                    (value, known) = _extensionValue(der, content + 5, next);
                    if (arc == 15) certificate.keyUsage = _keyUsage(der, value, next);
                    else if (arc == 19) certificate.isAuthority = _isAuthority(der, value, next);
                    if ((KNOWN_EXTENSIONS >> arc) & 1 == 1) known = 1 << arc;
                } else if (bytes11(bytes32(head)) == SGX_OID) {
                    (value, known) = _extensionValue(der, content + 11, next);
                    known = 1;
                    (certificate.sgxAt, certificate.sgxEnd) = (value, next);
                } else {
                    (, value) = Der.open(der, content, next, Der.OID);
                    (, known) = _extensionValue(der, value, next);
                }
                if (known == CRITICAL || seen & known != 0) revert CertificateUnsupported(content);
                seen |= known;
                pos = next;
            }
        }
    }

    /// @dev [BOOLEAN TRUE], OCTET STRING, which must end at `end`.
    /// @return value position of the content.
    /// @return critical `CRITICAL`, or 0.
    function _extensionValue(
        bytes memory der,
        uint256 pos,
        uint256 end
    ) private pure returns (uint256 value, uint256 critical) {
        unchecked {
            if (Der.word(der, pos) >> 232 == 0x0101ff) {
                critical = CRITICAL;
                pos += 3;
            }
            value = Der.openLast(der, pos, end, Der.OCTET_STRING);
        }
    }

    /// @dev BIT STRING of one octet; the constants of this library name its bits.
    function _keyUsage(bytes memory der, uint256 pos, uint256 end) private pure returns (uint256) {
        if (Der.word(der, pos) >> 240 != 0x0302 || pos + 4 != end) revert CertificateUnsupported(pos);
        return uint8(Der.word(der, pos) >> 224);
    }

    /// @dev BasicConstraints: SEQUENCE { cA BOOLEAN, pathLen INTEGER OPTIONAL }. An absent cA means false.
    function _isAuthority(bytes memory der, uint256 pos, uint256 end) private pure returns (bool) {
        uint256 content = Der.openLast(der, pos, end, Der.SEQUENCE);
        if (content == end) return false;
        if (Der.word(der, content) >> 232 != 0x0101ff) revert CertificateUnsupported(pos);
        content += 3;
        if (content != end) (, content) = Der.integer(der, content, end);
        if (content != end) revert Der.DerMalformed(content);
        return true;
    }

    /// @dev OCTET STRING of exactly `length` octets, as a number.
    function _octets(bytes memory der, uint256 pos, uint256 end, uint256 length) private pure returns (uint256) {
        return Der.word(der, Der.openExact(der, pos, end, Der.OCTET_STRING, length)) >> (256 - 8 * length);
    }

    /// @dev Eighteen fields in this order: 16 component SVNs, PCESVN, CPUSVN. Intel's rules compare the components, and
    /// CPUSVN is only required to be there.
    /// @return components 16 SVNs of one byte each.
    /// @return pceSvn SVN of the provisioning certification enclave.
    function _tcb(
        bytes memory der,
        uint256 pos,
        uint256 end
    ) private pure returns (uint256 components, uint256 pceSvn) {
        unchecked {
            pos = Der.openLast(der, pos, end, Der.SEQUENCE);
            for (uint256 i = 1; i <= 16; ++i) {
                uint256 head = Der.word(der, pos);
                // SEQUENCE of 16 octets, the OID, a positive INTEGER of one octet: the usual case in one comparison
                if (head >> 119 == ONE_OCTET_SVN + (i << 17)) {
                    components = (components << 8) | Der.octet(head, 17);
                    pos += 18;
                } else {
                    uint256 svn;
                    (svn, pos) = _svn(der, pos, end, i);
                    if (svn >= 256) revert CertificateUnsupported(pos);
                    components = (components << 8) | svn;
                }
            }
            // also refuses components that reach beyond the end
            (pceSvn, pos) = _svn(der, pos, end, 17);
            if (pceSvn >= 65536) revert CertificateUnsupported(pos);
            (uint256 content, uint256 next) = _tcbField(der, pos, end, 18);
            _octets(der, content, next, 16);
            if (next != end) revert Der.DerMalformed(next);
        }
    }

    /// @dev Reads an INTEGER field of the TCB.
    /// @param arc last number of the object identifier.
    function _svn(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 arc
    ) private pure returns (uint256 value, uint256 next) {
        uint256 content;
        (content, next) = _tcbField(der, pos, end, arc);
        (value, content) = Der.integer(der, content, next);
        if (content != next) revert Der.DerMalformed(content);
    }

    /// @dev Opens SEQUENCE { OID …2.arc, value } and returns the position of the value.
    function _tcbField(
        bytes memory der,
        uint256 pos,
        uint256 end,
        uint256 arc
    ) private pure returns (uint256 content, uint256 next) {
        (content, next) = Der.open(der, pos, end, Der.SEQUENCE);
        uint256 head = Der.word(der, content);
        if (bytes12(bytes32(head)) != SGX_TCB_OID || uint8(head >> 152) != arc) revert CertificateUnsupported(content);
        content += 13;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Der} from "../../../contracts/quote/parsing/Der.sol";
import {Certificate, SgxExtension, X509} from "../../../contracts/quote/certificates/X509.sol";
import {Test} from "../Vm.sol";

/// @notice Certificates that are built here part by part: the value of each part, and the refused ones.
contract CertificateTest is Test {
    bytes private constant ALGORITHM = hex"300a06082a8648ce3d040302";
    bytes private constant KEY = hex"3059301306072a8648ce3d020106082a8648ce3d03010703420004";
    bytes private constant TIME = hex"170d3234303130313030303030305a";
    bytes private constant SERIAL = hex"020107";
    bytes private constant SIGNATURE = hex"003006020105020107";
    bytes private constant KEY_USAGE = hex"300e0603551d0f0101ff0404030206c0";
    bytes private constant INSTANCE = hex"000102030405060708090a0b0c0d0e0f";

    function parse(bytes calldata der) external view returns (Certificate memory) {
        return X509.parse(der);
    }

    function sgx(bytes calldata der) external view returns (SgxExtension memory) {
        return X509.sgxExtension(der, X509.parse(der));
    }

    function nameOf(bytes calldata der) external pure returns (bytes32 commonName) {
        (, commonName, ) = X509.name(der, 0, der.length);
    }

    /* NAMES, NUMBERS, SIGNATURES */

    function test_ReadsNamesOfEitherKindAndEveryLength() public view {
        for (uint256 length = 1; length <= 32; ++length) {
            bytes memory text = _letters(length);
            bytes32 expected = bytes32(text);
            assertEq(this.parse(_named(0x0c, text)).commonName, expected, "UTF8String");
            assertEq(this.parse(_named(0x13, text)).commonName, expected, "PrintableString");
        }
        _unsupported(_named(0x0c, ""));
        _unsupported(_named(0x0c, _letters(33)));
        _unsupported(_named(0x16, "IA5String"));
    }

    /// @dev The lengths inside say that the text is longer than the name.
    function test_RefusesNamesThatEndBeforeTheirText() public view {
        bytes memory name = _name(0x0c, "A name");
        this.nameOf(name);
        for (uint256 length = name.length - 1; length > 12; --length) {
            bytes memory cut = bytes.concat(name, new bytes(32));
            cut[1] = bytes1(uint8(length - 2));
            _refused(abi.encodeCall(this.nameOf, (cut)), X509.CertificateUnsupported.selector);
        }
    }

    function test_ReadsSerialsOfTwentyOctets() public view {
        assertEq(this.parse(_with(SERIAL, SIGNATURE, KEY_USAGE)).serial, 7, "of one");
        bytes memory twenty = bytes.concat(hex"0214", bytes20(type(uint160).max >> 1));
        assertEq(this.parse(_with(twenty, SIGNATURE, KEY_USAGE)).serial, type(uint160).max >> 1, "of twenty");
        _unsupported(_with(bytes.concat(hex"021501", bytes20(0)), SIGNATURE, KEY_USAGE));
    }

    function test_RefusesSignaturesThatAreNotTwoNumbers() public view {
        // a bit that is not used, three numbers, one
        _malformed(_with(SERIAL, hex"013006020105020107", KEY_USAGE));
        _malformed(_with(SERIAL, hex"003009020105020107020109", KEY_USAGE));
        _malformed(_with(SERIAL, hex"003003020105", KEY_USAGE));
    }

    /* EXTENSIONS */

    function test_ReadsKeyUsageOfOneOctet() public view {
        assertEq(this.parse(_with(SERIAL, SIGNATURE, KEY_USAGE)).keyUsage, 0xc0, "usage");
        _unsupported(_with(SERIAL, SIGNATURE, hex"30100603551d0f0101ff040603030700c000"));
        _unsupported(_with(SERIAL, SIGNATURE, hex"300f0603551d0f0101ff0405030206c000"));
    }

    function test_RecognizesACaByItsBasicConstraints() public view {
        assertTrue(!this.parse(_constrained("")).isAuthority, "nothing said");
        assertTrue(this.parse(_constrained(hex"0101ff")).isAuthority, "without a length");
        assertTrue(this.parse(_constrained(hex"0101ff020100")).isAuthority, "with a length");
        // FALSE is the default, which DER leaves out; a length without the flag; something behind it
        _unsupported(_constrained(hex"010100"));
        _unsupported(_constrained(hex"020100"));
        _malformed(_constrained(hex"0101ff020100020100"));
    }

    /* INTEL'S EXTENSION */

    function test_ReadsTheSgxExtension() public view {
        SgxExtension memory found = this.sgx(_platform(_tcb(hex"020104", hex"02020100", ""), _field(6, _instance())));
        assertEq(found.components, 0x04040404040404040404040404040404, "components");
        assertEq(found.pceSvn, 256, "PCESVN");
        assertEq(found.platformInstanceId, uint128(bytes16(INSTANCE)), "instance");
        // an SVN above 127 takes two octets
        found = this.sgx(_platform(_tcb(hex"020200ff", hex"020300ffff", ""), ""));
        assertEq(found.components, type(uint128).max, "greatest components");
        assertEq(found.pceSvn, 65535, "greatest PCESVN");
        assertEq(found.platformInstanceId, 0, "no instance");
    }

    function test_RefusesSvnsThatAreTooLarge() public view {
        _noPlatform(_tcb(hex"02020100", hex"02010b", ""), "", X509.CertificateUnsupported.selector);
        _noPlatform(_tcb(hex"020104", hex"0203010000", ""), "", X509.CertificateUnsupported.selector);
    }

    function test_RefusesUnknownFields() public view {
        bytes memory tcb = _tcb(hex"020104", hex"02010b", "");
        // an arc that is none, one that was there, and something behind the eighteen
        _noPlatform(tcb, _field(8, hex"0400"), X509.CertificateUnsupported.selector);
        _noPlatform(tcb, _field(4, hex"0406000000000000"), X509.CertificateUnsupported.selector);
        _noPlatform(_tcb(hex"020104", hex"02010b", hex"3000"), "", Der.DerMalformed.selector);
        // an arc where another has to be
        bytes memory turned = _tcb(hex"020104", hex"02010b", "");
        turned[18] = 0x02;
        _noPlatform(turned, "", X509.CertificateUnsupported.selector);
    }

    /* PUTTING CERTIFICATES TOGETHER */

    function _named(uint8 kind, bytes memory text) private pure returns (bytes memory) {
        return _certificate(SERIAL, _name(kind, text), SIGNATURE, KEY_USAGE);
    }

    function _with(
        bytes memory serial,
        bytes memory signature,
        bytes memory extensions
    ) private pure returns (bytes memory) {
        return _certificate(serial, _name(0x0c, "A name"), signature, extensions);
    }

    function _constrained(bytes memory constraints) private pure returns (bytes memory) {
        bytes memory value = _tlv(0x04, _tlv(0x30, constraints));
        return _with(SERIAL, SIGNATURE, _tlv(0x30, bytes.concat(hex"0603551d130101ff", value)));
    }

    function _platform(bytes memory tcb, bytes memory more) private pure returns (bytes memory) {
        bytes memory fields = bytes.concat(
            _field(1, _instance()),
            _field(2, tcb),
            _field(3, hex"04020000"),
            _field(4, hex"0406000000000000"),
            _field(5, hex"0a0100"),
            more
        );
        bytes memory value = _tlv(0x04, _tlv(0x30, fields));
        return _with(SERIAL, SIGNATURE, _tlv(0x30, bytes.concat(hex"06092a864886f84d010d01", value)));
    }

    function _field(uint8 arc, bytes memory value) private pure returns (bytes memory) {
        return _tlv(0x30, bytes.concat(hex"060a2a864886f84d010d01", bytes1(arc), value));
    }

    /// @dev Sixteen times the same SVN, PCESVN, CPUSVN.
    function _tcb(bytes memory svn, bytes memory pceSvn, bytes memory more) private pure returns (bytes memory) {
        bytes memory fields;
        for (uint8 i = 1; i <= 16; ++i) fields = bytes.concat(fields, _tcbField(i, svn));
        fields = bytes.concat(fields, _tcbField(17, pceSvn), _tcbField(18, _instance()), more);
        return _tlv(0x30, fields);
    }

    function _tcbField(uint8 arc, bytes memory value) private pure returns (bytes memory) {
        return _tlv(0x30, bytes.concat(hex"060b2a864886f84d010d0102", bytes1(arc), value));
    }

    function _instance() private pure returns (bytes memory) {
        return bytes.concat(hex"0410", INSTANCE);
    }

    function _certificate(
        bytes memory serial,
        bytes memory name,
        bytes memory signature,
        bytes memory extensions
    ) private pure returns (bytes memory) {
        bytes memory tbs = bytes.concat(hex"a003020102", serial, ALGORITHM, name, _tlv(0x30, bytes.concat(TIME, TIME)));
        tbs = bytes.concat(tbs, name, KEY, new bytes(64), _tlv(0xa3, _tlv(0x30, extensions)));
        return _tlv(0x30, bytes.concat(_tlv(0x30, tbs), ALGORITHM, _tlv(0x03, signature)));
    }

    function _name(uint8 kind, bytes memory text) private pure returns (bytes memory) {
        return _tlv(0x30, _tlv(0x31, _tlv(0x30, bytes.concat(hex"0603550403", _tlv(kind, text)))));
    }

    function _letters(uint256 count) private pure returns (bytes memory text) {
        text = new bytes(count);
        for (uint256 i = 0; i < count; ++i) text[i] = bytes1(uint8(65 + i));
    }

    function _tlv(uint8 tag, bytes memory content) private pure returns (bytes memory) {
        uint256 length = content.length;
        if (length < 128) return bytes.concat(bytes1(tag), bytes1(uint8(length)), content);
        if (length < 256) return bytes.concat(bytes1(tag), hex"81", bytes1(uint8(length)), content);
        return bytes.concat(bytes1(tag), hex"82", bytes2(uint16(length)), content);
    }

    function _unsupported(bytes memory der) private view {
        _refused(abi.encodeCall(this.parse, (der)), X509.CertificateUnsupported.selector);
    }

    function _malformed(bytes memory der) private view {
        _refused(abi.encodeCall(this.parse, (der)), Der.DerMalformed.selector);
    }

    function _noPlatform(bytes memory tcb, bytes memory more, bytes4 expected) private view {
        _refused(abi.encodeCall(this.sgx, (_platform(tcb, more))), expected);
    }

    function _refused(bytes memory call, bytes4 expected) private view {
        (bool isRead, bytes memory reason) = address(this).staticcall(call);
        assertTrue(!isRead, "read");
        assertEq(bytes32(bytes4(reason)), bytes32(expected), "error");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Certificate, SgxExtension, X509} from "../../../contracts/quote/certificates/X509.sol";
import {Test} from "../Vm.sol";

/// @notice A leaf recognised as a whole, against the same leaf read element by element.
contract X509Test is Test {
    /// @dev What Intel writes behind the serial number; zeros where one leaf differs from another.
    bytes private constant SHAPE =
        hex"300a06082a8648ce3d04030230703122302006035504030c19496e74656c205347582050434b20506c6174666f726d20"
        hex"4341311a3018060355040a0c11496e74656c20436f72706f726174696f6e3114301206035504070c0b53616e74612043"
        hex"6c617261310b300906035504080c024341310b3009060355040613025553301e170d0000000000000000000000005a17"
        hex"0d0000000000000000000000005a30703122302006035504030c19496e74656c205347582050434b2043657274696669"
        hex"63617465311a3018060355040a0c11496e74656c20436f72706f726174696f6e3114301206035504070c0b53616e7461"
        hex"20436c617261310b300906035504080c024341310b30090603550406130255533059301306072a8648ce3d020106082a"
        hex"8648ce3d0301070342000400000000000000000000000000000000000000000000000000000000000000000000000000"
        hex"000000000000000000000000000000000000000000000000000000a382030c30820308301f0603551d23041830168014"
        hex"0000000000000000000000000000000000000000306b0603551d1f046430623060a05ea05c865a68747470733a2f2f61"
        hex"70692e7472757374656473657276696365732e696e74656c2e636f6d2f7367782f63657274696669636174696f6e2f76"
        hex"002f70636b63726c3f63613d706c6174666f726d26656e636f64696e673d646572301d0603551d0e0416041400000000"
        hex"00000000000000000000000000000000300e0603551d0f0101ff0404030206c0300c0603551d130101ff040230003082"
        hex"023906092a864886f84d010d010482022a30820226301e060a2a864886f84d010d010104100000000000000000000000"
        hex"000000000030820163060a2a864886f84d010d0102308201533010060b2a864886f84d010d0102010201003010060b2a"
        hex"864886f84d010d0102020201003010060b2a864886f84d010d0102030201003010060b2a864886f84d010d0102040201"
        hex"003010060b2a864886f84d010d0102050201003010060b2a864886f84d010d0102060201003010060b2a864886f84d01"
        hex"0d0102070201003010060b2a864886f84d010d0102080201003010060b2a864886f84d010d0102090201003010060b2a"
        hex"864886f84d010d01020a0201003010060b2a864886f84d010d01020b0201003010060b2a864886f84d010d01020c0201"
        hex"003010060b2a864886f84d010d01020d0201003010060b2a864886f84d010d01020e0201003010060b2a864886f84d01"
        hex"0d01020f0201003010060b2a864886f84d010d0102100201003010060b2a864886f84d010d010211020100301f060b2a"
        hex"864886f84d010d0102120410000000000000000000000000000000003010060a2a864886f84d010d0103040200003014"
        hex"060a2a864886f84d010d01040406000000000000300f060a2a864886f84d010d01050a0101301e060a2a864886f84d01"
        hex"0d01060410000000000000000000000000000000003044060a2a864886f84d010d010730363010060b2a864886f84d01"
        hex"0d0107010101ff3010060b2a864886f84d010d0107020101003010060b2a864886f84d010d010703010100";

    /// @dev Where those zeros are: offset, length.
    uint256[2][30] private _blanks;

    constructor() {
        uint256[2][13] memory blanks = [
            [uint256(130), 12],
            [uint256(145), 12],
            [uint256(299), 64],
            [uint256(384), 20],
            [uint256(480), 1],
            [uint256(524), 20],
            [uint256(613), 16],
            [uint256(972), 16],
            [uint256(1004), 2],
            [uint256(1022), 6],
            [uint256(1061), 16],
            [uint256(1128), 1],
            [uint256(1146), 1]
        ];
        for (uint256 i = 0; i < 13; ++i) _blanks[i] = blanks[i];
        for (uint256 i = 0; i < 17; ++i) _blanks[13 + i] = [666 + 18 * i, 1];
    }

    function quick(bytes calldata der) external view returns (Certificate memory leaf, SgxExtension memory sgx) {
        leaf = X509.parseLeaf(der);
        sgx = X509.sgxExtension(der, leaf);
    }

    function plain(bytes calldata der) external view returns (Certificate memory leaf, SgxExtension memory sgx) {
        leaf = X509.parse(der);
        sgx = X509.sgxExtension(der, leaf);
    }

    /// @dev Any value of everything that differs: recognised, and read as the plain reader reads it.
    function testFuzz_ReadsTheUsualShape(bytes32 seed) public view {
        (Certificate memory leaf, SgxExtension memory sgx) = this.quick(_leaf(seed, _filled(seed)));
        assertTrue(leaf.usualAt != 0, "recognised");
        assertTrue(leaf.keyUsage & X509.DIGITAL_SIGNATURE != 0 && !leaf.isAuthority, "signs, and is no CA");
        assertTrue(sgx.components >> 128 == 0 && sgx.pceSvn < 128, "SVNs");
        _agree(_leaf(seed, _filled(seed)));
    }

    /// @dev Every octet changed, one at a time: recognised only where a blank is.
    function test_ChangedOctetIsRecognizedOnlyInABlank() public view {
        bytes memory rest = _filled("every octet");
        bytes memory der = _leaf("every octet", rest);
        uint256 start = 4 + 4 + 5 + 22;
        for (uint256 i = 0; i < rest.length; ++i) {
            bytes1 octet = der[start + i];
            der[start + i] = octet ^ 0x01;
            (bool isRead, bool isUsual) = _agree(der);
            if (!_isBlank(i))
                assertTrue(!isUsual, "a fixed octet is not looked at");
                // a date may have become none
            else if (i >= 158) assertTrue(isRead && isUsual, "a blank counts");
            der[start + i] = octet;
        }
    }

    function testFuzz_AgreesWithThePlainReaderOnAnyOctet(bytes32 seed, uint256 place, bytes1 octet) public view {
        bytes memory der = _leaf(seed, _filled(seed));
        der[place % der.length] = octet;
        _agree(der);
    }

    /// @dev A negative INTEGER in the place of an SVN is not one of the usual shape, and refused.
    function test_RefusesNegativeSvns() public view {
        for (uint256 i = 0; i < 17; ++i) {
            bytes memory rest = _filled("svn");
            rest[666 + 18 * i] = 0x80;
            (bool isRead, ) = _agree(_leaf("svn", rest));
            assertTrue(!isRead, "read");
        }
    }

    /// @dev An octet more or less behind the shape.
    function test_AgreesWithThePlainReaderOnOtherLengths() public view {
        bytes memory rest = _filled("length");
        _agree(_leaf("length", bytes.concat(rest, hex"00")));
        assembly ("memory-safe") {
            mstore(rest, sub(mload(rest), 1))
        }
        _agree(_leaf("length", rest));
    }

    function _agree(bytes memory der) private view returns (bool isRead, bool isUsual) {
        bytes memory found;
        bytes memory expected;
        (isRead, found) = address(this).staticcall(abi.encodeCall(this.quick, (der)));
        (bool isReadPlainly, bytes memory plainly) = address(this).staticcall(abi.encodeCall(this.plain, (der)));
        expected = plainly;
        if (isRead) {
            (Certificate memory leaf, SgxExtension memory sgx) = abi.decode(found, (Certificate, SgxExtension));
            isUsual = leaf.usualAt != 0;
            (leaf.usualAt, leaf.svns) = (0, 0);
            found = abi.encode(leaf, sgx);
            (leaf, sgx) = abi.decode(plainly, (Certificate, SgxExtension));
            expected = abi.encode(leaf, sgx);
        }
        assertTrue(isRead == isReadPlainly, "one reads what the other refuses");
        assertEq(keccak256(found), keccak256(expected), "what is read");
    }

    /* A LEAF */

    /// @dev The shape with its blanks filled: times are digits, SVNs below 128, everything else is anything.
    function _filled(bytes32 seed) private view returns (bytes memory rest) {
        rest = bytes.concat(SHAPE);
        for (uint256 i = 0; i < _blanks.length; ++i) {
            (uint256 place, uint256 length) = (_blanks[i][0], _blanks[i][1]);
            for (uint256 j = 0; j < length; ++j) {
                uint256 value = uint256(keccak256(abi.encode(seed, place, j)));
                if (i >= 13) value &= 0x7e;
                rest[place + j] = bytes1(uint8(value));
            }
        }
        _put(rest, 130, "240618102236");
        _put(rest, 145, uint256(seed) % 2 == 0 ? bytes("310618102236") : bytes("491231235958"));
    }

    function _put(bytes memory rest, uint256 place, bytes memory text) private pure {
        for (uint256 i = 0; i < text.length; ++i) rest[place + i] = text[i];
    }

    function _isBlank(uint256 place) private view returns (bool) {
        for (uint256 i = 0; i < _blanks.length; ++i) {
            if (place >= _blanks[i][0] && place < _blanks[i][0] + _blanks[i][1]) return true;
        }
        return false;
    }

    function _leaf(bytes32 seed, bytes memory rest) private pure returns (bytes memory) {
        bytes memory serial = bytes.concat(
            hex"0214",
            (bytes20(keccak256(abi.encode(seed))) & ~bytes20(bytes1(0x80))) | bytes20(bytes1(0x40))
        );
        bytes memory tbs = _sequence(bytes.concat(hex"a003020102", serial, rest));
        bytes memory number = bytes.concat(hex"0220", (seed & ~bytes32(bytes1(0x80))) | bytes32(bytes1(0x40)));
        bytes memory signature = bytes.concat(hex"00", _short(bytes.concat(number, number)));
        bytes memory signed = bytes.concat(hex"03", bytes1(uint8(signature.length)), signature);
        return _sequence(bytes.concat(tbs, hex"300a06082a8648ce3d040302", signed));
    }

    function _sequence(bytes memory content) private pure returns (bytes memory) {
        return bytes.concat(hex"3082", bytes2(uint16(content.length)), content);
    }

    function _short(bytes memory content) private pure returns (bytes memory) {
        return bytes.concat(hex"30", bytes1(uint8(content.length)), content);
    }
}

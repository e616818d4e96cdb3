// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "../../../contracts/quote/records/CodeStore.sol";
import {Crl, RevocationList} from "../../../contracts/quote/certificates/Crl.sol";
import {Der} from "../../../contracts/quote/parsing/Der.sol";
import {ICollateralStore} from "../../../contracts/quote/collateral/ICollateralStore.sol";
import {X509} from "../../../contracts/quote/certificates/X509.sol";
import {Test} from "../Vm.sol";

/// @notice CRLs put together here, octet by octet, and the sets that they become.
contract CrlTest is Test {
    bytes private constant ALGORITHM = hex"300a06082a8648ce3d040302";
    bytes private constant TIME = hex"170d3235313131383230313231365a";
    bytes private constant REASON = hex"300c300a0603551d1504030a0101";

    function parse(bytes calldata der) external view returns (RevocationList memory) {
        return Crl.parse(der);
    }

    /* LISTS */

    function testFuzz_ReadsSerials(uint160[] memory serials) public view {
        vm.assume(serials.length > 0);
        bytes memory expected;
        bytes memory entries;
        for (uint256 i = 0; i < serials.length; ++i) {
            expected = bytes.concat(expected, bytes20(serials[i]));
            entries = bytes.concat(entries, _entry(serials[i], i % 3 == 2 ? bytes("") : REASON));
        }

        RevocationList memory list = this.parse(_list(_tlv(0x30, entries)));

        assertEq(keccak256(list.serials), keccak256(expected), "serials");
        assertEq(list.thisUpdate, 1763496736, "date");
    }

    function test_ReadsAListWithoutEntries() public view {
        assertEq(this.parse(_list("")).serials.length, 0, "serials");
    }

    /// @dev RFC 5280 §5.1.2.6; the TypeScript twin refuses it too.
    function test_RefusesAnEncodedEmptyList() public view {
        bytes memory der = _list(hex"3000");
        _refused(der);
    }

    /// @dev One changed octet: the list has the same meaning or is refused with a typed error, and nothing beyond it is read.
    function testFuzz_ChangedListsAreReadOrRefusedWithATypedError(
        uint160[3] memory serials,
        uint256 place,
        bytes1 octet
    ) public view {
        bytes memory entries;
        for (uint256 i = 0; i < 3; ++i) entries = bytes.concat(entries, _entry(serials[i], REASON));
        bytes memory der = _list(_tlv(0x30, entries));
        der[place % der.length] = octet;

        _refusedByName(der);
    }

    function testFuzz_CutListsAreRefused(uint256 length) public view {
        bytes memory der = _list(_tlv(0x30, _entry(7, REASON)));
        length = bound(length, 0, der.length - 1);
        assembly ("memory-safe") {
            mstore(der, length)
        }
        _refused(der);
    }

    function test_ReadsEitherKindOfTimeAndNothingElse() public view {
        bytes memory serial = hex"020107";
        bytes memory entry = _tlv(0x30, bytes.concat(serial, hex"180f", "20251118201216Z"));
        assertEq(this.parse(_list(_tlv(0x30, entry))).serials.length, 20, "GeneralizedTime");
        _refused(_list(_tlv(0x30, _tlv(0x30, bytes.concat(serial, hex"190f", "20251118201216Z")))));
    }

    /// @dev An entry as Intel writes them that would end behind its list.
    function test_RefusesAnEntryThatReachesBeyondTheList() public view {
        bytes memory entry = _entry(type(uint160).max >> 1, REASON);
        assertEq(entry.length, 53, "usual");
        _refused(_list(bytes.concat(hex"3034", entry)));
    }

    function test_AcceptsAsManyEntriesAsOneAccountStores() public view {
        bytes memory entry = _entry(type(uint160).max >> 1, REASON);
        bytes memory entries = _repeated(entry, Crl.MAX_ENTRIES);
        assertEq(this.parse(_list(_tlv(0x30, entries))).serials.length, 20 * Crl.MAX_ENTRIES, "serials");

        _refused(_list(_tlv(0x30, bytes.concat(entries, entry))), ICollateralStore.CrlTooLong.selector);
    }

    function test_RefusesSerialsThatAreNotCanonical() public view {
        bytes[4] memory wrong = [
            // negative, a zero too many, no octet, 21 octets that are no sign
            bytes.concat(hex"0214", bytes20(hex"80")),
            bytes.concat(hex"0214", bytes20(0)),
            bytes(hex"0200"),
            bytes.concat(hex"0215", hex"01", bytes20(0))
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            bytes memory der = _list(_tlv(0x30, _tlv(0x30, bytes.concat(wrong[i], TIME, REASON))));
            _refused(der);
        }
    }

    /* SETS */

    function testFuzz_SortsLikeAnExchangeOfNeighbours(uint160[] memory serials) public pure {
        bytes memory sorted = Crl.sorted(_packed(serials));

        for (uint256 i = 0; i < serials.length; ++i) {
            for (uint256 j = 1; j < serials.length - i; ++j) {
                if (serials[j] < serials[j - 1]) (serials[j], serials[j - 1]) = (serials[j - 1], serials[j]);
            }
        }
        assertEq(keccak256(sorted), keccak256(_packed(serials)), "order");
    }

    function test_SortsListsOfEveryOrder() public pure {
        uint160[] memory serials = new uint160[](40);
        for (uint256 i = 0; i < 40; ++i) serials[i] = uint160(i);
        testFuzz_SortsLikeAnExchangeOfNeighbours(serials);
        for (uint256 i = 0; i < 40; ++i) serials[i] = uint160(40 - i);
        testFuzz_SortsLikeAnExchangeOfNeighbours(serials);
        for (uint256 i = 0; i < 40; ++i) serials[i] = type(uint160).max - uint160(i % 2);
        testFuzz_SortsLikeAnExchangeOfNeighbours(serials);
    }

    /// @dev On both sides of each number from which on the search has one more step.
    function test_SortsListsOfEveryLength() public pure {
        uint16[10] memory lengths = [1, 2, 63, 64, 65, 127, 128, 129, 257, 300];
        for (uint256 i = 0; i < lengths.length; ++i) {
            uint160[] memory serials = new uint160[](lengths[i]);
            for (uint256 j = 0; j < serials.length; ++j) serials[j] = uint160(uint256(keccak256(abi.encode(j))));
            testFuzz_SortsLikeAnExchangeOfNeighbours(serials);
        }
    }

    function testFuzz_ContainsExactlyTheListedSerials(uint160[] memory serials, uint160 other) public {
        address pointer = CodeStore.write(Crl.sorted(_packed(serials)));
        bool listed;
        for (uint256 i = 0; i < serials.length; ++i) {
            assertTrue(Crl.contains(pointer, serials.length, serials[i]), "listed");
            listed = listed || serials[i] == other;
        }
        assertTrue(Crl.contains(pointer, serials.length, other) == listed, "another");
    }

    /* PUTTING LISTS TOGETHER */

    function _list(bytes memory revoked) private pure returns (bytes memory) {
        bytes memory name = _tlv(0x30, _tlv(0x31, _tlv(0x30, bytes.concat(hex"0603550403", _tlv(0x0c, "A CA")))));
        bytes memory number = _tlv(0x30, bytes.concat(hex"0603551d14", hex"0403020101"));
        bytes memory extensions = _tlv(0xa0, _tlv(0x30, number));
        bytes memory tbs = _tlv(0x30, bytes.concat(hex"020101", ALGORITHM, name, TIME, TIME, revoked, extensions));
        bytes memory signature = _tlv(0x03, bytes.concat(hex"00", _tlv(0x30, hex"020105020107")));
        return _tlv(0x30, bytes.concat(tbs, ALGORITHM, signature));
    }

    function _entry(uint160 serial, bytes memory extensions) private pure returns (bytes memory) {
        return _tlv(0x30, bytes.concat(_integer(serial), TIME, extensions));
    }

    function _repeated(bytes memory part, uint256 count) private pure returns (bytes memory) {
        if (count == 0) return "";
        bytes memory half = _repeated(part, count / 2);
        return bytes.concat(half, half, count % 2 == 1 ? part : bytes(""));
    }

    function _integer(uint160 value) private pure returns (bytes memory) {
        bytes memory octets = value >> 152 > 127 ? bytes(hex"00") : bytes("");
        octets = bytes.concat(octets, bytes20(value));
        uint256 zeros;
        while (zeros < 19 && octets[zeros] == 0 && uint8(octets[zeros + 1]) < 128) ++zeros;
        bytes memory minimal = new bytes(octets.length - zeros);
        for (uint256 i = 0; i < minimal.length; ++i) minimal[i] = octets[i + zeros];
        return _tlv(0x02, minimal);
    }

    function _tlv(uint8 tag, bytes memory content) private pure returns (bytes memory) {
        uint256 length = content.length;
        if (length < 128) return bytes.concat(bytes1(tag), bytes1(uint8(length)), content);
        if (length < 256) return bytes.concat(bytes1(tag), hex"81", bytes1(uint8(length)), content);
        return bytes.concat(bytes1(tag), hex"82", bytes2(uint16(length)), content);
    }

    function _packed(uint160[] memory serials) private pure returns (bytes memory packed) {
        for (uint256 i = 0; i < serials.length; ++i) packed = bytes.concat(packed, bytes20(serials[i]));
    }

    function _refused(bytes memory der) private view {
        _refused(der, Der.DerMalformed.selector);
    }

    function _refused(bytes memory der, bytes4 expected) private view {
        try this.parse(der) {
            assertTrue(false, "accepted");
        } catch (bytes memory reason) {
            assertEq(bytes32(bytes4(reason)), bytes32(expected), "error");
        }
    }

    function _refusedByName(bytes memory der) private view {
        try this.parse(der) returns (RevocationList memory list) {
            assertTrue(list.serials.length % 20 == 0 && list.serials.length <= (20 * der.length) / 5, "serials");
        } catch (bytes memory reason) {
            bytes4 error_ = bytes4(reason);
            bool named = error_ == Der.DerMalformed.selector || error_ == X509.CertificateUnsupported.selector;
            assertTrue(named || error_ == ICollateralStore.CrlTooLong.selector, "an error with a name");
        }
    }
}

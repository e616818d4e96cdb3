// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "../../../contracts/types/Bytes48.sol";
import {Report} from "../../../contracts/types/Report.sol";
import {Test} from "../Vm.sol";

/// @notice Offsets in a TD report; nothing beyond it is read.
contract ReportTest is Test {
    function rtmr(bytes memory td, uint256 index) external pure returns (Bytes48 memory) {
        return _of(td).rtmr(index);
    }

    function measurement(bytes memory td) external pure returns (Bytes48 memory) {
        return _of(td).mrTd();
    }

    function test_EachFieldIsAtItsOffset() public pure {
        Report memory report = _of(_counting(648));
        assertEq(bytes32(report.teeTcbSvn()), bytes32(bytes16(_slice(0, 16))), "svn");
        _same(report.mrSeam(), 16);
        _same(report.mrSignerSeam(), 64);
        assertEq(report.seamAttributes(), 0x7776757473727170, "seam attributes");
        assertEq(report.tdAttributes(), 0x7f7e7d7c7b7a7978, "attributes");
        assertEq(report.xfam(), 0x8786858483828180, "xfam");
        _same(report.mrTd(), 136);
        _same(report.mrConfigId(), 184);
        _same(report.mrOwner(), 232);
        _same(report.mrOwnerConfig(), 280);
        for (uint256 i = 0; i < 4; i++) _same(report.rtmr(i), 328 + 48 * i);
        (bytes32 first, bytes32 second) = report.reportData();
        assertEq(first, bytes32(_slice(520, 32)), "first half");
        assertEq(second, bytes32(_slice(552, 32)), "second half");
        bytes memory image = bytes.concat(_slice(136, 48), _slice(328, 48), _slice(376, 48), _slice(424, 48));
        assertEq(report.imageKey(), keccak256(image), "image");
    }

    function test_OlderReportsRunWhatTheyLaunchedAndHaveNoServiceTd() public pure {
        assertEq(bytes32(_of(_counting(584)).teeTcbSvn2()), bytes32(bytes16(_slice(0, 16))), "svn of 1.0");
        assertTrue(_of(_counting(584)).mrServiceTd().isZero(), "service TD of 1.0");
        assertEq(bytes32(_of(_counting(648)).teeTcbSvn2()), bytes32(bytes16(_slice(584, 16))), "svn of 1.5");
        _same(_of(_counting(648)).mrServiceTd(), 600);
    }

    function test_ShortReportsRevert() public {
        vm.expectRevert(_panic());
        this.rtmr(new bytes(584), 4);
        vm.expectRevert(_panic());
        this.measurement("");
    }

    function test_MeasurementsAreEqualInAllTheirBytes() public pure {
        Bytes48 memory one = Bytes48("hi", "lo");
        assertTrue(one.equals(Bytes48("hi", "lo")), "the same");
        assertTrue(!one.equals(Bytes48("ho", "lo")), "another beginning");
        assertTrue(!one.equals(Bytes48("hi", "la")), "another end");
        assertEq(one.key(), keccak256(one.toBytes()), "key");
        assertTrue(Bytes48(0, 0).isZero() && !Bytes48("hi", 0).isZero() && !Bytes48(0, "lo").isZero(), "zero");
    }

    function _same(Bytes48 memory found, uint256 from) private pure {
        assertEq(keccak256(found.toBytes()), keccak256(_slice(from, 48)), "field");
    }

    function _slice(uint256 from, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; i++) part[i] = bytes1(uint8(from + i));
    }

    function _counting(uint256 length) private pure returns (bytes memory) {
        return _slice(0, length);
    }

    function _of(bytes memory td) private pure returns (Report memory report) {
        report.td = td;
    }

    function _panic() private pure returns (bytes memory) {
        return abi.encodeWithSignature("Panic(uint256)", 1);
    }
}

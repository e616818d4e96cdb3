// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Policy, PolicyBreach, PolicyLib} from "../../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {Test} from "../Vm.sol";

/// @notice The policy that nobody had to state.
contract PolicyTest is Test {
    uint64 private constant SEPT_VE_DISABLE = 1 << 28;
    uint64 private constant XFAM = 0x6dbe7;

    function test_PassesAPatchedTd() public view {
        _judge(_report(TcbStatus.UpToDate, SEPT_VE_DISABLE, XFAM), PolicyBreach.None);
        _judge(_report(TcbStatus.SWHardeningNeeded, SEPT_VE_DISABLE, 0x3), PolicyBreach.None);
    }

    function testFuzz_XfamBitsThatNoModuleKnowsAreRefused(uint64 xfam) public view {
        PolicyBreach expected = xfam & ~XFAM == 0 ? PolicyBreach.None : PolicyBreach.Xfam;
        _judge(_report(TcbStatus.UpToDate, SEPT_VE_DISABLE, xfam), expected);
        _judge(_report(TcbStatus.UpToDate, SEPT_VE_DISABLE, xfam & XFAM), PolicyBreach.None);
    }

    function testFuzz_NoAttributeButOneMayBeSet(uint64 attributes) public view {
        vm.assume(attributes != SEPT_VE_DISABLE);
        PolicyBreach expected =
            attributes & ~SEPT_VE_DISABLE != 0 ? PolicyBreach.AttributeForbidden : PolicyBreach.AttributeMissing;
        _judge(_report(TcbStatus.UpToDate, attributes, 0), expected);
    }

    function test_RefusesEveryOtherStatus() public view {
        for (uint256 i = 0; i <= uint256(TcbStatus.Revoked); ++i) {
            if (i == uint256(TcbStatus.UpToDate) || i == uint256(TcbStatus.SWHardeningNeeded)) continue;
            _judge(_report(TcbStatus(i), SEPT_VE_DISABLE, 0), PolicyBreach.Status);
        }
    }

    function _judge(Report memory report, PolicyBreach expected) private view {
        PolicyBreach found = PolicyLib.breachOf(PolicyLib.standard(), report);
        assertEq(uint256(found), uint256(expected), "breach");
    }

    function _report(TcbStatus status, uint64 attributes, uint64 xfam) private pure returns (Report memory report) {
        report.verdict = Verdict.Verified;
        report.status = status;
        report.td = new bytes(584);
        for (uint256 i = 0; i < 8; ++i) {
            report.td[120 + i] = bytes1(uint8(attributes >> (8 * i)));
            report.td[128 + i] = bytes1(uint8(xfam >> (8 * i)));
        }
    }
}

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
        _expect(_report(TcbStatus.UpToDate, SEPT_VE_DISABLE, XFAM), PolicyBreach.None);
        _expect(_report(TcbStatus.SWHardeningNeeded, SEPT_VE_DISABLE, 0x3), PolicyBreach.None);
    }

    function testFuzz_UnknownXfamBitsAreRefused(uint64 xfam) public view {
        PolicyBreach expected = xfam & ~XFAM == 0 ? PolicyBreach.None : PolicyBreach.Xfam;
        _expect(_report(TcbStatus.UpToDate, SEPT_VE_DISABLE, xfam), expected);
        _expect(_report(TcbStatus.UpToDate, SEPT_VE_DISABLE, xfam & XFAM), PolicyBreach.None);
    }

    function testFuzz_OnlyOneAttributeMayBeSet(uint64 attributes) public view {
        vm.assume(attributes != SEPT_VE_DISABLE);
        PolicyBreach expected =
            attributes & ~SEPT_VE_DISABLE != 0 ? PolicyBreach.AttributeForbidden : PolicyBreach.AttributeMissing;
        _expect(_report(TcbStatus.UpToDate, attributes, 0), expected);
    }

    function test_RefusesEveryOtherStatus() public view {
        for (uint256 i = 0; i <= uint256(TcbStatus.Revoked); ++i) {
            if (i == uint256(TcbStatus.UpToDate) || i == uint256(TcbStatus.SWHardeningNeeded)) continue;
            _expect(_report(TcbStatus(i), SEPT_VE_DISABLE, 0), PolicyBreach.Status);
        }
    }

    function _expect(Report memory report, PolicyBreach expected) private view {
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

/// @notice Each rule by itself: what breaks it, and what just does not.
contract PolicyRulesTest is Test {
    uint256 private constant NOW = 1_750_000_000;
    bytes32 private constant DEVICE = "device";
    bytes6 private constant FMSPC = "fmspc";

    function setUp() public {
        vm.warp(NOW);
    }

    function enforce(Policy memory policy, Report memory report) external view {
        policy.enforce(report);
    }

    function test_EnforceRevertsWithTheFirstBreach() public {
        Report memory report = _report();
        this.enforce(_policy(), report);

        report.verdict = Verdict.LeafRevoked;
        report.status = TcbStatus.OutOfDate;
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.Unverified));
        this.enforce(_policy(), report);

        report.verdict = Verdict.Verified;
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.Status));
        this.enforce(_policy(), report);
    }

    function test_ServiceTdMustBeAllowed() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        // first and last byte of MRSERVICETD
        for (uint256 place = 600; place <= 647; place += 47) {
            report.td = _td(648);
            _expect(policy, report, PolicyBreach.None);
            report.td[place] = 0x01;
            _expect(policy, report, PolicyBreach.ServiceTd);
        }

        policy.serviceTdAllowed = true;
        _expect(policy, report, PolicyBreach.None);
    }

    /// @dev 1.5 Ex: the hash of the service TDs at the TD's making, and of those bound now.
    function test_ServiceTdsOfTheLongestReportCountAsWell() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        report.td = _td(885);
        _expect(policy, report, PolicyBreach.None);
        uint16[6] memory places = [600, 647, 729, 776, 829, 876];
        for (uint256 i = 0; i < places.length; i++) {
            report.td = _td(885);
            report.td[places[i]] = 0x01;
            _expect(policy, report, PolicyBreach.ServiceTd);
        }
        uint16[4] memory beside = [599, 728, 777, 828];
        for (uint256 i = 0; i < beside.length; i++) {
            report.td = _td(885);
            report.td[beside[i]] = 0x01;
            _expect(policy, report, PolicyBreach.None);
        }
    }

    /// @dev A 1.0 report cannot show a service TD, so that MIGRATABLE says enough.
    function test_MigratableTdIsRefusedInReportsWithoutServiceTd() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        policy.attributesAllowed |= PolicyLib.MIGRATABLE;
        report.td[123] = 0x30;
        _expect(policy, report, PolicyBreach.ServiceTd);

        report.td = _td(648);
        report.td[123] = 0x30;
        _expect(policy, report, PolicyBreach.None);
        report.td = _td(584);
        report.td[123] = 0x30;
        policy.serviceTdAllowed = true;
        _expect(policy, report, PolicyBreach.None);
    }

    function test_ReportsOfAnotherLengthAreRefused() public view {
        Report memory report = _report();
        uint16[4] memory lengths = [0, 583, 649, 886];
        for (uint256 i = 0; i < lengths.length; i++) {
            report.td = new bytes(lengths[i]);
            _expect(_policy(), report, PolicyBreach.BodyType);
        }
    }

    function test_ModuleOfAnotherSignerIsRefused() public view {
        Report memory report = _report();
        // first and last byte of MRSIGNERSEAM
        for (uint256 place = 64; place <= 111; place += 47) {
            report.td = _td(584);
            report.td[place] = 0x01;
            _expect(_policy(), report, PolicyBreach.SeamSigner);
        }
    }

    function requireIsolatedTd(Report memory report) external pure {
        PolicyLib.requireIsolatedTd(report);
    }

    function test_OtherPoliciesDifferInTheStatusOnly() public {
        Report memory report = _report();
        for (uint8 i = 0; i <= uint8(TcbStatus.Revoked); i++) {
            report.status = TcbStatus(i);
            bool upToDate = report.status == TcbStatus.UpToDate;
            _expect(PolicyLib.upToDate(), report, upToDate ? PolicyBreach.None : PolicyBreach.Status);
            this.requireIsolatedTd(report);
        }
        report.status = TcbStatus.UpToDate;
        report.td[120] = 0x01;
        _expect(PolicyLib.upToDate(), report, PolicyBreach.AttributeForbidden);
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.AttributeForbidden));
        this.requireIsolatedTd(report);
    }

    function test_BothEvaluationNumbersHaveTheMinimum() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        policy.minEvaluationNumber = 17;
        (report.tcbEvaluationNumber, report.qeEvaluationNumber) = (17, 17);
        _expect(policy, report, PolicyBreach.None);
        (report.tcbEvaluationNumber, report.qeEvaluationNumber) = (16, 17);
        _expect(policy, report, PolicyBreach.EvaluationNumber);
        (report.tcbEvaluationNumber, report.qeEvaluationNumber) = (17, 16);
        _expect(policy, report, PolicyBreach.EvaluationNumber);
    }

    function test_TcbIsNoOlderThanTheDate() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        (policy.minTcbDate, report.tcbDate) = (1_700_000_000, 1_700_000_000);
        _expect(policy, report, PolicyBreach.None);
        report.tcbDate--;
        _expect(policy, report, PolicyBreach.TcbDate);
    }

    function test_CollateralIsNoOlderThanTheAge() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        report.collateralIssuedAt = uint64(NOW - 1 days - 1);
        _expect(policy, report, PolicyBreach.None);
        policy.maxCollateralAge = 1 days;
        _expect(policy, report, PolicyBreach.CollateralAge);
        report.collateralIssuedAt++;
        _expect(policy, report, PolicyBreach.None);
    }

    function test_DeviceListAllowsOrExcludes() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        policy.devices = new bytes32[](2);
        (policy.devices[0], policy.devices[1]) = ("another", DEVICE);
        _expect(policy, report, PolicyBreach.Device);
        policy.devicesAreAllowed = true;
        _expect(policy, report, PolicyBreach.None);
        policy.devices[1] = "third";
        _expect(policy, report, PolicyBreach.Device);
        policy.devicesAreAllowed = false;
        _expect(policy, report, PolicyBreach.None);
    }

    function test_FmspcListAllowsOrExcludes() public view {
        Report memory report = _report();
        Policy memory policy = _policy();
        policy.fmspcs = new bytes6[](2);
        (policy.fmspcs[0], policy.fmspcs[1]) = ("other", FMSPC);
        _expect(policy, report, PolicyBreach.Fmspc);
        policy.fmspcsAreAllowed = true;
        _expect(policy, report, PolicyBreach.None);
        policy.fmspcs[1] = "third";
        _expect(policy, report, PolicyBreach.Fmspc);
        policy.fmspcsAreAllowed = false;
        _expect(policy, report, PolicyBreach.None);
    }

    function _expect(Policy memory policy, Report memory report, PolicyBreach expected) private view {
        assertEq(uint256(policy.breachOf(report)), uint256(expected), "breach");
    }

    function _policy() private pure returns (Policy memory) {
        return PolicyLib.standard();
    }

    function _report() private pure returns (Report memory report) {
        report.verdict = Verdict.Verified;
        report.status = TcbStatus.UpToDate;
        (report.deviceId, report.fmspc) = (DEVICE, FMSPC);
        report.td = _td(584);
    }

    /// @dev Nothing but SEPT_VE_DISABLE: bit 28, little-endian from byte 120.
    function _td(uint256 length) private pure returns (bytes memory td) {
        td = new bytes(length);
        td[123] = 0x10;
    }
}

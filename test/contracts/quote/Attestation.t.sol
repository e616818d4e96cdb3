// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Attestation} from "../../../contracts/quote/Attestation.sol";
import {BootLog} from "../../../contracts/quote/eventlog/BootLog.sol";
import {Boot, EventLog, RuntimeEvent} from "../../../contracts/quote/eventlog/EventLog.sol";
import {IQuoteVerifier} from "../../../contracts/quote/IQuoteVerifier.sol";
import {AcceptingVerifier} from "../../../contracts/test/AcceptingVerifier.sol";
import {Bytes48} from "../../../contracts/types/Bytes48.sol";
import {PolicyBreach, PolicyLib} from "../../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {Test} from "../Vm.sol";

/// @notice What comes after a verifier has spoken: its no is nobody's yes.
contract AttestationTest is Test {
    using Attestation for IQuoteVerifier;

    IQuoteVerifier private _verifier;
    BootLog private _bootLog;

    function setUp() public {
        _verifier = new AcceptingVerifier();
        _bootLog = new BootLog(_verifier);
    }

    function attest(bytes calldata quote) external view returns (Report memory) {
        return _verifier.attest(quote);
    }

    function test_AttestsAVerifiedReportThatMeetsThePolicy() public view {
        Report memory report = _report(Verdict.Verified);
        assertEq(keccak256(abi.encode(this.attest(abi.encode(report)))), keccak256(abi.encode(report)), "report");
    }

    function test_RefusesAReportThatIsNotVerified() public {
        for (uint256 i = 0; i <= uint256(type(Verdict).max); ++i) {
            if (Verdict(i) == Verdict.Verified) continue;
            bytes memory quote = abi.encode(_report(Verdict(i)));
            vm.expectRevert(abi.encodeWithSelector(Attestation.QuoteRejected.selector, i));
            this.attest(quote);
            vm.expectRevert(abi.encodeWithSelector(BootLog.QuoteRejected.selector, i));
            _bootLog.prove(quote, new RuntimeEvent[](0));
        }
    }

    function test_RefusesAReportThatBreaksThePolicy() public {
        Report memory report = _report(Verdict.Verified);
        report.status = TcbStatus.OutOfDate;
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.Status));
        this.attest(abi.encode(report));
    }

    /// @dev The register of the report is the one that the events lead to, or nothing is proven.
    function test_ProvesABootByItsRegisterOnly() public {
        RuntimeEvent[] memory events = new RuntimeEvent[](2);
        events[0] = RuntimeEvent("app-id", hex"00112233445566778899aabbccddeeff00112233", 1);
        events[1] = RuntimeEvent("system-ready", "", 1);
        (Bytes48 memory rtmr, ) = _bootLog.replay(events);
        Report memory report = _report(Verdict.Verified);
        bytes memory register = abi.encodePacked(rtmr.hi, rtmr.lo);
        for (uint256 i = 0; i < 48; ++i) report.td[472 + i] = register[i];

        (, Boot memory boot) = _bootLog.prove(abi.encode(report), events);
        assertEq(bytes32(boot.appId), bytes32(hex"00112233445566778899aabbccddeeff00112233"), "app");
        assertTrue(boot.isReady, "ready");

        Bytes48 memory other = Bytes48(rtmr.hi, rtmr.lo ^ bytes16(uint128(1)));
        report.td[472 + 47] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(EventLog.EventLogMismatch.selector, rtmr, other));
        _bootLog.prove(abi.encode(report), events);
    }

    /// @dev Patched, and with no attribute but the one that has to be there.
    function _report(Verdict verdict) private pure returns (Report memory report) {
        report.verdict = verdict;
        report.status = TcbStatus.UpToDate;
        report.td = new bytes(584);
        // bit 28, little-endian
        report.td[123] = 0x10;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {ReportEncoding} from "../../../contracts/quote/ReportEncoding.sol";
import {Test} from "../Vm.sol";

/// @notice Reports as they are returned, against what the compiler makes of them.
contract ReportEncodingTest is Test {
    function one(Report memory report) external pure {
        ReportEncoding.finish(report);
    }

    function many(Report[] memory reports) external pure {
        ReportEncoding.finish(reports);
    }

    function testFuzz_OneReportMatchesTheEncodingOfTheCompiler(
        bytes32 seed,
        bytes calldata td,
        bytes32[] calldata ids
    ) public view {
        _one(_report(seed, td, ids));
    }

    function testFuzz_SeveralReportsMatchTheEncodingOfTheCompiler(
        bytes32[] calldata seeds,
        bytes calldata td,
        bytes32[] calldata ids
    ) public view {
        Report[] memory reports = new Report[](seeds.length % 5);
        for (uint256 i = 0; i < reports.length; ++i)
            reports[i] = _report(seeds[i], td[td.length / (i + 1):], ids[:i % (ids.length + 1)]);
        _many(reports);
    }

    /// @dev Lengths on both sides of a word, and reports with nothing in them.
    function test_MatchesTheCompilerAroundWordBorders() public view {
        for (uint256 length = 0; length < 70; ++length) {
            Report[] memory reports = new Report[](length % 4);
            for (uint256 i = 1; i < reports.length; ++i) {
                reports[i].td = bytes.concat(new bytes(length), hex"ff");
                reports[i].advisories = new bytes32[](i);
                _one(reports[i]);
            }
            _many(reports);
        }
    }

    function statuses(uint256 status, uint256 launch, uint256 current) external pure returns (Report memory report) {
        ReportEncoding.setStatuses(report, status, launch, current);
    }

    /// @dev As Solidity's own conversions do: a number that is no status never gets into a report.
    function test_RefusesNumbersThatAreNoStatus() public {
        uint256 last = uint256(type(TcbStatus).max);
        Report memory report = this.statuses(last, 0, 1);
        assertEq(uint256(report.status), last, "status");
        assertEq(uint256(report.currentStatus), 1, "current");
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 1));
            this.statuses(i == 0 ? last + 1 : 1, i == 1 ? last + 1 : 1, i == 2 ? 300 : 1);
        }
    }

    function _one(Report memory report) private view {
        (bool success, bytes memory found) = address(this).staticcall(abi.encodeCall(this.one, (report)));

        assertTrue(success, "call");
        assertEq(keccak256(found), keccak256(abi.encode(report)), "encoding");
    }

    function _many(Report[] memory reports) private view {
        (bool success, bytes memory found) = address(this).staticcall(abi.encodeCall(this.many, (reports)));

        assertTrue(success, "call");
        assertEq(keccak256(found), keccak256(abi.encode(reports)), "encoding");
    }

    function _report(
        bytes32 seed,
        bytes calldata td,
        bytes32[] calldata ids
    ) private pure returns (Report memory report) {
        uint256 bits = uint256(keccak256(abi.encode(seed)));
        report.verdict = Verdict(bits % 36);
        report.status = TcbStatus(bits % 10);
        report.launchStatus = TcbStatus((bits >> 8) % 10);
        report.currentStatus = TcbStatus((bits >> 16) % 10);
        report.version = uint8(bits >> 24);
        report.bodyType = uint8(bits >> 32);
        report.tcbEvaluationNumber = uint32(bits >> 40);
        report.qeEvaluationNumber = uint32(bits >> 72);
        report.tcbDate = uint64(bits >> 104);
        report.collateralIssuedAt = uint64(bits >> 168);
        report.expiresAt = uint64(bits >> 180);
        report.fmspc = bytes6(uint48(bits));
        report.deviceId = keccak256(abi.encode(bits));
        report.platformInstanceId = bytes16(uint128(bits >> 7));
        report.quoteId = seed;
        report.advisories = ids;
        report.td = td;
    }
}

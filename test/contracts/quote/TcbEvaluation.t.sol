// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {TcbEvaluation} from "../../../contracts/quote/evaluation/TcbEvaluation.sol";
import {TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {Test} from "../Vm.sol";

/// @notice Intel's two tables, written out: every status of a platform with every one of its parts and of its past.
contract TcbEvaluationTest is Test {
    /// @dev Enclave and module are one or the other way round: the worse of the two counts.
    function test_ConvergesEveryCombinationOfStatuses() public pure {
        for (uint256 platform = 0; platform <= uint256(TcbStatus.Revoked); ++platform) {
            for (uint256 qe = 0; qe <= uint256(TcbStatus.Revoked); ++qe) {
                for (uint256 module = 0; module <= uint256(TcbStatus.Revoked); ++module) {
                    (Verdict verdict, uint256 status) = TcbEvaluation.converge(platform, qe, module);
                    (Verdict expected, TcbStatus known) = _plain(TcbStatus(platform), TcbStatus(qe), TcbStatus(module));
                    assertEq(uint256(verdict), uint256(expected), "verdict");
                    assertEq(status, uint256(known), "status");
                }
            }
        }
    }

    function test_AdvisesEveryRelaunch() public pure {
        for (uint256 launch = 0; launch <= uint256(TcbStatus.Revoked); ++launch) {
            for (uint256 current = 0; current <= uint256(TcbStatus.Revoked); ++current) {
                TcbStatus expected = _relaunch(TcbStatus(launch), TcbStatus(current));
                assertEq(TcbEvaluation.relaunch(launch, current), uint256(expected), "status");
            }
        }
    }

    function _plain(TcbStatus platform, TcbStatus qe, TcbStatus module) private pure returns (Verdict, TcbStatus) {
        if (platform == TcbStatus.None || !_isOfAPart(qe) || !_isOfAPart(module)) {
            return (Verdict.TcbUnrecognized, TcbStatus.None);
        }
        if (platform == TcbStatus.Revoked || qe == TcbStatus.Revoked || module == TcbStatus.Revoked) {
            return (Verdict.TcbRevoked, TcbStatus.None);
        }
        if (qe == TcbStatus.UpToDate && module == TcbStatus.UpToDate) return (Verdict.Verified, platform);
        if (platform == TcbStatus.UpToDate || platform == TcbStatus.SWHardeningNeeded) {
            return (Verdict.Verified, TcbStatus.OutOfDate);
        }
        if (_isConfiguration(platform)) return (Verdict.Verified, TcbStatus.OutOfDateConfigurationNeeded);
        return (Verdict.Verified, platform);
    }

    function _relaunch(TcbStatus launch, TcbStatus current) private pure returns (TcbStatus) {
        bool isGood = current == TcbStatus.UpToDate || current == TcbStatus.SWHardeningNeeded;
        if (launch == TcbStatus.OutOfDate && isGood) return TcbStatus.TDRelaunchAdvised;
        bool wasOld = launch == TcbStatus.OutOfDate || launch == TcbStatus.OutOfDateConfigurationNeeded;
        if (wasOld && (isGood || _isConfiguration(current))) return TcbStatus.TDRelaunchAdvisedConfigurationNeeded;
        return launch;
    }

    function _isOfAPart(TcbStatus status) private pure returns (bool) {
        return status == TcbStatus.UpToDate || status == TcbStatus.OutOfDate || status == TcbStatus.Revoked;
    }

    function _isConfiguration(TcbStatus status) private pure returns (bool) {
        return status == TcbStatus.ConfigurationNeeded || status == TcbStatus.ConfigurationAndSWHardeningNeeded;
    }
}

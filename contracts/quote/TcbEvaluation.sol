// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {TcbStatus, Verdict} from "../types/Report.sol";
import {Level, TcbBlob} from "./TcbBlob.sol";

/// @notice The levels that a TCB reaches, and what they come to.
struct Evaluation {
    TcbStatus status;
    uint256 date;
    Level platform;
    Level qe;
    /// @notice Zero when the module is of major version 0, which has no levels of its own.
    Level module;
}

/// @notice Which level a platform reaches, in the semantics of Intel's library of 2026 (`EvaluateTcb`).
library TcbEvaluation {
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;
    /// @dev TDX components 0 and 1: version of the module, which has levels of its own from major version 1 on.
    uint256 private constant MODULE_COMPONENTS = 0xffff << 112;

    /// @notice Judges the TCB of `svn` (TEE_TCB_SVN as a number) on a platform, and converges all components.
    function evaluate(
        bytes memory tcb,
        Level qe,
        uint256 components,
        uint256 pceSvn,
        uint256 svn
    ) internal pure returns (Verdict verdict, Evaluation memory evaluation) {
        bool found;
        (found, evaluation.platform) = _platformLevel(tcb, components, pceSvn, svn);
        if (!found) return (Verdict.TcbUnsupported, evaluation);

        evaluation.qe = qe;
        evaluation.date = _min(evaluation.platform.date(), qe.date());
        uint256 major = (svn >> 112) & 0xff;
        TcbStatus module = TcbStatus.UpToDate;
        if (major != 0) {
            uint256 pos = moduleAt(tcb, major);
            if (pos == 0) return (Verdict.ModuleUnknown, evaluation);
            (found, evaluation.module) = isvLevel(tcb, pos + TcbBlob.MODULE, _byte(tcb, pos + 1), svn >> 120);
            if (!found) return (Verdict.ModuleUnsupported, evaluation);
            evaluation.date = _min(evaluation.date, evaluation.module.date());
            module = evaluation.module.status();
        }
        (verdict, evaluation.status) = _converge(evaluation.platform.status(), qe.status(), module);
    }

    /// @notice Whether a TD whose launch and current TCB come to these should be launched again.
    function relaunch(TcbStatus launch, TcbStatus current) internal pure returns (TcbStatus) {
        bool launchNeedsConfiguration = launch == TcbStatus.OutOfDateConfigurationNeeded;
        if (launch != TcbStatus.OutOfDate && !launchNeedsConfiguration) return launch;
        bool currentNeedsConfiguration =
            current == TcbStatus.ConfigurationNeeded || current == TcbStatus.ConfigurationAndSWHardeningNeeded;
        bool currentIsGood =
            currentNeedsConfiguration || current == TcbStatus.UpToDate || current == TcbStatus.SWHardeningNeeded;
        if (!currentIsGood) return launch;
        return
            launchNeedsConfiguration || currentNeedsConfiguration
                ? TcbStatus.TDRelaunchAdvisedConfigurationNeeded
                : TcbStatus.TDRelaunchAdvised;
    }

    /// @notice Where the identity of the module of that major version stands; 0 when there is none.
    function moduleAt(bytes memory tcb, uint256 major) internal pure returns (uint256 pos) {
        unchecked {
            uint256 head = TcbBlob.word(tcb, 0);
            pos = TcbBlob.TCB_LEVELS + TcbBlob.TCB_LEVEL * (head >> 248);
            for (uint256 i = (head >> 240) & 0xff; i > 0; --i) {
                if (_byte(tcb, pos) == major) return pos;
                pos += TcbBlob.MODULE + TcbBlob.ISV_LEVEL * _byte(tcb, pos + 1);
            }
            return 0;
        }
    }

    /// @notice The first of `count` levels at `pos` that `svn` reaches.
    function isvLevel(
        bytes memory blob,
        uint256 pos,
        uint256 count,
        uint256 svn
    ) internal pure returns (bool found, Level level) {
        unchecked {
            for (uint256 end = pos + TcbBlob.ISV_LEVEL * count; pos < end; pos += TcbBlob.ISV_LEVEL) {
                uint256 packed = TcbBlob.word(blob, pos);
                if (packed >> 240 <= svn) return (true, Level.wrap(uint64(packed >> 176)));
            }
        }
    }

    /// @dev The greatest level of which every part is reached at once.
    function _platformLevel(
        bytes memory tcb,
        uint256 components,
        uint256 pceSvn,
        uint256 svn
    ) private pure returns (bool found, Level level) {
        unchecked {
            if ((svn >> 112) & 0xff != 0) svn |= MODULE_COMPONENTS;
            uint256 platform = (components << 128) | svn;
            uint256 pos = TcbBlob.TCB_LEVELS;
            uint256 end = pos + TcbBlob.TCB_LEVEL * (TcbBlob.word(tcb, 0) >> 248);
            for (; pos < end; pos += TcbBlob.TCB_LEVEL) {
                uint256 head = TcbBlob.word(tcb, pos);
                uint256 tail = TcbBlob.word(tcb, pos + 10);
                // SGX components, then TDX components, in the order of `platform`
                uint256 needed = ((head >> 128) << 128) | (uint256(uint128(tail >> 64)));
                if (_reaches(platform, needed) && uint16(head >> 112) <= pceSvn) {
                    return (true, Level.wrap(uint64(tail)));
                }
            }
        }
    }

    /// @dev Whether each of 32 octets of `a` is at least that of `b`.
    function _reaches(uint256 a, uint256 b) private pure returns (bool) {
        unchecked {
            // per octet: bit 7 of (a | 128) - (b & 127) says whether the lower seven bits reach
            uint256 lower = (a | HIGH) - (b & ~HIGH);
            return ((a & ~b) | (~(a ^ b) & lower)) & HIGH == HIGH;
        }
    }

    /// @dev Intel's convergence table; a component is UpToDate, OutOfDate or Revoked.
    function _converge(TcbStatus platform, TcbStatus qe, TcbStatus module) private pure returns (Verdict, TcbStatus) {
        if (platform == TcbStatus.None || !_isComponent(qe) || !_isComponent(module)) {
            return (Verdict.TcbUnrecognized, TcbStatus.None);
        }
        if (platform == TcbStatus.Revoked || qe == TcbStatus.Revoked || module == TcbStatus.Revoked) {
            return (Verdict.TcbRevoked, TcbStatus.None);
        }
        if (qe == TcbStatus.OutOfDate || module == TcbStatus.OutOfDate) {
            if (platform == TcbStatus.UpToDate || platform == TcbStatus.SWHardeningNeeded) {
                platform = TcbStatus.OutOfDate;
            } else if (
                platform == TcbStatus.ConfigurationNeeded || platform == TcbStatus.ConfigurationAndSWHardeningNeeded
            ) {
                platform = TcbStatus.OutOfDateConfigurationNeeded;
            }
        }
        return (Verdict.Verified, platform);
    }

    function _isComponent(TcbStatus status) private pure returns (bool) {
        return status == TcbStatus.UpToDate || status == TcbStatus.OutOfDate || status == TcbStatus.Revoked;
    }

    function _byte(bytes memory blob, uint256 pos) private pure returns (uint256) {
        return TcbBlob.word(blob, pos) >> 248;
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}

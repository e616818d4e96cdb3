// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {TcbStatus, Verdict} from "../../types/Report.sol";
import {Level, TcbBlob} from "./TcbBlob.sol";

/// @notice Finds the TCB level that a platform reaches, by the rules of Intel's quote verification library
/// (`EvaluateTcb`).
/// @dev Levels are sorted by Intel, the highest first: the first level whose SVNs the platform all reaches counts.
library TcbEvaluation {
    /// @dev Bit 7 of each octet.
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;
    /// @dev TDX components 0 and 1: version of the TDX module. From major version 1 on, the module has levels of its
    /// own, so these components are not compared with the platform's levels.
    uint256 private constant MODULE_COMPONENTS = 0xffff << 112;

    /// @dev Statuses as numbers.
    uint256 private constant NONE = uint256(TcbStatus.None);
    /// @dev One of the three statuses that a component can have.
    uint256 private constant OUT_OF_DATE = uint256(TcbStatus.OutOfDate);
    /// @dev OutOfDate together with a needed configuration.
    uint256 private constant OUT_OF_DATE_CONFIGURATION = uint256(TcbStatus.OutOfDateConfigurationNeeded);
    /// @dev Sets of statuses from here on: bit n stands for `TcbStatus(n)`.
    uint256 private constant REVOKED = 1 << uint256(TcbStatus.Revoked);
    /// @dev Statuses that Intel gives to a quoting enclave or a TDX module.
    uint256 private constant COMPONENT = (1 << uint256(TcbStatus.UpToDate)) | (1 << OUT_OF_DATE) | REVOKED;
    /// @dev Statuses that an out-of-date component turns into OutOfDate.
    uint256 private constant GOOD = (1 << uint256(TcbStatus.UpToDate)) | (1 << uint256(TcbStatus.SWHardeningNeeded));
    /// @dev Statuses that an out-of-date component turns into OutOfDateConfigurationNeeded.
    uint256 private constant CONFIGURATION =
        (1 << uint256(TcbStatus.ConfigurationNeeded)) | (1 << uint256(TcbStatus.ConfigurationAndSWHardeningNeeded));

    /// @notice Finds the levels of platform and TDX module for one set of SVNs, and combines them with the level of the
    /// quoting enclave.
    /// @param tcb TCB info in the packed form of `TcbBlob`.
    /// @param qe level of the quoting enclave.
    /// @param components component SVNs of the CPU, an octet each.
    /// @param pceSvn SVN of the PCE.
    /// @param svn TEE_TCB_SVN as a number.
    /// @param identityAt position of the module identity, from `moduleAt`.
    /// @return verdict `Verified`, or why no status can be given.
    /// @return status a number of `TcbStatus`.
    /// @return date oldest date of the levels, unix seconds.
    /// @return platform level of the platform.
    /// @return module level of the TDX module; zero for major version 0, which has no levels of its own.
    function evaluate(
        bytes memory tcb,
        Level qe,
        uint256 components,
        uint256 pceSvn,
        uint256 svn,
        uint256 identityAt
    ) internal pure returns (Verdict verdict, uint256 status, uint256 date, Level platform, Level module) {
        bool found;
        (found, platform) = _platformLevel(tcb, components, pceSvn, svn);
        if (!found) return (Verdict.TcbUnsupported, status, date, platform, module);

        date = _min(platform.date(), qe.date());
        uint256 major = (svn >> 112) & 0xff;
        uint256 moduleStatus = uint256(TcbStatus.UpToDate);
        if (major != 0) {
            if (identityAt == 0) return (Verdict.ModuleUnknown, status, date, platform, module);
            (found, module) = isvLevel(tcb, identityAt + TcbBlob.MODULE, _byte(tcb, identityAt + 1), svn >> 120);
            if (!found) return (Verdict.ModuleUnsupported, status, date, platform, module);
            date = _min(date, module.date());
            moduleStatus = module.status();
        }
        (verdict, status) = converge(platform.status(), qe.status(), moduleStatus);
    }

    /// @notice Combines the statuses of platform, quoting enclave and TDX module as Intel's library does. Quoting
    /// enclave and module are UpToDate, OutOfDate or Revoked.
    /// @param platform status of the platform's level.
    /// @param qe status of the quoting enclave's level.
    /// @param module status of the TDX module's level.
    function converge(uint256 platform, uint256 qe, uint256 module) internal pure returns (Verdict, uint256) {
        uint256 components = (1 << qe) | (1 << module);
        if (platform == NONE || components & ~COMPONENT != 0) return (Verdict.TcbUnrecognized, NONE);
        if ((components | (1 << platform)) & REVOKED != 0) return (Verdict.TcbRevoked, NONE);
        if ((components >> OUT_OF_DATE) & 1 == 1) {
            if ((GOOD >> platform) & 1 == 1) platform = OUT_OF_DATE;
            else if ((CONFIGURATION >> platform) & 1 == 1) platform = OUT_OF_DATE_CONFIGURATION;
        }
        return (Verdict.Verified, platform);
    }

    /// @notice Status of a TD that survived an update of the TDX module: advises a new launch if only the launch was
    /// out of date.
    /// @param launch status of the TCB that launched the TD.
    /// @param current status of the TCB that runs it now.
    function relaunch(uint256 launch, uint256 current) internal pure returns (uint256) {
        if (launch != OUT_OF_DATE && launch != OUT_OF_DATE_CONFIGURATION) return launch;
        bool isConfiguration = (CONFIGURATION >> current) & 1 == 1;
        if (!isConfiguration && (GOOD >> current) & 1 == 0) return launch;
        return
            isConfiguration || launch == OUT_OF_DATE_CONFIGURATION
                ? uint256(TcbStatus.TDRelaunchAdvisedConfigurationNeeded)
                : uint256(TcbStatus.TDRelaunchAdvised);
    }

    /// @notice Position of the module identity with this major version in the TCB info; 0 if the TCB info has none.
    /// @param tcb packed TCB info.
    /// @param major major version of the TDX module: the second byte of TEE TCB SVN.
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

    /// @notice The first of `count` levels from `pos` on whose ISVSVN is not above `svn`.
    /// @return found false if `svn` is below every level.
    /// @return level that level.
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

    /// @dev The highest level that the platform reaches: all SGX components, all TDX components and PCESVN must be at
    /// least those of the level.
    /// @param tcb packed TCB info.
    /// @param components 16 SGX SVNs of the PCK certificate.
    /// @param pceSvn SVN of the provisioning certification enclave.
    /// @param svn 16 TDX SVNs of the quote.
    /// @return found whether a level is reached.
    /// @return level the highest one.
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

    /// @dev Whether each of the 32 octets of `a` is at least the same octet of `b`, compared in one step.
    function _reaches(uint256 a, uint256 b) private pure returns (bool) {
        unchecked {
            // per octet: bit 7 of (a | 128) - (b & 127) says whether the lower seven bits reach
            uint256 lower = (a | HIGH) - (b & ~HIGH);
            return ((a & ~b) | (~(a ^ b) & lower)) & HIGH == HIGH;
        }
    }

    /// @dev One octet of packed collateral.
    function _byte(bytes memory blob, uint256 pos) private pure returns (uint256) {
        return TcbBlob.word(blob, pos) >> 248;
    }

    /// @dev The smaller number.
    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, TcbStatus} from "./Report.sol";

/// @notice What a relying party accepts beyond "Intel's rules say this quote is genuine".
struct Policy {
    /// @notice Bit n set: `TcbStatus(n)` passes.
    uint16 statuses;
    /// @notice TD attributes that may be set; all others must be clear. Never let bits 0 to 7 (DEBUG …) pass.
    uint64 attributesAllowed;
    /// @notice TD attributes that must be set.
    uint64 attributesRequired;
    /// @notice XFAM bits that may be set.
    uint64 xfamAllowed;
    /// @notice Whether a service TD may be bound (it can migrate the TD away).
    bool serviceTdAllowed;
    /// @notice Lowest `tcbEvaluationDataNumber` of TCB info and QE identity; 0: any.
    uint32 minEvaluationNumber;
    /// @notice Oldest TCB date that passes (unix seconds); 0: any.
    uint64 minTcbDate;
    /// @notice Greatest age of TCB info, QE identity and PCK CRL in seconds; 0: until they expire.
    uint64 maxCollateralAge;
    /// @notice Whether `devices` lists the only ones that pass, or those that do not.
    bool devicesAreAllowed;
    bytes32[] devices;
    /// @notice Whether `fmspcs` lists the only ones that pass, or those that do not.
    bool fmspcsAreAllowed;
    bytes6[] fmspcs;
}

/// @notice The first rule of a policy that a report breaks.
enum PolicyBreach {
    None,
    Unverified,
    Status,
    AttributeForbidden,
    AttributeMissing,
    Xfam,
    ServiceTd,
    EvaluationNumber,
    TcbDate,
    CollateralAge,
    Device,
    Fmspc
}

using PolicyLib for Policy global;

library PolicyLib {
    /// @notice TD attribute that keeps the host from injecting #VE into a Linux guest.
    uint64 internal constant SEPT_VE_DISABLE = 1 << 28;

    /// @notice Features that TDX modules support: x87 to AVX-512, PT, PKRU, CET, UINTR, LBR, AMX.
    uint64 internal constant KNOWN_XFAM = 0x0006_dbe7;

    error PolicyBreached(PolicyBreach breach);

    /// @notice The safe one: patched, not debuggable, no attribute but SEPT_VE_DISABLE, no service TD.
    function standard() internal pure returns (Policy memory policy) {
        policy.statuses = uint16(1 << uint256(TcbStatus.UpToDate)) | uint16(1 << uint256(TcbStatus.SWHardeningNeeded));
        policy.attributesAllowed = SEPT_VE_DISABLE;
        policy.attributesRequired = SEPT_VE_DISABLE;
        policy.xfamAllowed = KNOWN_XFAM;
    }

    /// @notice Reverts with `PolicyBreached` unless `report` is verified and passes.
    function enforce(Policy memory policy, Report memory report) internal view {
        PolicyBreach breach = breachOf(policy, report);
        require(breach == PolicyBreach.None, PolicyBreached(breach));
    }

    /// @notice The first rule that `report` breaks, `None` if it passes.
    function breachOf(Policy memory policy, Report memory report) internal view returns (PolicyBreach) {
        if (!report.isVerified()) return PolicyBreach.Unverified;
        if ((policy.statuses >> uint256(report.status)) & 1 == 0) return PolicyBreach.Status;

        uint64 attributes = report.tdAttributes();
        if (attributes & ~policy.attributesAllowed != 0) return PolicyBreach.AttributeForbidden;
        if (policy.attributesRequired & ~attributes != 0) return PolicyBreach.AttributeMissing;
        if (report.xfam() & ~policy.xfamAllowed != 0) return PolicyBreach.Xfam;
        if (!policy.serviceTdAllowed && !report.mrServiceTd().isZero()) return PolicyBreach.ServiceTd;

        if (report.tcbEvaluationNumber < policy.minEvaluationNumber) return PolicyBreach.EvaluationNumber;
        if (report.qeEvaluationNumber < policy.minEvaluationNumber) return PolicyBreach.EvaluationNumber;
        if (report.tcbDate < policy.minTcbDate) return PolicyBreach.TcbDate;
        uint64 maxAge = policy.maxCollateralAge;
        if (maxAge != 0 && report.collateralIssuedAt + maxAge < block.timestamp) return PolicyBreach.CollateralAge;

        if (_lists(policy.devices, report.deviceId) != policy.devicesAreAllowed) return PolicyBreach.Device;
        if (_lists(policy.fmspcs, report.fmspc) != policy.fmspcsAreAllowed) return PolicyBreach.Fmspc;
        return PolicyBreach.None;
    }

    function _lists(bytes32[] memory list, bytes32 value) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) if (list[i] == value) return true;
        return false;
    }

    function _lists(bytes6[] memory list, bytes6 value) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) if (list[i] == value) return true;
        return false;
    }
}

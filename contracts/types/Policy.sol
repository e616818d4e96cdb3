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
    /// @notice Whether a service TD may be bound (it can migrate the TD away). If not, a TD whose report cannot show one
    /// (version 4 quotes) must not be MIGRATABLE either, whatever `attributesAllowed` says.
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
    Fmspc,
    /// @notice The TD report has a length whose fields this policy cannot read.
    BodyType,
    /// @notice The TDX module is not Intel's own: its signer is not zero.
    SeamSigner
}

using PolicyLib for Policy global;

library PolicyLib {
    /// @notice TD attribute that keeps the host from injecting #VE into a Linux guest.
    uint64 internal constant SEPT_VE_DISABLE = 1 << 28;

    /// @notice TD attribute that lets a bound service TD migrate the TD to another machine.
    uint64 internal constant MIGRATABLE = 1 << 29;

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

    /// @notice The same, and fully patched: what a machine that holds root keys must show.
    function upToDate() internal pure returns (Policy memory policy) {
        policy = standard();
        policy.statuses = uint16(1 << uint256(TcbStatus.UpToDate));
    }

    /// @notice Reverts with `PolicyBreached` if `standard` refuses the TD: one that can be opened, or taken to another
    /// machine. For a registry whose owner decides on status, dates and devices by rules of its own.
    function requireClosedTd(Report memory report) internal pure {
        PolicyBreach breach = _tdBreachOf(report, SEPT_VE_DISABLE, SEPT_VE_DISABLE, KNOWN_XFAM, false);
        require(breach == PolicyBreach.None, PolicyBreached(breach));
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

        PolicyBreach ofTd = _tdBreachOf(
            report,
            policy.attributesAllowed,
            policy.attributesRequired,
            policy.xfamAllowed,
            policy.serviceTdAllowed
        );
        if (ofTd != PolicyBreach.None) return ofTd;

        if (report.tcbEvaluationNumber < policy.minEvaluationNumber) return PolicyBreach.EvaluationNumber;
        if (report.qeEvaluationNumber < policy.minEvaluationNumber) return PolicyBreach.EvaluationNumber;
        if (report.tcbDate < policy.minTcbDate) return PolicyBreach.TcbDate;
        uint64 maxAge = policy.maxCollateralAge;
        if (maxAge != 0 && report.collateralIssuedAt + maxAge < block.timestamp) return PolicyBreach.CollateralAge;

        if (_lists(policy.devices, report.deviceId) != policy.devicesAreAllowed) return PolicyBreach.Device;
        if (_lists(policy.fmspcs, report.fmspc) != policy.fmspcsAreAllowed) return PolicyBreach.Fmspc;
        return PolicyBreach.None;
    }

    function _tdBreachOf(
        Report memory report,
        uint64 attributesAllowed,
        uint64 attributesRequired,
        uint64 xfamAllowed,
        bool serviceTdAllowed
    ) private pure returns (PolicyBreach) {
        if (!report.isBodyKnown()) return PolicyBreach.BodyType;
        uint64 attributes = report.tdAttributes();
        if (attributes & ~attributesAllowed != 0) return PolicyBreach.AttributeForbidden;
        if (attributesRequired & ~attributes != 0) return PolicyBreach.AttributeMissing;
        if (report.xfam() & ~xfamAllowed != 0) return PolicyBreach.Xfam;
        if (!serviceTdAllowed && _mayHaveServiceTd(report, attributes)) return PolicyBreach.ServiceTd;
        return report.mrSignerSeam().isZero() ? PolicyBreach.None : PolicyBreach.SeamSigner;
    }

    function _mayHaveServiceTd(Report memory report, uint64 attributes) private pure returns (bool) {
        bool hidden = !report.showsServiceTds() && attributes & MIGRATABLE != 0;
        return hidden || report.bindsServiceTd();
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

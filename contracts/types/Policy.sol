// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, TcbStatus} from "./Report.sol";

/// @notice Rules of a relying party for quotes that are genuine by Intel's rules.
/// @dev Start with `PolicyLib.standard` and change single fields: an empty policy rejects every report.
struct Policy {
    /// @notice Accepted statuses: bit n stands for `TcbStatus(n)`.
    uint16 statuses;
    /// @notice TD attributes that may be set; all others must be clear. Never allow bits 0 to 7 (DEBUG and reserved).
    uint64 attributesAllowed;
    /// @notice TD attributes that must be set.
    uint64 attributesRequired;
    /// @notice XFAM bits that may be set.
    uint64 xfamAllowed;
    /// @notice Whether a service TD may be bound; a service TD can migrate the TD to another host. If false, a TD whose
    /// report has no field for service TDs (version 4 quotes) must not be MIGRATABLE, even if `attributesAllowed` has it.
    bool serviceTdAllowed;
    /// @notice Lowest accepted `tcbEvaluationDataNumber` of TCB info and QE identity; 0 = any.
    uint32 minEvaluationNumber;
    /// @notice Oldest accepted TCB date, unix seconds; 0 = any.
    uint64 minTcbDate;
    /// @notice Maximum age of TCB info, QE identity and PCK CRL, seconds; 0 = until they expire.
    uint64 maxCollateralAge;
    /// @notice True: only the hosts in `devices` pass. False: the hosts in `devices` do not pass.
    bool devicesAreAllowed;
    /// @notice Device ids (SHA-256 of the PPID).
    bytes32[] devices;
    /// @notice True: only the platform models in `fmspcs` pass. False: the models in `fmspcs` do not pass.
    bool fmspcsAreAllowed;
    /// @notice FMSPCs, Intel's ids of platform models.
    bytes6[] fmspcs;
}

/// @notice The first rule of a policy that a report breaks. Append, never reorder.
enum PolicyBreach {
    /// @notice The report passes.
    None,
    /// @notice The verdict is not `Verified`.
    Unverified,
    /// @notice The status is not in `statuses`.
    Status,
    /// @notice A TD attribute is set that is not in `attributesAllowed`, such as DEBUG.
    AttributeForbidden,
    /// @notice A TD attribute of `attributesRequired` is not set.
    AttributeMissing,
    /// @notice An XFAM bit is set that is not in `xfamAllowed`.
    Xfam,
    /// @notice A service TD is bound, or the report cannot show whether one is.
    ServiceTd,
    /// @notice The evaluation number of TCB info or QE identity is too low.
    EvaluationNumber,
    /// @notice The TCB date is too old.
    TcbDate,
    /// @notice The collateral is too old.
    CollateralAge,
    /// @notice The host is not accepted.
    Device,
    /// @notice The platform model is not accepted.
    Fmspc,
    /// @notice The TD report has a length whose fields this library cannot read.
    BodyType,
    /// @notice The TDX module is not Intel's: MRSIGNERSEAM is not zero.
    SeamSigner
}

using PolicyLib for Policy global;

/// @notice Ready-made policies, and the check of a report against a policy.
library PolicyLib {
    /// @notice TD attribute SEPT_VE_DISABLE: the host cannot inject #VE exceptions into the guest.
    uint64 internal constant SEPT_VE_DISABLE = 1 << 28;

    /// @notice TD attribute MIGRATABLE: a bound service TD can migrate the TD to another host.
    uint64 internal constant MIGRATABLE = 1 << 29;

    /// @notice XFAM bits of the features that TDX modules support: x87 to AVX-512, PT, PKRU, CET, UINTR, LBR, AMX.
    uint64 internal constant KNOWN_XFAM = 0x0006_dbe7;

    /// @notice The report does not pass.
    /// @param breach the first rule that it breaks.
    error PolicyBreached(PolicyBreach breach);

    /// @notice The recommended policy: status `UpToDate` or `SWHardeningNeeded`, no TD attribute but SEPT_VE_DISABLE (so no
    /// debug TD), no service TD, Intel's TDX module.
    function standard() internal pure returns (Policy memory policy) {
        policy.statuses = uint16(1 << uint256(TcbStatus.UpToDate)) | uint16(1 << uint256(TcbStatus.SWHardeningNeeded));
        policy.attributesAllowed = SEPT_VE_DISABLE;
        policy.attributesRequired = SEPT_VE_DISABLE;
        policy.xfamAllowed = KNOWN_XFAM;
    }

    /// @notice `standard` with status `UpToDate` only: for hosts of KMS nodes, which hold root keys.
    function upToDate() internal pure returns (Policy memory policy) {
        policy = standard();
        policy.statuses = uint16(1 << uint256(TcbStatus.UpToDate));
    }

    /// @notice Reverts with `PolicyBreached` if the TD itself does not pass `standard`, as a debug TD or a migratable TD.
    /// @dev Does not check verdict, status, dates and host: for registries that have rules of their own for these.
    function requireIsolatedTd(Report memory report) internal pure {
        PolicyBreach breach = _tdBreachOf(report, SEPT_VE_DISABLE, SEPT_VE_DISABLE, KNOWN_XFAM, false);
        require(breach == PolicyBreach.None, PolicyBreached(breach));
    }

    /// @notice Reverts with `PolicyBreached` unless `report` is verified and passes `policy`.
    function enforce(Policy memory policy, Report memory report) internal view {
        PolicyBreach breach = breachOf(policy, report);
        require(breach == PolicyBreach.None, PolicyBreached(breach));
    }

    /// @notice The first rule of `policy` that `report` breaks; `None` if it passes.
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

    /// @dev The rules about the TD, which need nothing but the TD report.
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

    /// @dev A 1.0 report has no field for service TDs: a MIGRATABLE TD may then have one that is not shown.
    function _mayHaveServiceTd(Report memory report, uint64 attributes) private pure returns (bool) {
        bool hidden = !report.showsServiceTds() && attributes & MIGRATABLE != 0;
        return hidden || report.bindsServiceTd();
    }

    /// @dev Whether `list` contains `value`.
    function _lists(bytes32[] memory list, bytes32 value) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) if (list[i] == value) return true;
        return false;
    }

    /// @dev Whether `list` contains `value`.
    function _lists(bytes6[] memory list, bytes6 value) private pure returns (bool) {
        for (uint256 i = 0; i < list.length; ++i) if (list[i] == value) return true;
        return false;
    }
}

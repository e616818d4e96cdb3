// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IApprovalRegistry} from "../registry/IApprovalRegistry.sol";
import {IHostAdmission} from "../registry/IHosts.sol";
import {IImageMeasurements} from "../registry/IImages.sol";
import {Approval, State} from "../types/Approval.sol";
import {AppBootInfo} from "../types/BootInfo.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {BoundedAppCall} from "./BoundedAppCall.sol";
import {IKmsAuth} from "./IKmsAuth.sol";
import {DenialReasons, DenialCode} from "./DenialReasons.sol";

/// @notice The answer of KmsAuth about one boot, with its reason and its end.
struct BootDecision {
    /// @notice True if the boot is allowed.
    bool isAllowed;
    /// @notice Why it is denied; `None` if it is allowed.
    DenialCode denial;
    /// @notice The reason string of the denial; empty if the boot is allowed.
    string reason;
    /// @notice State of the approval in `KmsAuth` that denies the boot; `Active` in every other case, for example if a
    /// release or a host is missing.
    State state;
    /// @notice Number of the app's release; 0 if the boot is denied or the app does not answer `releaseDetails`.
    uint32 release;
    /// @notice Key epoch for new data; 0 as for `release`: the app then has only its first epoch.
    uint32 writeEpoch;
    /// @notice Oldest key epoch that the release may read; 0 as for `release`.
    uint32 readEpoch;
    /// @notice First second in which the allowed boot would be denied without a transaction, unix seconds; 0 = none known.
    uint40 validUntil;
}

/// @notice Explains the decision of any KmsAuth about a boot: the reason, the state behind it and how long it holds.
/// @dev Has no state and no power: the decision is KmsAuth's. Release number and epochs come from the app's contract,
/// which can answer falsely about itself, but about no other app. Anyone may call.
contract BootEvaluator {
    /// @notice `isAppAllowed` of `kmsAuth`, explained.
    /// @dev Reverts with `GasTooLow` if the caller gives too little gas to ask the app.
    /// @param variant TEE variant of the boot; dstack's `isAppAllowed` assumes `Tdx`.
    function evaluateApp(
        IKmsAuth kmsAuth,
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) external view returns (BootDecision memory decision) {
        (decision.denial, decision.reason) = kmsAuth.appDenial(bootInfo, variant);
        decision.state = _stateBehind(kmsAuth, decision.denial, bootInfo);
        decision.isAllowed = decision.denial == DenialCode.None;
        if (!decision.isAllowed) return decision;

        (decision.release, decision.writeEpoch, decision.readEpoch, decision.validUntil) = BoundedAppCall.details(
            bootInfo.appId,
            bootInfo.composeHash,
            bootInfo.deviceId
        );
        _shorten(decision, _endOf(kmsAuth, Kind.App, bytes32(uint256(uint160(bootInfo.appId)))));
        _shorten(decision, _endOf(kmsAuth, Kind.OsImage, bootInfo.osImageHash));
        _shorten(decision, _hostEnd(kmsAuth, bootInfo.deviceId));
        _shorten(decision, _measurementsEnd(kmsAuth, bootInfo, variant));
    }

    /// @notice `isKmsAllowed` of `kmsAuth`, explained. Release and epochs are 0.
    /// @param kmsAuth the contract that decides.
    /// @param bootInfo facts of the boot; nothing here proves them.
    /// @return decision the decision with its reason, state and end.
    function evaluateKms(
        IKmsAuth kmsAuth,
        AppBootInfo calldata bootInfo
    ) external view returns (BootDecision memory decision) {
        decision.denial = kmsAuth.kmsDenial(bootInfo);
        decision.reason = DenialReasons.textOf(decision.denial);
        decision.state = _stateBehind(kmsAuth, decision.denial, bootInfo);
        decision.isAllowed = decision.denial == DenialCode.None;
        if (!decision.isAllowed) return decision;

        _shorten(decision, _endOf(kmsAuth, Kind.OsImage, bootInfo.osImageHash));
        _shorten(decision, _endOf(kmsAuth, Kind.KmsMeasurement, bootInfo.mrAggregated));
        _shorten(decision, _endOf(kmsAuth, Kind.KmsDevice, bootInfo.deviceId));
        _shorten(decision, _hostEnd(kmsAuth, bootInfo.deviceId));
    }

    /// @dev The state of the approval whose absence denies the boot.
    function _stateBehind(
        IKmsAuth kmsAuth,
        DenialCode denial,
        AppBootInfo calldata bootInfo
    ) private view returns (State) {
        IApprovalRegistry registry = IApprovalRegistry(address(kmsAuth));
        if (denial == DenialCode.AppNotRegistered)
            return registry.stateOf(Kind.App, bytes32(uint256(uint160(bootInfo.appId))));
        if (denial == DenialCode.ImageNotAllowed) return registry.stateOf(Kind.OsImage, bootInfo.osImageHash);
        if (denial == DenialCode.MeasurementNotAllowed)
            return registry.stateOf(Kind.KmsMeasurement, bootInfo.mrAggregated);
        if (denial == DenialCode.KmsDeviceNotAllowed) return registry.stateOf(Kind.KmsDevice, bootInfo.deviceId);
        return State.Active;
    }

    /// @dev End of an approval; 0 = it never ends.
    function _endOf(IKmsAuth kmsAuth, Kind kind, bytes32 id) private view returns (uint40) {
        return IApprovalRegistry(address(kmsAuth)).approvalOf(kind, id).expiresAt();
    }

    /// @dev End of the host's admission; 0 without a host registry.
    function _hostEnd(IKmsAuth kmsAuth, bytes32 deviceId) private view returns (uint40 validUntil) {
        address hosts = kmsAuth.hosts();
        if (hosts != address(0)) (, validUntil) = IHostAdmission(hosts).admission(deviceId);
    }

    /// @dev End of the approval of the measurement set; 0 if the image is open.
    function _measurementsEnd(
        IKmsAuth kmsAuth,
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) private view returns (uint40 validUntil) {
        IImageMeasurements images = IImageMeasurements(kmsAuth.images());
        if (address(images) == address(0)) return 0;
        (, validUntil) = images.isMeasurementAllowed(bootInfo.osImageHash, variant, bootInfo.mrSystem);
    }

    /// @dev Keeps the earlier of both ends; 0 = no end.
    function _shorten(BootDecision memory decision, uint40 end) private pure {
        if (end != 0 && (decision.validUntil == 0 || end < decision.validUntil)) decision.validUntil = end;
    }
}

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
import {DenialReasons, Refusal} from "./DenialReasons.sol";

/// @notice A decision with its ground.
struct Decision {
    bool isAllowed;
    Refusal refusal;
    string reason;
    /// @notice The state of what was refused; Active if nothing was or if it is not an approval.
    State state;
    /// @notice Number of the app's release; 0 if refused, or if the app does not tell.
    uint32 release;
    /// @notice The epoch to write with, and the oldest to read; 0 as above: then there is only the first.
    uint32 writeEpoch;
    uint32 readEpoch;
    /// @notice First second at which an allowed boot would be refused by itself; 0 = no such second is known.
    uint40 holdsUntil;
}

/// @notice Says of any KmsAuth what it decides, and why, and for how long. Holds nothing, decides nothing.
/// @dev The answer itself is KmsAuth's; only what is told beside it is gathered here. What an app tells of itself
/// (release, epochs) is the app's word: it can lie about itself and about nobody else.
contract BootJudge {
    /// @notice `isAppAllowed` with its ground.
    function judgeApp(
        IKmsAuth kmsAuth,
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) external view returns (Decision memory decision) {
        (decision.refusal, decision.reason) = kmsAuth.refuseApp(bootInfo, variant);
        decision.state = _stateBehind(kmsAuth, decision.refusal, bootInfo);
        decision.isAllowed = decision.refusal == Refusal.None;
        if (!decision.isAllowed) return decision;

        (decision.release, decision.writeEpoch, decision.readEpoch, decision.holdsUntil) = BoundedAppCall.terms(
            bootInfo.appId,
            bootInfo.composeHash,
            bootInfo.deviceId
        );
        _shorten(decision, _endOf(kmsAuth, Kind.App, bytes32(uint256(uint160(bootInfo.appId)))));
        _shorten(decision, _endOf(kmsAuth, Kind.OsImage, bootInfo.osImageHash));
        _shorten(decision, _hostEnd(kmsAuth, bootInfo.deviceId));
        _shorten(decision, _measurementsEnd(kmsAuth, bootInfo, variant));
    }

    /// @notice `isKmsAllowed` with its ground.
    function judgeKms(
        IKmsAuth kmsAuth,
        AppBootInfo calldata bootInfo
    ) external view returns (Decision memory decision) {
        decision.refusal = kmsAuth.refuseKms(bootInfo);
        decision.reason = DenialReasons.say(decision.refusal);
        decision.state = _stateBehind(kmsAuth, decision.refusal, bootInfo);
        decision.isAllowed = decision.refusal == Refusal.None;
        if (!decision.isAllowed) return decision;

        _shorten(decision, _endOf(kmsAuth, Kind.OsImage, bootInfo.osImageHash));
        _shorten(decision, _endOf(kmsAuth, Kind.KmsMeasurement, bootInfo.mrAggregated));
        _shorten(decision, _endOf(kmsAuth, Kind.KmsDevice, bootInfo.deviceId));
        _shorten(decision, _hostEnd(kmsAuth, bootInfo.deviceId));
    }

    function _stateBehind(
        IKmsAuth kmsAuth,
        Refusal refusal,
        AppBootInfo calldata bootInfo
    ) private view returns (State) {
        IApprovalRegistry registry = IApprovalRegistry(address(kmsAuth));
        if (refusal == Refusal.AppNotRegistered)
            return registry.stateOf(Kind.App, bytes32(uint256(uint160(bootInfo.appId))));
        if (refusal == Refusal.ImageNotAllowed) return registry.stateOf(Kind.OsImage, bootInfo.osImageHash);
        if (refusal == Refusal.MeasurementNotAllowed)
            return registry.stateOf(Kind.KmsMeasurement, bootInfo.mrAggregated);
        if (refusal == Refusal.KmsDeviceNotAllowed) return registry.stateOf(Kind.KmsDevice, bootInfo.deviceId);
        return State.Active;
    }

    function _endOf(IKmsAuth kmsAuth, Kind kind, bytes32 id) private view returns (uint40) {
        return IApprovalRegistry(address(kmsAuth)).approvalOf(kind, id).expiresAt();
    }

    function _hostEnd(IKmsAuth kmsAuth, bytes32 deviceId) private view returns (uint40 holdsUntil) {
        address hosts = kmsAuth.hosts();
        if (hosts != address(0)) (, holdsUntil) = IHostAdmission(hosts).admission(deviceId);
    }

    function _measurementsEnd(
        IKmsAuth kmsAuth,
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) private view returns (uint40 holdsUntil) {
        IImageMeasurements images = IImageMeasurements(kmsAuth.images());
        if (address(images) == address(0)) return 0;
        (, holdsUntil) = images.isShownAllowed(bootInfo.osImageHash, variant, bootInfo.mrSystem);
    }

    function _shorten(Decision memory decision, uint40 end) private pure {
        if (end != 0 && (decision.holdsUntil == 0 || end < decision.holdsUntil)) decision.holdsUntil = end;
    }
}

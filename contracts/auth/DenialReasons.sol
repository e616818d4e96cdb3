// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Why a boot is refused. The number is for machines: append, never reorder.
enum Refusal {
    None,
    TcbNotUpToDate,
    ImageNotAllowed,
    MeasurementNotAllowed,
    KmsDeviceNotAllowed,
    AppNotRegistered,
    AppHasNoCode,
    ReleaseNotAllowed,
    DeviceNotAllowed,
    AppIdWrong,
    AppRefused,
    AppFailed,
    AppAnswerInvalid,
    HostNotRegistered,
    MeasurementsNotAllowed,
    VariantNotAccepted
}

/// @notice The sentences of the refusals; tools match on them. The first eight are dstack's, byte for byte.
library DenialReasons {
    string internal constant TCB_NOT_UP_TO_DATE = "TCB status is not up to date";
    string internal constant IMAGE_NOT_ALLOWED = "OS image is not allowed";
    string internal constant MEASUREMENT_NOT_ALLOWED = "Aggregated MR not allowed";
    string internal constant KMS_DEVICE_NOT_ALLOWED = "KMS is not allowed to boot on this device";
    string internal constant APP_NOT_REGISTERED = "App not registered";
    string internal constant APP_HAS_NO_CODE = "App not deployed or invalid address";
    string internal constant RELEASE_NOT_ALLOWED = "Compose hash not allowed";
    string internal constant DEVICE_NOT_ALLOWED = "Device not allowed";

    string internal constant APP_ID_WRONG = "App id is not this contract";
    string internal constant APP_FAILED = "App contract failed";
    string internal constant APP_ANSWER_INVALID = "App contract gave no valid answer";
    string internal constant HOST_NOT_REGISTERED = "Host is not registered";
    string internal constant MEASUREMENTS_NOT_ALLOWED = "Measurements are not allowed for this OS image";
    string internal constant VARIANT_NOT_ACCEPTED = "TEE variant is not accepted";

    /// @notice The sentence of `refusal`; empty for None and for AppRefused, where the app has the word.
    function say(Refusal refusal) internal pure returns (string memory) {
        if (refusal == Refusal.TcbNotUpToDate) return TCB_NOT_UP_TO_DATE;
        if (refusal == Refusal.ImageNotAllowed) return IMAGE_NOT_ALLOWED;
        if (refusal == Refusal.MeasurementNotAllowed) return MEASUREMENT_NOT_ALLOWED;
        if (refusal == Refusal.KmsDeviceNotAllowed) return KMS_DEVICE_NOT_ALLOWED;
        if (refusal == Refusal.AppNotRegistered) return APP_NOT_REGISTERED;
        if (refusal == Refusal.AppHasNoCode) return APP_HAS_NO_CODE;
        if (refusal == Refusal.ReleaseNotAllowed) return RELEASE_NOT_ALLOWED;
        if (refusal == Refusal.DeviceNotAllowed) return DEVICE_NOT_ALLOWED;
        if (refusal == Refusal.AppIdWrong) return APP_ID_WRONG;
        if (refusal == Refusal.AppFailed) return APP_FAILED;
        if (refusal == Refusal.AppAnswerInvalid) return APP_ANSWER_INVALID;
        if (refusal == Refusal.HostNotRegistered) return HOST_NOT_REGISTERED;
        if (refusal == Refusal.MeasurementsNotAllowed) return MEASUREMENTS_NOT_ALLOWED;
        if (refusal == Refusal.VariantNotAccepted) return VARIANT_NOT_ACCEPTED;
        return "";
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Why a boot is denied, as a number for programs. Append, never reorder.
enum DenialCode {
    /// @notice The boot is allowed.
    None,
    /// @notice The TCB status is not `UpToDate`, and the KMS or the app requires it.
    TcbNotUpToDate,
    /// @notice The base image has no active approval.
    ImageNotAllowed,
    /// @notice The aggregated measurement of the KMS node has no active approval.
    MeasurementNotAllowed,
    /// @notice The host of the KMS node has no active approval.
    KmsDeviceNotAllowed,
    /// @notice The app has no active approval.
    AppNotRegistered,
    /// @notice There is no contract at the app's address.
    AppHasNoCode,
    /// @notice The release has no active approval, or was superseded.
    ReleaseNotAllowed,
    /// @notice The app does not allow this host.
    DeviceNotAllowed,
    /// @notice The app id of the boot is not the address of the asked app.
    AppIdMismatch,
    /// @notice The app denied for a reason of its own.
    AppRefused,
    /// @notice The app's contract reverted or used up its gas.
    AppFailed,
    /// @notice The app's answer is not ABI-encoded in the canonical form, or too long.
    AppAnswerInvalid,
    /// @notice The host registry does not admit the host.
    HostNotRegistered,
    /// @notice The base image is closed, and this measurement set is not approved.
    MeasurementsNotAllowed,
    /// @notice The app does not accept this TEE variant.
    VariantNotAccepted
}

/// @notice The reason strings of the denials. Tools match on them. The first eight are dstack's, byte for byte.
library DenialReasons {
    /// @notice dstack's reasons.
    string internal constant TCB_NOT_UP_TO_DATE = "TCB status is not up to date";
    string internal constant IMAGE_NOT_ALLOWED = "OS image is not allowed";
    string internal constant MEASUREMENT_NOT_ALLOWED = "Aggregated MR not allowed";
    string internal constant KMS_DEVICE_NOT_ALLOWED = "KMS is not allowed to boot on this device";
    /// @dev About an app.
    string internal constant APP_NOT_REGISTERED = "App not registered";
    string internal constant APP_HAS_NO_CODE = "App not deployed or invalid address";
    string internal constant RELEASE_NOT_ALLOWED = "Compose hash not allowed";
    string internal constant DEVICE_NOT_ALLOWED = "Device not allowed";

    /// @notice Assent's reasons.
    string internal constant APP_ID_MISMATCH = "App id is not this contract";
    string internal constant APP_FAILED = "App contract failed";
    string internal constant APP_ANSWER_INVALID = "App contract gave no valid answer";
    /// @dev About host, image and TEE variant.
    string internal constant HOST_NOT_REGISTERED = "Host is not registered";
    string internal constant MEASUREMENTS_NOT_ALLOWED = "Measurements are not allowed for this OS image";
    string internal constant VARIANT_NOT_ACCEPTED = "TEE variant is not accepted";

    /// @notice The reason string of `denial`. Empty for `None`, and for `AppRefused`, whose reason comes from the app.
    /// @param denial the first rule that denies the boot.
    function textOf(DenialCode denial) internal pure returns (string memory) {
        if (denial == DenialCode.TcbNotUpToDate) return TCB_NOT_UP_TO_DATE;
        if (denial == DenialCode.ImageNotAllowed) return IMAGE_NOT_ALLOWED;
        if (denial == DenialCode.MeasurementNotAllowed) return MEASUREMENT_NOT_ALLOWED;
        if (denial == DenialCode.KmsDeviceNotAllowed) return KMS_DEVICE_NOT_ALLOWED;
        if (denial == DenialCode.AppNotRegistered) return APP_NOT_REGISTERED;
        if (denial == DenialCode.AppHasNoCode) return APP_HAS_NO_CODE;
        if (denial == DenialCode.ReleaseNotAllowed) return RELEASE_NOT_ALLOWED;
        if (denial == DenialCode.DeviceNotAllowed) return DEVICE_NOT_ALLOWED;
        if (denial == DenialCode.AppIdMismatch) return APP_ID_MISMATCH;
        if (denial == DenialCode.AppFailed) return APP_FAILED;
        if (denial == DenialCode.AppAnswerInvalid) return APP_ANSWER_INVALID;
        if (denial == DenialCode.HostNotRegistered) return HOST_NOT_REGISTERED;
        if (denial == DenialCode.MeasurementsNotAllowed) return MEASUREMENTS_NOT_ALLOWED;
        if (denial == DenialCode.VariantNotAccepted) return VARIANT_NOT_ACCEPTED;
        return "";
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The functions with which dstack's tools manage an app. ERC-165 id 0x8fd37527.
/// @dev In Assent's App only the owner may call them. They revert with `OwnableUnauthorizedAccount` for anyone else.
interface IAppAuthBasicManagement {
    /// @notice A release was approved. The registry also emits `ApprovalGiven`, which has the start and end times.
    event ComposeHashAdded(bytes32 composeHash);
    /// @notice A release was withdrawn or revoked.
    event ComposeHashRemoved(bytes32 composeHash);
    /// @notice A host was approved for this app.
    event DeviceAdded(bytes32 deviceId);
    /// @notice A host was withdrawn or revoked for this app.
    event DeviceRemoved(bytes32 deviceId);

    /// @notice Approves a release, without end and without evidence. Emits the event again if it is approved already.
    /// @dev Reverts with `ApprovalStateInvalid` if it is revoked, and with `IdInvalid` for zero.
    /// @param composeHash SHA-256 of the app-compose file.
    function addComposeHash(bytes32 composeHash) external;

    /// @notice Withdraws a release. Emits the event even if nothing was approved, as dstack does.
    /// @param composeHash SHA-256 of the app-compose file.
    function removeComposeHash(bytes32 composeHash) external;

    /// @notice Approves a host by its device id, without end. Reverts as `addComposeHash`.
    /// @param deviceId device id of the host.
    function addDevice(bytes32 deviceId) external;

    /// @notice Withdraws a host. Emits the event even if nothing was approved, as dstack does.
    /// @param deviceId device id of the host.
    function removeDevice(bytes32 deviceId) external;
}

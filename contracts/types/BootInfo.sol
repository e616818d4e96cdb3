// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a CVM's quote and event log say about it: dstack's tuple, in dstack's order.
/// @dev It carries no TEE variant; what comes through it counts as Intel TDX.
struct AppBootInfo {
    /// @notice The contract of the app, which is also its id.
    address appId;
    /// @notice SHA-256 of the app-compose.json, byte for byte.
    bytes32 composeHash;
    /// @notice 20 bytes that tell apart two instances of one app; not the address of anything.
    address instanceId;
    /// @notice SHA-256 of the platform's PPID.
    bytes32 deviceId;
    bytes32 mrAggregated;
    bytes32 mrSystem;
    bytes32 osImageHash;
    /// @notice Intel's word for the platform's state, such as `UpToDate`.
    string tcbStatus;
    string[] advisoryIds;
}

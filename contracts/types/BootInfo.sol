// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The facts about a boot that a KMS verified from a CVM's quote and event log: dstack's tuple, in dstack's order.
/// @dev Nothing on-chain checks these values: the KMS that asks must have verified them. The tuple has no TEE variant, so
/// a boot that comes through it counts as Intel TDX.
struct AppBootInfo {
    /// @notice Address of the app's contract; it is also the app's id.
    address appId;
    /// @notice SHA-256 of the app-compose.json, byte for byte.
    bytes32 composeHash;
    /// @notice 20 bytes that identify one instance of the app. Not the address of an account.
    address instanceId;
    /// @notice SHA-256 of the platform's PPID: identifies the host.
    bytes32 deviceId;
    /// @notice dstack's mr_aggregated: SHA-256 over all measurements.
    bytes32 mrAggregated;
    /// @notice dstack's mr_system in the boot-time view, without a key provider.
    bytes32 mrSystem;
    /// @notice Hash of the base image.
    bytes32 osImageHash;
    /// @notice Intel's TCB status of the platform, such as `UpToDate`.
    string tcbStatus;
    /// @notice Intel's advisories for that status, such as `INTEL-SA-00837`.
    string[] advisoryIds;
}

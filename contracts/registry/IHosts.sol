// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What KmsAuth needs to know of the registry of hosts.
interface IHostAdmission {
    /// @notice Whether a boot on this machine is fine now, and the first second at which it no longer would be (0 = none).
    function admission(bytes32 deviceId) external view returns (bool isAdmitted, uint40 holdsUntil);
}

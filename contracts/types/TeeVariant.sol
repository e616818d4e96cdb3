// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What kind of hardware vouches for a boot, in dstack's order. Part of storage: append, never reorder.
/// @dev dstack's boot tuple carries none: what comes through it counts as `Tdx`.
enum TeeVariant {
    Tdx,
    GcpTdx,
    NitroEnclave,
    AmdSevSnp,
    AwsNitroTpm
}

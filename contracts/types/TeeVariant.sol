// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The hardware technology behind a boot, in dstack's order.
/// @dev The number is part of storage and of ids. Append, never reorder. dstack's boot tuple has no variant: a boot that
/// comes through it counts as `Tdx`.
enum TeeVariant {
    /// @notice Intel TDX.
    Tdx,
    /// @notice Intel TDX on Google Cloud, with a vTPM.
    GcpTdx,
    /// @notice AWS Nitro Enclaves.
    NitroEnclave,
    /// @notice AMD SEV-SNP.
    AmdSevSnp,
    /// @notice AWS NitroTPM.
    AwsNitroTpm
}

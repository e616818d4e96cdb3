// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Everything that can be approved. The number is part of storage slots and events: append, never reorder.
enum Kind {
    /// @notice A base image, by os_image_hash. (KmsAuth)
    OsImage,
    /// @notice The aggregated measurement a KMS node may show. (KmsAuth)
    KmsMeasurement,
    /// @notice A machine a KMS node may run on, by device id. (KmsAuth)
    KmsDevice,
    /// @notice An app, by the address of its contract. (KmsAuth)
    App,
    /// @notice A release of one app, by compose hash. (App)
    Release,
    /// @notice A machine that one app may run on, by device id. (App)
    Device,
    /// @notice A proven machine, by device id. (Hosts)
    Host,
    /// @notice A root key of the KMS, by the digest of its public keys. (RootKeys)
    RootKey,
    /// @notice A set of measurements that a base image may show, by its id. (Images)
    Measurements
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The kinds of things that can be approved, each with the registry that keeps its approvals.
/// @dev The number is part of storage slots and of events. Append new kinds; never reorder or remove one.
enum Kind {
    /// @notice A base image. Id: os_image_hash. Registry: KmsAuth.
    OsImage,
    /// @notice The aggregated measurement of a KMS node. Id: mr_aggregated. Registry: KmsAuth.
    KmsMeasurement,
    /// @notice A host on which a KMS node may run. Id: device id. Registry: KmsAuth.
    KmsDevice,
    /// @notice An app. Id: the address of its contract, left-padded to 32 bytes. Registry: KmsAuth.
    App,
    /// @notice A release of one app. Id: compose hash. Registry: the app's contract.
    Release,
    /// @notice A host on which one app may run. Id: device id. Registry: the app's contract.
    Device,
    /// @notice A host with a host proof. Id: device id. Registry: Hosts.
    Host,
    /// @notice A pair of root public keys of the KMS. Id: keccak256 of both. Registry: RootKeys.
    RootKey,
    /// @notice A measurement set of a base image. Id: `IImages.idOf`. Registry: Images.
    Measurements
}

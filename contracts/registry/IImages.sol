// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TeeVariant} from "../types/TeeVariant.sol";

/// @notice What KmsAuth needs to know of the registry of images.
interface IImageMeasurements {
    /// @notice Whether a boot of this image may show this system measurement: always, unless the image is closed.
    function isShownAllowed(
        bytes32 osImageHash,
        TeeVariant variant,
        bytes32 mrSystem
    ) external view returns (bool isAllowed, uint40 holdsUntil);
}

/// @notice Which measurements each base image may show. That an image is allowed at all is KmsAuth's approval.
/// @dev One set is one approval of kind `Measurements`, so that one storage proof proves it; its id is
/// keccak256(abi.encode(osImageHash, variant, mrSystem)), where mrSystem is dstack's, in the boot-time view (no key
/// provider). A KMS that cannot recompute an image's measurements (dstack's legacy scheme) has nothing else to go by.
/// Trust: nobody here boots the image; that it shows these registers is what the evidence has to make others reproduce.
interface IImages is IImageMeasurements {
    /// @notice One set of registers to approve.
    struct SetTerms {
        bytes32 osImageHash;
        TeeVariant variant;
        /// @notice TDX: MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2 (192 bytes); the others: docs/contracts.md.
        bytes registers;
        /// @notice As in `IApprovalRegistry.Terms`.
        uint40 activeFrom;
        uint40 expiresAt;
        bytes evidence;
    }

    /// @notice What an id of kind `Measurements` stands for.
    struct Shown {
        bytes32 osImageHash;
        bytes32 mrSystem;
        TeeVariant variant;
    }

    /// @notice Emitted when the registers behind an id are first told.
    event SetDescribed(
        bytes32 indexed id,
        bytes32 indexed osImageHash,
        TeeVariant variant,
        bytes32 mrSystem,
        bytes registers
    );
    event ReleaseNamed(bytes32 indexed osImageHash, string release);
    event ImageClosed(bytes32 indexed osImageHash, bool isClosed);
    event ActivationDelaySet(uint32 delay);

    /// @notice Thrown when registers have not the length that their variant has.
    error RegistersMalformed(TeeVariant variant, uint256 length);

    /// @notice Thrown when a set is approved by an id whose registers nobody told.
    error SetUnknown(bytes32 id);

    /// @notice Approves sets of measurements, all or none. Only the owner.
    function approveSets(SetTerms[] calldata sets, uint40 notAfter) external;

    /// @notice Gives an image the name under which people know it. Only the owner; nothing depends on it.
    function nameRelease(bytes32 osImageHash, string calldata release) external;

    /// @notice Closes images: from now on KmsAuth refuses app boots of them that show no approved set. Only the owner.
    function closeImages(bytes32[] calldata osImageHashes) external;

    /// @notice Opens them again: what the KMS itself can recompute passes. Only the owner.
    function openImages(bytes32[] calldata osImageHashes, uint40 notAfter) external;

    /// @notice Seconds that a set waits before it is active. Only the owner; counts for later approvals.
    function setActivationDelay(uint32 delay, uint40 notAfter) external;

    function releaseOf(bytes32 osImageHash) external view returns (string memory);

    function isClosed(bytes32 osImageHash) external view returns (bool);

    /// @notice What an id stands for; zero if nobody told.
    function shownBy(bytes32 id) external view returns (Shown memory);

    function idOf(bytes32 osImageHash, TeeVariant variant, bytes32 mrSystem) external pure returns (bytes32);

    /// @notice dstack's mr_system of these registers in the boot-time view, without a key provider.
    function mrSystemOf(TeeVariant variant, bytes calldata registers) external pure returns (bytes32);
}

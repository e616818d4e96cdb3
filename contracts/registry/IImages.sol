// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TeeVariant} from "../types/TeeVariant.sol";

/// @notice The function of the image registry that KmsAuth calls.
interface IImageMeasurements {
    /// @notice Whether a boot of this image may have this system measurement: always, unless the image is closed.
    /// @return isAllowed true if the image is open or the measurement set is approved.
    /// @return validUntil first second in which that ends by itself, unix seconds; 0 = no end is known.
    function isMeasurementAllowed(
        bytes32 osImageHash,
        TeeVariant variant,
        bytes32 mrSystem
    ) external view returns (bool isAllowed, uint40 validUntil);
}

/// @notice Keeps the approved measurement sets of base images. KmsAuth approves the images themselves.
/// @dev A measurement set is one approval of kind `Measurements`, so one storage proof proves it. Its id is
/// keccak256(abi.encode(osImageHash, variant, mrSystem)), with dstack's mr_system at boot, without a key provider. A KMS
/// needs it for images whose measurements it cannot compute (dstack's legacy scheme).
/// Functions marked "owner" revert with `OwnableUnauthorizedAccount` for anyone else. Times are unix seconds.
/// Trust: nothing on-chain checks that the image has these measurements. The evidence must allow others to reproduce them.
interface IImages is IImageMeasurements {
    /// @notice One measurement set to approve.
    struct MeasurementSetTerms {
        /// @notice The base image.
        bytes32 osImageHash;
        /// @notice The TEE variant with which it boots.
        TeeVariant variant;
        /// @notice For TDX: MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2 (192 bytes). For the others see docs/contracts.md.
        bytes registers;
        /// @notice Start time, as in `IApprovalRegistry.ApprovalTerms`.
        uint40 activeFrom;
        /// @notice End time; 0 = never.
        uint40 expiresAt;
        /// @notice The document behind the decision.
        bytes evidence;
    }

    /// @notice What an id of kind `Measurements` stands for.
    struct MeasurementSet {
        /// @notice The base image; zero = the id is unknown.
        bytes32 osImageHash;
        /// @notice dstack's mr_system of the registers, without a key provider.
        bytes32 mrSystem;
        /// @notice The TEE variant.
        TeeVariant variant;
    }

    /// @notice The registers behind an id were recorded, before its first approval.
    /// @param id see `idOf`.
    /// @param variant TEE variant of the boot.
    /// @param mrSystem dstack's mr_system of the registers.
    /// @param registers as in `MeasurementSetTerms`.
    event MeasurementSetDescribed(
        bytes32 indexed id,
        bytes32 indexed osImageHash,
        TeeVariant variant,
        bytes32 mrSystem,
        bytes registers
    );
    /// @notice An image has a new display name.
    event ImageNameSet(bytes32 indexed osImageHash, string name);
    /// @notice An image was closed (`isClosed`): it needs an approved measurement set to boot apps. Or it was opened again.
    /// @param isClosed true: the image boots only with an approved measurement set.
    event ImageClosed(bytes32 indexed osImageHash, bool isClosed);
    /// @notice Measurement sets that are approved from now on start after `delay` seconds at the earliest.
    event ActivationDelaySet(uint32 delay);

    /// @notice The registers do not have the length of their variant.
    /// @param length bytes that were given.
    error RegistersMalformed(TeeVariant variant, uint256 length);

    /// @notice The id cannot be approved: its registers were never recorded. Use `approveMeasurementSets`.
    error MeasurementSetUnknown(bytes32 id);

    /// @notice Approves measurement sets, all or none. Owner. Emits `MeasurementSetDescribed` for new ones and `ApprovalGiven`.
    /// @dev Reverts with `ExecutionDeadlinePassed`, `IdInvalid`, `RegistersMalformed`, and as `IApprovalRegistry.approve`.
    /// @param notAfter execution deadline, unix seconds.
    function approveMeasurementSets(MeasurementSetTerms[] calldata sets, uint40 notAfter) external;

    /// @notice Sets the display name of an image. Nothing depends on it. Owner. Emits `ImageNameSet`.
    /// @param name for people, such as `dstack-0.5.4`; empty removes it.
    function setImageName(bytes32 osImageHash, string calldata name) external;

    /// @notice Closes images: KmsAuth denies app boots of them without an approved measurement set. Owner. Emits `ImageClosed`.
    function closeImages(bytes32[] calldata osImageHashes) external;

    /// @notice Opens images: any measurements pass here, and the KMS alone checks them. Owner. Emits `ImageClosed`.
    /// @dev Reverts with `ExecutionDeadlinePassed`.
    /// @param notAfter execution deadline, unix seconds.
    function openImages(bytes32[] calldata osImageHashes, uint40 notAfter) external;

    /// @notice Sets the activation delay; counts for approvals that are given later. Owner. Emits `ActivationDelaySet`.
    /// @dev Reverts with `ExecutionDeadlinePassed`.
    /// @param delay seconds from an approval to its earliest start.
    function setActivationDelay(uint32 delay, uint40 notAfter) external;

    /// @notice Display name of an image; empty if it has none.
    function imageNameOf(bytes32 osImageHash) external view returns (string memory);

    /// @notice Whether app boots of the image need an approved measurement set.
    function isClosed(bytes32 osImageHash) external view returns (bool);

    /// @notice What an id stands for; all zero if its registers were never recorded.
    function measurementSetOf(bytes32 id) external view returns (MeasurementSet memory);

    /// @notice The id of a measurement set: keccak256(abi.encode(osImageHash, variant, mrSystem)).
    function idOf(bytes32 osImageHash, TeeVariant variant, bytes32 mrSystem) external pure returns (bytes32);

    /// @notice dstack's mr_system of these registers at boot, without a key provider. Reverts with `RegistersMalformed`.
    function mrSystemOf(TeeVariant variant, bytes calldata registers) external pure returns (bytes32);
}

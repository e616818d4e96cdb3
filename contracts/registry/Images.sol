// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Approval} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {ApprovalRegistry} from "./ApprovalRegistry.sol";
import {IImageMeasurements, IImages} from "./IImages.sol";
import {RenounceableUpgrades} from "./RenounceableUpgrades.sol";

/// @notice The image registry: which base images are closed, and which measurement sets of them are approved.
/// @dev Storage is part of the interface of KMS nodes, which read it with storage proofs: see snapshots/storage.json.
contract Images is IImages, ApprovalRegistry, RenounceableUpgrades {
    /// @dev Seconds. In one slot with the counters of the registry.
    uint32 private _activationDelay;
    /// @inheritdoc IImages
    mapping(bytes32 osImageHash => bool) public isClosed;
    /// @inheritdoc IImages
    mapping(bytes32 osImageHash => string) public imageNameOf;
    /// @dev The registers behind each id, recorded before the first approval.
    mapping(bytes32 id => MeasurementSet) private _measurementSets;
    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets owner and guardian. Once only: reverts with `InvalidInitialization`, `SuspensionOutOfBounds`.
    /// @param suspensionTime how long a suspension lasts, seconds.
    function initialize(address initialOwner, address initialGuardian, uint40 suspensionTime) external initializer {
        __Ownable_init(initialOwner);
        _setGuardian(initialGuardian, suspensionTime);
    }

    /* DECISIONS */

    /// @inheritdoc IImageMeasurements
    function isMeasurementAllowed(
        bytes32 osImageHash,
        TeeVariant variant,
        bytes32 mrSystem
    ) external view returns (bool isAllowed, uint40 validUntil) {
        if (!isClosed[osImageHash]) return (true, 0);
        Approval approval = approvalOf(Kind.Measurements, idOf(osImageHash, variant, mrSystem));
        isAllowed = approval.isActiveAt(block.timestamp);
        validUntil = isAllowed ? approval.expiresAt() : 0;
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IImages
    function approveMeasurementSets(MeasurementSetTerms[] calldata sets, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        for (uint256 i = 0; i < sets.length; i++) {
            MeasurementSetTerms calldata each = sets[i];
            bytes32 id = _describe(each.osImageHash, each.variant, each.registers);
            _approve(Kind.Measurements, id, each.activeFrom, each.expiresAt, each.evidence);
        }
    }

    /// @dev Records the registers behind an id, so that voters can see what an id stands for.
    function _describe(bytes32 osImageHash, TeeVariant variant, bytes calldata registers) private returns (bytes32 id) {
        require(osImageHash != 0, IdInvalid(Kind.OsImage, osImageHash));
        bytes32 mrSystem = mrSystemOf(variant, registers);
        id = idOf(osImageHash, variant, mrSystem);
        if (_measurementSets[id].osImageHash != 0) return id;

        _measurementSets[id] = MeasurementSet(osImageHash, mrSystem, variant);

        emit MeasurementSetDescribed(id, osImageHash, variant, mrSystem, registers);
    }

    /// @inheritdoc IImages
    function setImageName(bytes32 osImageHash, string calldata name) external onlyOwner {
        imageNameOf[osImageHash] = name;

        emit ImageNameSet(osImageHash, name);
    }

    /// @inheritdoc IImages
    function closeImages(bytes32[] calldata osImageHashes) external onlyOwner {
        _setClosed(osImageHashes, true);
    }

    /// @inheritdoc IImages
    function openImages(bytes32[] calldata osImageHashes, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        _setClosed(osImageHashes, false);
    }

    /// @dev Closes or opens images.
    function _setClosed(bytes32[] calldata osImageHashes, bool closed) private {
        for (uint256 i = 0; i < osImageHashes.length; i++) {
            isClosed[osImageHashes[i]] = closed;
            emit ImageClosed(osImageHashes[i], closed);
        }
    }

    /// @inheritdoc IImages
    function setActivationDelay(uint32 delay, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        _activationDelay = delay;

        emit ActivationDelaySet(delay);
    }

    /* VIEWS */

    /// @inheritdoc IImages
    function measurementSetOf(bytes32 id) external view returns (MeasurementSet memory) {
        return _measurementSets[id];
    }

    /// @inheritdoc IImages
    function idOf(bytes32 osImageHash, TeeVariant variant, bytes32 mrSystem) public pure returns (bytes32) {
        return keccak256(abi.encode(osImageHash, variant, mrSystem));
    }

    /// @inheritdoc IImages
    function mrSystemOf(TeeVariant variant, bytes calldata registers) public pure returns (bytes32) {
        (uint256 length, bool withKeyProvider) = _formOf(variant);
        require(registers.length == length, RegistersMalformed(variant, registers.length));
        return withKeyProvider ? sha256(bytes.concat(registers, bytes32(0))) : sha256(registers);
    }

    /// @dev What dstack hashes into mr_system for each variant, and whether the digest of the key provider follows.
    function _formOf(TeeVariant variant) private pure returns (uint256 length, bool withKeyProvider) {
        if (variant == TeeVariant.Tdx) return (4 * 48, true);
        if (variant == TeeVariant.GcpTdx) return (32, true);
        if (variant == TeeVariant.AwsNitroTpm) return (3 * 48, true);
        if (variant == TeeVariant.NitroEnclave) return (3 * 48, false);
        return (48, false);
    }

    /// @notice Seconds from an approval of a measurement set to its earliest start.
    function activationDelay(Kind) public view override returns (uint256) {
        return _activationDelay;
    }

    /* RULES OF THIS REGISTRY */

    /// @dev Measurement sets only.
    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.Measurements;
    }

    /// @dev An approval by id (`approve`) needs registers that were recorded before. dstack has no events for these sets.
    function _afterDecision(Kind, bytes32 id, bool enabled) internal view override {
        require(!enabled || _measurementSets[id].osImageHash != 0, MeasurementSetUnknown(id));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Approval} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {ApprovalRegistry} from "./ApprovalRegistry.sol";
import {IImageMeasurements, IImages} from "./IImages.sol";
import {RenounceableUpgrades} from "./RenounceableUpgrades.sol";

/// @notice Base images by what they measure.
contract Images is IImages, ApprovalRegistry, RenounceableUpgrades {
    /// @dev Beside the counters, in one slot.
    uint32 private _activationDelay;
    mapping(bytes32 osImageHash => bool) public isClosed;
    mapping(bytes32 osImageHash => string) public releaseOf;
    mapping(bytes32 id => Shown) private _shown;
    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize(address initialOwner, address initialGuardian, uint40 suspensionTime) external initializer {
        __Ownable_init(initialOwner);
        _setGuardian(initialGuardian, suspensionTime);
    }

    /* THE QUESTION */

    /// @inheritdoc IImageMeasurements
    function isShownAllowed(
        bytes32 osImageHash,
        TeeVariant variant,
        bytes32 mrSystem
    ) external view returns (bool isAllowed, uint40 holdsUntil) {
        if (!isClosed[osImageHash]) return (true, 0);
        Approval approval = approvalOf(Kind.Measurements, idOf(osImageHash, variant, mrSystem));
        isAllowed = approval.isActiveAt(block.timestamp);
        holdsUntil = isAllowed ? approval.expiresAt() : 0;
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IImages
    function approveSets(SetTerms[] calldata sets, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        for (uint256 i = 0; i < sets.length; i++) {
            SetTerms calldata each = sets[i];
            bytes32 id = _describe(each.osImageHash, each.variant, each.registers);
            _approve(Kind.Measurements, id, each.activeFrom, each.expiresAt, each.evidence);
        }
    }

    function _describe(bytes32 osImageHash, TeeVariant variant, bytes calldata registers) private returns (bytes32 id) {
        require(osImageHash != 0, IdInvalid(Kind.OsImage, osImageHash));
        bytes32 mrSystem = mrSystemOf(variant, registers);
        id = idOf(osImageHash, variant, mrSystem);
        if (_shown[id].osImageHash != 0) return id;

        _shown[id] = Shown(osImageHash, mrSystem, variant);

        emit SetDescribed(id, osImageHash, variant, mrSystem, registers);
    }

    /// @inheritdoc IImages
    function nameRelease(bytes32 osImageHash, string calldata release) external onlyOwner {
        releaseOf[osImageHash] = release;

        emit ReleaseNamed(osImageHash, release);
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
    function shownBy(bytes32 id) external view returns (Shown memory) {
        return _shown[id];
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

    /// @dev dstack: what each variant hashes into mr_system, and whether the digest of the key provider follows.
    function _formOf(TeeVariant variant) private pure returns (uint256 length, bool withKeyProvider) {
        if (variant == TeeVariant.Tdx) return (4 * 48, true);
        if (variant == TeeVariant.GcpTdx) return (32, true);
        if (variant == TeeVariant.AwsNitroTpm) return (3 * 48, true);
        if (variant == TeeVariant.NitroEnclave) return (3 * 48, false);
        return (48, false);
    }

    function activationDelay(Kind) public view override returns (uint256) {
        return _activationDelay;
    }

    /* RULES OF THIS REGISTRY */

    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.Measurements;
    }

    /// @dev dstack knows no sets; but an approval by id alone must be of registers that were told.
    function _afterDecision(Kind, bytes32 id, bool enabled) internal view override {
        require(!enabled || _shown[id].osImageHash != 0, SetUnknown(id));
    }
}

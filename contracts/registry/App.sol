// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {IAppAuth} from "../auth/IAppAuth.sol";
import {IAppAuthBasicManagement} from "../auth/IAppAuthBasicManagement.sol";
import {Policies, PolicyChanged} from "../auth/Policies.sol";
import {Reasons, Refusal} from "../auth/Reasons.sol";
import {AppBootInfo} from "../types/BootInfo.sol";
import {Kind} from "../types/Kind.sol";
import {ApprovalRegistry} from "./ApprovalRegistry.sol";
import {IApp} from "./IApp.sol";

/// @notice dstack's DstackApp over one approval model.
contract App is IApp, ApprovalRegistry, UUPSUpgradeable, ERC165Upgradeable {
    bytes32 private constant UP_TO_DATE = keccak256("UpToDate");

    bool private _upgradesDisabled;
    bool public allowAnyDevice;
    bool public requireTcbUpToDate;
    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice As dstack, for older callers: does not require an up-to-date TCB.
    function initialize(
        address initialOwner,
        bool _disableUpgrades,
        bool _allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        _initialize(initialOwner, _disableUpgrades, false, _allowAnyDevice, initialDeviceId, initialComposeHash);
    }

    /// @notice As dstack: an owner, three rules, and a first device and release or none.
    function initialize(
        address initialOwner,
        bool _disableUpgrades,
        bool _requireTcbUpToDate,
        bool _allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        _initialize(
            initialOwner,
            _disableUpgrades,
            _requireTcbUpToDate,
            _allowAnyDevice,
            initialDeviceId,
            initialComposeHash
        );
    }

    function _initialize(
        address initialOwner,
        bool withoutUpgrades,
        bool onlyUpToDate,
        bool anyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) private {
        require(initialOwner != address(0), "invalid owner address");

        if (withoutUpgrades) _disableUpgradesForGood();
        if (onlyUpToDate) _setRequireTcbUpToDate(true);
        if (anyDevice) _setAllowAnyDevice(true);
        if (initialDeviceId != bytes32(0)) _add(Kind.Device, initialDeviceId);
        if (initialComposeHash != bytes32(0)) _add(Kind.Release, initialComposeHash);
        __Ownable_init(initialOwner);
    }

    /* THE QUESTION */

    /// @inheritdoc IAppAuth
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        Refusal refusal = _refuse(bootInfo);
        return (refusal == Refusal.None, Reasons.say(refusal));
    }

    /// @dev dstack's order, then ours.
    function _refuse(AppBootInfo calldata bootInfo) private view returns (Refusal) {
        bool upToDate = !requireTcbUpToDate || keccak256(bytes(bootInfo.tcbStatus)) == UP_TO_DATE;
        if (!upToDate) return Refusal.TcbNotUpToDate;
        if (!_isActive(Kind.Release, bootInfo.composeHash)) return Refusal.ReleaseNotAllowed;
        if (!allowAnyDevice && !_isActive(Kind.Device, bootInfo.deviceId)) return Refusal.DeviceNotAllowed;
        if (bootInfo.appId != address(this)) return Refusal.AppIdWrong;
        return Refusal.None;
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IAppAuthBasicManagement
    function addComposeHash(bytes32 composeHash) external onlyOwner {
        _add(Kind.Release, composeHash);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function removeComposeHash(bytes32 composeHash) external onlyOwner {
        _remove(Kind.Release, composeHash);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function addDevice(bytes32 deviceId) external onlyOwner {
        _add(Kind.Device, deviceId);
    }

    /// @inheritdoc IAppAuthBasicManagement
    function removeDevice(bytes32 deviceId) external onlyOwner {
        _remove(Kind.Device, deviceId);
    }

    /// @inheritdoc IApp
    function setAllowAnyDevice(bool _allowAnyDevice) external onlyOwner {
        _setAllowAnyDevice(_allowAnyDevice);
    }

    /// @inheritdoc IApp
    function setRequireTcbUpToDate(bool _requireUpToDate) external onlyOwner {
        _setRequireTcbUpToDate(_requireUpToDate);
    }

    /// @inheritdoc IApp
    function disableUpgrades() external onlyOwner {
        _disableUpgradesForGood();
    }

    function _setAllowAnyDevice(bool allowAny) private {
        allowAnyDevice = allowAny;

        emit AllowAnyDeviceSet(allowAny);
        emit PolicyChanged(msg.sender, Policies.ALLOW_ANY_DEVICE, bytes32(0), allowAny);
    }

    function _setRequireTcbUpToDate(bool requireUpToDate) private {
        requireTcbUpToDate = requireUpToDate;

        emit RequireTcbUpToDateSet(requireUpToDate);
        emit PolicyChanged(msg.sender, Policies.REQUIRE_TCB_UP_TO_DATE, bytes32(0), requireUpToDate);
    }

    function _disableUpgradesForGood() private {
        _upgradesDisabled = true;

        emit UpgradesDisabled();
        emit PolicyChanged(msg.sender, Policies.UPGRADES_DISABLED, bytes32(0), true);
    }

    /* DSTACK'S VIEWS */

    function allowedComposeHashes(bytes32 composeHash) external view returns (bool) {
        return _isActive(Kind.Release, composeHash);
    }

    function allowedDeviceIds(bytes32 deviceId) external view returns (bool) {
        return _isActive(Kind.Device, deviceId);
    }

    /// @notice The version of dstack's app contract that this one is compatible with.
    function version() external pure returns (uint256) {
        return 2;
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return
            interfaceId == type(IAppAuth).interfaceId ||
            interfaceId == type(IAppAuthBasicManagement).interfaceId ||
            super.supportsInterface(interfaceId);
    }

    /* RULES OF THIS REGISTRY */

    function activationDelay(Kind) public pure override returns (uint256) {
        return 0;
    }

    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.Release || kind == Kind.Device;
    }

    function _afterDecision(Kind kind, bytes32 id, bool enabled) internal override {
        if (kind == Kind.Release) _announceRelease(id, enabled);
        else _announceDevice(id, enabled);
    }

    function _announceRelease(bytes32 id, bool enabled) private {
        if (enabled) emit ComposeHashAdded(id);
        else emit ComposeHashRemoved(id);
        emit PolicyChanged(msg.sender, Policies.COMPOSE_HASH, id, enabled);
    }

    function _announceDevice(bytes32 id, bool enabled) private {
        if (enabled) emit DeviceAdded(id);
        else emit DeviceRemoved(id);
        emit PolicyChanged(msg.sender, Policies.DEVICE, id, enabled);
    }

    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
        bytes32 implementation = bytes32(uint256(uint160(newImplementation)));
        emit PolicyChanged(msg.sender, Policies.IMPLEMENTATION_UPGRADE, implementation, true);
    }
}

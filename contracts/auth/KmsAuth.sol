// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";

import {ApprovalRegistry} from "../registry/ApprovalRegistry.sol";
import {IHostAdmission} from "../registry/IHosts.sol";
import {IImageMeasurements} from "../registry/IImages.sol";
import {RenounceableUpgrades} from "../registry/RenounceableUpgrades.sol";
import {Approval, State} from "../types/Approval.sol";
import {AppBootInfo} from "../types/BootInfo.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {BoundedAppCall} from "./BoundedAppCall.sol";
import {AppProxy} from "./AppProxy.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {IAppInitialization, IKmsAuth} from "./IKmsAuth.sol";
import {PolicyNames, PolicyChanged} from "./PolicyNames.sol";
import {DenialReasons, Refusal} from "./DenialReasons.sol";

/// @notice Decides who gets keys: dstack's DstackKms over one approval model, owned by a DAO.
/// @custom:security-contact see SECURITY.md
contract KmsAuth is IKmsAuth, ApprovalRegistry, RenounceableUpgrades, ERC165Upgradeable {
    bytes32 private constant UP_TO_DATE = keccak256("UpToDate");

    /// @dev Four delays of 32 bits, as the counters beside which they lie.
    uint128 private _delays;
    KmsInfo public kmsInfo;
    string public gatewayAppId;
    address public appImplementation;
    address public hosts;
    address public images;
    uint256[49] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice As dstack: an owner, and an app implementation or none. Nobody is guardian.
    function initialize(address initialOwner, address _appImplementation) external initializer {
        _initialize(initialOwner, _appImplementation);
    }

    /// @notice The same with a guardian from the first block on, so that a deployer never needs to be the owner.
    function initializeGoverned(
        address initialOwner,
        address _appImplementation,
        address initialGuardian,
        uint40 suspensionTime
    ) external initializer {
        _initialize(initialOwner, _appImplementation);
        _setGuardian(initialGuardian, suspensionTime);
    }

    function _initialize(address initialOwner, address implementation) private {
        __Ownable_init(initialOwner);
        if (implementation != address(0)) _setAppImplementation(implementation);
    }

    /* THE QUESTION */

    /// @inheritdoc IAppAuth
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        Refusal refusal;
        (refusal, reason) = _refuseApp(bootInfo, TeeVariant.Tdx);
        isAllowed = refusal == Refusal.None;
    }

    /// @inheritdoc IKmsAuth
    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        Refusal refusal = _refuseKms(bootInfo);
        return (refusal == Refusal.None, DenialReasons.say(refusal));
    }

    /// @inheritdoc IKmsAuth
    function refuseApp(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) external view returns (Refusal refusal, string memory reason) {
        return _refuseApp(bootInfo, variant);
    }

    /// @inheritdoc IKmsAuth
    function refuseKms(AppBootInfo calldata bootInfo) external view returns (Refusal) {
        return _refuseKms(bootInfo);
    }

    /// @dev dstack's order, then ours.
    function _refuseApp(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) private view returns (Refusal refusal, string memory reason) {
        if (!_isActive(Kind.App, _appKey(bootInfo.appId))) refusal = Refusal.AppNotRegistered;
        else if (!_isActive(Kind.OsImage, bootInfo.osImageHash)) refusal = Refusal.ImageNotAllowed;
        else if (bootInfo.appId.code.length == 0) refusal = Refusal.AppHasNoCode;
        if (refusal != Refusal.None) return (refusal, DenialReasons.say(refusal));

        (refusal, reason) = BoundedAppCall.ask(bootInfo);
        if (refusal != Refusal.None) return (refusal, reason);
        if (!_isHostAdmitted(bootInfo.deviceId)) refusal = Refusal.HostNotRegistered;
        else if (!_isShownAllowed(bootInfo, variant)) refusal = Refusal.MeasurementsNotAllowed;
        else if (!BoundedAppCall.accepts(bootInfo.appId, variant)) refusal = Refusal.VariantNotAccepted;
        if (refusal != Refusal.None) reason = DenialReasons.say(refusal);
    }

    /// @dev dstack's order, then ours.
    function _refuseKms(AppBootInfo calldata bootInfo) private view returns (Refusal) {
        if (keccak256(bytes(bootInfo.tcbStatus)) != UP_TO_DATE) return Refusal.TcbNotUpToDate;
        if (!_isActive(Kind.OsImage, bootInfo.osImageHash)) return Refusal.ImageNotAllowed;
        if (!_isActive(Kind.KmsMeasurement, bootInfo.mrAggregated)) return Refusal.MeasurementNotAllowed;
        if (!_isActive(Kind.KmsDevice, bootInfo.deviceId)) return Refusal.KmsDeviceNotAllowed;
        if (!_isHostAdmitted(bootInfo.deviceId)) return Refusal.HostNotRegistered;
        return Refusal.None;
    }

    function _isHostAdmitted(bytes32 deviceId) private view returns (bool isAdmitted) {
        if (hosts == address(0)) return true;
        (isAdmitted, ) = IHostAdmission(hosts).admission(deviceId);
    }

    /// @dev The tuple's mr_system is that of the boot-time view, in which no key provider is known yet.
    function _isShownAllowed(AppBootInfo calldata bootInfo, TeeVariant variant) private view returns (bool isAllowed) {
        if (images == address(0)) return true;
        (isAllowed, ) = IImageMeasurements(images).isShownAllowed(bootInfo.osImageHash, variant, bootInfo.mrSystem);
    }

    /* APPS */

    /// @inheritdoc IKmsAuth
    function registerApp(address appId) external {
        _registerApp(appId);
    }

    /// @inheritdoc IKmsAuth
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId) {
        return
            _deployAndRegisterApp(
                initialOwner,
                disableUpgrades,
                requireTcbUpToDate,
                allowAnyDevice,
                initialDeviceId,
                initialComposeHash
            );
    }

    /// @inheritdoc IKmsAuth
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId) {
        return
            _deployAndRegisterApp(
                initialOwner,
                disableUpgrades,
                false,
                allowAnyDevice,
                initialDeviceId,
                initialComposeHash
            );
    }

    function _deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) private returns (address appId) {
        require(appImplementation != address(0), "DstackApp implementation not set");
        require(initialOwner != address(0), "Invalid owner address");

        appId = _createApp();
        IAppInitialization(appId).initialize(
            initialOwner,
            disableUpgrades,
            requireTcbUpToDate,
            allowAnyDevice,
            initialDeviceId,
            initialComposeHash
        );
        _registerApp(appId);

        emit AppDeployedViaFactory(appId, msg.sender);
    }

    /// @dev At the address that its place in the list implies; anywhere if someone was quicker to register that address.
    function _createApp() private returns (address appId) {
        uint256 position = count(Kind.App) + 1;
        bool free = approvalOf(Kind.App, _appKey(AppProxy.addressOf(position))).index() == 0;
        return free ? AppProxy.create(position) : AppProxy.createAnywhere();
    }

    /// @dev What the DAO suspended, withdrew or revoked does not come back by being registered again.
    function _registerApp(address appId) private {
        require(appId != address(0), "Invalid app ID");
        bytes32 id = _appKey(appId);
        // no word at all: nobody decided anything about it yet
        if (Approval.unwrap(approvalOf(Kind.App, id)) == 0) return _approve(Kind.App, id, 0, 0, "");

        State found = stateOf(Kind.App, id);
        require(found == State.Active || found == State.Pending, AppNotOpen(appId, found));
        _afterDecision(Kind.App, id, true);
    }

    function _appKey(address appId) private pure returns (bytes32) {
        return bytes32(uint256(uint160(appId)));
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IKmsAuth
    function setKmsInfo(KmsInfo memory info) external onlyOwner {
        kmsInfo = info;

        emit KmsInfoSet(info.k256Pubkey);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_INFO, keccak256(info.k256Pubkey), true);
        emit KmsInfoRecorded(info);
    }

    /// @inheritdoc IKmsAuth
    function setKmsQuote(bytes memory quote) external onlyOwner {
        kmsInfo.quote = quote;

        emit KmsQuoteSet(quote);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_QUOTE, keccak256(quote), true);
    }

    /// @inheritdoc IKmsAuth
    function setKmsEventlog(bytes memory eventlog) external onlyOwner {
        kmsInfo.eventlog = eventlog;

        emit KmsEventlogSet(eventlog);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_EVENTLOG, keccak256(eventlog), true);
    }

    /// @inheritdoc IKmsAuth
    function setGatewayAppId(string memory appId) external onlyOwner {
        gatewayAppId = appId;

        emit GatewayAppIdSet(appId);
        emit PolicyChanged(msg.sender, PolicyNames.GATEWAY_APP_ID, keccak256(bytes(appId)), true);
    }

    /// @inheritdoc IKmsAuth
    function setAppImplementation(address _implementation) external onlyOwner {
        require(_implementation != address(0), "Invalid implementation address");
        _setAppImplementation(_implementation);
    }

    function _setAppImplementation(address implementation) private {
        appImplementation = implementation;

        emit AppImplementationSet(implementation);
        emit PolicyChanged(msg.sender, PolicyNames.APP_IMPLEMENTATION, bytes32(uint256(uint160(implementation))), true);
    }

    /// @inheritdoc IKmsAuth
    function addKmsAggregatedMr(bytes32 mrAggregated) external onlyOwner {
        _add(Kind.KmsMeasurement, mrAggregated);
    }

    /// @inheritdoc IKmsAuth
    function removeKmsAggregatedMr(bytes32 mrAggregated) external onlyOwner {
        _remove(Kind.KmsMeasurement, mrAggregated);
    }

    /// @inheritdoc IKmsAuth
    function addKmsDevice(bytes32 deviceId) external onlyOwner {
        _add(Kind.KmsDevice, deviceId);
    }

    /// @inheritdoc IKmsAuth
    function removeKmsDevice(bytes32 deviceId) external onlyOwner {
        _remove(Kind.KmsDevice, deviceId);
    }

    /// @inheritdoc IKmsAuth
    function addOsImageHash(bytes32 osImageHash) external onlyOwner {
        _add(Kind.OsImage, osImageHash);
    }

    /// @inheritdoc IKmsAuth
    function removeOsImageHash(bytes32 osImageHash) external onlyOwner {
        _remove(Kind.OsImage, osImageHash);
    }

    /// @inheritdoc IKmsAuth
    function setActivationDelay(Kind kind, uint32 delay, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        require(_supports(kind), KindUnknown(kind));

        uint256 shift = _delayShift(kind);
        _delays = uint128((_delays & ~(uint256(type(uint32).max) << shift)) | (uint256(delay) << shift));

        emit ActivationDelaySet(kind, delay);
        emit PolicyChanged(msg.sender, PolicyNames.ACTIVATION_DELAY, bytes32(uint256(uint8(kind))), delay != 0);
    }

    /// @inheritdoc IKmsAuth
    function setHosts(address newHosts, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        hosts = newHosts;

        emit HostsSet(newHosts);
        emit PolicyChanged(msg.sender, PolicyNames.HOSTS, bytes32(uint256(uint160(newHosts))), newHosts != address(0));
    }

    /// @inheritdoc IKmsAuth
    function setImages(address newImages, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        images = newImages;

        emit ImagesSet(newImages);
        emit PolicyChanged(
            msg.sender,
            PolicyNames.IMAGES,
            bytes32(uint256(uint160(newImages))),
            newImages != address(0)
        );
    }

    /* DSTACK'S VIEWS */

    function registeredApps(address appId) external view returns (bool) {
        return _isActive(Kind.App, _appKey(appId));
    }

    function kmsAllowedAggregatedMrs(bytes32 mrAggregated) external view returns (bool) {
        return _isActive(Kind.KmsMeasurement, mrAggregated);
    }

    function kmsAllowedDeviceIds(bytes32 deviceId) external view returns (bool) {
        return _isActive(Kind.KmsDevice, deviceId);
    }

    function allowedOsImages(bytes32 osImageHash) external view returns (bool) {
        return _isActive(Kind.OsImage, osImageHash);
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IAppAuth).interfaceId || super.supportsInterface(interfaceId);
    }

    /* RULES OF THIS REGISTRY */

    function activationDelay(Kind kind) public view override returns (uint256) {
        return _supports(kind) ? uint32(_delays >> _delayShift(kind)) : 0;
    }

    function _supports(Kind kind) internal pure override returns (bool) {
        return uint8(kind) <= uint8(Kind.App);
    }

    function _isValidId(Kind kind, bytes32 id) internal pure override returns (bool) {
        return id != bytes32(0) && (kind != Kind.App || uint256(id) <= type(uint160).max);
    }

    function _idAt(Kind kind, uint256 position) internal view override returns (bytes32 id) {
        id = super._idAt(kind, position);
        if (id == 0 && kind == Kind.App) id = _appKey(AppProxy.addressOf(position));
    }

    /// @dev An app of the factory tells its place by its address, so that the list need not be stored.
    function _isImplied(Kind kind, bytes32 id, uint256 position) internal view override returns (bool) {
        return kind == Kind.App && id == _appKey(AppProxy.addressOf(position));
    }

    function _afterDecision(Kind kind, bytes32 id, bool enabled) internal override {
        if (kind == Kind.OsImage) _announceImage(id, enabled);
        else if (kind == Kind.KmsMeasurement) _announceMeasurement(id, enabled);
        else if (kind == Kind.KmsDevice) _announceDevice(id, enabled);
        else _announceApp(id, enabled);
    }

    function _announceImage(bytes32 id, bool enabled) private {
        if (enabled) emit OsImageHashAdded(id);
        else emit OsImageHashRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.OS_IMAGE, id, enabled);
    }

    function _announceMeasurement(bytes32 id, bool enabled) private {
        if (enabled) emit KmsAggregatedMrAdded(id);
        else emit KmsAggregatedMrRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_AGGREGATED_MR, id, enabled);
    }

    function _announceDevice(bytes32 id, bool enabled) private {
        if (enabled) emit KmsDeviceAdded(id);
        else emit KmsDeviceRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_DEVICE, id, enabled);
    }

    function _announceApp(bytes32 id, bool enabled) private {
        if (enabled) emit AppRegistered(address(uint160(uint256(id))));
        emit PolicyChanged(msg.sender, PolicyNames.REGISTERED_APP, id, enabled);
    }

    function _delayShift(Kind kind) private pure returns (uint256) {
        return 32 * uint256(uint8(kind));
    }
}

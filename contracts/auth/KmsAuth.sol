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
import {DenialReasons, DenialCode} from "./DenialReasons.sol";

/// @notice Decides which boots get keys: dstack's DstackKms with approvals, owned by a DAO.
/// @dev Deployed behind an ERC-1967 proxy. Storage is part of the interface of KMS nodes, which read it with storage
/// proofs: see snapshots/storage.json.
/// It trusts the caller of its views for the facts of a boot: only a KMS that verified the quote can ask about a real
/// boot. It verifies no quote, and does not know which keys a KMS released.
/// @custom:security-contact see SECURITY.md
contract KmsAuth is IKmsAuth, ApprovalRegistry, RenounceableUpgrades, ERC165Upgradeable {
    /// @dev keccak256 of the only status with which a KMS node may run.
    bytes32 private constant UP_TO_DATE = keccak256("UpToDate");

    /// @dev Four activation delays of 32 bits, seconds. In one slot with the counters of the registry.
    uint128 private _delays;
    /// @notice Root public keys of the KMS and the quote of their bootstrap. Not checked here.
    KmsInfo public kmsInfo;
    /// @notice Id of the gateway app, for dstack's tools.
    string public gatewayAppId;
    /// @notice The code that apps get when they are created.
    address public appImplementation;
    /// @inheritdoc IKmsAuth
    address public hosts;
    /// @inheritdoc IKmsAuth
    address public images;
    uint256[49] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice dstack's initializer. Sets no guardian. Reverts with `InvalidInitialization` the second time.
    /// @param _appImplementation code of apps; zero = none yet.
    function initialize(address initialOwner, address _appImplementation) external initializer {
        _initialize(initialOwner, _appImplementation);
    }

    /// @notice Initializer with a guardian. With it the DAO can be the owner from the first block.
    /// @dev Reverts with `InvalidInitialization` the second time, and with `SuspensionOutOfBounds`.
    /// @param suspensionTime how long a suspension lasts, seconds.
    function initializeGoverned(
        address initialOwner,
        address _appImplementation,
        address initialGuardian,
        uint40 suspensionTime
    ) external initializer {
        _initialize(initialOwner, _appImplementation);
        _setGuardian(initialGuardian, suspensionTime);
    }

    /// @dev Sets the owner and, if it is not zero, the code of apps.
    function _initialize(address initialOwner, address implementation) private {
        __Ownable_init(initialOwner);
        if (implementation != address(0)) _setAppImplementation(implementation);
    }

    /* DECISIONS */

    /// @inheritdoc IAppAuth
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        DenialCode denial;
        (denial, reason) = _appDenial(bootInfo, TeeVariant.Tdx);
        isAllowed = denial == DenialCode.None;
    }

    /// @inheritdoc IKmsAuth
    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        DenialCode denial = _kmsDenial(bootInfo);
        return (denial == DenialCode.None, DenialReasons.textOf(denial));
    }

    /// @inheritdoc IKmsAuth
    function appDenial(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) external view returns (DenialCode denial, string memory reason) {
        return _appDenial(bootInfo, variant);
    }

    /// @inheritdoc IKmsAuth
    function kmsDenial(AppBootInfo calldata bootInfo) external view returns (DenialCode) {
        return _kmsDenial(bootInfo);
    }

    /// @dev First dstack's rules in dstack's order, then Assent's. `src/chain/proven/boot-rules.ts` has the same order.
    function _appDenial(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) private view returns (DenialCode denial, string memory reason) {
        if (!_isActive(Kind.App, _appKey(bootInfo.appId))) denial = DenialCode.AppNotRegistered;
        else if (!_isActive(Kind.OsImage, bootInfo.osImageHash)) denial = DenialCode.ImageNotAllowed;
        else if (bootInfo.appId.code.length == 0) denial = DenialCode.AppHasNoCode;
        if (denial != DenialCode.None) return (denial, DenialReasons.textOf(denial));

        (denial, reason) = BoundedAppCall.ask(bootInfo);
        if (denial != DenialCode.None) return (denial, reason);
        if (!_isHostAdmitted(bootInfo.deviceId)) denial = DenialCode.HostNotRegistered;
        else if (!_isMeasurementAllowed(bootInfo, variant)) denial = DenialCode.MeasurementsNotAllowed;
        else if (!BoundedAppCall.accepts(bootInfo.appId, variant)) denial = DenialCode.VariantNotAccepted;
        if (denial != DenialCode.None) reason = DenialReasons.textOf(denial);
    }

    /// @dev First dstack's rules in dstack's order, then Assent's.
    function _kmsDenial(AppBootInfo calldata bootInfo) private view returns (DenialCode) {
        if (keccak256(bytes(bootInfo.tcbStatus)) != UP_TO_DATE) return DenialCode.TcbNotUpToDate;
        if (!_isActive(Kind.OsImage, bootInfo.osImageHash)) return DenialCode.ImageNotAllowed;
        if (!_isActive(Kind.KmsMeasurement, bootInfo.mrAggregated)) return DenialCode.MeasurementNotAllowed;
        if (!_isActive(Kind.KmsDevice, bootInfo.deviceId)) return DenialCode.KmsDeviceNotAllowed;
        if (!_isHostAdmitted(bootInfo.deviceId)) return DenialCode.HostNotRegistered;
        return DenialCode.None;
    }

    /// @dev Asks the host registry; true without one. The registry is trusted: a revert of it reverts the question.
    function _isHostAdmitted(bytes32 deviceId) private view returns (bool isAdmitted) {
        if (hosts == address(0)) return true;
        (isAdmitted, ) = IHostAdmission(hosts).admission(deviceId);
    }

    /// @dev mr_system in the tuple is computed at boot, when no key provider is known yet.
    function _isMeasurementAllowed(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) private view returns (bool isAllowed) {
        if (images == address(0)) return true;
        (isAllowed, ) = IImageMeasurements(images).isMeasurementAllowed(
            bootInfo.osImageHash,
            variant,
            bootInfo.mrSystem
        );
    }

    /* APPS */

    /// @inheritdoc IKmsAuth
    function registerApp(address appId) external {
        _registerApp(appId, false);
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

    /// @dev Creates the proxy and initializes it in the same transaction, so that nobody else can initialize it.
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
        _registerApp(appId, true);

        emit AppDeployedViaFactory(appId, msg.sender);
    }

    /// @dev Normally at the address that follows from its list position. If someone registered that address before, at
    /// another one: nobody can block the creation of apps.
    function _createApp() private returns (address appId) {
        uint256 position = count(Kind.App) + 1;
        bool free = approvalOf(Kind.App, _appKey(AppProxy.addressOf(position))).index() == 0;
        if (free) return AppProxy.create(position);
        // nobody knows this address before the last block is made: only transactions of this block can decide about it first
        return AppProxy.create(uint256(keccak256(abi.encode(blockhash(block.number - 1), msg.sender, position))));
    }

    /// @dev Registration approves only an app about which nothing was decided yet. It never undoes a decision of the DAO.
    /// @param isNew whether the app was created in this call.
    function _registerApp(address appId, bool isNew) private {
        require(appId != address(0), "Invalid app ID");
        bytes32 id = _appKey(appId);
        // an empty word: nothing was decided yet
        if (Approval.unwrap(approvalOf(Kind.App, id)) == 0) return _approve(Kind.App, id, 0, 0, "");

        State found = stateOf(Kind.App, id);
        // registered and suspended earlier in this block: the suspension stays, as if it came after the creation
        if (isNew && found == State.Suspended) return;
        require(found == State.Active || found == State.Pending, AppRegistrationDenied(appId, found));
        _afterDecision(Kind.App, id, true);
    }

    /// @dev The id of an app in the registry: its address, left-padded.
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

    /// @dev Existing apps keep their code.
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

    /* VIEWS OF DSTACK */

    /// @notice Whether the app is approved now.
    /// @param appId address of the app contract.
    function registeredApps(address appId) external view returns (bool) {
        return _isActive(Kind.App, _appKey(appId));
    }

    /// @notice Whether the measurement of a KMS node is approved now.
    /// @param mrAggregated dstack's mr_aggregated of the node.
    function kmsAllowedAggregatedMrs(bytes32 mrAggregated) external view returns (bool) {
        return _isActive(Kind.KmsMeasurement, mrAggregated);
    }

    /// @notice Whether the host is approved for KMS nodes now.
    /// @param deviceId device id of the host.
    function kmsAllowedDeviceIds(bytes32 deviceId) external view returns (bool) {
        return _isActive(Kind.KmsDevice, deviceId);
    }

    /// @notice Whether the base image is approved now.
    /// @param osImageHash SHA-256 of the base image.
    function allowedOsImages(bytes32 osImageHash) external view returns (bool) {
        return _isActive(Kind.OsImage, osImageHash);
    }

    /// @notice ERC-165: IERC165 and IAppAuth.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IAppAuth).interfaceId || super.supportsInterface(interfaceId);
    }

    /* RULES OF THIS REGISTRY */

    /// @notice Seconds from an approval of `kind` to its earliest start; each kind has its own.
    function activationDelay(Kind kind) public view override returns (uint256) {
        return _supports(kind) ? uint32(_delays >> _delayShift(kind)) : 0;
    }

    /// @dev Base images, KMS measurements, KMS devices and apps: the first four kinds.
    function _supports(Kind kind) internal pure override returns (bool) {
        return uint8(kind) <= uint8(Kind.App);
    }

    /// @dev The id of an app must be an address.
    function _isValidId(Kind kind, bytes32 id) internal pure override returns (bool) {
        return id != bytes32(0) && (kind != Kind.App || uint256(id) <= type(uint160).max);
    }

    /// @dev Computes the ids of apps that `_isImplied` leaves out of the list.
    function _idAt(Kind kind, uint256 position) internal view override returns (bytes32 id) {
        id = super._idAt(kind, position);
        if (id == 0 && kind == Kind.App) id = _appKey(AppProxy.addressOf(position));
    }

    /// @dev The address of an app of the factory follows from its list position, so the list entry is not stored.
    function _isImplied(Kind kind, bytes32 id, uint256 position) internal view override returns (bool) {
        return kind == Kind.App && id == _appKey(AppProxy.addressOf(position));
    }

    /// @dev Emits dstack's events.
    function _afterDecision(Kind kind, bytes32 id, bool enabled) internal override {
        if (kind == Kind.OsImage) _emitImageChanged(id, enabled);
        else if (kind == Kind.KmsMeasurement) _emitMeasurementChanged(id, enabled);
        else if (kind == Kind.KmsDevice) _emitDeviceChanged(id, enabled);
        else _emitAppChanged(id, enabled);
    }

    /// @dev dstack's events for a base image.
    function _emitImageChanged(bytes32 id, bool enabled) private {
        if (enabled) emit OsImageHashAdded(id);
        else emit OsImageHashRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.OS_IMAGE, id, enabled);
    }

    /// @dev dstack's events for a KMS measurement.
    function _emitMeasurementChanged(bytes32 id, bool enabled) private {
        if (enabled) emit KmsAggregatedMrAdded(id);
        else emit KmsAggregatedMrRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_AGGREGATED_MR, id, enabled);
    }

    /// @dev dstack's events for a KMS device.
    function _emitDeviceChanged(bytes32 id, bool enabled) private {
        if (enabled) emit KmsDeviceAdded(id);
        else emit KmsDeviceRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.KMS_DEVICE, id, enabled);
    }

    /// @dev dstack's event for an app. dstack has none for the withdrawal.
    function _emitAppChanged(bytes32 id, bool enabled) private {
        if (enabled) emit AppRegistered(address(uint160(uint256(id))));
        emit PolicyChanged(msg.sender, PolicyNames.REGISTERED_APP, id, enabled);
    }

    /// @dev Position of a kind's activation delay in `_delays`, bits.
    function _delayShift(Kind kind) private pure returns (uint256) {
        return 32 * uint256(uint8(kind));
    }
}

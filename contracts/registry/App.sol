// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {IAppAuth} from "../auth/IAppAuth.sol";
import {IAppAuthBasicManagement} from "../auth/IAppAuthBasicManagement.sol";
import {IAppDetails} from "../auth/IAppDetails.sol";
import {PolicyNames, PolicyChanged} from "../auth/PolicyNames.sol";
import {DenialReasons, DenialCode} from "../auth/DenialReasons.sol";
import {Approval} from "../types/Approval.sol";
import {AppBootInfo} from "../types/BootInfo.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {ApprovalRegistry} from "./ApprovalRegistry.sol";
import {IApp} from "./IApp.sol";
import {DaoParameters, IDaoFactory} from "./IDaoFactory.sol";

/// @notice One app: dstack's DstackApp with approvals, a notice period and key epochs.
/// @dev Created as a proxy by `KmsAuth.deployAndRegisterApp`, or deployed alone and registered. Storage is part of the
/// interface of KMS nodes, which read it with storage proofs: see snapshots/storage.json. An app with other code can be
/// registered too; then KMS nodes do not know its rules (docs/compatibility.md).
contract App is IApp, ApprovalRegistry, UUPSUpgradeable, ERC165Upgradeable {
    /// @dev keccak256 of the only accepted status, if `requireTcbUpToDate`.
    bytes32 private constant UP_TO_DATE = keccak256("UpToDate");
    /// @dev TDX as a bit of `variants`.
    uint8 private constant TDX = uint8(1 << uint8(TeeVariant.Tdx));
    /// @dev All variants that exist.
    uint8 private constant ALL_VARIANTS = uint8((2 << uint8(type(TeeVariant).max)) - 1);

    /// @dev Longest time in which two key epochs can be read.
    uint40 private constant MAX_MIGRATION = 90 days;
    /// @dev Longer periods would be mistakes that cannot be undone.
    uint32 private constant MAX_NOTICE_PERIOD = 365 days;
    /// @dev Time after the notice period in which an announced call can be executed.
    uint40 private constant ACTION_WINDOW = 30 days;

    /// @dev The variables from here to `_variants` share one slot with the counters of the registry, so that one
    /// storage proof shows all rules.
    bool private _upgradesDisabled;
    /// @notice Whether the app may run on any host.
    bool public allowAnyDevice;
    /// @notice Whether boots need the TCB status `UpToDate`.
    bool public requireTcbUpToDate;
    /// @inheritdoc IApp
    uint32 public noticePeriod;
    /// @dev Number of epochs that were opened after the first.
    uint32 private _epochsOpened;
    /// @dev Releases below `_oldest` have ended. Releases below `_nextOldest` end at `_supersededAt`.
    uint32 private _oldest;
    /// @dev Bit n: `TeeVariant(n)` is accepted. Initialization sets bit 0 (TDX) and nothing clears it. So a value other than
    /// zero also says that the app is initialized: OpenZeppelin's own slot for this would cost a tenth of the whole app.
    uint8 private _variants;
    /// @dev The last three variables share the next slot.
    uint32 private _nextOldest;
    /// @dev Time at which releases below `_nextOldest` end, unix seconds; 0 = none was ever superseded.
    uint40 private _supersededAt;
    /// @dev Whether that supersession opened a key epoch, so that both epochs can be read until `_supersededAt`.
    bool private _endOpenedEpoch;
    /// @dev When the notice period grew last, unix seconds. Earlier announcements have ended.
    uint40 private _noticeSince;
    /// @dev The time of the announcement, not of the execution: a notice period that grows later counts too.
    mapping(bytes32 callDigest => uint40 announcedAt) private _announced;
    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice dstack's older initializer: does not require the TCB status `UpToDate`.
    /// @dev Anyone, once: reverts with `InvalidInitialization` the second time. See `IAppInitialization`.
    function initialize(
        address initialOwner,
        bool _disableUpgrades,
        bool _allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external {
        _initialize(initialOwner, _disableUpgrades, false, _allowAnyDevice, initialDeviceId, initialComposeHash);
    }

    /// @notice dstack's initializer: owner, three rules, and a first host and release (zero = none).
    /// @dev Anyone, once: reverts with `InvalidInitialization` the second time, and with "invalid owner address".
    function initialize(
        address initialOwner,
        bool _disableUpgrades,
        bool _requireTcbUpToDate,
        bool _allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external {
        _initialize(
            initialOwner,
            _disableUpgrades,
            _requireTcbUpToDate,
            _allowAnyDevice,
            initialDeviceId,
            initialComposeHash
        );
    }

    /// @dev Sets owner and rules. Emits dstack's events for each.
    function _initialize(
        address initialOwner,
        bool withoutUpgrades,
        bool onlyUpToDate,
        bool anyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) private {
        require(_variants == 0 && _getInitializedVersion() == 0, InvalidInitialization());
        require(initialOwner != address(0), "invalid owner address");

        // next to each other: the compiler makes one write of them
        _variants = TDX;
        _upgradesDisabled = withoutUpgrades;
        requireTcbUpToDate = onlyUpToDate;
        allowAnyDevice = anyDevice;

        if (withoutUpgrades) _emitUpgradesDisabled();
        if (onlyUpToDate) _emitRequireTcbUpToDate(true);
        if (anyDevice) _emitAllowAnyDevice(true);
        if (initialDeviceId != bytes32(0)) _approve(Kind.Device, initialDeviceId, 0, 0, "");
        if (initialComposeHash != bytes32(0)) _approve(Kind.Release, initialComposeHash, 0, 0, "");
        // not Ownable2Step's function: a new app has no pending owner to delete
        OwnableUpgradeable._transferOwnership(initialOwner);

        emit Initialized(1);
    }

    /* DECISIONS */

    /// @inheritdoc IAppAuth
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason) {
        DenialCode denial = _denial(bootInfo);
        return (denial == DenialCode.None, DenialReasons.textOf(denial));
    }

    /// @dev First dstack's rules in dstack's order, then Assent's.
    function _denial(AppBootInfo calldata bootInfo) private view returns (DenialCode) {
        bool upToDate = !requireTcbUpToDate || keccak256(bytes(bootInfo.tcbStatus)) == UP_TO_DATE;
        if (!upToDate) return DenialCode.TcbNotUpToDate;
        if (!_isReleaseAllowed(bootInfo.composeHash)) return DenialCode.ReleaseNotAllowed;
        if (!allowAnyDevice && !_isActive(Kind.Device, bootInfo.deviceId)) return DenialCode.DeviceNotAllowed;
        if (bootInfo.appId != address(this)) return DenialCode.AppIdMismatch;
        return DenialCode.None;
    }

    /// @dev A release needs an active approval and must not have been superseded.
    function _isReleaseAllowed(bytes32 composeHash) private view returns (bool) {
        return _isInForce(approvalOf(Kind.Release, composeHash));
    }

    /// @dev The same for the approval of a release.
    function _isInForce(Approval release) private view returns (bool) {
        return release.isActiveAt(block.timestamp) && release.index() >= _oldestAllowed();
    }

    /// @dev Number of the oldest release that has not ended.
    function _oldestAllowed() private view returns (uint32) {
        return block.timestamp < _supersededAt ? _oldest : _nextOldest;
    }

    /// @inheritdoc IAppDetails
    function acceptsVariant(TeeVariant variant) external view returns (bool) {
        return (variants() >> uint8(variant)) & 1 == 1;
    }

    /// @inheritdoc IAppDetails
    function releaseDetails(
        bytes32 composeHash,
        bytes32 deviceId
    ) external view returns (uint32 release, uint32 writeEpoch, uint32 readEpoch, uint40 validUntil) {
        Approval approval;
        (approval, writeEpoch, readEpoch) = releaseAndEpochs(composeHash);
        if (writeEpoch == 0) return (0, 0, 0, 0);
        release = approval.index();
        validUntil = approval.expiresAt();
        if (release < _nextOldest) validUntil = _sooner(validUntil, _supersededAt);
        if (!allowAnyDevice) validUntil = _sooner(validUntil, approvalOf(Kind.Device, deviceId).expiresAt());
    }

    /// @dev The earlier of both ends; 0 = no end.
    function _sooner(uint40 end, uint40 other) private pure returns (uint40) {
        return end == 0 || (other != 0 && other < end) ? other : end;
    }

    /// @inheritdoc IApp
    function epochsOf(bytes32 composeHash) public view returns (uint32 write, uint32 read) {
        (, write, read) = releaseAndEpochs(composeHash);
    }

    /// @inheritdoc IApp
    function releaseAndEpochs(bytes32 composeHash) public view returns (Approval release, uint32 write, uint32 read) {
        release = approvalOf(Kind.Release, composeHash);
        if (!_isInForce(release)) return (release, 0, 0);
        uint32 epoch = _epochsOpened + 1;
        bool migrating = _endOpenedEpoch && block.timestamp < _supersededAt;
        bool old = release.index() < _nextOldest;
        write = migrating && old ? epoch - 1 : epoch;
        read = migrating ? epoch - 1 : epoch;
    }

    /* RELEASES */

    /// @inheritdoc IApp
    function approveManifest(
        bytes32 composeHash,
        bytes calldata manifest,
        uint40 activeFrom,
        uint40 expiresAt,
        uint40 notAfter
    ) external onlyOwner {
        requireNotAfter(notAfter);
        bytes32 found = sha256(manifest);
        require(found == composeHash, ManifestMismatch(found, composeHash));

        _approve(Kind.Release, composeHash, activeFrom, expiresAt, manifest);
    }

    /// @inheritdoc IApp
    function supersede(uint32 oldest, uint40 from, bool nextEpoch) external onlyOwner {
        uint40 time = uint40(block.timestamp);
        uint40 end = from > time ? from : time;
        bool pending = time < _supersededAt;
        // during a migration `oldest` is fixed: a release that writes the new epoch must not fall back to the old one
        bool reaches = pending && _endOpenedEpoch ? oldest == _nextOldest : oldest >= _nextOldest;
        // a pending end can only move to an earlier time, and a new epoch waits for the end of the last migration
        bool allowed = reaches && (!pending || (!nextEpoch && end <= _supersededAt));
        bool exists = oldest != 0 && oldest <= count(Kind.Release);
        bool bounded = !nextEpoch || end <= time + MAX_MIGRATION;
        require(allowed && exists && bounded, SupersessionInvalid(oldest, _nextOldest, end));

        if (!pending) (_oldest, _endOpenedEpoch) = (_nextOldest, nextEpoch);
        (_nextOldest, _supersededAt) = (oldest, end);
        if (nextEpoch) _epochsOpened++;

        emit ReleasesSuperseded(oldest, end, _epochsOpened + 1);
    }

    /* NOTICE PERIOD */

    /// @inheritdoc IApp
    function setNoticePeriod(uint32 newNoticePeriod) external onlyOwner {
        bool bounded = newNoticePeriod >= noticePeriod && newNoticePeriod <= MAX_NOTICE_PERIOD;
        require(bounded, NoticePeriodOutOfBounds(newNoticePeriod, noticePeriod, MAX_NOTICE_PERIOD));

        if (newNoticePeriod != noticePeriod) _noticeSince = uint40(block.timestamp);
        noticePeriod = newNoticePeriod;

        emit NoticePeriodSet(newNoticePeriod);
    }

    /// @inheritdoc IApp
    function announce(bytes32 callDigest) external onlyOwner {
        _announced[callDigest] = uint40(block.timestamp);

        emit Announced(callDigest, uint40(block.timestamp + noticePeriod));
    }

    /// @dev For calls that loosen the rules. Uses up the announcement. Without a notice period the app behaves as dstack's.
    function _requireAnnounced() private {
        if (noticePeriod == 0) return;
        bytes32 digest = keccak256(msg.data);
        uint256 from = executableFrom(digest);
        bool due = from != 0 && block.timestamp >= from && block.timestamp < from + ACTION_WINDOW;
        require(due, NotAnnounced(digest, from, from + ACTION_WINDOW));

        delete _announced[digest];

        emit AnnouncementUsed(digest);
    }

    /// @inheritdoc IApp
    function executableFrom(bytes32 callDigest) public view returns (uint40) {
        uint40 announcedAt = _announced[callDigest];
        return announcedAt == 0 || announcedAt < _noticeSince ? 0 : announcedAt + noticePeriod;
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
        if (_allowAnyDevice) _requireAnnounced();

        allowAnyDevice = _allowAnyDevice;

        _emitAllowAnyDevice(_allowAnyDevice);
    }

    /// @inheritdoc IApp
    function setRequireTcbUpToDate(bool _requireUpToDate) external onlyOwner {
        if (!_requireUpToDate) _requireAnnounced();

        requireTcbUpToDate = _requireUpToDate;

        _emitRequireTcbUpToDate(_requireUpToDate);
    }

    /// @inheritdoc IApp
    function setVariants(uint8 newVariants) external onlyOwner {
        uint8 known = variants();
        require(newVariants & TDX != 0 && newVariants <= ALL_VARIANTS, VariantsInvalid(newVariants, ALL_VARIANTS));
        if (newVariants & ~known != 0) _requireAnnounced();

        _variants = newVariants;

        emit VariantsSet(newVariants);
    }

    /// @inheritdoc IApp
    function disableUpgrades() external onlyOwner {
        _upgradesDisabled = true;

        _emitUpgradesDisabled();
    }

    /// @inheritdoc IApp
    function transferToNewDao(
        IDaoFactory factory,
        DaoParameters calldata parameters
    ) external onlyOwner returns (address newOwner) {
        newOwner = factory.create(parameters);

        _setGuardian(parameters.guardian, parameters.suspension);
        _transferOwnership(newOwner);

        emit TransferredToNewDao(address(factory), newOwner);
    }

    /// @dev Emits both events for the new value.
    function _emitAllowAnyDevice(bool allowAny) private {
        emit AllowAnyDeviceSet(allowAny);
        emit PolicyChanged(msg.sender, PolicyNames.ALLOW_ANY_DEVICE, bytes32(0), allowAny);
    }

    /// @dev Emits both events for the new value.
    function _emitRequireTcbUpToDate(bool requireUpToDate) private {
        emit RequireTcbUpToDateSet(requireUpToDate);
        emit PolicyChanged(msg.sender, PolicyNames.REQUIRE_TCB_UP_TO_DATE, bytes32(0), requireUpToDate);
    }

    /// @dev Emits both events.
    function _emitUpgradesDisabled() private {
        emit UpgradesDisabled();
        emit PolicyChanged(msg.sender, PolicyNames.UPGRADES_DISABLED, bytes32(0), true);
    }

    /// @inheritdoc IApp
    function variants() public view returns (uint8) {
        return _variants | TDX;
    }

    /* VIEWS OF DSTACK */

    /// @notice Whether the release may boot now.
    function allowedComposeHashes(bytes32 composeHash) external view returns (bool) {
        return _isReleaseAllowed(composeHash);
    }

    /// @notice Whether the host is approved for this app now.
    function allowedDeviceIds(bytes32 deviceId) external view returns (bool) {
        return _isActive(Kind.Device, deviceId);
    }

    /// @notice The version of dstack's app contract with which this one is compatible.
    function version() external pure returns (uint256) {
        return 2;
    }

    /// @notice ERC-165: IERC165, IAppAuth and IAppAuthBasicManagement.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return
            interfaceId == type(IAppAuth).interfaceId ||
            interfaceId == type(IAppAuthBasicManagement).interfaceId ||
            super.supportsInterface(interfaceId);
    }

    /* RULES OF THIS REGISTRY */

    /// @notice The notice period is the activation delay of releases and devices, so that users see them before they
    /// count.
    function activationDelay(Kind) public view override returns (uint256) {
        return noticePeriod;
    }

    /// @dev Releases and devices.
    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.Release || kind == Kind.Device;
    }

    /// @dev Emits dstack's events.
    function _afterDecision(Kind kind, bytes32 id, bool enabled) internal override {
        if (kind == Kind.Release) _emitReleaseChanged(id, enabled);
        else _emitDeviceChanged(id, enabled);
    }

    /// @dev dstack's events for a release.
    function _emitReleaseChanged(bytes32 id, bool enabled) private {
        if (enabled) emit ComposeHashAdded(id);
        else emit ComposeHashRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.COMPOSE_HASH, id, enabled);
    }

    /// @dev dstack's events for a device.
    function _emitDeviceChanged(bytes32 id, bool enabled) private {
        if (enabled) emit DeviceAdded(id);
        else emit DeviceRemoved(id);
        emit PolicyChanged(msg.sender, PolicyNames.DEVICE, id, enabled);
    }

    /// @dev UUPS hook: only the owner; with a notice period only after an announcement of this upgrade.
    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
        _requireAnnounced();
        // other code may look only at OpenZeppelin's slot, and would allow anyone to initialize the app again
        if (_getInitializedVersion() == 0) _recordInitialization();

        bytes32 implementation = bytes32(uint256(uint160(newImplementation)));
        emit PolicyChanged(msg.sender, PolicyNames.IMPLEMENTATION_UPGRADE, implementation, true);
    }

    function _recordInitialization() private initializer {}
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../types/Approval.sol";
import {AppBootInfo} from "../types/BootInfo.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {DenialCode} from "./DenialReasons.sol";

/// @notice The initializer that the factory calls on a new app (dstack).
interface IAppInitialization {
    /// @notice Sets owner and rules, and approves a first host and release unless they are zero. Once only.
    /// @param initialOwner owner of the app.
    /// @param disableUpgrades true: the code can never be replaced.
    /// @param requireTcbUpToDate true: boots need the TCB status `UpToDate`.
    /// @param allowAnyDevice true: the app may run on any host.
    /// @param initialDeviceId a first host; zero = none.
    /// @param initialComposeHash a first release; zero = none.
    function initialize(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external;
}

/// @notice Answers a KMS at every boot: may this boot get the keys of its app, and may this KMS node get the root keys.
/// @dev Functions, events and reasons are those of dstack's DstackKms; docs/compatibility.md lists the additions.
/// Functions marked "owner" revert with `OwnableUnauthorizedAccount` for anyone else. Times are unix seconds.
/// Trust: this contract verifies no quote. The asking KMS must have verified the boot info.
interface IKmsAuth is IAppAuth {
    /// @notice Root public keys of the KMS and the quote of their bootstrap. Nothing here checks them; see `RootKeys`.
    struct KmsInfo {
        /// @notice secp256k1 public key, compressed, 33 bytes.
        bytes k256Pubkey;
        /// @notice P-256 public key of the root CA.
        bytes caPubkey;
        /// @notice TDX quote of the bootstrap.
        bytes quote;
        /// @notice Event log of the bootstrap.
        bytes eventlog;
    }

    /// @notice An app was approved or registered again. The registry also emits `ApprovalGiven` for a new approval.
    event AppRegistered(address appId);
    /// @notice The factory created an app for `deployer`, who need not be its owner.
    /// @param appId address of the app.
    /// @param deployer account that sent the transaction; it has no rights over the app.
    event AppDeployedViaFactory(address indexed appId, address indexed deployer);
    /// @notice Apps that are created from now on get this code. Existing apps keep theirs.
    /// @param implementation the code; existing apps keep theirs.
    event AppImplementationSet(address implementation);
    /// @notice The id of the gateway app changed. KmsAuth stores it for dstack's tools and does not use it.
    event GatewayAppIdSet(string gatewayAppId);
    /// @notice All fields of `kmsInfo` changed. dstack's event: it has one field only; `KmsInfoRecorded` follows.
    event KmsInfoSet(bytes k256Pubkey);
    /// @notice The measurement of a KMS node was approved.
    event KmsAggregatedMrAdded(bytes32 mrAggregated);
    /// @notice The measurement of a KMS node was withdrawn or revoked.
    event KmsAggregatedMrRemoved(bytes32 mrAggregated);
    /// @notice A host was approved for KMS nodes.
    event KmsDeviceAdded(bytes32 deviceId);
    /// @notice A host was withdrawn or revoked for KMS nodes.
    event KmsDeviceRemoved(bytes32 deviceId);
    /// @notice A base image was approved.
    event OsImageHashAdded(bytes32 osImageHash);
    /// @notice A base image was withdrawn or revoked.
    event OsImageHashRemoved(bytes32 osImageHash);

    /// @notice The new value of `kmsInfo`, all fields.
    event KmsInfoRecorded(KmsInfo info);
    /// @notice The quote in `kmsInfo` changed.
    event KmsQuoteSet(bytes quote);
    /// @notice The event log in `kmsInfo` changed.
    event KmsEventlogSet(bytes eventlog);
    /// @notice Approvals of `kind` that are given from now on start after `delay` seconds at the earliest.
    /// @param delay seconds.
    event ActivationDelaySet(Kind indexed kind, uint32 delay);
    /// @notice Boots must now be on a host that this registry admits; zero = no such rule.
    event HostsSet(address hosts);
    /// @notice This registry now says which images are closed; zero = no such rule.
    event ImagesSet(address images);

    /// @notice The app cannot be registered again: its approval is suspended, withdrawn, expired or revoked.
    /// @param found the state of its approval.
    error AppRegistrationDenied(address appId, State found);

    /// @notice Registers an app. Anyone may call. From then on the app's own answer counts for its boots.
    /// @dev Warning: the contract at `appId` alone decides which releases and hosts it accepts.
    /// Registering an approved app again only emits `AppRegistered`, so an earlier registration by someone else cannot make
    /// a batch fail. Reverts with "Invalid app ID" for zero, and with `AppRegistrationDenied`.
    /// @param appId address of the app contract.
    function registerApp(address appId) external;

    /// @notice Creates an app with the current implementation and registers it. Anyone may call.
    /// @dev Warning: the address depends on the order of transactions. Do not rely on it before the transaction is final.
    /// Reverts with "DstackApp implementation not set", "Invalid owner address" or `AppNotCreated`.
    /// Emits `AppRegistered` and `AppDeployedViaFactory`.
    /// @param initialOwner owner of the app.
    /// @param disableUpgrades whether the app's code can never be replaced.
    /// @param requireTcbUpToDate whether boots need the TCB status `UpToDate`.
    /// @param allowAnyDevice whether the app may run on any host.
    /// @param initialDeviceId a first host; zero = none.
    /// @param initialComposeHash a first release; zero = none.
    /// @return appId address of the app.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    /// @notice The same for older callers of dstack: does not require the TCB status `UpToDate`.
    /// @param initialOwner owner of the app.
    /// @param disableUpgrades whether the app's code can never be replaced.
    /// @param allowAnyDevice whether the app may run on any host.
    /// @param initialDeviceId a first host; zero = none.
    /// @param initialComposeHash a first release; zero = none.
    /// @return appId address of the app.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    /// @notice Whether this KMS node may get the root keys.
    /// @dev Needs the TCB status `UpToDate`, active approvals of base image, aggregated measurement and host, and, if `hosts`
    /// is set, an admitted host.
    /// @return isAllowed true if it may.
    /// @return reason why it may not; empty if it may.
    /// @param bootInfo facts of the boot; nothing here proves them.
    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);

    /// @notice `isAppAllowed` as a code, for any TEE variant. `BootEvaluator` also gives state and end.
    /// @dev For a variant other than TDX the app must accept it, and a closed image needs an approved measurement set of it.
    /// Reverts with `GasTooLow` if the caller gives too little gas to ask the app.
    /// @return denial `None` if the boot is allowed.
    /// @return reason the reason string; empty if the boot is allowed.
    /// @param bootInfo facts of the boot; nothing here proves them.
    /// @param variant TEE variant of the boot.
    function appDenial(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) external view returns (DenialCode denial, string memory reason);

    /// @notice `isKmsAllowed` as a code; `None` if the node may get the root keys.
    /// @param bootInfo facts of the boot; nothing here proves them.
    /// @return the first rule that denies; `None` if the node is allowed.
    function kmsDenial(AppBootInfo calldata bootInfo) external view returns (DenialCode);

    /// @notice Sets all of `kmsInfo`. Owner. Emits `KmsInfoSet` and `KmsInfoRecorded`.
    /// @param info public keys, quote and event log of the bootstrap; not checked.
    function setKmsInfo(KmsInfo memory info) external;

    /// @notice Sets the quote in `kmsInfo`. Owner. Emits `KmsQuoteSet`.
    /// @param quote TDX quote of the bootstrap; not checked.
    function setKmsQuote(bytes memory quote) external;

    /// @notice Sets the event log in `kmsInfo`. Owner. Emits `KmsEventlogSet`.
    /// @param eventlog event log of the bootstrap; not checked.
    function setKmsEventlog(bytes memory eventlog) external;

    /// @notice Sets the id of the gateway app. Owner. Emits `GatewayAppIdSet`.
    /// @param appId dstack's text form. It is not checked.
    function setGatewayAppId(string memory appId) external;

    /// @notice Sets the code of apps that are created from now on. Owner. Emits `AppImplementationSet`.
    /// @dev Reverts with "Invalid implementation address" for zero.
    /// @param _implementation code with dstack's initializer. It is not checked: compare it with the artifacts first.
    function setAppImplementation(address _implementation) external;

    /// @notice Approves the aggregated measurement of a KMS node, without end and evidence. Owner.
    /// @dev Reverts with `ApprovalStateInvalid` if it is revoked. Emits `ApprovalGiven`, `KmsAggregatedMrAdded`.
    /// @param mrAggregated dstack's mr_aggregated of the node.
    function addKmsAggregatedMr(bytes32 mrAggregated) external;

    /// @notice Withdraws the aggregated measurement of a KMS node, approved or not. Owner. Emits `KmsAggregatedMrRemoved`.
    /// @param mrAggregated dstack's mr_aggregated of the node.
    function removeKmsAggregatedMr(bytes32 mrAggregated) external;

    /// @notice Approves a host for KMS nodes, by its device id. Owner. Reverts and emits as `addKmsAggregatedMr`.
    /// @param deviceId device id of the host.
    function addKmsDevice(bytes32 deviceId) external;

    /// @notice Withdraws a host for KMS nodes, approved or not. Owner. Emits `KmsDeviceRemoved`.
    /// @param deviceId device id of the host.
    function removeKmsDevice(bytes32 deviceId) external;

    /// @notice Approves a base image. Owner. Reverts and emits as `addKmsAggregatedMr`.
    /// @param osImageHash SHA-256 of the base image.
    function addOsImageHash(bytes32 osImageHash) external;

    /// @notice Withdraws a base image, approved or not. Owner. Emits `OsImageHashRemoved`.
    /// @param osImageHash SHA-256 of the base image.
    function removeOsImageHash(bytes32 osImageHash) external;

    /// @notice Sets the activation delay of a kind; counts for approvals that are given later. Owner.
    /// @dev Reverts with `ExecutionDeadlinePassed` and `KindUnknown`. Emits `ActivationDelaySet`.
    /// @param delay seconds from an approval to its earliest start.
    /// @param notAfter execution deadline, unix seconds.
    function setActivationDelay(Kind kind, uint32 delay, uint40 notAfter) external;

    /// @notice Requires every boot to be on a host that the host registry `newHosts` admits; zero = no such rule. Owner.
    /// @dev Reverts with `ExecutionDeadlinePassed`. Emits `HostsSet`.
    /// @param newHosts an `IHostAdmission`. If it reverts, so does every question that reaches it.
    /// @param notAfter execution deadline, unix seconds.
    function setHosts(address newHosts, uint40 notAfter) external;

    /// @notice Requires boots of closed images to have an approved measurement set in `newImages`; zero = no such rule. Owner.
    /// @dev Reverts with `ExecutionDeadlinePassed`. Emits `ImagesSet`.
    /// @param newImages an `IImageMeasurements`. If it reverts, so does every question that reaches it.
    /// @param notAfter execution deadline, unix seconds.
    function setImages(address newImages, uint40 notAfter) external;

    /// @notice The host registry that must admit the host of every boot; zero = no such rule.
    function hosts() external view returns (address);

    /// @notice The registry of closed images and their measurement sets; zero = no such rule.
    function images() external view returns (address);
}

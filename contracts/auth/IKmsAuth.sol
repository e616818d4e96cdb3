// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {State} from "../types/Approval.sol";
import {AppBootInfo} from "../types/BootInfo.sol";
import {Kind} from "../types/Kind.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {Refusal} from "./DenialReasons.sol";

/// @notice What the factory calls on a new app.
interface IAppInitialization {
    function initialize(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external;
}

/// @notice The one question a KMS asks: may this boot have this app's key, may that node have the root's.
/// @dev Functions, events and reasons are dstack's DstackKms; docs/compatibility.md lists what is added and closed.
/// Trust: nothing here verifies a quote. The boot info is what the asking KMS verified; it alone makes it true.
interface IKmsAuth is IAppAuth {
    /// @notice The public half of the KMS's root keys, and what proves where they were made. Unchecked.
    struct KmsInfo {
        bytes k256Pubkey;
        bytes caPubkey;
        bytes quote;
        bytes eventlog;
    }

    event AppRegistered(address appId);
    event AppDeployedViaFactory(address indexed appId, address indexed deployer);
    event AppImplementationSet(address implementation);
    event GatewayAppIdSet(string gatewayAppId);
    event KmsInfoSet(bytes k256Pubkey);
    event KmsAggregatedMrAdded(bytes32 mrAggregated);
    event KmsAggregatedMrRemoved(bytes32 mrAggregated);
    event KmsDeviceAdded(bytes32 deviceId);
    event KmsDeviceRemoved(bytes32 deviceId);
    event OsImageHashAdded(bytes32 osImageHash);
    event OsImageHashRemoved(bytes32 osImageHash);

    /// @notice Emitted with all that `KmsInfoSet` leaves out.
    event KmsInfoRecorded(KmsInfo info);
    event KmsQuoteSet(bytes quote);
    event KmsEventlogSet(bytes eventlog);
    event ActivationDelaySet(Kind indexed kind, uint32 delay);
    event HostsSet(address hosts);
    event ImagesSet(address images);

    /// @notice Thrown when an app that the DAO suspended or took back is registered again.
    error AppNotOpen(address appId, State found);

    /// @notice Registers an app that exists already. Anyone may; it only makes the app's own answer count.
    /// @dev Warning: whatever is at `appId` decides alone which releases and devices it accepts.
    /// Registering again changes nothing, so that nobody makes a batch fail by being first.
    function registerApp(address appId) external;

    /// @notice Deploys an app of the current implementation and registers it.
    /// @dev Warning: the address is known once it is mined, and not before. Anyone can change it by being faster.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool requireTcbUpToDate,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    /// @notice The same for older callers: does not require an up-to-date TCB.
    function deployAndRegisterApp(
        address initialOwner,
        bool disableUpgrades,
        bool allowAnyDevice,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external returns (address appId);

    function isKmsAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);

    /// @notice `isAppAllowed` with a code, for any variant. BootJudge tells more.
    /// @dev For a variant other than TDX the app must name it, and a closed image must have a set of that variant.
    function refuseApp(
        AppBootInfo calldata bootInfo,
        TeeVariant variant
    ) external view returns (Refusal refusal, string memory reason);

    /// @notice `isKmsAllowed` with a code.
    function refuseKms(AppBootInfo calldata bootInfo) external view returns (Refusal);

    function setKmsInfo(KmsInfo memory info) external;

    function setKmsQuote(bytes memory quote) external;

    function setKmsEventlog(bytes memory eventlog) external;

    function setGatewayAppId(string memory appId) external;

    function setAppImplementation(address _implementation) external;

    function addKmsAggregatedMr(bytes32 mrAggregated) external;

    function removeKmsAggregatedMr(bytes32 mrAggregated) external;

    function addKmsDevice(bytes32 deviceId) external;

    function removeKmsDevice(bytes32 deviceId) external;

    function addOsImageHash(bytes32 osImageHash) external;

    function removeOsImageHash(bytes32 osImageHash) external;

    /// @notice Seconds that an approval of `kind` waits before it is active. Only the owner; counts for later approvals.
    function setActivationDelay(Kind kind, uint32 delay, uint40 notAfter) external;

    /// @notice Requires every boot to be on a host that `newHosts` admits; zero = no such rule. Only the owner.
    function setHosts(address newHosts, uint40 notAfter) external;

    /// @notice Asks `newImages` which images are closed, and what they may show; zero = no such rule. Only the owner.
    function setImages(address newImages, uint40 notAfter) external;

    function hosts() external view returns (address);

    function images() external view returns (address);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAppAuth} from "../auth/IAppAuth.sol";
import {IAppAuthBasicManagement} from "../auth/IAppAuthBasicManagement.sol";
import {IAppTerms} from "../auth/IAppDetails.sol";
import {DaoTerms, IDaoFactory} from "./IDaoFactory.sol";

/// @notice One app: its releases, its devices, and who may change them. Its address is the app's id.
/// @dev Functions, events and reasons are dstack's DstackApp; docs/compatibility.md lists what is added and closed.
/// A release's number is the index of its approval: 1 for the first hash that was ever approved.
/// Trust: the owner decides alone, unless he binds himself by a notice or gives the app to a DAO. Nothing here knows
/// images, hosts or quotes, and nothing here derives keys: epochs bind only a KMS that asks for them.
interface IApp is IAppAuth, IAppAuthBasicManagement, IAppTerms {
    event AllowAnyDeviceSet(bool allowAny);
    event RequireTcbUpToDateSet(bool requireUpToDate);
    event UpgradesDisabled();
    event NoticeSet(uint32 notice);
    /// @notice Emitted when the owner says what he will do, once `from` has come.
    event Announced(bytes32 indexed callDigest, uint40 from);
    /// @notice Emitted when he did it; another time needs another announcement.
    event AnnouncementUsed(bytes32 indexed callDigest);
    /// @notice Emitted when releases below number `oldest` end at `from`; `epoch` is that of the others.
    event ReleasesSuperseded(uint32 oldest, uint40 from, uint32 epoch);

    /// @notice Emitted when the owner names which hardware may vouch for boots; bit n is `TeeVariant(n)`.
    event VariantsSet(uint8 variants);
    /// @notice Emitted when the app got an owner that `factory` made for it.
    event HandedOver(address indexed factory, address indexed newOwner);

    /// @notice Thrown when variants leave out TDX or name one that does not exist.
    error VariantsInvalid(uint8 variants, uint8 all);

    /// @notice Thrown when a manifest does not hash to the compose hash given with it.
    error ManifestWrong(bytes32 found, bytes32 expected);

    /// @notice Thrown when a notice would become shorter, or too long to ever act in.
    error NoticeOutOfBounds(uint256 notice, uint256 minimum, uint256 maximum);

    /// @notice Thrown when something that loosens the rules was not announced, or not long ago enough, or too long ago.
    error NotAnnounced(bytes32 callDigest, uint256 from, uint256 until);

    /// @notice Thrown when releases are superseded by one that does not exist, backwards, or during a migration.
    error SupersessionInvalid(uint256 oldest, uint256 known, uint256 from);

    /// @notice Approves the release whose app-compose.json is exactly `manifest`, with the manifest as its evidence.
    function approveManifest(
        bytes32 composeHash,
        bytes calldata manifest,
        uint40 activeFrom,
        uint40 expiresAt,
        uint40 notAfter
    ) external;

    /// @notice Ends all releases below number `oldest` at `from` (at once if that has passed), however many there are.
    /// While an end is pending it can only come sooner; while it opens an epoch, `oldest` must stay the same too.
    /// @param nextEpoch Opens a new key epoch: until `from` (90 days at most) the other releases may also read the epoch
    /// before, and the older ones only that; afterwards nobody may.
    function supersede(uint32 oldest, uint40 from, bool nextEpoch) external;

    /// @notice The epochs whose keys a release may have now: `write` for new data, `read` the oldest it may still read.
    /// Both zero if it may have none.
    function epochsOf(bytes32 composeHash) external view returns (uint32 write, uint32 read);

    /// @notice Seconds that whatever loosens the rules must be announced or wait; can only grow.
    function notice() external view returns (uint32);

    function setNotice(uint32 newNotice) external;

    /// @notice Announces a call by the digest of its calldata; with a notice set, `setAllowAnyDevice(true)`,
    /// `setRequireTcbUpToDate(false)`, more variants and upgrades need it. What is announced may be done for 30 days after the notice.
    function announce(bytes32 callDigest) external;

    /// @notice From when on an announced call may be made: the notice of now after it was announced. Zero if it is not
    /// announced, or was made.
    function announcedFrom(bytes32 callDigest) external view returns (uint40);

    function setAllowAnyDevice(bool _allowAnyDevice) external;

    function setRequireTcbUpToDate(bool _requireUpToDate) external;

    /// @notice Which hardware may vouch for boots: bit n is `TeeVariant(n)`; bit 0, TDX, always.
    /// @dev What comes through dstack's tuple counts as TDX.
    function variants() external view returns (uint8);

    function setVariants(uint8 newVariants) external;

    /// @notice Gives up upgrades for good.
    function disableUpgrades() external;

    /// @notice Makes a DAO with `factory` and gives it the app at once, with the DAO's guardian as the app's.
    /// @dev Warning: `factory` is believed. Whatever address it returns owns the app without having to accept.
    function handOver(IDaoFactory factory, DaoTerms calldata terms) external returns (address newOwner);
}

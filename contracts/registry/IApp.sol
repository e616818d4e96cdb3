// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAppAuth} from "../auth/IAppAuth.sol";
import {IAppAuthBasicManagement} from "../auth/IAppAuthBasicManagement.sol";
import {IAppDetails} from "../auth/IAppDetails.sol";
import {Approval} from "../types/Approval.sol";
import {DaoParameters, IDaoFactory} from "./IDaoFactory.sol";

/// @notice One app: its releases, its hosts and its rules. The contract's address is the app's id.
/// @dev Functions, events and reasons are those of dstack's DstackApp; docs/compatibility.md lists the additions.
/// The number of a release is the index of its approval: 1 for the first compose hash that was ever approved or revoked.
/// Functions marked "owner" revert with `OwnableUnauthorizedAccount` for anyone else. Times are unix seconds.
/// Trust: the owner alone decides, unless a notice period binds the owner or the owner is a DAO. This contract knows
/// neither images nor host proofs nor quotes, and derives no keys: only a KMS that reads the key epochs obeys them.
interface IApp is IAppAuth, IAppAuthBasicManagement, IAppDetails {
    /// @notice True: the app may run on any host. False: only on the hosts of kind `Device`.
    event AllowAnyDeviceSet(bool allowAny);
    /// @notice True: boots need the TCB status `UpToDate`.
    event RequireTcbUpToDateSet(bool requireUpToDate);
    /// @notice The app's code can never be replaced again.
    event UpgradesDisabled();
    /// @notice The notice period changed, seconds.
    /// @param noticePeriod seconds; never less than before.
    event NoticePeriodSet(uint32 noticePeriod);
    /// @notice The owner announced a call.
    /// @param callDigest keccak256 of the calldata.
    /// @param from first second in which it can be executed, if the notice period does not grow before.
    event Announced(bytes32 indexed callDigest, uint40 from);
    /// @notice An announced call was executed. To execute it again, the owner must announce it again.
    event AnnouncementUsed(bytes32 indexed callDigest);
    /// @notice Releases end.
    /// @param oldest number of the oldest release that does not end.
    /// @param from end of the releases below `oldest`.
    /// @param epoch the newest key epoch: that of the other releases.
    event ReleasesSuperseded(uint32 oldest, uint40 from, uint32 epoch);

    /// @notice The accepted TEE variants changed; bit n is `TeeVariant(n)`.
    /// @param variants all accepted variants, as bits.
    event VariantsSet(uint8 variants);
    /// @notice The app belongs to a new DAO now.
    /// @param factory the contract that created the DAO.
    /// @param newOwner the DAO's timelock.
    event TransferredToNewDao(address indexed factory, address indexed newOwner);

    /// @notice The TEE variants do not include TDX, or include one that does not exist.
    /// @param all all variants that exist, as bits.
    error VariantsInvalid(uint8 variants, uint8 all);

    /// @notice SHA-256 of the manifest is not the given compose hash.
    /// @param found SHA-256 of the given manifest.
    /// @param expected the given compose hash.
    error ManifestMismatch(bytes32 found, bytes32 expected);

    /// @notice The notice period would become shorter, or longer than a year. All values in seconds.
    /// @param noticePeriod what was asked for.
    /// @param minimum the current notice period.
    /// @param maximum one year.
    error NoticePeriodOutOfBounds(uint256 noticePeriod, uint256 minimum, uint256 maximum);

    /// @notice The call loosens the rules and was not announced, or is outside its time.
    /// @param callDigest keccak256 of the calldata.
    /// @param from first second in which it can be executed; 0 = not announced.
    /// @param until first second in which it can no longer be executed.
    error NotAnnounced(bytes32 callDigest, uint256 from, uint256 until);

    /// @notice The release `oldest` does not exist, is below an earlier one, or the call conflicts with a pending end.
    /// @param known the `oldest` of the last supersession.
    /// @param from the end that was asked for.
    error SupersessionInvalid(uint256 oldest, uint256 known, uint256 from);

    /// @notice Approves the release whose app-compose.json is exactly `manifest`. The manifest becomes its evidence. Owner.
    /// @dev Reverts with `ExecutionDeadlinePassed`, `ManifestMismatch`, and as `approve`. Emits `ApprovalGiven` and
    /// `ComposeHashAdded`.
    /// @param composeHash SHA-256 of `manifest`.
    /// @param activeFrom start time; 0 = as soon as possible.
    /// @param expiresAt end time; 0 = never.
    /// @param notAfter execution deadline.
    function approveManifest(
        bytes32 composeHash,
        bytes calldata manifest,
        uint40 activeFrom,
        uint40 expiresAt,
        uint40 notAfter
    ) external;

    /// @notice Ends all releases below number `oldest`, at the same cost for any number of them. Owner.
    /// @dev While an end is pending, a further call can only move it to an earlier time and raise `oldest`. While a migration
    /// runs, `oldest` must stay the same. Reverts with `SupersessionInvalid`. Emits `ReleasesSuperseded`.
    /// @param oldest number of the oldest release that does not end.
    /// @param from end of the others; now if it has passed.
    /// @param nextEpoch true: opens a new key epoch. Until `from` (at most 90 days from now) the remaining releases can also
    /// read the previous epoch, and the older ones only that. After `from`, no release gets the previous epoch.
    function supersede(uint32 oldest, uint40 from, bool nextEpoch) external;

    /// @notice The key epochs that a release gets now. Both 0 if the release may not boot.
    /// @return write the epoch for new data.
    /// @return read the oldest epoch that it may still read.
    function epochsOf(bytes32 composeHash) external view returns (uint32 write, uint32 read);

    /// @notice The approval of a release together with its key epochs, in one call.
    /// @return release the approval, in any state.
    /// @return write as `epochsOf`: 0 if the release may not boot.
    /// @return read as `epochsOf`.
    function releaseAndEpochs(bytes32 composeHash) external view returns (Approval release, uint32 write, uint32 read);

    /// @notice Seconds between the announcement and the execution of a call that loosens the rules. It is also the activation
    /// delay of releases and hosts. 0 = no announcement is needed, as in dstack.
    function noticePeriod() external view returns (uint32);

    /// @notice Sets the notice period, seconds. It can only grow, to at most a year. Owner. Emits `NoticePeriodSet`. If it
    /// grows, earlier announcements end.
    /// @dev Reverts with `NoticePeriodOutOfBounds`.
    /// @param newNoticePeriod seconds.
    function setNoticePeriod(uint32 newNoticePeriod) external;

    /// @notice Announces a call. Owner. Emits `Announced`.
    /// @dev With a notice period, these calls need it: `setAllowAnyDevice(true)`, `setRequireTcbUpToDate(false)`, `setVariants`
    /// with more variants, and upgrades. The call can be executed for 30 days after the notice period, once.
    /// @param callDigest keccak256 of the complete calldata.
    function announce(bytes32 callDigest) external;

    /// @notice First second in which an announced call can be executed. 0 if it was not announced since the notice period
    /// grew last, or was executed.
    function executableFrom(bytes32 callDigest) external view returns (uint40);

    /// @notice Sets whether the app may run on any host. Owner. Emits `AllowAnyDeviceSet`.
    /// @dev `true` needs an announcement if there is a notice period: else reverts with `NotAnnounced`.
    function setAllowAnyDevice(bool _allowAnyDevice) external;

    /// @notice Sets whether boots need the TCB status `UpToDate`. Owner. Emits `RequireTcbUpToDateSet`.
    /// @dev `false` needs an announcement if there is a notice period: else reverts with `NotAnnounced`.
    function setRequireTcbUpToDate(bool _requireUpToDate) external;

    /// @notice The accepted TEE variants: bit n is `TeeVariant(n)`. Bit 0, TDX, is always set.
    /// @dev A boot that comes through dstack's tuple counts as TDX.
    function variants() external view returns (uint8);

    /// @notice Sets the accepted TEE variants. Owner. Emits `VariantsSet`.
    /// @dev Reverts with `VariantsInvalid`. More variants need an announcement if there is a notice period: else reverts with
    /// `NotAnnounced`.
    /// @param newVariants all variants that are accepted from now on, as bits; bit 0 must be set.
    function setVariants(uint8 newVariants) external;

    /// @notice Gives up upgrades of this app permanently. Owner. Emits `UpgradesDisabled`.
    function disableUpgrades() external;

    /// @notice Creates a DAO and transfers the app to it in the same transaction. Owner. Emits `TransferredToNewDao`.
    /// @dev Warning: the owner must trust `factory`: the address that it returns becomes the owner, without accepting.
    /// The DAO's guardian becomes the guardian of the app. Reverts with the errors of the factory and of `setGuardian`.
    /// @return newOwner the DAO's timelock.
    /// @param factory creates the DAO. Compare its code with the artifacts first.
    /// @param parameters of the DAO; voting parameters and guardian cannot be changed by the current owner afterwards.
    function transferToNewDao(
        IDaoFactory factory,
        DaoParameters calldata parameters
    ) external returns (address newOwner);
}

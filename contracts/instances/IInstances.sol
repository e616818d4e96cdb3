// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {RuntimeEvent} from "../quote/eventlog/EventLog.sol";
import {TcbStatus, Verdict} from "../types/Report.sol";

/// @notice The function that other contracts call: does this signature come from an app, now?
interface IInstanceSignatures {
    /// @notice Whether `signature` over `digest` was made by a live instance of `app`.
    /// @dev Never reverts because of the signature or the app's answer. Reverts with `GasTooLow` if the caller gives too little
    /// gas to ask the app, so that an outage is not a denial.
    /// The app signs `digest` as it is: put the chain, your contract and a nonce into what you hash (EIP-712), or the signature
    /// can be used elsewhere.
    /// @param app address of the app contract: the app's id.
    /// @param digest the 32 bytes that the instance signed.
    /// @param signature 65 bytes r ‖ s ‖ v, with low s; v is 27 or 28, or 0 or 1. Anything else is no signature.
    /// @return true only if the signer is the key of a live instance of exactly this app.
    function isFrom(address app, bytes32 digest, bytes calldata signature) external view returns (bool);
}

/// @notice Says which key (the address of a secp256k1 key) speaks for which app now.
/// @dev Two ways lead to a record. By quote: a TDX quote commits to chain, registry, app and key; the boot log proves the app
/// and its release. By the key chain: a registered root key of the KMS certifies a key of one app and key epoch, which certifies
/// the instance's key. A record says what was proven. Whether it counts is asked at each use, from the registries of the DAO
/// and from the app: so an approval that ends, ends all its keys in the same block.
/// A record counts only under approvals that began before it. If an approval returned as a new version, the proof must also name
/// the block of that approval or a later one. So nothing from before a withdrawal counts again.
/// Anyone may bring a record; only the TEE, or for the key chain the KMS, can make one.
/// There is no owner and no upgrade. The DAO and the owners of apps end keys by ending approvals. To require that all keys are
/// proven anew, the DAO withdraws the root key and approves it again: then only proofs count that were made after this.
/// Granularity: a record by quote depends on image, measurements, host, root key, app, release and device rules. A record by key
/// chain depends on root key, app, release and key epoch: a withdrawn image or host ends it only when the DAO withdraws the root
/// key, the app's owner opens a new epoch or ends the release, or the record expires.
/// Times are unix seconds.
interface IInstances is IInstanceSignatures {
    /// @notice How a record was proven.
    enum Way {
        /// @notice There is no record.
        None,
        /// @notice With a quote and the log of the boot.
        Quote,
        /// @notice With a statement of the KMS.
        KeyChain
    }

    /// @notice Whether a record counts now, or the first reason why it does not. Append, never reorder.
    enum Standing {
        /// @notice There is no record of this key.
        Unknown,
        /// @notice The only one that counts: the key speaks for its app.
        Live,
        /// @notice The key was ended, permanently.
        Ended,
        /// @notice The record has expired. A newer proof renews it.
        Expired,
        /// @notice The app has no active approval from before the record.
        AppNotApproved,
        /// @notice The root key of the KMS has no active approval from before the record.
        RootKeyNotApproved,
        /// @notice The base image has no active approval from before the record.
        ImageNotApproved,
        /// @notice The measurement set of the image has no active approval from before the record.
        MeasurementsNotApproved,
        /// @notice The host is not admitted, or its approval is younger than the record.
        HostNotAdmitted,
        /// @notice The app does not allow this boot now: release, device or TCB status.
        AppRefuses,
        /// @notice The approval of the release is younger than the record.
        ReleaseNotApproved,
        /// @notice The release has no access to the key epoch of the record any more.
        EpochEnded,
        /// @notice The app allows some hosts only, and has no active approval of this host from before the record.
        DeviceNotApproved
    }

    /// @notice What was proven about one key.
    struct Record {
        /// @notice The app for which the key speaks; zero = no record.
        address app;
        /// @notice End of the record.
        uint40 expiresAt;
        /// @notice Time of the registration.
        uint40 provenAt;
        /// @notice How it was proven.
        Way way;
        /// @notice Whether the key was ended. It stays ended.
        bool isEnded;
        /// @notice The block to which the proof commits. Only a later one replaces the record.
        uint48 provenAtBlock;
        /// @notice By quote: the TCB status of the host in the report.
        TcbStatus status;
        /// @notice By quote: whether the app answers `approvalOf`, so that the age of its release is compared.
        bool hasApprovals;
        /// @notice By key chain: the key epoch.
        uint32 epoch;
        /// @notice By quote: the account that holds the facts of the boot. By key chain: the address of the root key.
        address source;
        /// @notice By quote: the host. By key chain: the compose hash.
        bytes32 subject;
        /// @notice By quote: dstack's mr_system at boot, without a key provider. By key chain: zero.
        bytes32 mrSystem;
    }

    /// @notice Facts of one boot, from its log.
    struct BootFacts {
        /// @notice Compose hash of the release.
        bytes32 composeHash;
        /// @notice Base image: of the log, or stated where the log has none. The approval of the measurement set decides.
        bytes32 osImageHash;
        /// @notice keccak256 of the measured key provider.
        bytes32 keyProvider;
        /// @notice The app.
        address app;
        /// @notice Instance id; zero for an app without instance ids.
        address instanceId;
    }

    /// @notice A proof by quote.
    struct QuoteProof {
        /// @notice In any form that the verifier takes. Its report data is `bindingOf`, then 32 zero bytes.
        bytes quote;
        /// @notice Address of the instance's key.
        address key;
        /// @notice The base image, as in `recordBoot`.
        bytes32 osImageHash;
        /// @notice The block whose hash is in the binding.
        uint256 blockNumber;
        /// @notice The key's signature over `bindingOf`, 65 bytes.
        bytes possession;
    }

    /// @notice A proof by the key chain of the KMS. Signatures have 65 bytes.
    struct ChainProof {
        /// @notice The app.
        address app;
        /// @notice Address of the instance's key.
        address key;
        /// @notice The release that the KMS verified.
        bytes32 composeHash;
        /// @notice The key epoch, from 1.
        uint32 epoch;
        /// @notice The block whose hash is in the binding.
        uint256 blockNumber;
        /// @notice The key's signature over `bindingOf`.
        bytes possession;
        /// @notice Signature of the app's instance signer over `statementOf`.
        bytes statement;
        /// @notice Signature of the root key over `signerDigest` of that signer.
        bytes link;
    }

    /// @notice The facts of a boot are known: `register` can use them.
    /// @param id keccak256(RTMR3 ‖ osImageHash).
    event BootRecorded(bytes32 indexed id, BootFacts facts);
    /// @notice The public keys of a root key are known. Only an approval in `RootKeys` makes it count.
    /// @param id id of the root key in `RootKeys`.
    /// @param signer address of its secp256k1 key.
    /// @param keyProvider keccak256 of the key provider that guests measure for it.
    event RootKeyAdded(bytes32 indexed id, address indexed signer, bytes32 keyProvider);
    /// @notice A key was proven. Whether it counts: `standingOf`.
    /// @param record the complete new record.
    /// @param quoteId keccak256 of the quote's signed part; zero for the key chain.
    event InstanceRegistered(address indexed key, address indexed app, Record record, bytes32 quoteId);
    /// @notice A key was ended permanently, by itself or by the owner of its app.
    event InstanceEnded(address indexed key, address indexed app);

    /// @notice The verifier rejected the quote.
    error InstanceQuoteRejected(Verdict verdict);
    /// @notice The host rules do not accept this TCB status now.
    /// @param until first second in which it no longer counted; 0 = never.
    error InstanceStatusRefused(TcbStatus status, uint40 until);
    /// @notice The lower evaluation number of TCB info and QE identity is below the minimum of the host rules.
    error InstanceEvaluationNumberTooLow(uint32 found, uint32 minimum);
    /// @notice The DAO denies hosts with this advisory.
    error InstanceAdvisoryDenied(bytes32 advisory);
    /// @notice KmsAuth names no host registry, whose rules and verifier count here.
    error InstanceHostsMissing();
    /// @notice The report data is not for this chain, registry, app, key and block.
    /// @param secondHalf second half of the report data; must be zero.
    error InstanceReportDataMismatch(bytes32 found, bytes32 expected, bytes32 secondHalf);
    /// @notice The block is in the future, too old, or its hash is not available on this chain.
    /// @param current the block in which the call ran.
    /// @param window highest accepted age of a block, blocks.
    error InstanceBlockUnknown(uint256 blockNumber, uint256 current, uint256 window);
    /// @notice The present record is from the same block or a later one.
    error InstanceProofNotNewer(address key, uint256 blockNumber, uint256 known);
    /// @notice The key was ended permanently. Use a new key.
    error InstanceKeyEnded(address key);
    /// @notice The key did not sign this binding: nobody shows that it belongs to the instance.
    error InstanceKeyNotHeld(address found, address key);
    /// @notice The facts of this boot are not known. Use `recordBoot` first.
    /// @param id keccak256(RTMR3 ‖ osImageHash).
    error InstanceBootUnknown(bytes32 id);
    /// @notice The log does not reach `system-ready`, or names no app or release.
    error InstanceBootIncomplete();
    /// @notice The log names another image than the call.
    error InstanceImageMismatch(bytes32 found, bytes32 stated);
    /// @notice No known root key signed the statement. Use `addRootKey` first.
    /// @param signer address that signed.
    error InstanceRootKeyUnknown(address signer);
    /// @notice The DAO never approved this pair of public keys in `RootKeys`.
    error InstanceRootKeyNotApproved(bytes32 id);
    /// @notice A registry of the DAO did not answer.
    error InstanceRegistryFailed(address registry);
    /// @notice The public keys are malformed: lengths, parity or curve.
    error InstanceRootKeyMalformed();
    /// @notice The proof would expire at once.
    error InstanceProofExpired(uint256 expiresAt);
    /// @notice The key epoch is zero: epochs count from 1.
    error InstanceEpochInvalid();
    /// @notice Only the key itself and the owner of its app can end it.
    error InstanceEndUnauthorized(address account);
    /// @notice A lifetime of zero or more than a year, or a window of zero or more than 8,191 blocks.
    error InstanceRulesInvalid();

    /// @notice Stores the facts of a boot from its event log, under the RTMR3 to which it leads. Anyone; needs no quote: the
    /// log alone has one meaning. Emits `BootRecorded`; does nothing if they are known.
    /// @dev Reverts with `EventMalformed`, `InstanceBootIncomplete` and `InstanceImageMismatch`.
    /// @param events all runtime events of the boot, in order, at least to `system-ready`.
    /// @param osImageHash the base image. If the log names one, the same; else a claim that the approval of the measurement set
    /// decides.
    /// @return id keccak256(RTMR3 ‖ osImageHash).
    function recordBoot(RuntimeEvent[] calldata events, bytes32 osImageHash) external returns (bytes32 id);

    /// @notice Makes the public keys of a root key known. Anyone; only its approval in `RootKeys` makes it count.
    /// @dev Emits `RootKeyAdded`. Reverts with `InstanceRootKeyMalformed`.
    /// @param caPublicKey SubjectPublicKeyInfo of the root CA, 91 bytes.
    /// @param k256PublicKey compressed secp256k1 key, 33 bytes.
    /// @param y second coordinate of the secp256k1 key.
    /// @return id id of the root key in `RootKeys`.
    function addRootKey(
        bytes calldata caPublicKey,
        bytes calldata k256PublicKey,
        uint256 y
    ) external returns (bytes32 id);

    /// @notice Registers or renews a key by quote. Anyone may bring it. Emits `InstanceRegistered`.
    /// @dev The quote must pass the rules of the host registry (`Hosts`): a TD that nobody can debug or migrate, an accepted TCB
    /// status, evaluation number and advisories. It does not require that the approvals are in force: `standingOf` tells.
    /// @return app the app for which the key speaks.
    function register(QuoteProof calldata proof) external returns (address app);

    /// @notice Registers or renews a key by the key chain of the KMS. Anyone may bring it. Emits `InstanceRegistered`.
    /// @dev It does not require that the approvals are in force: `standingOf` tells.
    function registerIssued(ChainProof calldata proof) external;

    /// @notice Ends a key permanently: it can never be registered again. Only the key itself, or the owner of its app.
    /// Emits `InstanceEnded`. Reverts with `InstanceEndUnauthorized`.
    function end(address key) external;

    /// @notice The record of a key and whether it counts now.
    function instanceOf(address key) external view returns (Record memory record, Standing standing);

    /// @notice Whether a key counts now; `Live` if it does.
    function standingOf(address key) external view returns (Standing);

    /// @notice Facts of a recorded boot; all zero if it is not known.
    function bootOf(bytes32 id) external view returns (BootFacts memory);

    /// @notice What a proof commits to: first half of the report data, and the message of `possession`.
    /// @param blockHash hash of the block.
    function bindingOf(
        address app,
        address key,
        uint256 blockNumber,
        bytes32 blockHash
    ) external view returns (bytes32);

    /// @notice The digest that the app's instance signer in the KMS signs.
    /// @param binding `bindingOf`.
    function statementOf(bytes32 binding, bytes32 composeHash) external pure returns (bytes32);

    /// @notice The digest that the root key signs for the instance signer of an app and key epoch.
    function signerDigest(address app, uint32 epoch, address signer) external pure returns (bytes32);

    /// @notice Id of the root key with this secp256k1 address; zero if it was not added.
    function rootKeyOf(address signer) external view returns (bytes32);

    /// @notice Id of the root key for which guests measure this key provider; zero if it was not added.
    /// @param keyProvider keccak256 of the measured text.
    function rootKeyOfProvider(bytes32 keyProvider) external view returns (bytes32);

    /// @notice Longest life of a record, seconds. One by quote also ends with its collateral.
    function maxLifetime() external view returns (uint256);

    /// @notice Highest accepted age of the block in a proof, blocks.
    function window() external view returns (uint256);
}

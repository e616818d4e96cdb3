// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {BoundedAppCall} from "../auth/BoundedAppCall.sol";
import {Boot, RuntimeEvent} from "../quote/eventlog/EventLog.sol";
import {IQuoteVerifier} from "../quote/IQuoteVerifier.sol";
import {CodeStore} from "../quote/records/CodeStore.sol";
import {IHosts} from "../registry/IHosts.sol";
import {IRootKeys} from "../registry/IRootKeys.sol";
import {RecentBlockHash} from "../registry/RecentBlockHash.sol";
import {Approval} from "../types/Approval.sol";
import {Bytes48} from "../types/Bytes48.sol";
import {Kind} from "../types/Kind.sol";
import {PolicyLib} from "../types/Policy.sol";
import {Report} from "../types/Report.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {Questions} from "./Questions.sol";
import {IInstanceSignatures, IInstances} from "./IInstances.sol";

/// @notice The functions of KmsAuth and the host registry that their interfaces do not have.
interface IHostRules is IHosts {
    /// @notice The contract that verifies quotes.
    function verifier() external view returns (IQuoteVerifier);
}

/// @notice A KmsAuth, as far as it says which host registry counts.
interface IHostsOfKms {
    /// @notice The host registry; zero = none.
    function hosts() external view returns (address);
}

/// @notice The function of `BootLog` that is called here. Its code is too large to import through the IR pipeline.
interface IBootLog {
    /// @notice The value of RTMR3 after `events`, and what they say.
    function replay(RuntimeEvent[] calldata events) external pure returns (Bytes48 memory rtmr, Boot memory boot);
}

/// @notice An app contract with an owner.
interface IOwnedApp {
    /// @notice The owner of the app.
    function owner() external view returns (address);
}

/// @notice Attested instances: which key speaks for which app now.
/// @dev Every rule about approvals is asked at use, in `_standing`. Registration checks only what a proof shows.
/// There is no owner and no upgrade: contracts that accept signatures of an app rely on this code, and on the approvals that it
/// reads. The DAO ends keys with these approvals, and replaces a faulty verifier in `Hosts`, which is read here.
contract Instances is IInstances {
    /// @dev Separates report data and signatures over it from those of other protocols.
    bytes32 private constant DOMAIN = keccak256("assent-instance-v1");
    /// @dev Of the KMS's statement about one key.
    bytes32 private constant STATEMENT = keccak256("assent-instance-statement-v1");
    /// @dev Before app, epoch and address in the root key's statement about an instance signer. No other message of the root
    /// key begins like this.
    bytes private constant SIGNER = "assent-instance-signer:";
    /// @dev Half of the order of secp256k1: a signature with a higher s is the second form of another one.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    /// @dev The field of secp256k1.
    uint256 private constant FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;
    /// @dev A longer life would make a record outlive what its quote showed.
    uint256 private constant MAX_LIFETIME = 365 days;
    /// @dev Bytes of the public keys of the KMS.
    uint256 private constant CA_LENGTH = 91;
    uint256 private constant K256_LENGTH = 33;

    /// @notice The KmsAuth that approves apps and base images, and names the host registry.
    address public immutable kmsAuth;
    /// @notice The registry of base images and measurement sets.
    address public immutable images;
    /// @notice The registry of root keys.
    address public immutable rootKeys;
    /// @notice Replays event logs.
    IBootLog public immutable bootLog;
    /// @inheritdoc IInstances
    uint256 public immutable maxLifetime;
    /// @inheritdoc IInstances
    uint256 public immutable window;

    /// @dev The last proof of each key.
    mapping(address key => Record) private _records;
    /// @dev The account that holds the facts of a boot, by RTMR3 and image.
    mapping(bytes32 id => address) private _boots;
    /// @inheritdoc IInstances
    mapping(address signer => bytes32) public rootKeyOf;
    /// @inheritdoc IInstances
    mapping(bytes32 keyProvider => bytes32) public rootKeyOfProvider;

    /// @param kmsAuth_ approves apps and base images.
    /// @param images_ approves measurement sets.
    /// @param rootKeys_ approves root keys.
    /// @param bootLog_ replays event logs.
    /// @param maxLifetime_ longest life of a record, seconds.
    /// @param window_ highest accepted age of the block in a proof, blocks.
    constructor(
        address kmsAuth_,
        address images_,
        address rootKeys_,
        IBootLog bootLog_,
        uint256 maxLifetime_,
        uint256 window_
    ) {
        bool bounded = maxLifetime_ != 0 && maxLifetime_ <= MAX_LIFETIME && window_ != 0;
        require(bounded && window_ <= RecentBlockHash.HISTORY, InstanceRulesInvalid());
        (kmsAuth, images, rootKeys, bootLog) = (kmsAuth_, images_, rootKeys_, bootLog_);
        (maxLifetime, window) = (maxLifetime_, window_);
    }

    /* DECISIONS */

    /// @inheritdoc IInstanceSignatures
    function isFrom(address app, bytes32 digest, bytes calldata signature) external view returns (bool) {
        // zero if nobody signed: that key has no record
        address key = _signerOf(digest, signature);
        Record storage record = _records[key];
        uint256 head = _headOf(record);
        return address(uint160(head)) == app && _standing(record, head) == Standing.Live;
    }

    /// @inheritdoc IInstances
    function standingOf(address key) external view returns (Standing) {
        Record storage record = _records[key];
        return _standing(record, _headOf(record));
    }

    /// @inheritdoc IInstances
    function instanceOf(address key) external view returns (Record memory record, Standing standing) {
        Record storage stored = _records[key];
        return (stored, _standing(stored, _headOf(stored)));
    }

    /// @dev The first slot of a record: app 160 bits, expiresAt 40, provenAt 40, way 8, isEnded 8.
    function _headOf(Record storage record) private view returns (uint256 head) {
        assembly ("memory-safe") {
            head := sload(record.slot)
        }
    }

    /// @dev First what the record itself says, then the approvals, then the app.
    /// @param head `_headOf` the record.
    function _standing(Record storage record, uint256 head) private view returns (Standing) {
        address app = address(uint160(head));
        uint256 since = uint40(head >> 200);
        uint256 way = uint8(head >> 240);
        if (way == uint256(Way.None)) return Standing.Unknown;
        if (head >> 248 != 0) return Standing.Ended;
        if (block.timestamp >= uint40(head >> 160)) return Standing.Expired;
        if (!_approves(kmsAuth, Kind.App, bytes32(uint256(uint160(app))), since, record))
            return Standing.AppNotApproved;
        return
            way == uint256(Way.Quote) ? _standingByQuote(record, app, since) : _standingByKeyChain(record, app, since);
    }

    /// @dev Everything that `KmsAuth` asks about a boot, and also measurement set, root key and the age of each approval.
    function _standingByQuote(Record storage record, address app, uint256 since) private view returns (Standing) {
        BootFacts memory boot = _readBoot(record.source);
        if (!_approves(rootKeys, Kind.RootKey, rootKeyOfProvider[boot.keyProvider], since, record))
            return Standing.RootKeyNotApproved;
        if (!_approves(kmsAuth, Kind.OsImage, boot.osImageHash, since, record)) return Standing.ImageNotApproved;
        bytes32 mrSystem = record.mrSystem;
        if (!_approves(images, Kind.Measurements, _measurementSet(boot.osImageHash, mrSystem), since, record))
            return Standing.MeasurementsNotApproved;
        bytes32 deviceId = record.subject;
        if (!_admits(deviceId, since, record)) return Standing.HostNotAdmitted;
        if (!Questions.allows(app, boot, deviceId, mrSystem, record.status)) return Standing.AppRefuses;
        if (!record.hasApprovals) return Standing.Live;
        uint256 made = record.provenAtBlock;
        if (!Questions.approvedBefore(app, Kind.Release, boot.composeHash, since, made))
            return Standing.ReleaseNotApproved;
        bool counts =
            Questions.allowsAnyDevice(app) || Questions.approvedBefore(app, Kind.Device, deviceId, since, made);
        return counts ? Standing.Live : Standing.DeviceNotApproved;
    }

    /// @dev Root key, release and key epoch: more is not in the statement of the KMS. An app can take the failure of a call of
    /// its own for a reason to deny, so each denial by its answer needs the gas that it may use.
    function _standingByKeyChain(Record storage record, address app, uint256 since) private view returns (Standing) {
        (address root, uint256 epoch) = (record.source, record.epoch);
        if (!_approves(rootKeys, Kind.RootKey, rootKeyOf[root], since, record)) return Standing.RootKeyNotApproved;
        uint256 found = gasleft();
        (Approval release, uint256 write, uint256 read) = Questions.releaseAndEpochs(app, record.subject);
        (bool counts, bool isFirst) = Questions.isActiveBefore(release, since);
        if (!isFirst && counts)
            counts = Questions.isProvenForApp(app, Kind.Release, record.subject, record.provenAtBlock);
        // epochs count from 1, so a release that may not boot has none
        if (counts && epoch >= read && epoch <= write) return Standing.Live;
        BoundedAppCall.requireGas(found, BoundedAppCall.DETAILS_GAS);
        if (write == 0) return Standing.AppRefuses;
        return counts ? Standing.EpochEnded : Standing.ReleaseNotApproved;
    }

    /// @dev Whether a registry of the DAO has an active approval that began before the record, and whose version is not younger
    /// than the proof. Reverts if the registry does.
    function _approves(
        address registry,
        Kind kind,
        bytes32 id,
        uint256 since,
        Record storage record
    ) private view returns (bool) {
        (bool answered, Approval word) = Questions.approvalOf(registry, kind, id, gasleft());
        require(answered, InstanceRegistryFailed(registry));
        (bool isActive, bool isFirst) = Questions.isActiveBefore(word, since);
        if (isFirst) return isActive;
        if (!isActive) return false;
        bool isProven;
        (answered, isProven) = Questions.isProvenUnder(registry, kind, id, record.provenAtBlock, gasleft());
        require(answered, InstanceRegistryFailed(registry));
        return isProven;
    }

    /// @dev Whether the host registry admits the host now, under an approval as `_approves` requires it.
    function _admits(bytes32 deviceId, uint256 since, Record storage record) private view returns (bool) {
        address hosts = IHostsOfKms(kmsAuth).hosts();
        if (hosts == address(0)) return false;
        (bool isAdmitted, ) = IHosts(hosts).admission(deviceId);
        return isAdmitted && _approves(hosts, Kind.Host, deviceId, since, record);
    }

    /// @dev The id of a measurement set for TDX, as `Images.idOf` computes it.
    function _measurementSet(bytes32 osImageHash, bytes32 mrSystem) private pure returns (bytes32) {
        return keccak256(abi.encode(osImageHash, TeeVariant.Tdx, mrSystem));
    }

    /* FACTS */

    /// @inheritdoc IInstances
    function recordBoot(RuntimeEvent[] calldata events, bytes32 osImageHash) external returns (bytes32 id) {
        (Bytes48 memory rtmr, Boot memory boot) = bootLog.replay(events);
        bytes32 found = boot.osImageHash;
        require(found == osImageHash || found == 0, InstanceImageMismatch(found, osImageHash));
        require(boot.isReady && boot.appId != 0 && boot.composeHash != 0, InstanceBootIncomplete());
        id = _bootId(rtmr, osImageHash);
        if (_boots[id] != address(0)) return id;

        BootFacts memory facts = BootFacts({
            composeHash: boot.composeHash,
            osImageHash: osImageHash,
            keyProvider: keccak256(boot.keyProvider),
            app: address(boot.appId),
            instanceId: address(boot.instanceId)
        });
        _boots[id] = CodeStore.write(abi.encode(facts));

        emit BootRecorded(id, facts);
    }

    /// @inheritdoc IInstances
    function bootOf(bytes32 id) external view returns (BootFacts memory facts) {
        address source = _boots[id];
        if (source != address(0)) facts = _readBoot(source);
    }

    /// @dev Facts that `recordBoot` stored: the words of the struct, after one byte.
    function _readBoot(address source) private view returns (BootFacts memory facts) {
        assembly ("memory-safe") {
            extcodecopy(source, facts, 1, 160)
        }
    }

    /// @dev Names a boot by its register and image.
    function _bootId(Bytes48 memory rtmr, bytes32 osImageHash) private pure returns (bytes32) {
        return keccak256(bytes.concat(rtmr.hi, rtmr.lo, osImageHash));
    }

    /// @inheritdoc IInstances
    function addRootKey(
        bytes calldata caPublicKey,
        bytes calldata k256PublicKey,
        uint256 y
    ) external returns (bytes32 id) {
        require(caPublicKey.length == CA_LENGTH && k256PublicKey.length == K256_LENGTH, InstanceRootKeyMalformed());
        uint256 x = uint256(bytes32(k256PublicKey[1:]));
        bool onCurve =
            x < FIELD && y < FIELD && mulmod(y, y, FIELD) == addmod(mulmod(mulmod(x, x, FIELD), x, FIELD), 7, FIELD);
        require(onCurve && uint8(k256PublicKey[0]) == 2 + (y & 1), InstanceRootKeyMalformed());

        id = keccak256(bytes.concat(caPublicKey, k256PublicKey));
        // else anyone could pair one half of a root key with another half, and so hide the approved pair
        require(IRootKeys(rootKeys).proofOf(id).epoch != 0, InstanceRootKeyNotApproved(id));
        address signer = address(uint160(uint256(keccak256(abi.encode(x, y)))));
        bytes32 keyProvider = keccak256(bytes.concat('{"name":"kms","id":"', _hex(caPublicKey), '"}'));
        (rootKeyOf[signer], rootKeyOfProvider[keyProvider]) = (id, id);

        emit RootKeyAdded(id, signer, keyProvider);
    }

    /* REGISTRATION */

    /// @inheritdoc IInstances
    function register(QuoteProof calldata proof) external returns (address app) {
        Report memory report = _verify(proof.quote);
        address source = _boots[_bootId(report.rtmr(3), proof.osImageHash)];
        require(source != address(0), InstanceBootUnknown(_bootId(report.rtmr(3), proof.osImageHash)));
        BootFacts memory boot = _readBoot(source);
        app = boot.app;
        bytes32 binding = _requireBinding(app, proof.key, proof.blockNumber, proof.possession);
        (bytes32 found, bytes32 rest) = report.reportData();
        require(found == binding && rest == 0, InstanceReportDataMismatch(found, binding, rest));

        Record memory record = _newRecord(app, proof.key, proof.blockNumber, report.expiresAt);
        record.way = Way.Quote;
        record.status = report.status;
        record.hasApprovals = Questions.answersApprovals(app, boot.composeHash);
        record.source = source;
        record.subject = report.deviceId;
        record.mrSystem = _mrSystem(report);
        _records[proof.key] = record;

        emit InstanceRegistered(proof.key, app, record, report.quoteId);
    }

    /// @dev Verifier and rules are those of the host registry.
    function _verify(bytes calldata quote) private view returns (Report memory report) {
        IHostRules hosts = IHostRules(IHostsOfKms(kmsAuth).hosts());
        require(address(hosts) != address(0), InstanceHostsMissing());
        report = hosts.verifier().verify(quote);
        require(report.isVerified(), InstanceQuoteRejected(report.verdict));
        _requireAcceptable(hosts, report);
    }

    /// @dev The rules of the host registry for quotes: a TD that nobody can debug or migrate, an accepted status, a new enough
    /// evaluation number and no denied advisory.
    function _requireAcceptable(IHostRules hosts, Report memory report) private view {
        PolicyLib.requireIsolatedTd(report);
        uint40 until = hosts.statusAcceptedUntil(report.status);
        require(block.timestamp < until, InstanceStatusRefused(report.status, until));
        uint32 number = report.tcbEvaluationNumber;
        if (report.qeEvaluationNumber < number) number = report.qeEvaluationNumber;
        uint32 minimum = hosts.rules().minEvaluationNumber;
        require(number >= minimum, InstanceEvaluationNumberTooLow(number, minimum));
        for (uint256 i = 0; i < report.advisories.length; i++) {
            bytes32 advisory = report.advisories[i];
            require(!hosts.isAdvisoryDenied(advisory), InstanceAdvisoryDenied(advisory));
        }
    }

    /// @dev dstack's mr_system at boot: no key provider is known then.
    function _mrSystem(Report memory report) private pure returns (bytes32) {
        return
            sha256(
                bytes.concat(
                    report.mrTd().toBytes(),
                    report.rtmr(0).toBytes(),
                    report.rtmr(1).toBytes(),
                    report.rtmr(2).toBytes(),
                    bytes32(0)
                )
            );
    }

    /// @inheritdoc IInstances
    function registerIssued(ChainProof calldata proof) external {
        require(proof.epoch != 0, InstanceEpochInvalid());
        bytes32 binding = _requireBinding(proof.app, proof.key, proof.blockNumber, proof.possession);
        address signer = _signerOf(statementOf(binding, proof.composeHash), proof.statement);
        address root = _signerOf(signerDigest(proof.app, proof.epoch, signer), proof.link);
        require(signer != address(0) && rootKeyOf[root] != 0, InstanceRootKeyUnknown(root));

        Record memory record = _newRecord(proof.app, proof.key, proof.blockNumber, type(uint256).max);
        record.way = Way.KeyChain;
        record.epoch = proof.epoch;
        record.source = root;
        record.subject = proof.composeHash;
        _records[proof.key] = record;

        emit InstanceRegistered(proof.key, proof.app, record, 0);
    }

    /// @dev The block must be recent, and the key must have signed the binding. So no app can claim the key of another one,
    /// and a binding cannot be made long before its use.
    function _requireBinding(
        address app,
        address key,
        uint256 blockNumber,
        bytes calldata possession
    ) private view returns (bytes32 binding) {
        bool recent = blockNumber < block.number && block.number - blockNumber <= window;
        bytes32 blockHash = recent ? RecentBlockHash.get(blockNumber) : bytes32(0);
        require(blockHash != 0, InstanceBlockUnknown(blockNumber, block.number, window));
        binding = bindingOf(app, key, blockNumber, blockHash);
        address found = _signerOf(binding, possession);
        require(found == key && key != address(0), InstanceKeyNotHeld(found, key));
    }

    /// @dev A record that ends with the rules or with `until`. It must be from a later block than the last one.
    function _newRecord(
        address app,
        address key,
        uint256 blockNumber,
        uint256 until
    ) private view returns (Record memory record) {
        Record storage known = _records[key];
        require(!known.isEnded, InstanceKeyEnded(key));
        bool isNewer = known.way == Way.None || blockNumber > known.provenAtBlock;
        require(isNewer, InstanceProofNotNewer(key, blockNumber, known.provenAtBlock));
        uint256 latest = block.timestamp + maxLifetime;
        if (until > latest) until = latest;
        require(until > block.timestamp, InstanceProofExpired(until));

        record.app = app;
        record.expiresAt = uint40(until);
        record.provenAt = uint40(block.timestamp);
        record.provenAtBlock = uint48(blockNumber);
    }

    /// @inheritdoc IInstances
    function end(address key) external {
        Record storage record = _records[key];
        address app = record.app;
        require(app != address(0), InstanceEndUnauthorized(msg.sender));
        bool allowed = msg.sender == key || msg.sender == IOwnedApp(app).owner();
        require(allowed, InstanceEndUnauthorized(msg.sender));

        record.isEnded = true;

        emit InstanceEnded(key, app);
    }

    /* STATEMENTS */

    /// @inheritdoc IInstances
    function bindingOf(address app, address key, uint256 blockNumber, bytes32 blockHash) public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, block.chainid, address(this), app, key, blockNumber, blockHash));
    }

    /// @inheritdoc IInstances
    function statementOf(bytes32 binding, bytes32 composeHash) public pure returns (bytes32) {
        return keccak256(abi.encode(STATEMENT, binding, composeHash));
    }

    /// @inheritdoc IInstances
    function signerDigest(address app, uint32 epoch, address signer) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(SIGNER, app, epoch, signer));
    }

    /// @dev The account whose key signed `digest`; zero if the signature is malformed.
    function _signerOf(bytes32 digest, bytes calldata signature) private view returns (address signer) {
        if (signature.length != 65) return address(0);
        assembly ("memory-safe") {
            let space := mload(0x40)
            mstore(space, digest)
            let v := byte(0, calldataload(add(signature.offset, 64)))
            // dstack's signatures end with 0 or 1
            mstore(add(space, 32), add(v, mul(27, lt(v, 2))))
            calldatacopy(add(space, 64), signature.offset, 64)
            let low := iszero(gt(mload(add(space, 96)), HALF_ORDER))
            mstore(0, 0)
            pop(staticcall(gas(), 1, space, 128, 0, 32))
            signer := mul(low, mload(0))
        }
    }

    /// @dev Lower-case hex digits, without 0x.
    function _hex(bytes calldata value) private pure returns (bytes memory digits) {
        bytes16 alphabet = "0123456789abcdef";
        digits = new bytes(2 * value.length);
        for (uint256 i = 0; i < value.length; i++) {
            digits[2 * i] = alphabet[uint8(value[i] >> 4)];
            digits[2 * i + 1] = alphabet[uint8(value[i] & 0x0f)];
        }
    }
}

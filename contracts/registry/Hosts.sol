// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IQuoteVerifier} from "../quote/IQuoteVerifier.sol";
import {Approval, State} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";
import {PolicyLib} from "../types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../types/Report.sol";
import {ApprovalRegistry} from "./ApprovalRegistry.sol";
import {RecentBlockHash} from "./RecentBlockHash.sol";
import {IBonded} from "./IHostBonds.sol";
import {IHostAdmission, IHosts} from "./IHosts.sol";
import {RenounceableUpgrades} from "./RenounceableUpgrades.sol";

/// @notice The host registry: operators prove hosts with quotes, the DAO approves them, and every boot asks for
/// admission.
/// @dev Storage is part of the interface of KMS nodes, which read it with storage proofs: see snapshots/storage.json.
/// Trust: the quote verifier decides what a quote proves. The DAO decides which hosts, statuses and advisories count.
/// An operator decides nothing but which of its hosts it registers.
contract Hosts is IHosts, ApprovalRegistry, EIP712Upgradeable, RenounceableUpgrades {
    /// @dev Separates the report data of host proofs from that of other protocols.
    bytes32 private constant DOMAIN = keccak256("assent-host-v1");
    /// @dev EIP-712 type of a permit.
    bytes32 private constant PERMIT = keccak256(
        "HostRegistration(bytes32 quoteHash,uint256 blockNumber,uint256 deadline)"
    );
    /// @dev EIP-712 type of a continuity statement.
    bytes32 private constant CONTINUITY = keccak256("HostContinuity(bytes32 from,bytes32 to,uint256 deadline)");
    /// @dev Bytes. `endProof` verifies the same bytes twice, in one transaction of at most 16.78 million gas (EIP-7825).
    uint256 private constant MAX_QUOTE = 8_192;

    /// @dev The last host proof of each device id.
    mapping(bytes32 deviceId => Host) private _hosts;
    /// @dev First second in which host proofs with a status no longer count; 0 = never accepted.
    mapping(TcbStatus status => uint40) private _statusUntil;
    /// @dev Advisories with which no new host proof is accepted.
    mapping(bytes32 advisory => bool) private _denied;
    /// @dev The DAO's rules.
    HostRules private _rules;
    /// @notice The contract that verifies quotes.
    IQuoteVerifier public verifier;
    /// @inheritdoc IHosts
    address public bonds;
    /// @inheritdoc IHosts
    uint32 public continuityDelay;
    /// @dev Operators that the owner named.
    mapping(bytes32 deviceId => address) private _named;
    /// @dev The first id of a host, by each later id. So a chain of any length needs two reads.
    mapping(bytes32 deviceId => bytes32) private _firstId;
    /// @dev The current id of a host, by its first id.
    mapping(bytes32 firstId => bytes32) private _currentIds;
    /// @dev Hosts, by their first id, of which a certificate was shown to be revoked. A later proof does not delete this.
    mapping(bytes32 firstId => bool) private _certificateRevoked;
    /// @dev The previous verifier. Compact quotes can refer to its verification records.
    IQuoteVerifier private _previousVerifier;
    uint256[44] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets owner, verifier, guardian and rules. Accepts the statuses `UpToDate` and `SWHardeningNeeded`.
    /// @dev Once only: reverts with `InvalidInitialization` the second time, `SuspensionOutOfBounds`, `HostRulesInvalid`.
    /// @param suspensionTime how long a suspension lasts, seconds.
    function initialize(
        address initialOwner,
        address initialVerifier,
        address initialGuardian,
        uint40 suspensionTime,
        HostRules calldata initialRules
    ) external initializer {
        __Ownable_init(initialOwner);
        __EIP712_init("Assent Hosts", "1");
        _setVerifier(initialVerifier);
        _setGuardian(initialGuardian, suspensionTime);
        _setRules(initialRules);
        _setStatusAcceptedUntil(TcbStatus.UpToDate, type(uint40).max);
        _setStatusAcceptedUntil(TcbStatus.SWHardeningNeeded, type(uint40).max);
    }

    /* HOST PROOFS */

    /// @inheritdoc IHosts
    function register(bytes calldata quote, uint256 blockNumber) external returns (bytes32 deviceId) {
        return _register(msg.sender, quote, blockNumber);
    }

    /// @inheritdoc IHosts
    function registerFor(
        address operator,
        bytes calldata quote,
        uint256 blockNumber,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 deviceId) {
        bytes32 permit = keccak256(abi.encode(PERMIT, keccak256(quote), blockNumber, deadline));
        _requireSigned(operator, permit, deadline, signature);

        return _register(operator, quote, blockNumber);
    }

    /// @dev Requires an EIP-712 signature of `signer` (EIP-1271 for contracts) that has not expired.
    /// @param content struct hash of the statement.
    function _requireSigned(address signer, bytes32 content, uint256 deadline, bytes calldata signature) private view {
        require(block.timestamp <= deadline, PermitExpired(deadline));
        bytes32 digest = _hashTypedDataV4(content);
        bool signed = SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature);
        require(signed, PermitInvalid(signer));
    }

    /// @dev Verifies the quote, then stores the host proof. In an open registry the first proof of a host also approves
    /// it.
    function _register(address operator, bytes calldata quote, uint256 blockNumber) private returns (bytes32 deviceId) {
        require(quote.length <= MAX_QUOTE, HostQuoteTooLong(quote.length, MAX_QUOTE));
        Report memory report = verifier.verify(quote);
        require(report.isVerified(), HostQuoteRejected(report.verdict));
        deviceId = report.deviceId;
        _requireBound(report, operator, blockNumber);
        _requireNewer(deviceId, operator, blockNumber);
        _requireAcceptable(report);

        if (_rules.isOpen && stateOf(Kind.Host, deviceId) == State.None) _approve(Kind.Host, deviceId, 0, 0, "");
        Host memory host = _toHost(report, operator, blockNumber);
        host.quoteDigest = bytes16(keccak256(quote));
        _hosts[deviceId] = host;

        emit HostProven(deviceId, operator, report.quoteId, host, report.advisories);
    }

    /// @dev The report data must name this chain, this registry, the operator and a recent block. So a quote cannot be
    /// used by another operator, and an old one not at all.
    function _requireBound(Report memory report, address operator, uint256 blockNumber) private view {
        bool recent = blockNumber < block.number && block.number - blockNumber <= _rules.window;
        bytes32 blockHash = recent ? RecentBlockHash.get(blockNumber) : bytes32(0);
        require(blockHash != 0, HostBlockUnknown(blockNumber, block.number, _rules.window));

        bytes32 expected = reportDataFor(operator, blockNumber, blockHash);
        (bytes32 found, bytes32 rest) = report.reportData();
        require(found == expected && rest == 0, HostReportDataMismatch(found, expected, rest));
    }

    /// @dev A host belongs to its operator while its proof lasts, or while the owner named that operator. A new proof
    /// must be from a later block than the last, so a permit works once. It must not be from before the last approval of a host
    /// that was approved again: an operator could keep a quote from before the withdrawal.
    function _requireNewer(bytes32 deviceId, address operator, uint256 blockNumber) private view {
        Host storage known = _hosts[deviceId];
        address named = _named[deviceId];
        bool unowned = known.operator == address(0) || block.timestamp >= known.expiresAt;
        bool mayProve = named == address(0) ? unowned || operator == known.operator : operator == named;
        require(mayProve, HostOwnedByOtherOperator(deviceId, known.operator));
        // also after the DAO removed the operator: an older quote, or a used permit, never counts again
        require(blockNumber > known.provenAtBlock, HostProofNotNewer(deviceId, blockNumber, known.provenAtBlock));
        uint256 approvedIn = approvedInBlock(Kind.Host, deviceId);
        require(blockNumber >= approvedIn, HostProofBeforeApproval(deviceId, blockNumber, approvedIn));
    }

    /// @dev Requires a TD that nobody can debug or migrate, an accepted status, a new enough evaluation number and no
    /// denied advisory.
    function _requireAcceptable(Report memory report) private view {
        PolicyLib.requireIsolatedTd(report);
        uint40 until = _statusUntil[report.status];
        require(block.timestamp < until, HostStatusRefused(report.status, until));
        uint32 number = _lower(report.tcbEvaluationNumber, report.qeEvaluationNumber);
        uint32 minimum = _rules.minEvaluationNumber;
        require(number >= minimum, HostEvaluationNumberTooLow(number, minimum));
        for (uint256 i = 0; i < report.advisories.length; i++) {
            require(!_denied[report.advisories[i]], HostAdvisoryDenied(report.advisories[i]));
        }
    }

    /// @dev The host proof as it is stored. `quoteDigest` is added by the caller.
    function _toHost(Report memory report, address operator, uint256 blockNumber) private view returns (Host memory) {
        return
            Host({
                operator: operator,
                attestedAt: uint40(block.timestamp),
                expiresAt: _expiryOf(report),
                status: report.status,
                fmspc: report.fmspc,
                tcbEvaluationNumber: report.tcbEvaluationNumber,
                qeEvaluationNumber: report.qeEvaluationNumber,
                approvalVersion: approvalOf(Kind.Host, report.deviceId).version(),
                tcbDate: uint40(report.tcbDate),
                provenAtBlock: uint48(blockNumber),
                advisories: keccak256(abi.encodePacked(report.advisories)),
                platformInstanceId: report.platformInstanceId,
                quoteDigest: 0
            });
    }

    /// @dev The end of the collateral, within the bounds of the rules.
    function _expiryOf(Report memory report) private view returns (uint40) {
        uint256 earliest = block.timestamp + _rules.minLifetime;
        uint256 latest = block.timestamp + _rules.maxLifetime;
        uint256 end = report.expiresAt < earliest ? earliest : report.expiresAt;
        if (end > latest) end = latest;
        require(end > block.timestamp, HostProofExpired(end));
        return uint40(end);
    }

    /// @dev The smaller number.
    function _lower(uint32 a, uint32 b) private pure returns (uint32) {
        return a < b ? a : b;
    }

    /// @inheritdoc IHosts
    function endProof(bytes32 deviceId, bytes calldata quote) external {
        Host storage host = _hosts[deviceId];
        bool known = host.expiresAt != 0 && bytes16(keccak256(quote)) == host.quoteDigest;
        require(known, HostQuoteUnknown(deviceId));
        Report memory report = _verifyForEnd(verifier, quote);
        // the quote was registered, so its record exists in the previous verifier
        if (report.verdict == Verdict.RecordUnknown && address(_previousVerifier) != address(0)) {
            report = _verifyForEnd(_previousVerifier, quote);
        }
        bytes32 first = _firstOf(deviceId);
        bool revokes = _isRevoked(report.verdict) && !_certificateRevoked[first];
        // a revocation can also be shown after the proof has expired: it stops continuity
        bool isCurrent = block.timestamp < host.expiresAt;
        require(isCurrent || revokes, HostProofExpired(host.expiresAt));
        require(_endsProof(report), HostProofStillValid(deviceId, report.verdict, report.status));

        if (isCurrent) host.expiresAt = uint40(block.timestamp);
        if (revokes) _certificateRevoked[first] = true;

        emit HostProofEnded(deviceId, report.verdict, report.status);
    }

    /// @dev First with the settled evaluation number, and with the current one only if that ends the proof. So a new
    /// number ends no host proof in its first week.
    function _verifyForEnd(IQuoteVerifier verifier_, bytes calldata quote) private view returns (Report memory report) {
        report = verifier_.verifyUnder(quote, verifier_.settledEvaluationNumber());
        if (_endsProof(report)) report = verifier_.verify(quote);
    }

    /// @dev Whether the proof of this quote can be ended: newer collateral cannot make the quote valid again, or the DAO no
    /// longer accepts its status. Expired collateral is not enough: the proof has its own end for that.
    function _endsProof(Report memory report) private view returns (bool) {
        if (report.isVerified()) return block.timestamp >= _statusUntil[report.status];
        return
            report.verdict == Verdict.LeafRevoked ||
            report.verdict == Verdict.CaRevoked ||
            report.verdict == Verdict.LeafNotInForce ||
            report.verdict == Verdict.TcbRevoked;
    }

    /// @dev Whether the certificate of the quote is revoked. Then the approval cannot be carried over to another id.
    function _isRevoked(Verdict verdict) private pure returns (bool) {
        return verdict == Verdict.LeafRevoked || verdict == Verdict.CaRevoked;
    }

    /* CONTINUITY */

    /// @inheritdoc IHosts
    function continueAs(bytes32 from, bytes32 to, uint256 deadline, bytes calldata signature) external {
        address operator = _hosts[from].operator;
        require(continuityDelay != 0, HostContinuityClosed());
        _requireSigned(operator, keccak256(abi.encode(CONTINUITY, from, to, deadline)), deadline, signature);
        bytes32 first = _firstOf(from);
        require(!_certificateRevoked[first], HostCertificateRevoked(first));
        require(!_certificateRevoked[to], HostCertificateRevoked(to));
        _requireContinuous(from, to);
        uint40 until = approvalOf(Kind.Host, from).expiresAt();

        (_firstId[to], _currentIds[first]) = (first, to);
        if (_named[from] != address(0)) _setOperator(to, operator);
        _remove(Kind.Host, from);
        _approve(Kind.Host, to, uint40(block.timestamp) + continuityDelay, until, abi.encode(from, signature));

        emit HostContinued(from, to, operator);
    }

    /// @dev The id with which a host began.
    function _firstOf(bytes32 deviceId) private view returns (bytes32) {
        bytes32 first = _firstId[deviceId];
        return first == 0 ? deviceId : first;
    }

    /// @dev The operator and, as far as quotes show, the platform must be the same. The new id must be proven later. No
    /// decision of the DAO or the guardian about one of the ids may be undone.
    function _requireContinuous(bytes32 from, bytes32 to) private view {
        Host storage old = _hosts[from];
        Host storage next = _hosts[to];
        bool sameOperator = next.operator == old.operator;
        bool samePlatform =
            next.fmspc == old.fmspc &&
                (old.platformInstanceId == 0 || next.platformInstanceId == old.platformInstanceId);
        bool proven = block.timestamp < next.expiresAt && next.provenAtBlock > old.provenAtBlock;
        bool undecided =
            _isActive(Kind.Host, from) &&
                _isProvenUnder(old.approvalVersion, approvalOf(Kind.Host, from).version()) &&
                stateOf(Kind.Host, to) == State.None;
        require(
            sameOperator && samePlatform && proven && undecided,
            HostContinuityInvalid(sameOperator, samePlatform, proven, undecided)
        );
    }

    /* ADMISSION */

    /// @inheritdoc IHostAdmission
    function admission(bytes32 deviceId) external view returns (bool isAdmitted, uint40 validUntil) {
        Host storage host = _hosts[deviceId];
        Approval approval = approvalOf(Kind.Host, deviceId);
        uint40 statusUntil = _statusUntil[host.status];

        isAdmitted =
            block.timestamp < host.expiresAt &&
            host.attestedAt >= _rules.attestedSince &&
            block.timestamp < statusUntil &&
            approval.isActiveAt(block.timestamp) &&
            _isProvenUnder(host.approvalVersion, approval.version()) &&
            (bonds == address(0) || IBonded(bonds).isBonded(deviceId, host.operator));
        if (!isAdmitted) return (false, 0);

        validUntil = host.expiresAt < statusUntil ? host.expiresAt : statusUntil;
        uint40 approvedUntil = approval.expiresAt();
        if (approvedUntil != 0 && approvedUntil < validUntil) validUntil = approvedUntil;
    }

    /// @dev A host proof from before the first approval counts. One from before a withdrawal does not count again.
    function _isProvenUnder(uint32 proven, uint32 version) private pure returns (bool) {
        return proven == version || (proven == 0 && version == 1);
    }

    /* VIEWS */

    /// @inheritdoc IHosts
    function reportDataFor(address operator, uint256 blockNumber, bytes32 blockHash) public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, block.chainid, address(this), operator, blockNumber, blockHash));
    }

    /// @inheritdoc IHosts
    function hostOf(bytes32 deviceId) external view returns (Host memory) {
        return _hosts[deviceId];
    }

    /// @inheritdoc IHosts
    function namedOperatorOf(bytes32 deviceId) external view returns (address) {
        return _named[deviceId];
    }

    /// @inheritdoc IHosts
    function currentIdOf(bytes32 deviceId) public view returns (bytes32) {
        bytes32 last = _currentIds[_firstOf(deviceId)];
        return last == 0 ? deviceId : last;
    }

    /// @inheritdoc IHosts
    function rules() external view returns (HostRules memory) {
        return _rules;
    }

    /// @inheritdoc IHosts
    function statusAcceptedUntil(TcbStatus status) external view returns (uint40) {
        return _statusUntil[status];
    }

    /// @inheritdoc IHosts
    function isAdvisoryDenied(bytes32 advisory) external view returns (bool) {
        return _denied[advisory];
    }

    /// @notice Seconds from an approval of a host to its earliest start.
    function activationDelay(Kind kind) public view override returns (uint256) {
        return kind == Kind.Host ? _rules.activationDelay : 0;
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IHosts
    function setOperator(bytes32 deviceId, address operator, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        _setOperator(deviceId, operator);
        bytes32 current = currentIdOf(deviceId);
        if (current != deviceId) _setOperator(current, operator);
    }

    /// @dev Names the operator of a device id.
    function _setOperator(bytes32 deviceId, address operator) private {
        _hosts[deviceId].operator = operator;
        _named[deviceId] = operator;

        emit OperatorSet(deviceId, operator);
    }

    /// @inheritdoc IHosts
    function setRules(HostRules calldata newRules, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        _setRules(newRules);
    }

    /// @dev Checks and stores the rules.
    function _setRules(HostRules calldata newRules) private {
        bool lifetimes = newRules.minLifetime <= newRules.maxLifetime && newRules.maxLifetime != 0;
        bool window = newRules.window != 0 && newRules.window <= RecentBlockHash.HISTORY;
        require(lifetimes && window, HostRulesInvalid());

        _rules = newRules;

        emit RulesSet(newRules);
    }

    /// @inheritdoc IHosts
    function setStatusAcceptedUntil(TcbStatus status, uint40 until, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        _setStatusAcceptedUntil(status, until);
    }

    /// @dev `None` and `Revoked` can never be accepted.
    function _setStatusAcceptedUntil(TcbStatus status, uint40 until) private {
        require(status != TcbStatus.None && status != TcbStatus.Revoked, HostRulesInvalid());

        _statusUntil[status] = until;

        emit StatusAcceptedUntilSet(status, until);
    }

    /// @inheritdoc IHosts
    function setAdvisoriesDenied(bytes32[] calldata advisories, bool isDenied, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        for (uint256 i = 0; i < advisories.length; i++) {
            _denied[advisories[i]] = isDenied;
            emit AdvisoryDenied(advisories[i], isDenied);
        }
    }

    /// @inheritdoc IHosts
    function setVerifier(address newVerifier, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        _setVerifier(newVerifier);
    }

    /// @dev Stores the verifier. Does not check that the address is one: `assent deployment check` does.
    function _setVerifier(address newVerifier) private {
        if (newVerifier != address(verifier)) _previousVerifier = verifier;
        verifier = IQuoteVerifier(newVerifier);

        emit VerifierSet(newVerifier);
    }

    /// @inheritdoc IHosts
    function setBonds(address newBonds, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        bonds = newBonds;

        emit BondsSet(newBonds);
    }

    /// @inheritdoc IHosts
    function setContinuityDelay(uint32 delay, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        continuityDelay = delay;

        emit ContinuityDelaySet(delay);
    }

    /* RULES OF THIS REGISTRY */

    /// @dev Hosts only.
    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.Host;
    }

    /// @dev So a denial of any earlier id also denies the current one.
    function _currentId(Kind, bytes32 id) internal view override returns (bytes32) {
        return currentIdOf(id);
    }

    /// @dev The owner approved an id that the host had before: the host moves back to it. So one host has one approved id.
    function _afterDecision(Kind, bytes32 id, bool enabled) internal override {
        bytes32 current = enabled ? currentIdOf(id) : id;
        if (current == id) return;

        _currentIds[_firstOf(id)] = id;
        _remove(Kind.Host, current);

        emit HostContinued(current, id, _hosts[id].operator);
    }
}

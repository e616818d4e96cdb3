// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IQuoteVerifier} from "../quote/IQuoteVerifier.sol";
import {Kind} from "../types/Kind.sol";
import {Policy, PolicyLib} from "../types/Policy.sol";
import {Report} from "../types/Report.sol";
import {ApprovalRegistry} from "./ApprovalRegistry.sol";
import {IHostAdmission} from "./IHosts.sol";
import {IKmsApprovals, IRootKeys} from "./IRootKeys.sol";
import {KmsMeasurement} from "./KmsMeasurement.sol";
import {RenounceableUpgrades} from "./RenounceableUpgrades.sol";

/// @notice The registry of root keys: each pair is proven with the quote of its bootstrap and serves one epoch.
contract RootKeys is IRootKeys, ApprovalRegistry, RenounceableUpgrades {
    /// @dev SubjectPublicKeyInfo of a P-256 key in DER.
    uint256 private constant CA_LENGTH = 91;
    /// @dev Compressed secp256k1 key.
    uint256 private constant K256_LENGTH = 33;

    /// @inheritdoc IRootKeys
    /// @dev In one slot with the counters of the registry.
    uint32 public currentEpoch;
    /// @dev How each pair of keys was proven.
    mapping(bytes32 id => Proof) private _proofs;
    /// @inheritdoc IRootKeys
    mapping(uint32 epoch => bytes32) public keyOf;
    /// @notice The contract that verifies quotes.
    IQuoteVerifier public verifier;
    /// @notice The KmsAuth that says which KMS nodes are allowed.
    IKmsApprovals public kmsAuth;
    uint256[50] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets owner, verifier, KmsAuth and guardian. Once only: reverts with `InvalidInitialization`.
    /// @param suspensionTime how long a suspension lasts, seconds.
    function initialize(
        address initialOwner,
        address initialVerifier,
        address kmsAuth_,
        address initialGuardian,
        uint40 suspensionTime
    ) external initializer {
        __Ownable_init(initialOwner);
        _setVerifier(initialVerifier);
        kmsAuth = IKmsApprovals(kmsAuth_);
        _setGuardian(initialGuardian, suspensionTime);

        emit KmsAuthSet(kmsAuth_);
    }

    /// @inheritdoc IRootKeys
    function prove(
        bytes calldata quote,
        bytes calldata caPublicKey,
        bytes calldata k256PublicKey
    ) external returns (bytes32 id) {
        id = idOf(caPublicKey, k256PublicKey);
        if (_proofs[id].provenAt != 0) return id;
        Report memory report = verifier.verify(quote);
        require(report.isVerified(), RootKeyQuoteRejected(report.verdict));
        _requireCommitment(report, commitmentTo(caPublicKey, k256PublicKey));
        Proof memory proof = _requireApproved(report);

        _proofs[id] = proof;

        emit RootKeyProven(id, report.quoteId, proof, caPublicKey, k256PublicKey);
    }

    /// @dev The first half of the report data must be the commitment to both keys, and the second half zero.
    function _requireCommitment(Report memory report, bytes32 expected) private pure {
        (bytes32 found, bytes32 rest) = report.reportData();
        require(found == expected && rest == 0, RootKeyCommitmentMismatch(found, expected, rest));
    }

    /// @dev The conditions of `KmsAuth.isKmsAllowed` but for the base image, read from the quote.
    function _requireApproved(Report memory report) private view returns (Proof memory proof) {
        Policy memory policy = PolicyLib.upToDate();
        policy.enforce(report);
        bytes32 measurement = KmsMeasurement.aggregate(report.td);
        require(kmsAuth.kmsAllowedAggregatedMrs(measurement), RootKeyMeasurementNotAllowed(measurement));
        require(kmsAuth.kmsAllowedDeviceIds(report.deviceId), RootKeyDeviceNotAllowed(report.deviceId));
        require(_isHostAdmitted(report.deviceId), RootKeyHostNotAdmitted(report.deviceId));

        return Proof(measurement, report.deviceId, uint40(block.timestamp), report.status, 0);
    }

    /// @dev Asks the host registry of KmsAuth, if it has one.
    function _isHostAdmitted(bytes32 deviceId) private view returns (bool isAdmitted) {
        address hosts = kmsAuth.hosts();
        if (hosts == address(0)) return true;
        (isAdmitted, ) = IHostAdmission(hosts).admission(deviceId);
    }

    /* VIEWS */

    /// @inheritdoc IRootKeys
    function idOf(bytes calldata caPublicKey, bytes calldata k256PublicKey) public pure returns (bytes32) {
        bool wellFormed = caPublicKey.length == CA_LENGTH && k256PublicKey.length == K256_LENGTH;
        require(wellFormed, RootKeyMalformed(caPublicKey.length, k256PublicKey.length));
        return keccak256(bytes.concat(caPublicKey, k256PublicKey));
    }

    /// @inheritdoc IRootKeys
    function commitmentTo(bytes calldata caPublicKey, bytes calldata k256PublicKey) public pure returns (bytes32) {
        bytes memory message = bytes.concat(
            // dstack's spelling; its KMS hashes exactly this
            "dstack-kms-genereted-keys-v1:",
            _hex(caPublicKey),
            ";",
            _hex(k256PublicKey),
            ";"
        );
        return keccak256(message);
    }

    /// @inheritdoc IRootKeys
    function proofOf(bytes32 id) external view returns (Proof memory) {
        return _proofs[id];
    }

    /// @notice Root keys have no activation delay: an approval opens their epoch at once.
    function activationDelay(Kind) public pure override returns (uint256) {
        return 0;
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IRootKeys
    function setVerifier(address newVerifier, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        _setVerifier(newVerifier);
    }

    /// @dev Stores the verifier.
    function _setVerifier(address newVerifier) private {
        verifier = IQuoteVerifier(newVerifier);

        emit VerifierSet(newVerifier);
    }

    /* RULES OF THIS REGISTRY */

    /// @dev Root keys only.
    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.RootKey;
    }

    /// @dev The first approval opens an epoch, and needs a proof. Later versions keep the epoch.
    function _afterDecision(Kind, bytes32 id, bool enabled) internal override {
        Proof storage proof = _proofs[id];
        if (!enabled || proof.epoch != 0) return;
        require(proof.provenAt != 0, RootKeyNotProven(id));

        currentEpoch++;
        proof.epoch = currentEpoch;
        keyOf[currentEpoch] = id;

        emit EpochOpened(currentEpoch, id);
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

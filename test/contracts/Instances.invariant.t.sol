// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IInstances} from "../../contracts/instances/IInstances.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TcbStatus} from "../../contracts/types/Report.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {InstancesFixture} from "./InstancesFixture.sol";
import {Log, Test} from "./Vm.sol";

/// @notice Random histories: keys are proven in both ways, old proofs are sent again, approvals end and return, time passes.
contract InstanceHistory is InstancesFixture {
    uint256 public constant KEYS = 4;
    uint256 private constant GROUNDS = 7;

    /// @dev What was true when a key was proven last; nothing of it is read from `Instances`.
    struct Ghost {
        bool isProven;
        bool byQuote;
        bool isEnded;
        uint256 provenAt;
        uint256 provenAtBlock;
        uint256 expiresAt;
        uint32[GROUNDS] versions;
    }

    /// @notice First rule that was broken, empty as long as none is.
    string public broken;
    /// @notice How often a key was live when it was looked at.
    uint256 public lived;
    mapping(uint256 key => Ghost) private _ghosts;
    mapping(uint256 ground => mapping(uint32 version => uint256)) private _approvedAt;
    mapping(uint256 ground => mapping(uint32 version => uint256)) private _approvedIn;
    mapping(address key => IInstances.Record) private _rebuilt;
    IInstances.QuoteProof[] private _quotes;
    IInstances.ChainProof[] private _statements;

    function begin() external {
        setUp();
        for (uint256 i = 0; i < GROUNDS; i++) _approvedAt[i][1] = 1;
        vm.recordLogs();
    }

    function keyAt(uint256 i) public pure returns (uint256) {
        return INSTANCE_KEY + (i % KEYS);
    }

    /* WHAT HAPPENS */

    function step(uint256 seed) external {
        uint256 key = keyAt(seed >> 8);
        uint256 which = seed % 12;
        if (which <= 1) _proveByQuote(key);
        else if (which == 2) _proveByKeyChain(key, (seed >> 16) % 4 != 0);
        else if (which == 3) _sendAgain(seed >> 16);
        else if (which <= 5) _decide(seed >> 16);
        else if (which <= 7) _approveEverything();
        else if (which == 8) _end(key, seed >> 16);
        else if (which == 9) _tryOthers(key, seed >> 16);
        else _pass((seed >> 16) % 8 == 0 ? 12 days : 1 hours);
        _take();
    }

    function _proveByQuote(uint256 key) private {
        _pass(1);
        IInstances.QuoteProof memory proof = _quoteProof(_quote(key, number - 1), key, number - 1);
        // a quote that was refused once may be accepted later
        if (_sendQuote(key, proof, vm.getBlockTimestamp() + 20 days)) _quotes.push(proof);
    }

    function _sendQuote(uint256 key, IInstances.QuoteProof memory proof, uint256 until) private returns (bool done) {
        (done, ) = address(instances).call(abi.encodeCall(instances.register, (proof)));
        if (done) _note(key, true, proof.blockNumber, until);
    }

    /// @param isSent false: somebody keeps the statement, and may send it later.
    function _proveByKeyChain(uint256 key, bool isSent) private {
        _pass(1);
        IInstances.ChainProof memory proof = _chainProof(key, COMPOSE, 1);
        _statements.push(proof);
        if (isSent) _sendStatement(key, proof);
    }

    function _sendStatement(uint256 key, IInstances.ChainProof memory proof) private {
        (bool done, ) = address(instances).call(abi.encodeCall(instances.registerIssued, (proof)));
        if (done) _note(key, false, proof.blockNumber, vm.getBlockTimestamp() + 30 days);
    }

    /// @dev Anyone has every proof that was ever sent.
    function _sendAgain(uint256 seed) private {
        if (seed % 2 == 0 && _quotes.length != 0) {
            IInstances.QuoteProof memory proof = _quotes[(seed >> 8) % _quotes.length];
            _sendQuote(_keyOf(proof.key), proof, 0);
        } else if (_statements.length != 0) {
            IInstances.ChainProof memory proof = _statements[(seed >> 8) % _statements.length];
            _sendStatement(_keyOf(proof.key), proof);
        }
    }

    function _keyOf(address key) private pure returns (uint256) {
        for (uint256 i = 0; i < KEYS; i++) if (vm.addr(keyAt(i)) == key) return keyAt(i);
        return 0;
    }

    function _note(uint256 key, bool byQuote, uint256 atBlock, uint256 until) private {
        Ghost storage ghost = _ghosts[key];
        if (ghost.isEnded) _break("an ended key came back");
        if (ghost.isProven && atBlock <= ghost.provenAtBlock) _break("an old proof replaced a record");
        if (until == 0) _break("a quote that was sent before was accepted");
        (ghost.isProven, ghost.byQuote) = (true, byQuote);
        (ghost.provenAt, ghost.provenAtBlock, ghost.expiresAt) = (vm.getBlockTimestamp(), atBlock, until);
        for (uint256 i = 0; i < GROUNDS; i++) ghost.versions[i] = _versionOf(i);
    }

    function _ground(
        uint256 i
    ) private view returns (address decider, IApprovalRegistry registry, Kind kind, bytes32 id) {
        if (i == 0) return (DAO, kms, Kind.App, _key(address(app)));
        if (i == 1) return (DAO, keys, Kind.RootKey, rootKey);
        if (i == 2) return (OWNER, app, Kind.Release, COMPOSE);
        if (i == 3) return (DAO, kms, Kind.OsImage, IMAGE);
        if (i == 4) return (DAO, images, Kind.Measurements, images.idOf(IMAGE, TeeVariant.Tdx, sha256(new bytes(224))));
        if (i == 5) return (DAO, hosts, Kind.Host, DEVICE);
        return (OWNER, app, Kind.Device, DEVICE);
    }

    function _versionOf(uint256 i) private view returns (uint32) {
        (, IApprovalRegistry registry, Kind kind, bytes32 id) = _ground(i);
        return registry.approvalOf(kind, id).version();
    }

    function _decide(uint256 seed) private {
        // a host can lose its admission while its approval is active
        if ((seed >> 32) % 4 == 0) return _acceptUpToDateUntil(0);
        (address decider, IApprovalRegistry registry, Kind kind, bytes32 id) = _ground((seed >> 8) % GROUNDS);
        bytes memory call = abi.encodeCall(registry.withdraw, (kind, _ids(id)));
        if (seed % 4 == 1) call = abi.encodeCall(registry.suspend, (kind, _ids(id)));
        uint40 soon = uint40(vm.getBlockTimestamp() + 2 hours);
        if (seed % 4 == 2) call = abi.encodeCall(registry.shorten, (kind, _ids(id), soon));
        vm.prank(decider);
        (bool done, ) = address(registry).call(call);
        done;
    }

    function _acceptUpToDateUntil(uint40 until) private {
        vm.prank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.UpToDate, until, NEVER);
    }

    function _approveEverything() private {
        _acceptUpToDateUntil(NEVER);
        for (uint256 i = 0; i < GROUNDS; i++) {
            (address decider, IApprovalRegistry registry, Kind kind, bytes32 id) = _ground(i);
            State state = registry.stateOf(kind, id);
            if (state == State.Active) continue;
            vm.startPrank(decider);
            if (state == State.Suspended) registry.lift(kind, _ids(id), NEVER);
            else registry.approve(_terms(kind, id), NEVER);
            vm.stopPrank();
            if (_approvedAt[i][_versionOf(i)] != 0) continue;
            _approvedAt[i][_versionOf(i)] = vm.getBlockTimestamp();
            _approvedIn[i][_versionOf(i)] = number;
        }
        _pass(1);
        _proveHost();
    }

    function _end(uint256 key, uint256 seed) private {
        // rarely, else all keys are ended soon
        if (seed % 8 != 0) return;
        vm.prank(seed % 16 == 0 ? OWNER : vm.addr(key));
        (bool done, ) = address(instances).call(abi.encodeCall(instances.end, (vm.addr(key))));
        if (done) _ghosts[key].isEnded = true;
    }

    /// @dev A stranger ends a key, claims it without having it, or sends a statement that the KMS did not make.
    function _tryOthers(uint256 key, uint256 seed) private {
        bool done;
        if (seed % 3 == 0) {
            vm.prank(seed % 2 == 0 ? STRANGER : GUARDIAN);
            (done, ) = address(instances).call(abi.encodeCall(instances.end, (vm.addr(key))));
        } else if (seed % 3 == 1) {
            IInstances.QuoteProof memory proof = _quoteProof(_quote(key, number - 1), key, number - 1);
            proof.possession = _sign(SIGNER_KEY, _binding(key, number - 1));
            (done, ) = address(instances).call(abi.encodeCall(instances.register, (proof)));
        } else {
            IInstances.ChainProof memory proof = _chainProof(key, COMPOSE, 1);
            proof.link = _sign(SIGNER_KEY, instances.signerDigest(address(app), 1, vm.addr(SIGNER_KEY)));
            (done, ) = address(instances).call(abi.encodeCall(instances.registerIssued, (proof)));
        }
        if (done) _break("a stranger changed a record");
    }

    /* WHAT MUST HOLD */

    function _break(string memory rule) private {
        if (bytes(broken).length == 0) broken = rule;
    }

    /// @dev The state of all keys, rebuilt from events alone.
    function _take() private {
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].emitter != address(instances)) continue;
            address key = address(uint160(uint256(logs[i].topics[1])));
            if (logs[i].topics[0] == IInstances.InstanceEnded.selector) _rebuilt[key].isEnded = true;
            if (logs[i].topics[0] != IInstances.InstanceRegistered.selector) continue;
            (_rebuilt[key], ) = abi.decode(logs[i].data, (IInstances.Record, bytes32));
        }
    }

    /// @notice Whether a key may be live: proven, not ended, and each approval active in the version under which it was proven
    /// and to whose block the proof commits at the earliest.
    function mayLive(uint256 key) public view returns (bool) {
        Ghost storage ghost = _ghosts[key];
        if (!ghost.isProven || ghost.isEnded || vm.getBlockTimestamp() >= ghost.expiresAt) return false;
        uint256 grounds = ghost.byQuote ? GROUNDS : 3;
        for (uint256 i = 0; i < grounds; i++) {
            (, IApprovalRegistry registry, Kind kind, bytes32 id) = _ground(i);
            uint32 version = ghost.versions[i];
            if (registry.stateOf(kind, id) != State.Active || _versionOf(i) != version) return false;
            if (_approvedAt[i][version] >= ghost.provenAt || _approvedIn[i][version] > ghost.provenAtBlock)
                return false;
        }
        (bool isAdmitted, ) = hosts.admission(DEVICE);
        return isAdmitted || !ghost.byQuote;
    }

    function check() external returns (string memory) {
        for (uint256 i = 0; i < KEYS; i++) {
            uint256 key = keyAt(i);
            (IInstances.Record memory record, IInstances.Standing standing) = instances.instanceOf(vm.addr(key));
            bool isLive = standing == IInstances.Standing.Live;
            if (isLive) lived++;
            if (isLive != mayLive(key)) _break(isLive ? "a key is live without its approvals" : "a live key is denied");
            if (instances.isFrom(address(app), DIGEST, _sign(key, DIGEST)) != isLive) _break("isFrom differs");
            if (keccak256(abi.encode(record)) != keccak256(abi.encode(_rebuilt[vm.addr(key)]))) _break("events");
        }
        return broken;
    }
}

/// @notice Lets the runner choose the seed of each step and nothing else.
contract InstanceSteps {
    InstanceHistory private immutable _history;

    constructor(InstanceHistory history) {
        _history = history;
    }

    function step(uint256 seed) external {
        _history.step(seed);
        _history.check();
    }
}

/// @notice Short histories; runs and depth are in hardhat.config.ts.
contract InstancesInvariantTest is Test {
    InstanceHistory private history;
    InstanceSteps private steps;

    function setUp() public {
        history = new InstanceHistory();
        history.begin();
        steps = new InstanceSteps(history);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(steps);
    }

    function invariant_LiveKeysAreProvenAndApproved() external view {
        assertEq(history.broken(), "", "broken");
    }

    /// @dev Else the rule above would have had nothing to say.
    function test_KeysAreLiveInAHistory() external {
        uint256 seed = 7;
        for (uint256 i = 0; i < 200; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            steps.step(seed);
        }
        assertEq(history.broken(), "", "broken");
        assertTrue(history.lived() >= 20, vm.toString(history.lived()));
    }
}

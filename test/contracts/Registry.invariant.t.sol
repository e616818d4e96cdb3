// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {Approval, State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {KmsAuth} from "../../contracts/auth/KmsAuth.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";
import {Log, Test, Vm} from "./Vm.sol";

/// @notice Does anything a DAO, a guardian or anyone could, with few ids so that histories collide, and remembers
/// beside the registry what must be true.
contract Actors is Test {
    KmsAuth private immutable _kms;
    address private immutable _dao;
    address private immutable _guardian;

    uint256 public constant IDS = 2;

    /// @notice Ids once revoked, by key.
    mapping(bytes32 => bool) public wasRevoked;
    /// @notice Highest version ever seen, by key.
    mapping(bytes32 => uint256) public highestVersion;
    /// @notice The last word in an event, by key.
    mapping(bytes32 => uint256) public emitted;
    /// @notice Set when something was approved and its version was not the next one.
    bool public versionRepeated;
    /// @notice Set when a call of the guardian made something active that was not.
    bool public guardianAllowed;
    /// @notice How often each kind of thing was really done.
    mapping(bytes4 => uint256) public done;

    constructor(KmsAuth kms, address dao, address guardian) {
        _kms = kms;
        _dao = dao;
        _guardian = guardian;
    }

    function kindAt(uint256 seed) public pure returns (Kind) {
        return Kind(uint8(bound(seed, 0, 2)));
    }

    function idAt(uint256 seed) public pure returns (bytes32) {
        return bytes32(bound(seed, 1, IDS));
    }

    function keyOf(Kind kind, bytes32 id) public pure returns (bytes32) {
        return keccak256(abi.encode(kind, id));
    }

    /* WHAT HAPPENS */

    function pass(uint256 seed) external {
        vm.warp(vm.getBlockTimestamp() + bound(seed, 1, 3 days));
    }

    function approve(uint256 kind, uint256 id, uint256 from, uint256 until) external {
        uint256 time = vm.getBlockTimestamp();
        IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms({
            kind: kindAt(kind),
            id: idAt(id),
            activeFrom: from % 2 == 0 ? 0 : uint40(time + bound(from, 0, 5 days)),
            expiresAt: until % 3 == 0 ? 0 : uint40(time + bound(until, 1, 10 days)),
            evidence: until % 2 == 0 ? bytes("") : abi.encode(from)
        });
        _act(_dao, terms[0].kind, terms[0].id, abi.encodeCall(_kms.approve, (terms, type(uint40).max)));
    }

    function extend(uint256 kind, uint256 id, uint256 until) external {
        uint40 end = until % 4 == 0 ? 0 : uint40(vm.getBlockTimestamp() + bound(until, 1, 30 days));
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        _act(_dao, k, i, abi.encodeCall(_kms.extend, (k, _ids(i), end, type(uint40).max)));
    }

    function shorten(uint256 kind, uint256 id, uint256 until) external {
        uint40 end = uint40(vm.getBlockTimestamp() + bound(until, 1, 5 days));
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        _act(_dao, k, i, abi.encodeCall(_kms.shorten, (k, _ids(i), end)));
    }

    function withdraw(uint256 kind, uint256 id) external {
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        _act(_dao, k, i, abi.encodeCall(_kms.withdraw, (k, _ids(i))));
    }

    function revoke(uint256 kind, uint256 id, uint256 rarely) external {
        if (rarely % 8 != 0) return;
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        _act(_dao, k, i, abi.encodeCall(_kms.revoke, (k, _ids(i))));
    }

    function lift(uint256 kind, uint256 id) external {
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        _act(_dao, k, i, abi.encodeCall(_kms.lift, (k, _ids(i), type(uint40).max)));
    }

    function suspend(uint256 kind, uint256 id, bool byGuardian) external {
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        _act(byGuardian ? _guardian : _dao, k, i, abi.encodeCall(_kms.suspend, (k, _ids(i))));
    }

    function dstackAdd(uint256 kind, uint256 id) external {
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        bytes4[3] memory adds = [
            _kms.addOsImageHash.selector,
            _kms.addKmsAggregatedMr.selector,
            _kms.addKmsDevice.selector
        ];
        _act(_dao, k, i, abi.encodeWithSelector(adds[uint8(k)], i));
    }

    function dstackRemove(uint256 kind, uint256 id) external {
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        bytes4[3] memory removes = [
            _kms.removeOsImageHash.selector,
            _kms.removeKmsAggregatedMr.selector,
            _kms.removeKmsDevice.selector
        ];
        _act(_dao, k, i, abi.encodeWithSelector(removes[uint8(k)], i));
    }

    /// @notice The guardian and strangers try every function there is, with arguments that would suit the owner.
    function tryAnything(uint256 kind, uint256 id, address stranger) external {
        if (stranger == _dao) return;
        Kind k = kindAt(kind);
        bytes32 i = idAt(id);
        IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms(k, i, 0, 0, "");
        bytes[6] memory calls = [
            abi.encodeCall(_kms.approve, (terms, type(uint40).max)),
            abi.encodeCall(_kms.lift, (k, _ids(i), type(uint40).max)),
            abi.encodeCall(_kms.extend, (k, _ids(i), 0, type(uint40).max)),
            abi.encodeCall(_kms.setGuardian, (stranger, 1 days, type(uint40).max)),
            abi.encodeCall(_kms.addOsImageHash, (i)),
            abi.encodeCall(_kms.suspend, (k, _ids(i)))
        ];
        for (uint256 which = 0; which < calls.length; which++) {
            _act(which % 2 == 0 ? _guardian : stranger, k, i, calls[which]);
        }
    }

    /* THE HISTORY */

    function _act(address sender, Kind kind, bytes32 id, bytes memory call) private {
        State before = _kms.stateOf(kind, id);
        bool wasActive = before == State.Active;
        uint256 opens = wasActive || before == State.Pending || before == State.Suspended ? 0 : 1;
        vm.recordLogs();
        vm.prank(sender);
        (bool success, ) = address(_kms).call(call);
        Log[] memory logs = vm.getRecordedLogs();
        if (!success) return;

        done[bytes4(call)]++;
        _remember(logs);
        bytes32 key = keyOf(kind, id);
        Approval word = _kms.approvalOf(kind, id);
        if (word.isRevoked()) wasRevoked[key] = true;
        if (_wasGiven(logs) && word.version() != highestVersion[key] + opens) versionRepeated = true;
        if (word.version() > highestVersion[key]) highestVersion[key] = word.version();
        if (sender != _dao && !wasActive && _kms.stateOf(kind, id) == State.Active) guardianAllowed = true;
    }

    function _remember(Log[] memory logs) private {
        for (uint256 i = 0; i < logs.length; i++) {
            bytes32 topic = logs[i].topics[0];
            bool whole =
                topic == IApprovalRegistry.ApprovalGiven.selector ||
                    topic == IApprovalRegistry.ApprovalChanged.selector;
            if (!whole) continue;
            bytes32 key = keyOf(Kind(uint8(uint256(logs[i].topics[1]))), logs[i].topics[2]);
            emitted[key] = abi.decode(logs[i].data, (uint256));
        }
    }

    function _wasGiven(Log[] memory logs) private pure returns (bool) {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == IApprovalRegistry.ApprovalGiven.selector) return true;
        }
        return false;
    }

    function _ids(bytes32 id) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = id;
    }
}

contract RegistryInvariantTest is KmsAuthFixture {
    Actors private actors;

    function setUp() public override {
        super.setUp();
        actors = new Actors(kms, DAO, GUARDIAN);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actors);
    }

    function invariant_RevokedIdsStayRevoked() external view {
        for (uint256 k = 0; k < 3; k++) {
            for (uint256 i = 1; i <= actors.IDS(); i++) {
                bool revoked = kms.stateOf(Kind(uint8(k)), bytes32(i)) == State.Revoked;
                bytes32 key = actors.keyOf(Kind(uint8(k)), bytes32(i));
                assertTrue(revoked || !actors.wasRevoked(key), "a revoked approval came back");
            }
        }
    }

    function invariant_VersionsNeverDecrease() external view {
        assertTrue(!actors.versionRepeated(), "an approval was not the next version");
        for (uint256 k = 0; k < 3; k++) {
            for (uint256 i = 1; i <= actors.IDS(); i++) {
                uint256 version = kms.approvalOf(Kind(uint8(k)), bytes32(i)).version();
                uint256 highest = actors.highestVersion(actors.keyOf(Kind(uint8(k)), bytes32(i)));
                assertTrue(version >= highest, "an older version came back");
            }
        }
    }

    function invariant_GuardianNeverAllows() external view {
        assertTrue(!actors.guardianAllowed(), "a call of the guardian or a stranger allowed something");
    }

    function invariant_StateCanBeRebuiltFromEvents() external view {
        for (uint256 k = 0; k < 3; k++) {
            for (uint256 i = 1; i <= actors.IDS(); i++) {
                uint256 word = Approval.unwrap(kms.approvalOf(Kind(uint8(k)), bytes32(i)));
                assertEq(word, actors.emitted(actors.keyOf(Kind(uint8(k)), bytes32(i))), "storage differs from events");
            }
        }
    }

    function invariant_ListsContainEveryIdOnceInOrder() external view {
        for (uint256 k = 0; k < 3; k++) {
            (bytes32[] memory ids, Approval[] memory words) = kms.page(Kind(uint8(k)), 0, 100);
            assertEq(ids.length, kms.count(Kind(uint8(k))), "length");
            for (uint256 i = 0; i < ids.length; i++) {
                assertEq(words[i].index(), i + 1, "position");
                assertTrue(words[i].version() != 0 || words[i].isRevoked(), "listed without a decision");
            }
        }
    }

    function invariant_DstackViewsMatchTheState() external view {
        for (uint256 i = 1; i <= actors.IDS(); i++) {
            bytes32 id = bytes32(i);
            assertTrue(kms.allowedOsImages(id) == (kms.stateOf(Kind.OsImage, id) == State.Active), "image");
            assertTrue(
                kms.kmsAllowedAggregatedMrs(id) == (kms.stateOf(Kind.KmsMeasurement, id) == State.Active),
                "measurement"
            );
            assertTrue(kms.kmsAllowedDeviceIds(id) == (kms.stateOf(Kind.KmsDevice, id) == State.Active), "device");
        }
    }
}

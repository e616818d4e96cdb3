// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";

import {IKmsAuth} from "../../contracts/auth/IKmsAuth.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {Approval, State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TcbStatus} from "../../contracts/types/Report.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {IHostBonds} from "../../contracts/registry/IHostBonds.sol";
import {IHosts} from "../../contracts/registry/IHosts.sol";
import {EventReplay} from "./EventReplay.sol";
import {Test} from "./Vm.sol";
import {System} from "./SystemFixture.sol";

/// @notice What is true after any history of all registries together.
abstract contract SystemRules is Test {
    System internal world;
    EventReplay internal mirror;

    function _begin() internal {
        world = new System();
        mirror = world.mirror();
    }

    /// @dev Rules over time, looked after at each step: System.sol.
    function _checkNoRuleIsEverBroken() internal view {
        assertEq(world.broken(), "", "broken");
    }

    function _checkEventsTellTheWholeState() internal view {
        for (uint256 k = 0; k < 9; k++) _assertApprovals(_registryOf(k), Kind(uint8(k)));
        _assertApp();
        _assertHosts();
        _assertRest();
        _assertSettings();
    }

    function _registryOf(uint256 kind) private view returns (IApprovalRegistry) {
        if (kind < 4) return world.kms();
        if (kind < 6) return world.app();
        if (kind == 6) return world.hosts();
        return kind == 7 ? IApprovalRegistry(world.keys()) : IApprovalRegistry(world.images());
    }

    function _assertApprovals(IApprovalRegistry registry, Kind kind) private view {
        address where = address(registry);
        uint256 k = uint256(kind);
        (bytes32[] memory ids, Approval[] memory words) = registry.page(kind, 0, 1000);
        for (uint256 i = 0; i < ids.length; i++) {
            assertEq(ids[i], mirror.listed(where, k, i + 1), "list");
            assertEq(Approval.unwrap(words[i]), mirror.word(where, k, ids[i]), "word");
            assertEq(registry.evidenceOf(kind, ids[i]), mirror.evidence(where, k, ids[i]), "evidence");
        }
        assertEq(mirror.listed(where, k, ids.length + 1), 0, "events tell of more than is listed");
        assertEq(registry.guardian(), mirror.guardian(where), "guardian");
        assertEq(registry.suspension(), mirror.suspension(where), "suspension");
        if (k < 4) assertEq(registry.activationDelay(kind), mirror.delay(where, k), "delay");
    }

    function _assertApp() private view {
        assertTrue(world.app().allowAnyDevice() == mirror.allowAnyDevice(), "any device");
        assertTrue(world.app().requireTcbUpToDate() == mirror.requireTcbUpToDate(), "up to date");
        assertEq(world.app().variants(), mirror.variants(), "variants");
        assertEq(world.app().notice(), mirror.notice(), "notice");
        bytes32[2] memory digests = [
            keccak256(abi.encodeCall(world.app().setAllowAnyDevice, (true))),
            keccak256(abi.encodeCall(world.app().setRequireTcbUpToDate, (false)))
        ];
        for (uint256 i = 0; i < 2; i++) {
            assertEq(world.app().announcedFrom(digests[i]), mirror.announced(digests[i]), "announced");
        }
        bytes32 four = vm.load(address(world.app()), bytes32(uint256(4)));
        bytes32 five = vm.load(address(world.app()), bytes32(uint256(5)));
        assertEq(uint32(uint256(four) >> 184) + 1, mirror.epoch(), "epoch");
        assertEq(uint32(uint256(four) >> 216), mirror.oldest(), "oldest");
        assertEq(uint32(uint256(five)), mirror.nextOldest(), "next oldest");
        assertEq(uint40(uint256(five) >> 32), mirror.endFrom(), "end");
        assertTrue(((uint256(five) >> 72) % 2 == 1) == mirror.endOpenedEpoch(), "opened an epoch");
    }

    function _assertSettings() private view {
        address[6] memory owned = [
            address(world.kms()),
            address(world.app()),
            address(world.hosts()),
            address(world.bonds()),
            address(world.images()),
            address(world.keys())
        ];
        for (uint256 i = 0; i < owned.length; i++) {
            assertEq(Ownable2StepUpgradeable(owned[i]).owner(), mirror.owner(owned[i]), "owner");
            assertEq(Ownable2StepUpgradeable(owned[i]).pendingOwner(), mirror.pendingOwner(owned[i]), "pending owner");
        }
        assertTrue(world.bonds().upgradesRenounced() == mirror.upgradesEnded(owned[3]), "upgrades");
        assertEq(world.bonds().minimum(), mirror.bondMinimum(), "minimum");
        assertEq(world.bonds().unbondingTime(), mirror.unbondingTime(), "unbonding");
        assertEq(address(world.bonds().token()), mirror.bondToken(), "token");
        assertEq(world.images().activationDelay(Kind.Measurements), mirror.delayOfSets(), "delay of sets");
        assertEq(address(world.hosts().verifier()), mirror.verifier(owned[2]), "verifier of hosts");
        assertEq(address(world.keys().verifier()), mirror.verifier(owned[5]), "verifier of keys");
        assertEq(address(world.keys().kmsAuth()), mirror.kmsOfKeys(), "KmsAuth of keys");
        assertEq(world.kms().appImplementation(), mirror.appImplementation(), "implementation");
        assertEq(world.kms().gatewayAppId(), mirror.gatewayAppId(), "gateway");
        (bytes memory k256, bytes memory ca, bytes memory quote, bytes memory eventlog) = world.kms().kmsInfo();
        IKmsAuth.KmsInfo memory info = IKmsAuth.KmsInfo(k256, ca, quote, eventlog);
        assertEq(keccak256(abi.encode(info)), keccak256(abi.encode(mirror.kmsInfo())), "info");
    }

    /// @dev The first ones, to which everything happens, and the newest: to look after hundreds would be most of the work.
    function _machineAfter(uint256 id) private view returns (uint256) {
        uint256 newest = world.machines();
        return id == world.IDS() && newest > id + 8 ? newest - 7 : id + 1;
    }

    function _assertHosts() private view {
        for (uint256 id = 1; id <= world.machines(); id = _machineAfter(id)) {
            bytes32 deviceId = bytes32(id);
            assertEq(
                keccak256(abi.encode(world.hosts().hostOf(deviceId))),
                keccak256(abi.encode(mirror.host(deviceId))),
                "host"
            );
            assertEq(world.hosts().namedOperatorOf(deviceId), mirror.namedOperator(deviceId), "named operator");
            assertEq(world.hosts().currentIdOf(deviceId), mirror.currentId(deviceId), "current id");
            assertTrue(world.hosts().isAdvisoryDenied(deviceId) == mirror.denied(deviceId), "advisory");
            assertEq(
                keccak256(abi.encode(world.bonds().bondOf(deviceId, world.operator()))),
                keccak256(abi.encode(mirror.bond(deviceId, world.operator()))),
                "bond"
            );
        }
        for (uint8 status = 1; status < 4; status++) {
            uint40 until = world.hosts().statusPassesUntil(TcbStatus(status));
            assertEq(until, mirror.statusUntil(TcbStatus(status)), "status");
        }
        assertEq(keccak256(abi.encode(world.hosts().rules())), keccak256(abi.encode(mirror.rules())), "rules");
        assertEq(world.hosts().bonds(), mirror.bondsOfHosts(), "bonds");
        assertEq(world.hosts().continuityDelay(), mirror.continuityDelay(), "continuity");
    }

    function _assertRest() private view {
        assertEq(world.kms().hosts(), mirror.hostsOfKms(), "hosts of KmsAuth");
        assertEq(world.kms().images(), mirror.imagesOfKms(), "images of KmsAuth");
        for (uint256 id = 1; id <= world.IDS(); id++) {
            assertTrue(world.images().isClosed(bytes32(id)) == mirror.isClosed(bytes32(id)), "closed");
            assertEq(world.images().releaseOf(bytes32(id)), mirror.releaseOf(bytes32(id)), "release");
        }
        (bytes32[] memory sets, ) = world.images().page(Kind.Measurements, 0, 1000);
        for (uint256 i = 0; i < sets.length; i++) {
            assertEq(
                keccak256(abi.encode(world.images().shownBy(sets[i]))),
                keccak256(abi.encode(mirror.shown(sets[i]))),
                "shown"
            );
        }
        assertEq(world.keys().currentEpoch(), mirror.currentEpoch(), "root epoch");
        (bytes32[] memory keys, ) = world.keys().page(Kind.RootKey, 0, 1000);
        for (uint256 i = 0; i < keys.length; i++) {
            assertEq(
                keccak256(abi.encode(world.keys().proofOf(keys[i]))),
                keccak256(abi.encode(mirror.proof(keys[i]))),
                "proof"
            );
        }
        for (uint32 epoch = 1; epoch <= mirror.currentEpoch(); epoch++) {
            assertEq(world.keys().keyOf(epoch), mirror.keyOf(epoch), "key of an epoch");
        }
    }

    function _checkBondsAreThere() internal view {
        uint256 owed;
        for (uint256 id = 1; id <= world.IDS(); id++) {
            IHostBonds.Bond memory bond = world.bonds().bondOf(bytes32(id), world.operator());
            owed += uint256(bond.bonded) + bond.leaving;
        }
        assertEq(world.coin().balanceOf(address(world.bonds())), owed, "what is owed is not what is there");
    }

    function _checkListsHoldEveryIdOnce() internal view {
        for (uint256 k = 0; k < 9; k++) {
            (bytes32[] memory ids, Approval[] memory words) = _registryOf(k).page(Kind(uint8(k)), 0, 1000);
            for (uint256 i = 0; i < ids.length; i++) {
                assertEq(words[i].index(), i + 1, "position");
                assertTrue(words[i].version() != 0 || words[i].isRevoked(), "listed without a decision");
            }
        }
    }

    /// @return admitted How many there were.
    function _checkAdmittedMachinesAreProvenApprovedAndBonded() internal view returns (uint256 admitted) {
        for (uint256 id = 1; id <= world.machines(); id = _machineAfter(id)) {
            (bool isAdmitted, uint40 holdsUntil) = world.hosts().admission(bytes32(id));
            if (!isAdmitted) continue;
            admitted++;
            IHosts.Host memory host = world.hosts().hostOf(bytes32(id));
            uint256 time = vm.getBlockTimestamp();
            assertTrue(time < host.expiresAt, "proof expired");
            assertTrue(time < mirror.statusUntil(host.status), "status passes no more");
            assertTrue(world.hosts().stateOf(Kind.Host, bytes32(id)) == State.Active, "not approved");
            assertTrue(holdsUntil > time && holdsUntil <= host.expiresAt, "holds until");
            uint32 version = world.hosts().approvalOf(Kind.Host, bytes32(id)).version();
            bool proven = host.approvalVersion == version || (host.approvalVersion == 0 && version == 1);
            assertTrue(proven, "proven under another approval");
            bool bonded = world.bonds().bondOf(bytes32(id), host.operator).bonded >= mirror.bondMinimum();
            assertTrue(mirror.bondsOfHosts() == address(0) || bonded, "not bonded");
        }
    }

    /// @return allowed How many there were.
    function _checkBootsAreOfWhatIsActive(uint256 stride) internal view returns (uint256 allowed) {
        for (uint256 i = 0; i < 2 * world.IDS() ** 2; i += stride) {
            (bool isAllowed, ) = world.kms().isAppAllowed(world.bootAt(i));
            if (!isAllowed) continue;
            allowed++;
            bytes32 hash = world.bootAt(i).composeHash;
            bytes32 device = world.bootAt(i).deviceId;
            assertTrue(world.kms().stateOf(Kind.OsImage, world.bootAt(i).osImageHash) == State.Active, "image");
            assertTrue(world.app().stateOf(Kind.Release, hash) == State.Active, "release");
            bool any = mirror.allowAnyDevice() || world.app().stateOf(Kind.Device, device) == State.Active;
            assertTrue(any, "device");
            (bool isAdmitted, ) = world.hosts().admission(device);
            assertTrue(mirror.hostsOfKms() == address(0) || isAdmitted, "host");
            bytes32 image = world.bootAt(i).osImageHash;
            bytes32 set = world.images().idOf(image, TeeVariant.Tdx, world.bootAt(i).mrSystem);
            bool shown = world.images().stateOf(Kind.Measurements, set) == State.Active;
            assertTrue(mirror.imagesOfKms() == address(0) || !mirror.isClosed(image) || shown, "measurements");
        }
    }
}

/// @notice Lets the runner of invariants choose the seed of each step and nothing else.
contract Steps {
    System private immutable _world;

    constructor(System world) {
        _world = world;
    }

    function step(uint256 seed) external {
        _world.step(seed);
    }
}

/// @notice Short histories; runs and depth are in hardhat.config.ts.
contract SystemInvariantTest is SystemRules {
    Steps private steps;

    function setUp() public {
        _begin();
        steps = new Steps(world);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(steps);
    }

    /// @dev One campaign for all rules: each of its own would repeat the histories and find nothing more.
    function invariant_EveryRuleHolds() external view {
        _checkNoRuleIsEverBroken();
        _checkEventsTellTheWholeState();
        _checkBondsAreThere();
        _checkListsHoldEveryIdOnce();
        _checkAdmittedMachinesAreProvenApprovedAndBonded();
        _checkBootsAreOfWhatIsActive(5);
    }
}

/// @notice One long history: 10,000 calls that were really done, about as many that were refused, and every rule looked
/// after again and again. It happens in the preparation, because a test that fails is run again with every step of the
/// machine kept in memory.
contract SystemHistoryTest is SystemRules {
    uint256 private constant OPERATIONS = 10_000;
    uint256 private constant LOOK_EVERY = 32;

    /// @dev What a rule said when it was broken first.
    mapping(bytes4 rule => bytes) private _breach;
    /// @dev How often a rule about what is allowed had anything to say.
    uint256 private _admitted;
    uint256 private _allowed;

    function setUp() public {
        _begin();
        uint256 seed = 20_261_121;
        for (uint256 steps = 1; world.operations() < OPERATIONS; steps++) {
            seed = uint256(keccak256(abi.encode(seed)));
            world.step(seed);
            if (steps % LOOK_EVERY == 0) _look();
        }
    }

    /// @dev What is wrong now may be right again at the end.
    function _look() private {
        bytes4[6] memory rules = [
            this.test_NoRuleIsEverBroken.selector,
            this.test_EventsTellTheWholeState.selector,
            this.test_BondsAreThere.selector,
            this.test_ListsHoldEveryIdOnce.selector,
            this.test_AdmittedMachinesAreProvenApprovedAndBonded.selector,
            this.test_BootsAreOfWhatIsActive.selector
        ];
        for (uint256 i = 0; i < rules.length; i++) {
            if (_breach[rules[i]].length != 0) continue;
            (bool holds, bytes memory why) = address(this).call(abi.encodePacked(rules[i]));
            if (!holds) _breach[rules[i]] = why;
        }
    }

    modifier neverBroken() {
        bytes memory why = _breach[msg.sig];
        if (why.length != 0) {
            assembly ("memory-safe") {
                revert(add(why, 0x20), mload(why))
            }
        }
        _;
    }

    function test_NoRuleIsEverBroken() external neverBroken {
        _checkNoRuleIsEverBroken();
    }

    function test_EventsTellTheWholeState() external neverBroken {
        _checkEventsTellTheWholeState();
    }

    function test_BondsAreThere() external neverBroken {
        _checkBondsAreThere();
    }

    function test_ListsHoldEveryIdOnce() external neverBroken {
        _checkListsHoldEveryIdOnce();
    }

    function test_AdmittedMachinesAreProvenApprovedAndBonded() external neverBroken {
        _admitted += _checkAdmittedMachinesAreProvenApprovedAndBonded();
    }

    function test_BootsAreOfWhatIsActive() external neverBroken {
        _allowed += _checkBootsAreOfWhatIsActive(1);
    }

    /// @dev Else the two rules above would have had nothing to say.
    function test_SomethingWasAllowed() external view {
        assertTrue(_admitted >= 300, vm.toString(_admitted));
        assertTrue(_allowed >= 50, vm.toString(_allowed));
    }

    /// @dev A history in which something never happened proves nothing about it.
    function test_EverythingHappened() external view {
        bytes4[32] memory selectors = [
            IApprovalRegistry.approve.selector,
            IApprovalRegistry.renew.selector,
            IApprovalRegistry.retire.selector,
            IApprovalRegistry.withdraw.selector,
            IApprovalRegistry.revoke.selector,
            IApprovalRegistry.suspend.selector,
            IApprovalRegistry.lift.selector,
            IApprovalRegistry.markExpired.selector,
            world.images().approveSets.selector,
            world.images().closeImages.selector,
            world.hosts().register.selector,
            world.hosts().continueAs.selector,
            world.hosts().endProof.selector,
            world.hosts().setStatusRule.selector,
            world.hosts().setRules.selector,
            world.bonds().deposit.selector,
            world.bonds().unbond.selector,
            world.bonds().slash.selector,
            world.keys().prove.selector,
            world.app().supersede.selector,
            world.app().setVariants.selector,
            world.app().announce.selector,
            world.app().setNotice.selector,
            world.kms().setImages.selector,
            world.kms().registerApp.selector,
            bytes4(keccak256("deployAndRegisterApp(address,bool,bool,bytes32,bytes32)")),
            world.kms().setKmsInfo.selector,
            world.kms().transferOwnership.selector,
            world.kms().acceptOwnership.selector,
            IApprovalRegistry.setGuardian.selector,
            world.bonds().setTerms.selector,
            world.keys().setVerifier.selector
        ];
        for (uint256 i = 0; i < selectors.length; i++) {
            assertTrue(world.done(selectors[i]) >= 3, vm.toString(uint256(uint32(selectors[i]))));
        }
    }
}

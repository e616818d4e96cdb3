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

/// @notice Invariants of all registries together, after any history.
abstract contract SystemRules is Test {
    System internal system;
    EventReplay internal replay;

    function _begin() internal {
        system = new System();
        replay = system.replay();
    }

    /// @dev Rules over time, looked after at each step: System.sol.
    function _checkNoRuleIsEverBroken() internal view {
        assertEq(system.broken(), "", "broken");
    }

    function _checkEventsTellTheWholeState() internal view {
        for (uint256 k = 0; k < 9; k++) _assertApprovals(_registryOf(k), Kind(uint8(k)));
        _assertApp();
        _assertHosts();
        _assertRest();
        _assertSettings();
    }

    function _registryOf(uint256 kind) private view returns (IApprovalRegistry) {
        if (kind < 4) return system.kms();
        if (kind < 6) return system.app();
        if (kind == 6) return system.hosts();
        return kind == 7 ? IApprovalRegistry(system.keys()) : IApprovalRegistry(system.images());
    }

    function _assertApprovals(IApprovalRegistry registry, Kind kind) private view {
        address where = address(registry);
        uint256 k = uint256(kind);
        (bytes32[] memory ids, Approval[] memory words) = registry.page(kind, 0, 1000);
        for (uint256 i = 0; i < ids.length; i++) {
            assertEq(ids[i], replay.listed(where, k, i + 1), "list");
            assertEq(Approval.unwrap(words[i]), replay.word(where, k, ids[i]), "word");
            assertEq(registry.evidenceOf(kind, ids[i]), replay.evidence(where, k, ids[i]), "evidence");
        }
        assertEq(replay.listed(where, k, ids.length + 1), 0, "events tell of more than is listed");
        assertEq(registry.guardian(), replay.guardian(where), "guardian");
        assertEq(registry.suspension(), replay.suspension(where), "suspension");
        if (k < 4) assertEq(registry.activationDelay(kind), replay.delay(where, k), "delay");
    }

    function _assertApp() private view {
        assertTrue(system.app().allowAnyDevice() == replay.allowAnyDevice(), "any device");
        assertTrue(system.app().requireTcbUpToDate() == replay.requireTcbUpToDate(), "up to date");
        assertEq(system.app().variants(), replay.variants(), "variants");
        assertEq(system.app().noticePeriod(), replay.noticePeriod(), "notice");
        bytes32[2] memory digests = [
            keccak256(abi.encodeCall(system.app().setAllowAnyDevice, (true))),
            keccak256(abi.encodeCall(system.app().setRequireTcbUpToDate, (false)))
        ];
        for (uint256 i = 0; i < 2; i++) {
            assertEq(system.app().executableFrom(digests[i]), replay.announced(digests[i]), "announced");
        }
        bytes32 four = vm.load(address(system.app()), bytes32(uint256(4)));
        bytes32 five = vm.load(address(system.app()), bytes32(uint256(5)));
        assertEq(uint32(uint256(four) >> 184) + 1, replay.epoch(), "epoch");
        assertEq(uint32(uint256(four) >> 216), replay.oldest(), "oldest");
        assertEq(uint32(uint256(five)), replay.nextOldest(), "next oldest");
        assertEq(uint40(uint256(five) >> 32), replay.supersededAt(), "end");
        assertTrue(((uint256(five) >> 72) % 2 == 1) == replay.endOpenedEpoch(), "opened an epoch");
    }

    function _assertSettings() private view {
        address[6] memory owned = [
            address(system.kms()),
            address(system.app()),
            address(system.hosts()),
            address(system.bonds()),
            address(system.images()),
            address(system.keys())
        ];
        for (uint256 i = 0; i < owned.length; i++) {
            assertEq(Ownable2StepUpgradeable(owned[i]).owner(), replay.owner(owned[i]), "owner");
            assertEq(Ownable2StepUpgradeable(owned[i]).pendingOwner(), replay.pendingOwner(owned[i]), "pending owner");
        }
        assertTrue(system.bonds().upgradesRenounced() == replay.upgradesEnded(owned[3]), "upgrades");
        assertEq(system.bonds().minimum(), replay.bondMinimum(), "minimum");
        assertEq(system.bonds().unbondingTime(), replay.unbondingTime(), "unbonding");
        assertEq(address(system.bonds().token()), replay.bondToken(), "token");
        assertEq(system.images().activationDelay(Kind.Measurements), replay.delayOfSets(), "delay of sets");
        assertEq(address(system.hosts().verifier()), replay.verifier(owned[2]), "verifier of hosts");
        assertEq(address(system.keys().verifier()), replay.verifier(owned[5]), "verifier of keys");
        assertEq(address(system.keys().kmsAuth()), replay.kmsOfKeys(), "KmsAuth of keys");
        assertEq(system.kms().appImplementation(), replay.appImplementation(), "implementation");
        assertEq(system.kms().gatewayAppId(), replay.gatewayAppId(), "gateway");
        (bytes memory k256, bytes memory ca, bytes memory quote, bytes memory eventlog) = system.kms().kmsInfo();
        IKmsAuth.KmsInfo memory info = IKmsAuth.KmsInfo(k256, ca, quote, eventlog);
        assertEq(keccak256(abi.encode(info)), keccak256(abi.encode(replay.kmsInfo())), "info");
    }

    /// @dev The first ones, to which everything happens, and the newest: to look after hundreds would be most of the work.
    function _machineAfter(uint256 id) private view returns (uint256) {
        uint256 newest = system.machines();
        return id == system.IDS() && newest > id + 8 ? newest - 7 : id + 1;
    }

    function _assertHosts() private view {
        for (uint256 id = 1; id <= system.machines(); id = _machineAfter(id)) {
            bytes32 deviceId = bytes32(id);
            assertEq(
                keccak256(abi.encode(system.hosts().hostOf(deviceId))),
                keccak256(abi.encode(replay.host(deviceId))),
                "host"
            );
            assertEq(system.hosts().namedOperatorOf(deviceId), replay.namedOperator(deviceId), "named operator");
            assertEq(system.hosts().currentIdOf(deviceId), replay.currentId(deviceId), "current id");
            assertTrue(system.hosts().isAdvisoryDenied(deviceId) == replay.denied(deviceId), "advisory");
            assertEq(
                keccak256(abi.encode(system.bonds().bondOf(deviceId, system.operator()))),
                keccak256(abi.encode(replay.bond(deviceId, system.operator()))),
                "bond"
            );
        }
        for (uint8 status = 1; status < 4; status++) {
            uint40 until = system.hosts().statusAcceptedUntil(TcbStatus(status));
            assertEq(until, replay.statusUntil(TcbStatus(status)), "status");
        }
        assertEq(keccak256(abi.encode(system.hosts().rules())), keccak256(abi.encode(replay.rules())), "rules");
        assertEq(system.hosts().bonds(), replay.bondsOfHosts(), "bonds");
        assertEq(system.hosts().continuityDelay(), replay.continuityDelay(), "continuity");
    }

    function _assertRest() private view {
        assertEq(system.kms().hosts(), replay.hostsOfKms(), "hosts of KmsAuth");
        assertEq(system.kms().images(), replay.imagesOfKms(), "images of KmsAuth");
        for (uint256 id = 1; id <= system.IDS(); id++) {
            assertTrue(system.images().isClosed(bytes32(id)) == replay.isClosed(bytes32(id)), "closed");
            assertEq(system.images().imageNameOf(bytes32(id)), replay.imageNameOf(bytes32(id)), "release");
        }
        (bytes32[] memory sets, ) = system.images().page(Kind.Measurements, 0, 1000);
        for (uint256 i = 0; i < sets.length; i++) {
            assertEq(
                keccak256(abi.encode(system.images().measurementSetOf(sets[i]))),
                keccak256(abi.encode(replay.shown(sets[i]))),
                "shown"
            );
        }
        assertEq(system.keys().currentEpoch(), replay.currentEpoch(), "root epoch");
        (bytes32[] memory keys, ) = system.keys().page(Kind.RootKey, 0, 1000);
        for (uint256 i = 0; i < keys.length; i++) {
            assertEq(
                keccak256(abi.encode(system.keys().proofOf(keys[i]))),
                keccak256(abi.encode(replay.proof(keys[i]))),
                "proof"
            );
        }
        for (uint32 epoch = 1; epoch <= replay.currentEpoch(); epoch++) {
            assertEq(system.keys().keyOf(epoch), replay.keyOf(epoch), "key of an epoch");
        }
    }

    function _checkBondsAreCovered() internal view {
        uint256 owed;
        for (uint256 id = 1; id <= system.IDS(); id++) {
            IHostBonds.Bond memory bond = system.bonds().bondOf(bytes32(id), system.operator());
            owed += uint256(bond.bonded) + bond.unbonding;
        }
        assertEq(system.coin().balanceOf(address(system.bonds())), owed, "what is owed is not what is there");
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
        for (uint256 id = 1; id <= system.machines(); id = _machineAfter(id)) {
            (bool isAdmitted, uint40 validUntil) = system.hosts().admission(bytes32(id));
            if (!isAdmitted) continue;
            admitted++;
            IHosts.Host memory host = system.hosts().hostOf(bytes32(id));
            uint256 time = vm.getBlockTimestamp();
            assertTrue(time < host.expiresAt, "proof expired");
            assertTrue(time < replay.statusUntil(host.status), "status passes no more");
            assertTrue(system.hosts().stateOf(Kind.Host, bytes32(id)) == State.Active, "not approved");
            assertTrue(validUntil > time && validUntil <= host.expiresAt, "holds until");
            uint32 version = system.hosts().approvalOf(Kind.Host, bytes32(id)).version();
            bool proven = host.approvalVersion == version || (host.approvalVersion == 0 && version == 1);
            assertTrue(proven, "proven under another approval");
            uint256 approvedIn = system.hosts().approvedInBlock(Kind.Host, bytes32(id));
            assertTrue(host.provenAtBlock >= approvedIn, "proven by a quote from before the approval");
            assertEq(system.hosts().currentIdOf(bytes32(id)), bytes32(id), "admitted under an id that it left");
            bool bonded = system.bonds().bondOf(bytes32(id), host.operator).bonded >= replay.bondMinimum();
            assertTrue(replay.bondsOfHosts() == address(0) || bonded, "not bonded");
        }
    }

    /// @return allowed How many there were.
    function _checkBootsAreOfWhatIsActive(uint256 stride) internal view returns (uint256 allowed) {
        for (uint256 i = 0; i < 2 * system.IDS() ** 2; i += stride) {
            (bool isAllowed, ) = system.kms().isAppAllowed(system.bootAt(i));
            if (!isAllowed) continue;
            allowed++;
            bytes32 hash = system.bootAt(i).composeHash;
            bytes32 device = system.bootAt(i).deviceId;
            assertTrue(system.kms().stateOf(Kind.OsImage, system.bootAt(i).osImageHash) == State.Active, "image");
            assertTrue(system.app().stateOf(Kind.Release, hash) == State.Active, "release");
            bool any = replay.allowAnyDevice() || system.app().stateOf(Kind.Device, device) == State.Active;
            assertTrue(any, "device");
            (bool isAdmitted, ) = system.hosts().admission(device);
            assertTrue(replay.hostsOfKms() == address(0) || isAdmitted, "host");
            bytes32 image = system.bootAt(i).osImageHash;
            bytes32 set = system.images().idOf(image, TeeVariant.Tdx, system.bootAt(i).mrSystem);
            bool shown = system.images().stateOf(Kind.Measurements, set) == State.Active;
            assertTrue(replay.imagesOfKms() == address(0) || !replay.isClosed(image) || shown, "measurements");
        }
    }
}

/// @notice Lets the runner of invariants choose the seed of each step and nothing else.
contract Steps {
    System private immutable _system;

    constructor(System system) {
        _system = system;
    }

    function step(uint256 seed) external {
        _system.step(seed);
    }
}

/// @notice Short histories; runs and depth are in hardhat.config.ts.
contract SystemInvariantTest is SystemRules {
    Steps private steps;

    function setUp() public {
        _begin();
        steps = new Steps(system);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(steps);
    }

    /// @dev One campaign for all rules: each of its own would repeat the histories and find nothing more.
    function invariant_EveryRuleHolds() external view {
        _checkNoRuleIsEverBroken();
        _checkEventsTellTheWholeState();
        _checkBondsAreCovered();
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
    /// @dev Number of checks in which a rule about allowed boots applied.
    uint256 private _admitted;
    uint256 private _allowed;

    function setUp() public {
        _begin();
        uint256 seed = 20_261_121;
        for (uint256 steps = 1; system.operations() < OPERATIONS; steps++) {
            seed = uint256(keccak256(abi.encode(seed)));
            system.step(seed);
            if (steps % LOOK_EVERY == 0) _look();
        }
    }

    /// @dev A state that is wrong now can be right again at the end.
    function _look() private {
        bytes4[6] memory rules = [
            this.test_NoRuleIsEverBroken.selector,
            this.test_StateCanBeRebuiltFromEvents.selector,
            this.test_BondsAreCovered.selector,
            this.test_ListsContainEveryIdOnce.selector,
            this.test_AdmittedHostsAreProvenApprovedAndBonded.selector,
            this.test_AllowedBootsHaveActiveApprovals.selector
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

    function test_StateCanBeRebuiltFromEvents() external neverBroken {
        _checkEventsTellTheWholeState();
    }

    function test_BondsAreCovered() external neverBroken {
        _checkBondsAreCovered();
    }

    function test_ListsContainEveryIdOnce() external neverBroken {
        _checkListsHoldEveryIdOnce();
    }

    function test_AdmittedHostsAreProvenApprovedAndBonded() external neverBroken {
        _admitted += _checkAdmittedMachinesAreProvenApprovedAndBonded();
    }

    function test_AllowedBootsHaveActiveApprovals() external neverBroken {
        _allowed += _checkBootsAreOfWhatIsActive(1);
    }

    /// @dev Else the two rules above would have had nothing to say.
    function test_SomethingWasAllowed() external view {
        assertTrue(_admitted >= 300, vm.toString(_admitted));
        assertTrue(_allowed >= 50, vm.toString(_allowed));
    }

    /// @dev A history in which something never happened proves nothing about it.
    function test_EveryActionHappened() external view {
        bytes4[32] memory selectors = [
            IApprovalRegistry.approve.selector,
            IApprovalRegistry.extend.selector,
            IApprovalRegistry.shorten.selector,
            IApprovalRegistry.withdraw.selector,
            IApprovalRegistry.revoke.selector,
            IApprovalRegistry.suspend.selector,
            IApprovalRegistry.lift.selector,
            IApprovalRegistry.markExpired.selector,
            system.images().approveMeasurementSets.selector,
            system.images().closeImages.selector,
            system.hosts().register.selector,
            system.hosts().continueAs.selector,
            system.hosts().endProof.selector,
            system.hosts().setStatusAcceptedUntil.selector,
            system.hosts().setRules.selector,
            system.bonds().deposit.selector,
            system.bonds().unbond.selector,
            system.bonds().slash.selector,
            system.keys().prove.selector,
            system.app().supersede.selector,
            system.app().setVariants.selector,
            system.app().announce.selector,
            system.app().setNoticePeriod.selector,
            system.kms().setImages.selector,
            system.kms().registerApp.selector,
            bytes4(keccak256("deployAndRegisterApp(address,bool,bool,bytes32,bytes32)")),
            system.kms().setKmsInfo.selector,
            system.kms().transferOwnership.selector,
            system.kms().acceptOwnership.selector,
            IApprovalRegistry.setGuardian.selector,
            system.bonds().setTerms.selector,
            system.keys().setVerifier.selector
        ];
        for (uint256 i = 0; i < selectors.length; i++) {
            assertTrue(system.done(selectors[i]) >= 3, vm.toString(uint256(uint32(selectors[i]))));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {BoundedAppCall} from "../../contracts/auth/BoundedAppCall.sol";
import {AppProxy} from "../../contracts/auth/AppProxy.sol";
import {BootDecision} from "../../contracts/auth/BootEvaluator.sol";
import {IAppAuth} from "../../contracts/auth/IAppAuth.sol";
import {IKmsAuth} from "../../contracts/auth/IKmsAuth.sol";
import {KmsAuth} from "../../contracts/auth/KmsAuth.sol";
import {DenialCode} from "../../contracts/auth/DenialReasons.sol";
import {App} from "../../contracts/registry/App.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {RenounceableUpgrades} from "../../contracts/registry/RenounceableUpgrades.sol";
import {IExecutionDeadline} from "../../contracts/registry/IExecutionDeadline.sol";
import {Approval, ApprovalStateInvalid, State} from "../../contracts/types/Approval.sol";
import {AppBootInfo} from "../../contracts/types/BootInfo.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {BurningDetailsApp, ReturnBombApp, TellingApp, YesApp} from "./hostile/MaliciousApps.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";
import {Log} from "./Vm.sol";
import {RootKeys} from "../../contracts/registry/RootKeys.sol";
import {PolicyNames} from "../../contracts/auth/PolicyNames.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

/// @notice Makes proxies for an implementation of its choice, to look at the bare proxy.
contract Maker {
    address public immutable appImplementation;

    constructor(address implementation) {
        appImplementation = implementation;
    }

    function make(uint256 salt) external returns (address) {
        return AppProxy.create(salt);
    }

    function addressOf(uint256 salt) external view returns (address) {
        return AppProxy.addressOf(salt);
    }

    function creation() external pure returns (bytes memory) {
        return AppProxy.CREATION;
    }
}

contract Echo {
    error Said(bytes data, uint256 value, address sender);

    uint256 private _kept;

    function keep(uint256 value) external payable returns (uint256 before) {
        (before, _kept) = (_kept, value);
    }

    function refuse(bytes calldata data) external payable {
        revert Said(data, msg.value, msg.sender);
    }
}

contract AppProxyTest is KmsAuthFixture {
    bytes32 private constant IMPLEMENTATION = 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;

    /// @dev The list of apps is recomputed from it: a change of this digest loses every app made before.
    function test_InitCodeNeverChanges() public {
        Maker maker = new Maker(address(new Echo()));
        bytes32 expected = 0x1978b27387c84fc999a93bec335e0c88a23322f9af78197cb263a62ae0cadd44;

        assertEq(keccak256(maker.creation()), expected, "init code");
        assertEq(AppProxy.CREATION_HASH, expected, "its digest");
    }

    function test_IsAnErc1967ProxyOf58Bytes() public {
        address implementation = address(new Echo());
        Maker maker = new Maker(implementation);
        address expected = maker.addressOf(7);
        address proxy = maker.make(7);

        assertEq(proxy, expected, "address");
        assertEq(proxy.code.length, 58, "length");
        assertEq(address(uint160(uint256(vm.load(proxy, IMPLEMENTATION)))), implementation, "implementation");
        vm.expectRevert(AppProxy.AppNotCreated.selector);
        maker.make(7);
    }

    function test_ProxyForwardsCallsValuesResultsAndErrors() public {
        Maker maker = new Maker(address(new Echo()));
        Echo proxy = Echo(maker.make(1));
        assertEq(proxy.keep(5), 0, "first");
        assertEq(proxy.keep{value: 3}(6), 5, "its own storage");
        assertEq(address(proxy).balance, 3, "value");

        vm.expectRevert(abi.encodeWithSelector(Echo.Said.selector, "why", 0, address(this)));
        proxy.refuse("why");
        (bool success, bytes memory answer) = address(proxy).call(hex"12345678");
        assertTrue(!success && answer.length == 0, "an empty denial");
    }
}

/// @notice Apps of the factory, foreign apps and the list of both.
contract FactoryTest is KmsAuthFixture {
    function _deploy() private returns (address) {
        return kms.deployAndRegisterApp(OWNER, false, false, true, 0, COMPOSE);
    }

    function _assertListed(uint256 position, address expected) private view {
        (bytes32[] memory ids, Approval[] memory words) = kms.page(Kind.App, position - 1, 1);
        assertEq(ids[0], _key(expected), "id");
        assertEq(words[0].index(), position, "position");
    }

    function test_ListContainsAppsOfTheFactoryAndForeignOnes() public {
        address foreign = address(new YesApp());
        address second = _deploy();
        kms.registerApp(foreign);
        address fourth = _deploy();
        vm.prank(DAO);
        kms.revoke(Kind.App, _ids(_key(STRANGER)));
        address sixth = _deploy();

        assertEq(kms.count(Kind.App), 6, "count");
        _assertListed(1, address(app));
        _assertListed(2, second);
        _assertListed(3, foreign);
        _assertListed(4, fourth);
        _assertListed(5, STRANGER);
        _assertListed(6, sixth);
    }

    /// @dev Registering addresses in advance can make the next app more expensive, and nothing else.
    function test_AddressesRegisteredInAdvanceDoNotStopTheFactory() public {
        address third = _at(3);
        kms.registerApp(third);
        address made = _deploy();
        assertTrue(made != third, "created over a registered address");
        assertTrue(kms.registeredApps(made), "not registered");
        _assertListed(2, third);
        _assertListed(3, made);

        address fourth = _at(4);
        kms.registerApp(fourth);
        address fifth = _deploy();
        assertEq(fifth, _at(5), "the factory is where it was");
        _assertListed(4, fourth);
        _assertListed(5, fifth);
        assertEq(kms.count(Kind.App), 5, "count");
    }

    function _at(uint256 position) private view returns (address) {
        bytes32 digest = keccak256(abi.encodePacked(hex"ff", address(kms), position, AppProxy.CREATION_HASH));
        return address(uint160(uint256(digest)));
    }

    function testFuzz_ListIsCompleteWithOtherRegistrationsInBetween(uint256 seed) public {
        for (uint256 i = 0; i < 12; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            if (seed % 3 == 0) _deploy();
            else if (seed % 3 == 1) kms.registerApp(_at(1 + ((seed >> 8) % 12)));
            else kms.registerApp(address(uint160(seed >> 16)));
        }
        (bytes32[] memory ids, Approval[] memory words) = kms.page(Kind.App, 0, 100);
        assertEq(ids.length, kms.count(Kind.App), "length");
        for (uint256 i = 0; i < ids.length; i++) {
            assertEq(words[i].index(), i + 1, "position");
            assertEq(words[i].version(), 1, "version");
            for (uint256 j = 0; j < i; j++) assertTrue(ids[i] != ids[j], "listed twice");
        }
    }

    function test_AppsOfALaterImplementationAreListedToo() public {
        address first = _deploy();
        address next = address(new App());
        vm.prank(DAO);
        kms.setAppImplementation(next);
        address second = _deploy();

        _assertListed(2, first);
        _assertListed(3, second);
    }
}

/// @notice What an app tells beyond yes and no is its own word, and costs nobody else anything.
contract AppDetailsTest is KmsAuthFixture {
    /// @dev The gas that is left for a question depends on the compiler, so the tests give more until there is an answer.
    uint256 private constant MIN_GAS = 60_000;
    uint256 private constant GAS_STEP = 5_000;
    uint256 private constant MAX_GAS = 2_000_000;

    function _evaluate(address foreign, TeeVariant variant) private returns (BootDecision memory) {
        kms.registerApp(foreign);
        AppBootInfo memory boot = _boot();
        boot.appId = foreign;
        uint256 gas = gasleft();
        BootDecision memory decision = evaluator.evaluateApp(kms, boot, variant);
        assertTrue(gas - gasleft() < 1_500_000, "it cost more than bounded questions");
        return decision;
    }

    function _assertTellsNothing(address foreign) private {
        BootDecision memory decision = _evaluate(foreign, TeeVariant.Tdx);
        assertTrue(decision.isAllowed, "refused");
        assertEq(decision.release, 0, "release");
        assertEq(decision.writeEpoch, 0, "epoch");
        assertEq(decision.readEpoch, 0, "epoch to read");
        assertEq(decision.validUntil, 0, "end");
    }

    function test_ReleaseDetailsOfTheAppArePassedOn() public {
        BootDecision memory decision = _evaluate(address(new TellingApp(abi.encode(7, 3, 2, 99))), TeeVariant.Tdx);

        assertEq(decision.release, 7, "release");
        assertEq(decision.writeEpoch, 3, "epoch");
        assertEq(decision.readEpoch, 2, "epoch to read");
        assertEq(decision.validUntil, 99, "end");
    }

    function test_MalformedDetailsAreIgnored() public {
        _assertTellsNothing(address(new YesApp()));
        _assertTellsNothing(address(new BurningDetailsApp()));
        _assertTellsNothing(address(new TellingApp("")));
        _assertTellsNothing(address(new TellingApp(abi.encode(1, 1, 1))));
        _assertTellsNothing(address(new TellingApp(abi.encode(1, 1, 1, 1, 1))));
        _assertTellsNothing(address(new TellingApp(abi.encode(uint256(1) << 32, 1, 1, 1))));
        _assertTellsNothing(address(new TellingApp(abi.encode(1, uint256(1) << 32, 1, 1))));
        _assertTellsNothing(address(new TellingApp(abi.encode(1, 1, 1, uint256(1) << 40))));
        _assertTellsNothing(address(new TellingApp(abi.encode(1, 1, 2, 1))));
        _assertTellsNothing(address(new TellingApp(new bytes(150_000))));
    }

    function test_AppsMustAcceptOtherVariantsExplicitly() public {
        address[6] memory unclear = [
            address(new YesApp()),
            address(new BurningDetailsApp()),
            address(new TellingApp(abi.encode(2))),
            address(new TellingApp(abi.encode(0))),
            address(new TellingApp(abi.encode(1, 1))),
            address(new TellingApp(new bytes(150_000)))
        ];
        for (uint256 i = 0; i < unclear.length; i++) {
            BootDecision memory decision = _evaluate(unclear[i], TeeVariant.GcpTdx);
            assertEq(uint8(decision.denial), uint8(DenialCode.VariantNotAccepted), "an unclear answer was a yes");
        }
        assertTrue(_evaluate(address(new TellingApp(abi.encode(1))), TeeVariant.GcpTdx).isAllowed, "a clear yes");
    }

    function test_TooLittleGasToAskForTheVariantIsAnOutage() public {
        AppBootInfo memory boot = _bootOf(new BurningDetailsApp());
        bool isRefused;
        for (uint256 given = MIN_GAS; ; given += GAS_STEP) {
            assertTrue(given < MAX_GAS, "no answer with enough gas");
            try kms.appDenial{gas: given}(boot, TeeVariant.GcpTdx) returns (DenialCode denial, string memory) {
                assertEq(uint8(denial), uint8(DenialCode.VariantNotAccepted), "another answer");
                break;
            } catch (bytes memory reason) {
                isRefused = _isOwedDetails(reason) || isRefused;
            }
        }
        assertTrue(isRefused, "no amount was too little for the variant");
    }

    function test_TooLittleGasToAskForTheReleaseIsAnOutage() public {
        AppBootInfo memory boot = _bootOf(new BurningDetailsApp());
        bool isRefused;
        for (uint256 given = MIN_GAS; ; given += GAS_STEP) {
            assertTrue(given < MAX_GAS, "no answer with enough gas");
            try evaluator.evaluateApp{gas: given}(kms, boot, TeeVariant.Tdx) returns (BootDecision memory decision) {
                assertTrue(decision.isAllowed, "an outage was called a denial");
                break;
            } catch (bytes memory reason) {
                isRefused = _isOwedDetails(reason) || isRefused;
            }
        }
        assertTrue(isRefused, "no amount was too little for the release");
    }

    function _bootOf(IAppAuth foreign) private returns (AppBootInfo memory boot) {
        boot = _boot();
        boot.appId = address(foreign);
        kms.registerApp(boot.appId);
    }

    /// @dev Whether `GasTooLow` says that a question of `IAppDetails` was owed more. The only other failure is the call's own
    /// gas, which gives no reason.
    function _isOwedDetails(bytes memory reason) private pure returns (bool) {
        if (reason.length == 0) return false;
        assertEq(bytes4(reason), BoundedAppCall.GasTooLow.selector, "another error");
        uint256 needed;
        assembly ("memory-safe") {
            needed := mload(add(reason, 0x44))
        }
        // at most 63 of 64 parts reach the app (EIP-150); the caller needs 10,000 for itself
        return needed == 100_000 + uint256(100_000) / 63 + 10_000;
    }
}

/// @notice RenounceableUpgrades, their end, and the end of decisions.
contract UpgradesTest is KmsAuthFixture {
    uint40 private constant NEVER = type(uint40).max;

    /// @dev Else somebody would own the code behind the proxies.
    function test_ImplementationsCannotBeInitialized() public {
        RootKeys keys = new RootKeys();
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        keys.initialize(STRANGER, address(kms), address(kms), GUARDIAN, 7 days);
        KmsAuth own = new KmsAuth();
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        own.initializeGoverned(STRANGER, address(0), GUARDIAN, 7 days);
    }

    function test_RenouncedUpgradesStayRenounced() public {
        address next = address(new KmsAuth());
        vm.startPrank(DAO);
        kms.upgradeToAndCall(next, "");
        assertTrue(!kms.upgradesRenounced(), "given up by itself");
        vm.recordLogs();
        kms.renounceUpgrades();
        Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[0].topics[0], keccak256("UpgradesRenounced()"), "own event");
        assertEq(logs[1].topics[2], PolicyNames.UPGRADES_DISABLED, "common event");
        assertTrue(abi.decode(logs[1].data, (bool)), "disabled");

        assertTrue(kms.upgradesRenounced(), "not given up");
        vm.expectRevert(bytes("Upgrades are permanently disabled"));
        kms.upgradeToAndCall(next, "");
        vm.stopPrank();
        _assertApp(_boot(), DenialCode.None, "");
    }

    function test_UpgradeSlotFollowsErc7201() public {
        vm.prank(DAO);
        kms.renounceUpgrades();
        uint256 inner = uint256(keccak256("assent.storage.Upgrades")) - 1;
        bytes32 slot = keccak256(abi.encode(inner)) & ~bytes32(uint256(0xff));

        assertEq(vm.load(address(kms), slot), bytes32(uint256(1)), "slot");
    }

    function test_OnlyTheOwnerRenouncesUpgrades() public {
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, GUARDIAN));
        vm.prank(GUARDIAN);
        kms.renounceUpgrades();
    }

    function test_LooseningCallsRevertAfterTheirExecutionDeadline() public {
        uint40 past = uint40(block.timestamp - 1);
        bytes[] memory calls = new bytes[](8);
        calls[0] = abi.encodeCall(kms.approve, (_terms(Kind.OsImage, "x"), past));
        calls[1] = abi.encodeCall(kms.extend, (Kind.OsImage, _ids(IMAGE), 0, past));
        calls[2] = abi.encodeCall(kms.lift, (Kind.OsImage, _ids(IMAGE), past));
        calls[3] = abi.encodeCall(kms.setGuardian, (STRANGER, 1 days, past));
        calls[4] = abi.encodeCall(kms.setActivationDelay, (Kind.OsImage, 0, past));
        calls[5] = abi.encodeCall(kms.setHosts, (address(0), past));
        calls[6] = abi.encodeCall(kms.setImages, (address(0), past));
        calls[7] = abi.encodeCall(kms.requireNotAfter, (past));
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(DAO);
            (bool success, bytes memory reason) = address(kms).call(calls[i]);
            assertTrue(!success, "it fired late");
            bytes memory late = abi.encodeWithSelector(
                IExecutionDeadline.ExecutionDeadlinePassed.selector,
                block.timestamp,
                past
            );
            assertEq(keccak256(reason), keccak256(late), "another error");
        }
        kms.requireNotAfter(uint40(block.timestamp));
        bytes32 hash = sha256("x");
        vm.expectRevert(
            abi.encodeWithSelector(
                IExecutionDeadline.ExecutionDeadlinePassed.selector,
                block.timestamp,
                block.timestamp - 1
            )
        );
        vm.prank(OWNER);
        app.approveManifest(hash, "x", 0, 0, past);
    }

    function test_ExpiredApprovalIsMarkedOnce() public {
        uint40 end = uint40(block.timestamp + 5);
        vm.prank(DAO);
        kms.shorten(Kind.OsImage, _ids(IMAGE), end);
        vm.expectRevert(abi.encodeWithSelector(ApprovalStateInvalid.selector, State.Active));
        kms.markExpired(Kind.OsImage, _ids(IMAGE));

        vm.warp(end);
        vm.prank(STRANGER);
        kms.markExpired(Kind.OsImage, _ids(IMAGE));
        assertEq(uint8(kms.stateOf(Kind.OsImage, IMAGE)), uint8(State.Withdrawn), "state");
        kms.markExpired(Kind.OsImage, _ids(IMAGE));
        assertEq(uint8(kms.stateOf(Kind.OsImage, IMAGE)), uint8(State.Withdrawn), "marked again");
        vm.expectRevert(
            abi.encodeWithSelector(IApprovalRegistry.ApprovalUnknown.selector, Kind.OsImage, bytes32("typo"))
        );
        kms.markExpired(Kind.OsImage, _ids("typo"));
        vm.prank(DAO);
        kms.approve(_terms(Kind.OsImage, IMAGE), NEVER);
        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).version(), 2, "version");
    }
}

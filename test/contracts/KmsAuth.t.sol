// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {BoundedAppCall} from "../../contracts/auth/BoundedAppCall.sol";
import {BootEvaluator, BootDecision} from "../../contracts/auth/BootEvaluator.sol";
import {IKmsAuth} from "../../contracts/auth/IKmsAuth.sol";
import {KmsAuth} from "../../contracts/auth/KmsAuth.sol";
import {DenialCode} from "../../contracts/auth/DenialReasons.sol";
import {PolicyNames} from "../../contracts/auth/PolicyNames.sol";
import {App} from "../../contracts/registry/App.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {IHostAdmission} from "../../contracts/registry/IHosts.sol";
import {IExecutionDeadline} from "../../contracts/registry/IExecutionDeadline.sol";
import {Approval, ApprovalStateInvalid, State} from "../../contracts/types/Approval.sol";
import {AppBootInfo} from "../../contracts/types/BootInfo.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {
    EchoApp,
    GasBombApp,
    NoApp,
    RecursiveApp,
    ReturnBombApp,
    RevertingApp,
    YesApp
} from "./hostile/MaliciousApps.sol";
import {Log, Test} from "./Vm.sol";

contract HostsOfOne is IHostAdmission {
    bytes32 private immutable _admitted;

    constructor(bytes32 admitted) {
        _admitted = admitted;
    }

    function admission(bytes32 deviceId) external view returns (bool, uint40) {
        return (deviceId == _admitted, 4_000_000_000);
    }
}

abstract contract KmsAuthFixture is Test {
    address internal constant DAO = address(0xDA0);
    address internal constant GUARDIAN = address(0x6A);
    address internal constant OWNER = address(0x0123);
    address internal constant STRANGER = address(0x57);

    bytes32 internal constant IMAGE = "image";
    bytes32 internal constant COMPOSE = "compose";
    bytes32 internal constant DEVICE = "device";
    bytes32 internal constant MEASUREMENT = "measurement";

    KmsAuth internal kms;
    App internal app;
    BootEvaluator internal evaluator = new BootEvaluator();

    function setUp() public virtual {
        vm.warp(1_750_000_000);
        bytes memory init = abi.encodeCall(KmsAuth.initializeGoverned, (DAO, address(new App()), GUARDIAN, 7 days));
        kms = KmsAuth(address(new ERC1967Proxy(address(new KmsAuth()), init)));
        app = App(kms.deployAndRegisterApp(OWNER, false, false, false, DEVICE, COMPOSE));
        vm.startPrank(DAO);
        kms.addOsImageHash(IMAGE);
        kms.addKmsAggregatedMr(MEASUREMENT);
        kms.addKmsDevice(DEVICE);
        vm.stopPrank();
    }

    /// @dev The owner makes a change of the id "new": dstack's event, then the common one.
    function _assertChange(
        address target,
        bytes memory call,
        string memory name,
        bytes32 policy,
        bool enabled
    ) internal {
        address owner = OwnableUpgradeable(target).owner();
        vm.recordLogs();
        vm.prank(owner);
        (bool done, ) = target.call(call);
        Log[] memory logs = vm.getRecordedLogs();
        assertTrue(done && logs.length >= 2, name);
        Log memory own = logs[logs.length - 2];
        assertEq(own.topics[0], keccak256(abi.encodePacked(name, "(bytes32)")), name);
        assertEq(own.data.length == 32 ? bytes32(own.data) : own.topics[1], "new", name);
        Log memory common = logs[logs.length - 1];
        assertEq(common.topics[0], keccak256("PolicyChanged(address,bytes32,bytes32,bool)"), name);
        assertEq(common.topics[1], bytes32(uint256(uint160(owner))), name);
        assertEq(common.topics[2], policy, name);
        assertEq(common.topics[3], "new", name);
        assertTrue(abi.decode(common.data, (bool)) == enabled, name);
    }

    function _boot() internal view returns (AppBootInfo memory) {
        return
            AppBootInfo({
                appId: address(app),
                composeHash: COMPOSE,
                instanceId: address(0x1),
                deviceId: DEVICE,
                mrAggregated: MEASUREMENT,
                mrSystem: "system",
                osImageHash: IMAGE,
                tcbStatus: "UpToDate",
                advisoryIds: new string[](0)
            });
    }

    function _assertApp(AppBootInfo memory boot, DenialCode denial, string memory reason) internal view {
        (bool isAllowed, string memory found) = kms.isAppAllowed(boot);
        BootDecision memory decision = evaluator.evaluateApp(kms, boot, TeeVariant.Tdx);

        assertEq(found, reason, "reason");
        assertTrue(isAllowed == (denial == DenialCode.None), "allowed");
        assertEq(uint8(decision.denial), uint8(denial), reason);
        assertEq(decision.reason, reason, "reason of the decision");
        assertTrue(decision.isAllowed == isAllowed, "decision differs");
    }

    function _assertKms(AppBootInfo memory boot, DenialCode denial, string memory reason) internal view {
        (bool isAllowed, string memory found) = kms.isKmsAllowed(boot);
        BootDecision memory decision = evaluator.evaluateKms(kms, boot);

        assertEq(found, reason, "reason");
        assertTrue(isAllowed == (denial == DenialCode.None), "allowed");
        assertEq(uint8(decision.denial), uint8(denial), reason);
        assertEq(decision.reason, reason, "reason of the decision");
        assertTrue(decision.isAllowed == isAllowed, "decision differs");
    }

    function _ids(bytes32 id) internal pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = id;
    }

    function _key(address id) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(id)));
    }

    function _terms(Kind kind, bytes32 id) internal pure returns (IApprovalRegistry.ApprovalTerms[] memory terms) {
        terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms(kind, id, 0, 0, "");
    }
}

/// @notice The questions, their order and their answers.
contract KmsAuthDecisionTest is KmsAuthFixture {
    function test_AllowsApprovedBoots() public view {
        _assertApp(_boot(), DenialCode.None, "");
        _assertKms(_boot(), DenialCode.None, "");
    }

    /// @dev Everything is wrong at first and is put right one by one, so that the order shows.
    function test_DeniesAppsInTheOrderOfDstack() public {
        AppBootInfo memory boot = _boot();
        AppBootInfo memory right = _boot();
        boot.appId = STRANGER;
        boot.osImageHash = "other";
        boot.composeHash = "other";
        boot.deviceId = "other";
        boot.tcbStatus = "OutOfDate";
        vm.prank(OWNER);
        app.setRequireTcbUpToDate(true);

        _assertApp(boot, DenialCode.AppNotRegistered, "App not registered");
        kms.registerApp(STRANGER);
        _assertApp(boot, DenialCode.ImageNotAllowed, "OS image is not allowed");
        boot.osImageHash = right.osImageHash;
        _assertApp(boot, DenialCode.AppHasNoCode, "App not deployed or invalid address");
        boot.appId = right.appId;
        _assertApp(boot, DenialCode.AppRefused, "TCB status is not up to date");
        boot.tcbStatus = right.tcbStatus;
        _assertApp(boot, DenialCode.AppRefused, "Compose hash not allowed");
        boot.composeHash = right.composeHash;
        _assertApp(boot, DenialCode.AppRefused, "Device not allowed");
        boot.deviceId = right.deviceId;
        _assertApp(boot, DenialCode.None, "");
    }

    function test_DeniesKmsNodesInTheOrderOfDstack() public view {
        AppBootInfo memory boot = _boot();
        AppBootInfo memory right = _boot();
        boot.tcbStatus = "uptodate";
        boot.osImageHash = "other";
        boot.mrAggregated = "other";
        boot.deviceId = "other";

        _assertKms(boot, DenialCode.TcbNotUpToDate, "TCB status is not up to date");
        boot.tcbStatus = right.tcbStatus;
        _assertKms(boot, DenialCode.ImageNotAllowed, "OS image is not allowed");
        boot.osImageHash = right.osImageHash;
        _assertKms(boot, DenialCode.MeasurementNotAllowed, "Aggregated MR not allowed");
        boot.mrAggregated = right.mrAggregated;
        _assertKms(boot, DenialCode.KmsDeviceNotAllowed, "KMS is not allowed to boot on this device");
        boot.deviceId = right.deviceId;
        _assertKms(boot, DenialCode.None, "");
    }

    function test_AppDeniesBootsOfOtherApps() public view {
        AppBootInfo memory boot = _boot();
        boot.appId = STRANGER;

        (bool isAllowed, string memory reason) = app.isAppAllowed(boot);

        assertTrue(!isAllowed, "allowed");
        assertEq(reason, "App id is not this contract", "reason");
    }

    function test_ZeroIdsAreNeverAllowed() public {
        AppBootInfo memory boot = _boot();
        boot.osImageHash = 0;
        _assertApp(boot, DenialCode.ImageNotAllowed, "OS image is not allowed");

        boot = _boot();
        boot.appId = address(0);
        _assertApp(boot, DenialCode.AppNotRegistered, "App not registered");

        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.IdInvalid.selector, Kind.OsImage, bytes32(0)));
        vm.prank(DAO);
        kms.addOsImageHash(0);
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.IdInvalid.selector, Kind.Release, bytes32(0)));
        vm.prank(OWNER);
        app.addComposeHash(0);
    }

    function test_AllowAnyDeviceNeedsNoDevice() public {
        AppBootInfo memory boot = _boot();
        boot.deviceId = "other";
        vm.prank(OWNER);
        app.setAllowAnyDevice(true);

        _assertApp(boot, DenialCode.None, "");
    }

    function test_HostsAreAskedLastAndOnlyIfSet() public {
        address others = address(new HostsOfOne("other"));
        address ours = address(new HostsOfOne(DEVICE));
        vm.prank(DAO);
        kms.setHosts(others, type(uint40).max);
        _assertApp(_boot(), DenialCode.HostNotRegistered, "Host is not registered");
        _assertKms(_boot(), DenialCode.HostNotRegistered, "Host is not registered");
        AppBootInfo memory boot = _boot();
        boot.composeHash = "other";
        _assertApp(boot, DenialCode.AppRefused, "Compose hash not allowed");

        vm.prank(DAO);
        kms.setHosts(ours, type(uint40).max);
        _assertApp(_boot(), DenialCode.None, "");
        assertEq(
            evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx).validUntil,
            4_000_000_000,
            "holds until the host ends"
        );

        vm.prank(DAO);
        kms.setHosts(address(0), type(uint40).max);
        _assertKms(_boot(), DenialCode.None, "");
    }

    function test_ReportsTheEndOfItsAnswer() public {
        assertEq(evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx).validUntil, 0, "no end is known");

        vm.startPrank(DAO);
        kms.shorten(Kind.OsImage, _ids(IMAGE), uint40(block.timestamp + 100));
        kms.shorten(Kind.App, _ids(_key(address(app))), uint40(block.timestamp + 90));
        kms.shorten(Kind.KmsMeasurement, _ids(MEASUREMENT), uint40(block.timestamp + 80));
        kms.shorten(Kind.KmsDevice, _ids(DEVICE), uint40(block.timestamp + 110));
        vm.stopPrank();

        assertEq(
            evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx).validUntil,
            block.timestamp + 90,
            "app ends first"
        );
        assertEq(evaluator.evaluateKms(kms, _boot()).validUntil, block.timestamp + 80, "measurement ends first");
        vm.warp(block.timestamp + 90);
        _assertApp(_boot(), DenialCode.AppNotRegistered, "App not registered");
        assertEq(uint8(evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx).state), uint8(State.Expired), "state");
    }

    function test_ReportsTheStateBehindADenial() public {
        vm.startPrank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        kms.suspend(Kind.KmsMeasurement, _ids(MEASUREMENT));
        vm.stopPrank();

        _assertApp(_boot(), DenialCode.ImageNotAllowed, "OS image is not allowed");
        assertEq(uint8(evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx).state), uint8(State.Suspended), "image");
        vm.prank(DAO);
        kms.lift(Kind.OsImage, _ids(IMAGE), type(uint40).max);
        _assertKms(_boot(), DenialCode.MeasurementNotAllowed, "Aggregated MR not allowed");
        assertEq(uint8(evaluator.evaluateKms(kms, _boot()).state), uint8(State.Suspended), "measurement");
        vm.prank(DAO);
        kms.lift(Kind.KmsMeasurement, _ids(MEASUREMENT), type(uint40).max);
        vm.prank(GUARDIAN);
        kms.suspend(Kind.KmsDevice, _ids(DEVICE));
        _assertKms(_boot(), DenialCode.KmsDeviceNotAllowed, "KMS is not allowed to boot on this device");
        assertEq(uint8(evaluator.evaluateKms(kms, _boot()).state), uint8(State.Suspended), "device");
        address others = address(new HostsOfOne("other"));
        vm.prank(DAO);
        kms.setHosts(others, type(uint40).max);
        assertEq(uint8(evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx).state), uint8(State.Active), "of no id");
    }
}

/// @notice Contracts that want to harm who asks them.
contract KmsAuthHostileAppTest is KmsAuthFixture {
    function _assertHostile(address hostile, DenialCode denial, string memory reason) private {
        kms.registerApp(hostile);
        AppBootInfo memory boot = _boot();
        boot.appId = hostile;

        uint256 gas = gasleft();
        _assertApp(boot, denial, reason);

        assertTrue(gas - gasleft() < 2 * 1_200_000, "it cost more than two bounded questions");
        _assertApp(_boot(), DenialCode.None, "");
    }

    function test_AppThatAllowsEverythingDecidesOnlyAboutItself() public {
        _assertHostile(address(new YesApp()), DenialCode.None, "");
        vm.prank(DAO);
        kms.removeOsImageHash(IMAGE);
        AppBootInfo memory boot = _boot();
        boot.appId = address(new YesApp());
        kms.registerApp(boot.appId);
        _assertApp(boot, DenialCode.ImageNotAllowed, "OS image is not allowed");
    }

    function test_ReasonOfTheAppIsPassedOn() public {
        _assertHostile(address(new NoApp("not on Sundays")), DenialCode.AppRefused, "not on Sundays");
    }

    function test_RevertIsADenial() public {
        _assertHostile(address(new RevertingApp()), DenialCode.AppFailed, "App contract failed");
    }

    function test_GasBombIsADenial() public {
        _assertHostile(address(new GasBombApp()), DenialCode.AppFailed, "App contract failed");
    }

    function test_RecursionIsADenial() public {
        _assertHostile(address(new RecursiveApp()), DenialCode.AppFailed, "App contract failed");
    }

    function test_ReturnBombIsADenial() public {
        _assertHostile(
            address(new ReturnBombApp(false)),
            DenialCode.AppAnswerInvalid,
            "App contract gave no valid answer"
        );
        _assertHostile(address(new ReturnBombApp(true)), DenialCode.AppFailed, "App contract failed");
    }

    function test_RemovedAppContractIsADenial() public {
        YesApp vanishing = new YesApp();
        vm.etch(address(vanishing), "");
        _assertHostile(address(vanishing), DenialCode.AppHasNoCode, "App not deployed or invalid address");
    }

    function test_AccountWithoutCodeIsADenial() public {
        _assertHostile(STRANGER, DenialCode.AppHasNoCode, "App not deployed or invalid address");
    }

    function test_MalformedAnswersAreDenials() public {
        bytes memory right = abi.encode(true, "");
        _assertHostile(address(new EchoApp(right)), DenialCode.None, "");

        _assertNonsense("");
        _assertNonsense(hex"01");
        _assertNonsense(abi.encode(true));
        _assertNonsense(abi.encodePacked(uint256(1), uint256(64)));
        _assertNonsense(abi.encode(uint256(2), uint256(64), uint256(0)));
        _assertNonsense(abi.encode(uint256(1), uint256(96), uint256(0)));
        _assertNonsense(abi.encode(uint256(1), type(uint256).max, uint256(0)));
        _assertNonsense(abi.encode(uint256(1), uint256(64), uint256(1)));
        _assertNonsense(abi.encode(uint256(1), uint256(64), type(uint256).max));
        _assertNonsense(abi.encode(true, string(new bytes(1025))));
    }

    function _assertNonsense(bytes memory answer) private {
        _assertHostile(address(new EchoApp(answer)), DenialCode.AppAnswerInvalid, "App contract gave no valid answer");
    }

    function testFuzz_NoAnswerReverts(bytes calldata answer) public {
        EchoApp echo = new EchoApp(answer);
        kms.registerApp(address(echo));
        AppBootInfo memory boot = _boot();
        boot.appId = address(echo);

        (bool isAllowed, ) = kms.isAppAllowed(boot);

        if (isAllowed) {
            (bool said, ) = abi.decode(answer, (bool, string));
            assertTrue(said, "allowed without a yes");
        }
    }

    function test_TooLittleGasIsAnOutageAndNoDenial() public {
        kms.registerApp(address(new GasBombApp()));
        AppBootInfo memory boot = _boot();
        boot.appId = address(new GasBombApp());
        kms.registerApp(boot.appId);

        try kms.isAppAllowed{gas: 500_000}(boot) {
            revert NotTrue("it answered");
        } catch (bytes memory reason) {
            assertTrue(bytes4(reason) == BoundedAppCall.GasTooLow.selector, "another error");
        }
    }
}

/// @notice Who may do what.
contract KmsAuthRightsTest is KmsAuthFixture {
    function test_OnlyTheOwnerAllows() public {
        bytes[] memory calls = new bytes[](17);
        calls[0] = abi.encodeCall(kms.addOsImageHash, ("x"));
        calls[1] = abi.encodeCall(kms.removeOsImageHash, ("x"));
        calls[2] = abi.encodeCall(kms.addKmsAggregatedMr, ("x"));
        calls[3] = abi.encodeCall(kms.removeKmsAggregatedMr, ("x"));
        calls[4] = abi.encodeCall(kms.addKmsDevice, ("x"));
        calls[5] = abi.encodeCall(kms.removeKmsDevice, ("x"));
        calls[6] = abi.encodeCall(kms.setKmsInfo, (IKmsAuth.KmsInfo("", "", "", "")));
        calls[7] = abi.encodeCall(kms.setKmsQuote, (""));
        calls[8] = abi.encodeCall(kms.setKmsEventlog, (""));
        calls[9] = abi.encodeCall(kms.setGatewayAppId, ("any"));
        calls[10] = abi.encodeCall(kms.setAppImplementation, (STRANGER));
        calls[11] = abi.encodeCall(kms.approve, (_terms(Kind.OsImage, "x"), type(uint40).max));
        calls[12] = abi.encodeCall(kms.lift, (Kind.OsImage, _ids(IMAGE), type(uint40).max));
        calls[13] = abi.encodeCall(kms.setGuardian, (STRANGER, 1 days, type(uint40).max));
        calls[14] = abi.encodeCall(kms.setActivationDelay, (Kind.OsImage, 1, type(uint40).max));
        calls[15] = abi.encodeCall(kms.setHosts, (address(0), type(uint40).max));
        calls[16] = abi.encodeCall(kms.extend, (Kind.OsImage, _ids(IMAGE), 0, type(uint40).max));

        for (uint256 i = 0; i < calls.length; i++) {
            _assertRefused(GUARDIAN, calls[i]);
            _assertRefused(STRANGER, calls[i]);
        }
        _assertRefused(GUARDIAN, abi.encodeCall(kms.withdraw, (Kind.OsImage, _ids(IMAGE))));
        _assertRefused(GUARDIAN, abi.encodeCall(kms.revoke, (Kind.OsImage, _ids(IMAGE))));
        _assertRefused(GUARDIAN, abi.encodeCall(kms.shorten, (Kind.OsImage, _ids(IMAGE), 4_000_000_000)));
        _assertRefused(GUARDIAN, abi.encodeCall(kms.upgradeToAndCall, (address(new KmsAuth()), "")));
    }

    function _assertRefused(address sender, bytes memory call) private {
        vm.prank(sender);
        (bool success, bytes memory reason) = address(kms).call(call);

        assertTrue(!success, "it was done");
        assertEq(
            keccak256(reason),
            keccak256(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, sender)),
            "another error"
        );
    }

    function test_OtherAccountsCannotSuspend() public {
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.GuardianUnauthorizedAccount.selector, STRANGER));
        vm.prank(STRANGER);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
    }

    function test_GuardianCooldownIsAsLongAsTheSuspension() public {
        uint256 start = block.timestamp;
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        assertEq(uint8(kms.stateOf(Kind.OsImage, IMAGE)), uint8(State.Suspended), "suspended");

        vm.warp(start + 7 days);
        assertEq(uint8(kms.stateOf(Kind.OsImage, IMAGE)), uint8(State.Active), "lapsed");
        vm.expectRevert(
            abi.encodeWithSelector(IApprovalRegistry.GuardianCooldown.selector, IMAGE, start + 7 days, start + 14 days)
        );
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));

        vm.prank(DAO);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        assertEq(uint8(kms.stateOf(Kind.OsImage, IMAGE)), uint8(State.Suspended), "the DAO need not rest");
    }

    function test_GuardianMaySuspendAgainAfterTheCooldown() public {
        uint256 start = block.timestamp;
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));

        vm.warp(start + 14 days);
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));

        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).suspendedUntil(), start + 21 days, "end");
    }

    function test_SuspendSkipsDeniedIdsAndRefusesUnknownOnes() public {
        bytes32[] memory ids = new bytes32[](2);
        ids[0] = IMAGE;
        ids[1] = "second";
        vm.startPrank(DAO);
        kms.addOsImageHash("second");
        kms.removeOsImageHash(IMAGE);
        vm.stopPrank();

        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, ids);

        assertEq(uint8(kms.stateOf(Kind.OsImage, IMAGE)), uint8(State.Withdrawn), "withdrawn");
        assertEq(uint8(kms.stateOf(Kind.OsImage, "second")), uint8(State.Suspended), "suspended");
        vm.expectRevert(
            abi.encodeWithSelector(IApprovalRegistry.ApprovalUnknown.selector, Kind.OsImage, bytes32("typo"))
        );
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids("typo"));
    }

    function test_WithdrawnAppIsNotRegisteredAgain() public {
        bytes32 key = _key(address(app));
        vm.prank(GUARDIAN);
        kms.suspend(Kind.App, _ids(key));
        vm.expectRevert(abi.encodeWithSelector(IKmsAuth.AppRegistrationDenied.selector, address(app), State.Suspended));
        kms.registerApp(address(app));

        vm.prank(DAO);
        kms.withdraw(Kind.App, _ids(key));
        vm.expectRevert(abi.encodeWithSelector(IKmsAuth.AppRegistrationDenied.selector, address(app), State.Withdrawn));
        kms.registerApp(address(app));

        vm.prank(DAO);
        kms.approve(_terms(Kind.App, key), type(uint40).max);
        _assertApp(_boot(), DenialCode.None, "");
    }

    function test_ActivationDelayAppliesToTheAddFunctionsOfDstack() public {
        vm.startPrank(DAO);
        kms.setActivationDelay(Kind.OsImage, 1 days, type(uint40).max);
        kms.addOsImageHash("slow");
        vm.stopPrank();

        assertEq(uint8(kms.stateOf(Kind.OsImage, "slow")), uint8(State.Pending), "pending");
        assertTrue(!kms.allowedOsImages("slow"), "allowed at once");
        assertEq(kms.activationDelay(Kind.KmsDevice), 0, "another kind waits too");
        vm.warp(block.timestamp + 1 days);
        assertTrue(kms.allowedOsImages("slow"), "not allowed after its time");
    }

    function test_ActivationDelayChangesOneKindOnly() public {
        vm.startPrank(DAO);
        for (uint8 i = 0; i <= uint8(Kind.App); i++) kms.setActivationDelay(Kind(i), 0xf0 + i, type(uint40).max);
        kms.setActivationDelay(Kind.KmsDevice, 0x0f, type(uint40).max);
        vm.stopPrank();

        assertEq(kms.activationDelay(Kind.OsImage), 0xf0, "image");
        assertEq(kms.activationDelay(Kind.KmsMeasurement), 0xf1, "measurement");
        assertEq(kms.activationDelay(Kind.KmsDevice), 0x0f, "device");
        assertEq(kms.activationDelay(Kind.App), 0xf3, "app");
    }

    function test_RevokedIdCannotBeAddedAgain() public {
        vm.startPrank(DAO);
        kms.revoke(Kind.OsImage, _ids(IMAGE));

        vm.expectRevert(abi.encodeWithSelector(ApprovalStateInvalid.selector, State.Revoked));
        kms.addOsImageHash(IMAGE);
        kms.revoke(Kind.OsImage, _ids("in advance"));
        vm.expectRevert(abi.encodeWithSelector(ApprovalStateInvalid.selector, State.Revoked));
        kms.addOsImageHash("in advance");
        vm.stopPrank();

        assertEq(kms.count(Kind.OsImage), 2, "what is revoked in advance is listed");
        uint256 word = Approval.unwrap(kms.approvalOf(Kind.OsImage, IMAGE));
        vm.warp(block.timestamp + 1);
        vm.prank(DAO);
        kms.revoke(Kind.OsImage, _ids(IMAGE));
        assertEq(Approval.unwrap(kms.approvalOf(Kind.OsImage, IMAGE)), word, "once is for good");
    }

    function test_KindsOfOtherRegistriesAreRefused() public {
        vm.startPrank(DAO);
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.KindUnknown.selector, Kind.Release));
        kms.approve(_terms(Kind.Release, "x"), type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.KindUnknown.selector, Kind.Host));
        kms.revoke(Kind.Host, _ids("x"));
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.KindUnknown.selector, Kind.Host));
        kms.setActivationDelay(Kind.Host, 1, type(uint40).max);
        bytes32 tooWide = bytes32(uint256(1) << 160);
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.IdInvalid.selector, Kind.App, tooWide));
        kms.approve(_terms(Kind.App, tooWide), type(uint40).max);
        vm.stopPrank();

        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.IdInvalid.selector, Kind.OsImage, bytes32(0)));
        vm.prank(DAO);
        kms.revoke(Kind.OsImage, _ids(0));

        assertEq(kms.count(Kind.Host), 0, "count");
        assertEq(kms.activationDelay(Kind.Host), 0, "delay");
    }

    function test_PagesEndWithTheList() public view {
        (bytes32[] memory ids, Approval[] memory words) = kms.page(Kind.OsImage, 0, 10);
        assertEq(ids.length, 1, "one image");
        assertEq(ids[0], IMAGE, "image");
        for (uint256 offset = 1; offset < 3; offset++) {
            (ids, words) = kms.page(Kind.OsImage, offset, 10);
            assertEq(ids.length + words.length, 0, "beyond");
        }
    }

    function test_DecisionsRevertAfterTheirExecutionDeadline() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IExecutionDeadline.ExecutionDeadlinePassed.selector,
                block.timestamp,
                block.timestamp - 1
            )
        );
        vm.prank(DAO);
        kms.approve(_terms(Kind.OsImage, "x"), uint40(block.timestamp - 1));
    }

    function test_UpgradeKeepsTheState() public {
        address next = address(new KmsAuth());

        vm.prank(DAO);
        kms.upgradeToAndCall(next, "");

        _assertApp(_boot(), DenialCode.None, "");
        _assertKms(_boot(), DenialCode.None, "");
    }

    function test_SuspensionTimeIsBounded() public {
        vm.startPrank(DAO);
        vm.expectRevert(
            abi.encodeWithSelector(IApprovalRegistry.SuspensionOutOfBounds.selector, 59 minutes, 1 hours, 90 days)
        );
        kms.setGuardian(GUARDIAN, 59 minutes, type(uint40).max);
        vm.expectRevert(
            abi.encodeWithSelector(IApprovalRegistry.SuspensionOutOfBounds.selector, 91 days, 1 hours, 90 days)
        );
        kms.setGuardian(GUARDIAN, 91 days, type(uint40).max);
        vm.stopPrank();
    }
}

/// @notice dstack's own tools and what they expect.
contract KmsAuthDstackTest is KmsAuthFixture {
    function test_AddAndRemoveAcceptTheSameCallsAsDstack() public {
        vm.startPrank(DAO);
        kms.addOsImageHash(IMAGE);
        kms.removeOsImageHash("never added");
        kms.removeOsImageHash(IMAGE);
        kms.removeOsImageHash(IMAGE);
        assertTrue(!kms.allowedOsImages(IMAGE), "still allowed");
        kms.addOsImageHash(IMAGE);
        vm.stopPrank();

        assertTrue(kms.allowedOsImages(IMAGE), "not allowed again");
        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).version(), 2, "version");
        assertEq(kms.count(Kind.OsImage), 1, "listed twice");
    }

    function test_RemovedAppDeviceCanBeAddedInTheSameBlock() public {
        vm.startPrank(OWNER);
        app.removeDevice(DEVICE);
        _assertApp(_boot(), DenialCode.AppRefused, "Device not allowed");
        app.addDevice(DEVICE);
        vm.stopPrank();

        _assertApp(_boot(), DenialCode.None, "");
    }

    function test_FactorySetsTheRulesThatItIsGiven() public {
        App strict = App(kms.deployAndRegisterApp(OWNER, false, true, false, DEVICE, COMPOSE));
        AppBootInfo memory boot = _boot();
        boot.appId = address(strict);
        boot.tcbStatus = "OutOfDate";
        assertTrue(strict.requireTcbUpToDate(), "requires");
        _assertApp(boot, DenialCode.AppRefused, "TCB status is not up to date");
        boot.tcbStatus = "UpToDate";
        _assertApp(boot, DenialCode.None, "");
    }

    function test_OlderFactoryDoesNotRequireUpToDate() public {
        App older = App(kms.deployAndRegisterApp(OWNER, true, true, 0, 0));

        assertTrue(!older.requireTcbUpToDate(), "requires");
        assertTrue(older.allowAnyDevice(), "any device");
        assertEq(older.version(), 2, "version");
        assertEq(older.owner(), OWNER, "owner");
        assertTrue(kms.registeredApps(address(older)), "registered");
        address next = address(new App());
        vm.expectRevert(bytes("Upgrades are permanently disabled"));
        vm.prank(OWNER);
        older.upgradeToAndCall(next, "");
    }

    function test_RevertsWithDstacksStrings() public {
        vm.expectRevert(bytes("Invalid app ID"));
        kms.registerApp(address(0));
        vm.expectRevert(bytes("Invalid owner address"));
        kms.deployAndRegisterApp(address(0), false, false, false, 0, 0);
        vm.expectRevert(bytes("Invalid implementation address"));
        vm.prank(DAO);
        kms.setAppImplementation(address(0));

        bytes memory init = abi.encodeCall(KmsAuth.initialize, (DAO, address(0)));
        KmsAuth bare = KmsAuth(address(new ERC1967Proxy(address(new KmsAuth()), init)));
        vm.expectRevert(bytes("DstackApp implementation not set"));
        bare.deployAndRegisterApp(OWNER, false, false, false, 0, 0);

        App implementation = new App();
        vm.expectRevert(bytes("invalid owner address"));
        new ERC1967Proxy(
            address(implementation),
            abi.encodeWithSignature(
                "initialize(address,bool,bool,bytes32,bytes32)",
                address(0),
                false,
                false,
                bytes32(0),
                bytes32(0)
            )
        );
    }

    function test_AnswersErc165() public view {
        assertTrue(kms.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(kms.supportsInterface(0x1e079198), "IAppAuth");
        assertTrue(!kms.supportsInterface(0x8fd37527), "KmsAuth is no app");
        assertTrue(app.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(app.supportsInterface(0x1e079198), "IAppAuth");
        assertTrue(app.supportsInterface(0x8fd37527), "IAppAuthBasicManagement");
        assertTrue(!app.supportsInterface(0xffffffff), "never");
    }

    /// @dev Proxy, app, ownership, initialization, registration, factory: in dstack's order, ours in between.
    function test_FactoryEmitsDstacksEventsInOrder() public {
        vm.recordLogs();
        vm.prank(STRANGER);
        address made = kms.deployAndRegisterApp(OWNER, false, false, false, DEVICE, COMPOSE);

        bytes32[8] memory expected = [
            keccak256("Upgraded(address)"),
            keccak256("DeviceAdded(bytes32)"),
            keccak256("ComposeHashAdded(bytes32)"),
            keccak256("OwnershipTransferred(address,address)"),
            keccak256("Initialized(uint64)"),
            keccak256("AppRegistered(address)"),
            keccak256("PolicyChanged(address,bytes32,bytes32,bool)"),
            keccak256("AppDeployedViaFactory(address,address)")
        ];
        Log[] memory logs = vm.getRecordedLogs();
        uint256 found;
        for (uint256 i = 0; i < logs.length && found < expected.length; i++) {
            if (logs[i].topics[0] == expected[found]) found++;
        }
        assertEq(found, expected.length, "an event is missing or late");
        Log memory last = logs[logs.length - 1];
        assertEq(last.topics[1], _key(made), "app");
        assertEq(last.topics[2], _key(STRANGER), "deployer");
    }

    /// @dev dstack's own functions for images, KMS measurements and KMS devices: effect, its event, then the common one.
    function test_DstacksFunctionsAddAndRemove() public {
        bytes32 id = "new";
        _assertChange(
            address(kms),
            abi.encodeCall(kms.addOsImageHash, (id)),
            "OsImageHashAdded",
            PolicyNames.OS_IMAGE,
            true
        );
        assertTrue(kms.allowedOsImages(id), "image");
        _assertChange(
            address(kms),
            abi.encodeCall(kms.removeOsImageHash, (id)),
            "OsImageHashRemoved",
            PolicyNames.OS_IMAGE,
            false
        );
        assertTrue(!kms.allowedOsImages(id), "removed image");
        bytes32 policy = PolicyNames.KMS_AGGREGATED_MR;
        _assertChange(address(kms), abi.encodeCall(kms.addKmsAggregatedMr, (id)), "KmsAggregatedMrAdded", policy, true);
        assertTrue(kms.kmsAllowedAggregatedMrs(id), "measurement");
        _assertChange(
            address(kms),
            abi.encodeCall(kms.removeKmsAggregatedMr, (id)),
            "KmsAggregatedMrRemoved",
            policy,
            false
        );
        assertTrue(!kms.kmsAllowedAggregatedMrs(id), "removed measurement");
        _assertChange(
            address(kms),
            abi.encodeCall(kms.addKmsDevice, (id)),
            "KmsDeviceAdded",
            PolicyNames.KMS_DEVICE,
            true
        );
        assertTrue(kms.kmsAllowedDeviceIds(id), "device");
        _assertChange(
            address(kms),
            abi.encodeCall(kms.removeKmsDevice, (id)),
            "KmsDeviceRemoved",
            PolicyNames.KMS_DEVICE,
            false
        );
        assertTrue(!kms.kmsAllowedDeviceIds(id), "removed device");
    }

    function test_HostsAreSetAndUnset() public {
        vm.recordLogs();
        vm.startPrank(DAO);
        kms.setHosts(STRANGER, type(uint40).max);
        kms.setHosts(address(0), type(uint40).max);
        vm.stopPrank();
        Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[1].topics[2], PolicyNames.HOSTS, "policy");
        assertTrue(abi.decode(logs[1].data, (bool)), "set");
        assertTrue(!abi.decode(logs[3].data, (bool)), "unset");
    }

    function test_EverySetterEmitsAnEvent() public {
        bytes[] memory calls = new bytes[](5);
        calls[0] = abi.encodeCall(kms.setKmsInfo, (IKmsAuth.KmsInfo("k", "c", "q", "e")));
        calls[1] = abi.encodeCall(kms.setKmsQuote, ("quote"));
        calls[2] = abi.encodeCall(kms.setKmsEventlog, ("log"));
        calls[3] = abi.encodeCall(kms.setGatewayAppId, ("gateway"));
        calls[4] = abi.encodeCall(kms.setAppImplementation, (STRANGER));
        for (uint256 i = 0; i < calls.length; i++) {
            vm.recordLogs();
            vm.prank(DAO);
            (bool success, ) = address(kms).call(calls[i]);
            Log[] memory logs = vm.getRecordedLogs();

            assertTrue(success, "refused");
            assertTrue(logs.length >= 2, "silent");
            assertEq(logs[1].topics[0], keccak256("PolicyChanged(address,bytes32,bytes32,bool)"), "PolicyChanged");
        }
        (, , bytes memory quote, bytes memory eventlog) = kms.kmsInfo();
        assertEq(string(quote), "quote", "quote");
        assertEq(string(eventlog), "log", "event log");
        assertEq(kms.gatewayAppId(), "gateway", "gateway");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {BoundedAppCall} from "../../../contracts/auth/BoundedAppCall.sol";
import {AppProxy} from "../../../contracts/auth/AppProxy.sol";
import {IAppAuth} from "../../../contracts/auth/IAppAuth.sol";
import {IAppInitialization, IKmsAuth} from "../../../contracts/auth/IKmsAuth.sol";
import {DenialCode} from "../../../contracts/auth/DenialReasons.sol";
import {Images} from "../../../contracts/registry/Images.sol";
import {State} from "../../../contracts/types/Approval.sol";
import {AppBootInfo} from "../../../contracts/types/BootInfo.sol";
import {Kind} from "../../../contracts/types/Kind.sol";
import {TeeVariant} from "../../../contracts/types/TeeVariant.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {EchoApp, GasBombApp, RecursiveApp, ReturnBombApp, RevertingApp, YesApp} from "../hostile/MaliciousApps.sol";
import {HostsOfOne, KmsAuthFixture} from "../KmsAuth.t.sol";

uint40 constant NEVER = type(uint40).max;

/// @notice Answers after much work.
contract Rulebook {
    mapping(uint256 => uint256) private _rules;

    function allows(uint256 work) external view returns (bool) {
        bytes32 digest;
        for (uint256 i = 0; i < work; i++) digest = keccak256(abi.encode(digest, _rules[0]));
        return digest != 0;
    }
}

/// @notice Asks its rulebook, and treats a failure of it as a no.
contract CarefulApp is IAppAuth {
    Rulebook private immutable _book = new Rulebook();

    function isAppAllowed(AppBootInfo calldata) external view returns (bool, string memory) {
        return _asks(1_500) ? (true, "") : (false, "not in the rulebook");
    }

    function acceptsVariant(TeeVariant) external view returns (bool) {
        return _asks(150);
    }

    function _asks(uint256 work) private view returns (bool) {
        try _book.allows(work) returns (bool yes) {
            return yes;
        } catch {
            return false;
        }
    }
}

/// @notice Somebody tries to break each promise about the question (docs/contracts.md, numbers with K).
contract KmsAuthAttacks is KmsAuthFixture {
    function _isAllowed(AppBootInfo memory boot) private view returns (bool isAllowed) {
        (isAllowed, ) = kms.isAppAllowed(boot);
    }

    /// @dev One says yes to everything, and boots are asked about in the name of another app.
    function test_K1_AppAnswersForItselfOnly() public {
        YesApp yes = new YesApp();
        kms.registerApp(address(yes));
        AppBootInfo memory boot = _boot();
        boot.composeHash = "not approved by the app";
        assertTrue(!_isAllowed(boot), "allowed for another app");
        boot.appId = address(yes);
        assertTrue(_isAllowed(boot), "not allowed for itself");
    }

    function test_K2_HostileAppIsDeniedAndBlocksNoOtherApp() public {
        address[5] memory hostile = [
            address(new RevertingApp()),
            address(new GasBombApp()),
            address(new ReturnBombApp(true)),
            address(new ReturnBombApp(false)),
            address(new EchoApp(abi.encode(uint256(2), uint256(64), uint256(0))))
        ];
        for (uint256 i = 0; i < hostile.length; i++) {
            kms.registerApp(hostile[i]);
            AppBootInfo memory boot = _boot();
            boot.appId = hostile[i];
            assertTrue(!_isAllowed(boot), "allowed");
        }
        RecursiveApp recursive = new RecursiveApp();
        kms.registerApp(address(recursive));
        AppBootInfo memory again = _boot();
        again.appId = address(recursive);
        try kms.isAppAllowed{gas: 20_000_000}(again) returns (bool isAllowed, string memory) {
            assertTrue(!isAllowed, "allowed");
        } catch {}
        _assertApp(_boot(), DenialCode.None, "");
    }

    /// @dev Too little gas must not give a denial: the same question is asked with every amount.
    function test_K3_TooLittleGasIsNoDenial() public view {
        bytes memory question = abi.encodeCall(kms.isAppAllowed, (_boot()));
        for (uint256 amount = 30_000; amount < 1_200_000; amount += 30_000) {
            (bool done, bytes memory answer) = address(kms).staticcall{gas: amount}(question);
            if (!done) continue;
            (bool isAllowed, ) = abi.decode(answer, (bool, string));
            assertTrue(isAllowed, "denied for want of gas");
        }
        assertTrue(BoundedAppCall.APP_GAS == 1_000_000, "the amounts above say nothing");
    }

    /// @dev An app that asks another contract, and takes its failure for a reason to deny.
    function test_K3_AppThatGetsTooLittleGasInsideIsNoDenial() public {
        AppBootInfo memory boot = _boot();
        boot.appId = address(new CarefulApp());
        kms.registerApp(boot.appId);
        bytes memory question = abi.encodeCall(kms.appDenial, (boot, TeeVariant.GcpTdx));
        uint256 allowed;
        for (uint256 amount = 40_000; amount < 1_600_000; amount += 13_000) {
            (bool done, bytes memory answer) = address(kms).staticcall{gas: amount}(question);
            if (!done) continue;
            (DenialCode denial, ) = abi.decode(answer, (DenialCode, string));
            assertTrue(denial == DenialCode.None, "denied for want of gas");
            allowed++;
        }
        assertTrue(allowed != 0, "never enough");
    }

    function test_K4_WithdrawnAppIsNotRegisteredAgain() public {
        bytes32 key = _key(address(app));
        bytes[3] memory ends = [
            abi.encodeCall(kms.suspend, (Kind.App, _ids(key))),
            abi.encodeCall(kms.withdraw, (Kind.App, _ids(key))),
            abi.encodeCall(kms.revoke, (Kind.App, _ids(key)))
        ];
        State[3] memory states = [State.Suspended, State.Withdrawn, State.Revoked];
        for (uint256 i = 0; i < ends.length; i++) {
            vm.prank(DAO);
            (bool done, ) = address(kms).call(ends[i]);
            assertTrue(done, "not ended");
            vm.expectRevert(abi.encodeWithSelector(IKmsAuth.AppRegistrationDenied.selector, address(app), states[i]));
            vm.prank(STRANGER);
            kms.registerApp(address(app));
            assertTrue(!_isAllowed(_boot()), "allowed");
        }
    }

    /// @dev The address at which the next app would be made is taken before: it never becomes an app, nobody's app fails.
    function test_K5_AddressRegisteredInAdvanceGivesNobodyAnApp() public {
        address next = _predicted(kms.count(Kind.App) + 1);
        vm.prank(STRANGER);
        kms.registerApp(next);
        address made = kms.deployAndRegisterApp(OWNER, false, false, true, 0, COMPOSE);

        assertTrue(made != next && made.code.length != 0, "made where it was taken");
        assertTrue(kms.registeredApps(made), "not registered");
        AppBootInfo memory boot = _boot();
        boot.appId = next;
        assertTrue(!_isAllowed(boot), "an address without an app boots");
        boot.appId = made;
        assertTrue(_isAllowed(boot), "the app does not boot");
        (bool done, ) = next.call(
            abi.encodeCall(IAppInitialization.initialize, (STRANGER, false, false, true, bytes32(0), COMPOSE))
        );
        assertTrue(done && next.code.length == 0, "there is something");
        boot.appId = next;
        assertTrue(!_isAllowed(boot), "it boots by now");
    }

    /// @dev The guardian takes the addresses that it can foresee, and suspends them: nobody's app fails.
    function test_K5_GuardianCannotBlockTheNextApps() public {
        bytes memory create = abi.encodeWithSignature(
            "deployAndRegisterApp(address,bool,bool,bytes32,bytes32)",
            OWNER,
            false,
            true,
            bytes32(0),
            COMPOSE
        );
        vm.startPrank(GUARDIAN);
        for (uint8 nonce = 1; nonce < 20; nonce++) {
            bytes memory list = abi.encodePacked(hex"d694", address(kms), nonce);
            address made = address(uint160(uint256(keccak256(list))));
            kms.registerApp(made);
            kms.suspend(Kind.App, _ids(_key(made)));
        }
        uint256 next = kms.count(Kind.App) + 11;
        for (uint256 i = 0; i < 10; i++) kms.registerApp(_predicted(next + i));
        vm.stopPrank();
        for (uint256 i = 0; i < 10; i++) {
            (bool done, bytes memory answer) = address(kms).call(create);
            assertTrue(done, "blocked");
            assertTrue(kms.registeredApps(abi.decode(answer, (address))), "not registered");
        }
    }

    /// @dev Transactions in front of the creation, in the same block: the guardian computes both addresses and suspends them.
    function test_K5_GuardianCannotBlockACreationInItsOwnBlock() public {
        address creator = address(0x71C);
        for (uint256 i = 1; i <= 3; i++) {
            vm.roll(1_000 + i);
            uint256 position = kms.count(Kind.App) + 3;
            address other = _predicted(uint256(keccak256(abi.encode(blockhash(block.number - 1), creator, position))));
            vm.startPrank(GUARDIAN);
            kms.registerApp(_predicted(position));
            kms.registerApp(other);
            kms.suspend(Kind.App, _ids(_key(other)));
            vm.stopPrank();
            vm.prank(creator);
            address made = kms.deployAndRegisterApp(OWNER, false, false, true, 0, COMPOSE);
            assertEq(made, other, "not the suspended address: the attack missed");
            assertTrue(made.code.length != 0, "blocked");
            assertTrue(kms.stateOf(Kind.App, _key(made)) == State.Suspended, "the suspension of the guardian stays");
            vm.prank(DAO);
            kms.lift(Kind.App, _ids(_key(made)), type(uint40).max);
            assertTrue(kms.registeredApps(made), "not registered after the suspension");
        }
    }

    /// @dev In the same block as the creation: what the DAO decided about the address stays.
    function test_K5_CreationUndoesNoDecision() public {
        vm.roll(1_000);
        uint256 position = kms.count(Kind.App) + 3;
        address other = _predicted(
            uint256(keccak256(abi.encode(blockhash(block.number - 1), address(this), position)))
        );
        kms.registerApp(_predicted(position));
        vm.prank(DAO);
        kms.revoke(Kind.App, _ids(_key(other)));
        vm.expectRevert(abi.encodeWithSelector(IKmsAuth.AppRegistrationDenied.selector, other, State.Revoked));
        kms.deployAndRegisterApp(OWNER, false, false, true, 0, COMPOSE);
    }

    function _predicted(uint256 salt) private view returns (address) {
        bytes32 init = keccak256(AppProxy.CREATION);
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(kms), salt, init)))));
    }

    /// @dev One thing wrong at a time.
    function test_K6_KmsNeedsAllOfItsApprovals() public {
        address hostsOf = address(new HostsOfOne(DEVICE));
        vm.startPrank(DAO);
        kms.setHosts(hostsOf, NEVER);
        kms.addKmsDevice("a machine that is no host");
        vm.stopPrank();
        _assertKms(_boot(), DenialCode.None, "");
        AppBootInfo[5] memory boots;
        for (uint256 i = 0; i < 5; i++) boots[i] = _boot();
        boots[0].tcbStatus = "OutOfDate";
        boots[1].osImageHash = "other";
        boots[2].mrAggregated = "other";
        boots[3].deviceId = "other";
        boots[4].deviceId = "a machine that is no host";
        for (uint256 i = 0; i < 5; i++) {
            (bool isAllowed, ) = kms.isKmsAllowed(boots[i]);
            assertTrue(!isAllowed, "allowed");
        }
    }

    /// @dev An app without a device list of its own still boots on admitted hosts only.
    function test_K7_AppCannotOpenAHostOrAnImage() public {
        YesApp yes = new YesApp();
        kms.registerApp(address(yes));
        address hostsOf = address(new HostsOfOne("another machine"));
        vm.prank(DAO);
        kms.setHosts(hostsOf, NEVER);
        AppBootInfo memory boot = _boot();
        boot.appId = address(yes);
        assertTrue(!_isAllowed(boot), "on a machine that is not admitted");
        boot.deviceId = "another machine";
        assertTrue(_isAllowed(boot), "not allowed");
        boot.osImageHash = "another image";
        assertTrue(!_isAllowed(boot), "with an image that is not approved");
    }

    function test_K8_ClosedImageNeedsAnApprovedMeasurementSet() public {
        bytes memory init = abi.encodeCall(Images.initialize, (DAO, GUARDIAN, 7 days));
        Images images = Images(address(new ERC1967Proxy(address(new Images()), init)));
        vm.startPrank(DAO);
        kms.setImages(address(images), NEVER);
        assertTrue(_isAllowed(_boot()), "an open image does not boot");
        images.closeImages(_ids(IMAGE));
        vm.stopPrank();
        assertTrue(!_isAllowed(_boot()), "a closed image boots with anything");
        vm.prank(STRANGER);
        (bool done, ) = address(images).call(abi.encodeCall(images.openImages, (_ids(IMAGE), NEVER)));
        assertTrue(!done, "opened by a stranger");
        // an approval by id alone, of registers that nobody told
        vm.prank(DAO);
        (done, ) = address(images).call(abi.encodeCall(images.approve, (_terms(Kind.Measurements, "any"), NEVER)));
        assertTrue(!done, "approved what nobody told");
    }
}

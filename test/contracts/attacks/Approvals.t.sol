// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {IApprovalRegistry} from "../../../contracts/registry/IApprovalRegistry.sol";
import {IExecutionDeadline} from "../../../contracts/registry/IExecutionDeadline.sol";
import {State} from "../../../contracts/types/Approval.sol";
import {Kind} from "../../../contracts/types/Kind.sol";
import {YesApp} from "../hostile/MaliciousApps.sol";
import {KmsAuthFixture} from "../KmsAuth.t.sol";

uint40 constant NEVER = type(uint40).max;

/// @notice Somebody tries to break each promise about approvals (docs/contracts.md, numbers with A).
contract ApprovalAttacks is KmsAuthFixture {
    function _state(bytes32 id) private view returns (State) {
        return kms.stateOf(Kind.OsImage, id);
    }

    function _assertRefused(address sender, bytes memory call, string memory what) private {
        vm.prank(sender);
        (bool done, ) = address(kms).call(call);
        assertTrue(!done, what);
    }

    /// @dev Each state but Active, by the way it comes about.
    function test_A1_OnlyActiveAllows() public {
        vm.startPrank(DAO);
        kms.setActivationDelay(Kind.OsImage, 1 days, NEVER);
        kms.addOsImageHash("pending");
        assertTrue(!kms.allowedOsImages("none") && !kms.allowedOsImages("pending"), "none or pending");
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        assertTrue(!kms.allowedOsImages(IMAGE), "suspended");
        kms.lift(Kind.OsImage, _ids(IMAGE), NEVER);
        assertTrue(kms.allowedOsImages(IMAGE), "active");
        kms.shorten(Kind.OsImage, _ids(IMAGE), uint40(block.timestamp + 1));
        vm.warp(block.timestamp + 1);
        assertTrue(!kms.allowedOsImages(IMAGE), "expired");
        kms.withdraw(Kind.OsImage, _ids("pending"));
        vm.warp(block.timestamp + 2 days);
        assertTrue(!kms.allowedOsImages("pending"), "withdrawn");
        vm.stopPrank();
    }

    function test_A2_RevokedIsPermanent() public {
        vm.startPrank(DAO);
        kms.revoke(Kind.OsImage, _ids(IMAGE));
        kms.revoke(Kind.OsImage, _ids("never seen"));
        kms.lift(Kind.OsImage, _ids(IMAGE), NEVER);
        kms.extend(Kind.OsImage, _ids(IMAGE), 0, NEVER);
        vm.stopPrank();
        for (uint256 i = 0; i < 2; i++) {
            bytes32 id = i == 0 ? IMAGE : bytes32("never seen");
            _assertRefused(DAO, abi.encodeCall(kms.approve, (_terms(Kind.OsImage, id), NEVER)), "approved");
            _assertRefused(DAO, abi.encodeCall(kms.addOsImageHash, (id)), "added");
            assertEq(uint8(_state(id)), uint8(State.Revoked), "state");
        }
    }

    function test_A3_WithdrawnReturnsOnlyAsTheNextVersion() public {
        vm.startPrank(DAO);
        kms.withdraw(Kind.OsImage, _ids(IMAGE));
        kms.lift(Kind.OsImage, _ids(IMAGE), NEVER);
        kms.extend(Kind.OsImage, _ids(IMAGE), 0, NEVER);
        assertEq(uint8(_state(IMAGE)), uint8(State.Withdrawn), "it came back");
        kms.approve(_terms(Kind.OsImage, IMAGE), NEVER);
        vm.stopPrank();
        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).version(), 2, "version");
    }

    /// @dev The guardian cannot make it longer while it lasts, nor when its time has been made longer.
    function test_A4_SuspensionEndsByItself() public {
        uint256 start = block.timestamp;
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        vm.prank(DAO);
        kms.setGuardian(GUARDIAN, 90 days, NEVER);
        vm.warp(start + 7 days - 1);
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        assertTrue(!kms.allowedOsImages(IMAGE), "too short");
        vm.warp(start + 7 days);
        assertTrue(kms.allowedOsImages(IMAGE), "too long");
    }

    function test_A5_GuardianHasACooldownThatTheOwnerCannotStart() public {
        uint256 start = block.timestamp;
        bytes memory suspends = abi.encodeCall(kms.suspend, (Kind.OsImage, _ids(IMAGE)));
        // suspended and lifted by the owner in one go, so that the guardian would have to rest
        vm.startPrank(DAO);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        kms.lift(Kind.OsImage, _ids(IMAGE), NEVER);
        vm.stopPrank();
        vm.prank(GUARDIAN);
        (bool done, ) = address(kms).call(suspends);
        assertTrue(done && !kms.allowedOsImages(IMAGE), "an owner made an approval proof against the guardian");

        vm.warp(start + 7 days);
        _assertRefused(GUARDIAN, suspends, "no rest");
        vm.warp(start + 14 days - 1);
        _assertRefused(GUARDIAN, suspends, "too short a rest");
        vm.warp(start + 14 days);
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
    }

    /// @dev The DAO can let its guardian act again sooner, in both ways.
    function test_A5_OwnerShortensTheCooldown() public {
        uint256 start = block.timestamp;
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        vm.warp(start + 7 days);
        vm.prank(DAO);
        kms.setGuardian(GUARDIAN, 1 hours, NEVER);
        bytes memory suspends = abi.encodeCall(kms.suspend, (Kind.OsImage, _ids(IMAGE)));
        _assertRefused(GUARDIAN, suspends, "no rest");
        vm.startPrank(DAO);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        kms.lift(Kind.OsImage, _ids(IMAGE), NEVER);
        vm.stopPrank();
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        vm.warp(start + 7 days + 2 hours);
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
    }

    /// @dev It denies one boot by turns of image and app. What ends that is another guardian: see G3 for the vote.
    function test_A6_AlternatingGuardianDeniesOnlyUntilItIsReplaced() public {
        uint256 start = block.timestamp;
        for (uint256 i = 0; i < 4; i++) {
            vm.warp(start + i * 7 days);
            vm.prank(GUARDIAN);
            if (i % 2 == 0) kms.suspend(Kind.OsImage, _ids(IMAGE));
            else kms.suspend(Kind.App, _ids(_key(address(app))));
            (bool isAllowed, ) = kms.isAppAllowed(_boot());
            assertTrue(!isAllowed, "allowed in between");
        }
        vm.prank(DAO);
        kms.setGuardian(address(0), 7 days, NEVER);
        vm.warp(start + 28 days);
        _assertRefused(GUARDIAN, abi.encodeCall(kms.suspend, (Kind.OsImage, _ids(IMAGE))), "it goes on");
        (bool allowed, ) = kms.isAppAllowed(_boot());
        assertTrue(allowed, "still denied");
    }

    function test_A7_GuardiansAndOtherAccountsAllowNothing() public {
        vm.prank(DAO);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        address[2] memory others = [GUARDIAN, STRANGER];
        bytes[10] memory calls = [
            abi.encodeCall(kms.approve, (_terms(Kind.OsImage, "bad"), NEVER)),
            abi.encodeCall(kms.lift, (Kind.OsImage, _ids(IMAGE), NEVER)),
            abi.encodeCall(kms.extend, (Kind.OsImage, _ids(IMAGE), 0, NEVER)),
            abi.encodeCall(kms.setGuardian, (STRANGER, 1 days, NEVER)),
            abi.encodeCall(kms.setActivationDelay, (Kind.OsImage, 0, NEVER)),
            abi.encodeCall(kms.setHosts, (address(0), NEVER)),
            abi.encodeCall(kms.setImages, (address(0), NEVER)),
            abi.encodeCall(kms.addKmsDevice, ("bad")),
            abi.encodeCall(kms.transferOwnership, (STRANGER)),
            abi.encodeCall(kms.upgradeToAndCall, (STRANGER, ""))
        ];
        for (uint256 i = 0; i < others.length; i++) {
            for (uint256 j = 0; j < calls.length; j++) {
                vm.prank(others[i]);
                (bool done, bytes memory why) = address(kms).call(calls[j]);
                assertTrue(!done, "done");
                bytes memory owners = abi.encodeWithSelector(
                    OwnableUpgradeable.OwnableUnauthorizedAccount.selector,
                    others[i]
                );
                assertEq(keccak256(why), keccak256(owners), "refused for another reason");
            }
        }
    }

    function test_A8_DecisionsRevertAfterTheirExecutionDeadline() public {
        uint40 end = uint40(block.timestamp + 1 days);
        bytes[5] memory calls = [
            abi.encodeCall(kms.approve, (_terms(Kind.OsImage, "late"), end)),
            abi.encodeCall(kms.extend, (Kind.OsImage, _ids(IMAGE), 0, end)),
            abi.encodeCall(kms.lift, (Kind.OsImage, _ids(IMAGE), end)),
            abi.encodeCall(kms.setGuardian, (STRANGER, 1 days, end)),
            abi.encodeCall(kms.setHosts, (address(0), end))
        ];
        vm.warp(uint256(end) + 1);
        bytes memory late = abi.encodeWithSelector(
            IExecutionDeadline.ExecutionDeadlinePassed.selector,
            block.timestamp,
            end
        );
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(DAO);
            (bool done, bytes memory why) = address(kms).call(calls[i]);
            assertTrue(!done && keccak256(why) == keccak256(late), "fired late");
        }
    }

    /// @dev A stranger is first with each call of a batch that is open to him.
    /// @dev The guardian suspends just before the votes are carried out. The suspension stays, and so does the vote.
    function test_A9_GuardianCannotMakeAnExtensionFail() public {
        uint40 end = uint40(block.timestamp + 20 days);
        vm.prank(DAO);
        kms.shorten(Kind.OsImage, _ids(IMAGE), end - 10 days);
        vm.prank(GUARDIAN);
        kms.suspend(Kind.OsImage, _ids(IMAGE));
        vm.startPrank(DAO);
        kms.extend(Kind.OsImage, _ids(IMAGE), end - 5 days, NEVER);
        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).expiresAt(), end - 5 days, "not extended");
        IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms(Kind.OsImage, IMAGE, 0, end, "");
        kms.approve(terms, NEVER);
        kms.addOsImageHash(IMAGE);
        vm.stopPrank();
        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).expiresAt(), end, "not renewed");
        assertEq(kms.approvalOf(Kind.OsImage, IMAGE).version(), 1, "another version");
        assertTrue(kms.stateOf(Kind.OsImage, IMAGE) == State.Suspended, "lifted");
        vm.warp(block.timestamp + 7 days);
        assertTrue(kms.allowedOsImages(IMAGE), "not active after the suspension");
    }

    function test_A9_FrontRunnerCannotMakeABatchFail() public {
        address fresh = address(new YesApp());
        address second = address(new YesApp());
        vm.startPrank(DAO);
        kms.shorten(Kind.OsImage, _ids(IMAGE), uint40(block.timestamp + 1));
        kms.setActivationDelay(Kind.App, 1 days, NEVER);
        vm.stopPrank();
        vm.warp(block.timestamp + 1);

        vm.startPrank(STRANGER);
        kms.registerApp(fresh);
        kms.registerApp(second);
        kms.markExpired(Kind.OsImage, _ids(IMAGE));
        vm.stopPrank();

        vm.startPrank(DAO);
        IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](2);
        terms[0] = IApprovalRegistry.ApprovalTerms(Kind.App, _key(fresh), 0, 0, "");
        terms[1] = IApprovalRegistry.ApprovalTerms(Kind.OsImage, "image of the release", 0, 0, "");
        kms.approve(terms, NEVER);
        kms.registerApp(second);
        kms.markExpired(Kind.OsImage, _ids(IMAGE));
        kms.shorten(Kind.OsImage, _ids(IMAGE), uint40(block.timestamp + 1));
        kms.withdraw(Kind.OsImage, _ids(IMAGE));
        vm.stopPrank();
        assertTrue(kms.allowedOsImages("image of the release"), "the rest was not done");
    }

    function test_A10_FrontRunnerDoesNotChooseTheTerms() public {
        address fresh = address(new YesApp());
        vm.prank(STRANGER);
        kms.registerApp(fresh);
        IApprovalRegistry.ApprovalTerms[] memory terms = _terms(Kind.App, _key(fresh));
        (terms[0].expiresAt, terms[0].evidence) = (uint40(block.timestamp + 1 days), "the DAO's");
        vm.prank(DAO);
        kms.approve(terms, NEVER);

        assertEq(kms.approvalOf(Kind.App, _key(fresh)).version(), 1, "version");
        assertEq(kms.evidenceOf(Kind.App, _key(fresh)), keccak256("the DAO's"), "evidence");
        vm.warp(block.timestamp + 1 days);
        assertTrue(!kms.registeredApps(fresh), "it outlives the vote's end");
    }

    function test_A11_NothingIsActiveBeforeItsDelay() public {
        uint256 start = block.timestamp;
        vm.startPrank(DAO);
        kms.setActivationDelay(Kind.OsImage, 2 days, NEVER);
        IApprovalRegistry.ApprovalTerms[] memory terms = _terms(Kind.OsImage, "next");
        terms[0].activeFrom = 1;
        kms.approve(terms, NEVER);
        // approving again does not shorten it
        vm.warp(start + 1 days);
        kms.approve(terms, NEVER);
        vm.stopPrank();
        vm.warp(start + 2 days - 1);
        assertTrue(!kms.allowedOsImages("next"), "too early");
        vm.warp(start + 2 days);
        assertTrue(kms.allowedOsImages("next"), "too late");
    }

    function test_A12_ListsContainEveryIdOnce() public {
        vm.startPrank(DAO);
        for (uint256 i = 0; i < 3; i++) {
            kms.approve(_terms(Kind.OsImage, IMAGE), NEVER);
            kms.withdraw(Kind.OsImage, _ids(IMAGE));
            kms.approve(_terms(Kind.OsImage, IMAGE), NEVER);
        }
        kms.revoke(Kind.OsImage, _ids(IMAGE));
        vm.stopPrank();
        (bytes32[] memory ids, ) = kms.page(Kind.OsImage, 0, 10);
        assertTrue(ids.length == 1 && ids[0] == IMAGE, "list");
    }

    function test_A13_RenouncedUpgradesStayRenounced() public {
        vm.startPrank(DAO);
        kms.renounceUpgrades();
        address next = address(new YesApp());
        (bool done, ) = address(kms).call(abi.encodeCall(kms.upgradeToAndCall, (next, "")));
        assertTrue(!done, "upgraded");
        kms.transferOwnership(STRANGER);
        vm.stopPrank();
        vm.startPrank(STRANGER);
        kms.acceptOwnership();
        (done, ) = address(kms).call(abi.encodeCall(kms.upgradeToAndCall, (next, "")));
        vm.stopPrank();
        assertTrue(!done, "upgraded by another owner");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";

import {App} from "../../../contracts/registry/App.sol";
import {IApp} from "../../../contracts/registry/IApp.sol";
import {DaoParameters, IDaoFactory} from "../../../contracts/registry/IDaoFactory.sol";
import {AppV2} from "../../../contracts/test/AppV2.sol";
import {Kind} from "../../../contracts/types/Kind.sol";
import {KmsAuthFixture} from "../KmsAuth.t.sol";

/// @notice Names the account that it was created for.
contract FactoryOf is IDaoFactory {
    address private immutable _owner;

    constructor(address owner) {
        _owner = owner;
    }

    function create(DaoParameters calldata) external view returns (address) {
        return _owner;
    }
}

/// @notice Somebody tries to break each promise about apps (docs/contracts.md, numbers with P).
contract AppAttacks is KmsAuthFixture {
    function _owner(bytes memory call) private returns (bool done) {
        vm.prank(OWNER);
        (done, ) = address(app).call(call);
    }

    function test_P1_SupersededReleaseNeverBootsAgain() public {
        vm.startPrank(OWNER);
        app.addComposeHash("two");
        app.supersede(2, 0, false);
        app.removeComposeHash(COMPOSE);
        app.addComposeHash(COMPOSE);
        app.withdraw(Kind.Release, _ids(COMPOSE));
        app.approve(_terms(Kind.Release, COMPOSE), type(uint40).max);
        vm.stopPrank();
        assertTrue(!_owner(abi.encodeCall(app.supersede, (1, uint40(block.timestamp), false))), "taken back");
        assertTrue(!app.allowedComposeHashes(COMPOSE), "it boots");
        (uint32 write, uint32 read) = app.epochsOf(COMPOSE);
        assertTrue(write == 0 && read == 0, "it has keys");
    }

    /// @dev During a migration the owner tries to move its end and its border in every direction.
    function test_P2_ReleaseNeverFallsBackToAnOlderEpoch() public {
        uint40 start = uint40(block.timestamp);
        vm.startPrank(OWNER);
        app.addComposeHash("two");
        app.addComposeHash("three");
        app.supersede(2, start + 60 days, true);
        vm.stopPrank();
        for (uint32 oldest = 0; oldest <= 4; oldest++) {
            if (oldest == 2) continue;
            assertTrue(!_owner(abi.encodeCall(app.supersede, (oldest, start + 30 days, false))), "another border");
            assertTrue(!_owner(abi.encodeCall(app.supersede, (oldest, start + 30 days, true))), "another epoch");
        }
        assertTrue(!_owner(abi.encodeCall(app.supersede, (2, start + 61 days, false))), "later");
        assertTrue(_owner(abi.encodeCall(app.supersede, (2, start + 30 days, false))), "sooner");
        for (uint256 day = 0; day < 40; day++) {
            vm.warp(start + day * 1 days);
            (uint32 write, ) = app.epochsOf("two");
            assertEq(write, 2, "fell back");
        }
    }

    function test_P3_LongerNoticePeriodAppliesToEarlierAnnouncements() public {
        address next = address(new AppV2());
        bytes[3] memory calls = [
            abi.encodeCall(app.setAllowAnyDevice, (true)),
            abi.encodeCall(app.setRequireTcbUpToDate, (false)),
            abi.encodeCall(app.upgradeToAndCall, (next, ""))
        ];
        uint256 start = block.timestamp;
        vm.startPrank(OWNER);
        for (uint256 i = 0; i < calls.length; i++) app.announce(keccak256(calls[i]));
        app.setNoticePeriod(1 days);
        app.setNoticePeriod(365 days);
        vm.stopPrank();
        for (uint256 i = 0; i < calls.length; i++) {
            uint256[3] memory times = [start + 1 hours, start + 1 days, start + 365 days - 1];
            for (uint256 j = 0; j < times.length; j++) {
                vm.warp(times[j]);
                assertTrue(!_owner(calls[i]), "done before the notice");
            }
            assertEq(app.executableFrom(keccak256(calls[i])), start + 365 days, "from when on");
            vm.warp(start + 365 days);
            assertTrue(_owner(calls[i]), "refused after the notice");
        }
        assertTrue(!_owner(abi.encodeCall(app.setNoticePeriod, (364 days))), "a notice shrank");
    }

    function test_P4_AnnouncementIsForOneCallOnceWithinThirtyDays() public {
        bytes memory call = abi.encodeCall(app.setAllowAnyDevice, (true));
        uint256 start = block.timestamp;
        vm.startPrank(OWNER);
        app.setNoticePeriod(1 days);
        app.announce(keccak256(call));
        vm.stopPrank();
        vm.warp(start + 31 days);
        assertTrue(!_owner(call), "after its time");
        vm.warp(start + 31 days - 1);
        assertTrue(!_owner(abi.encodeCall(app.setRequireTcbUpToDate, (false))), "another call");
        assertTrue(_owner(call), "in its time");
        assertTrue(!_owner(call), "twice");
    }

    /// @dev It lapsed, and the owner raises the notice period so that it would be in its time again.
    function test_P4_LapsedAnnouncementStaysLapsed() public {
        bytes memory call = abi.encodeCall(app.setAllowAnyDevice, (true));
        uint256 start = block.timestamp;
        vm.startPrank(OWNER);
        app.setNoticePeriod(1 days);
        app.announce(keccak256(call));
        vm.warp(start + 300 days);
        app.setNoticePeriod(301 days);
        vm.stopPrank();
        vm.warp(start + 301 days);
        assertTrue(!_owner(call), "with one day of notice");
        assertEq(app.executableFrom(keccak256(call)), 0, "still announced");
        // the same period again ends nothing
        vm.startPrank(OWNER);
        app.announce(keccak256(call));
        vm.warp(start + 302 days);
        app.setNoticePeriod(301 days);
        vm.warp(start + 602 days);
        vm.stopPrank();
        assertTrue(_owner(call), "refused after the notice");
    }

    function test_P5_FormerOwnerHasNoRightsAfterTheTransfer() public {
        FactoryOf factory = new FactoryOf(DAO);
        DaoParameters memory terms;
        (terms.guardian, terms.suspension) = (GUARDIAN, 1 days);
        vm.startPrank(OWNER);
        app.transferOwnership(OWNER);
        app.transferToNewDao(factory, terms);
        (bool accepted, ) = address(app).call(abi.encodeCall(app.acceptOwnership, ()));
        (bool added, ) = address(app).call(abi.encodeCall(app.addComposeHash, ("backdoor")));
        vm.stopPrank();
        assertTrue(!accepted && !added, "he still decides");
        assertEq(app.owner(), DAO, "owner");
        assertEq(app.guardian(), GUARDIAN, "guardian");
    }

    function test_P5_NewOwnerReplacesAGuardianThatWasTheOwner() public {
        vm.startPrank(OWNER);
        app.setGuardian(OWNER, 1 days, type(uint40).max);
        app.transferOwnership(DAO);
        vm.stopPrank();
        vm.startPrank(DAO);
        app.acceptOwnership();
        app.setGuardian(GUARDIAN, 1 days, type(uint40).max);
        vm.stopPrank();
        assertTrue(!_owner(abi.encodeCall(app.suspend, (Kind.Release, _ids(COMPOSE)))), "he still denies");
    }

    function test_P6_PublishedManifestHasTheHashOfTheRelease() public {
        bytes memory manifest = '{"name":"demo"}';
        bytes memory other = '{"name":"demo" }';
        bytes memory call = abi.encodeCall(app.approveManifest, (sha256(manifest), other, 0, 0, type(uint40).max));
        assertTrue(!_owner(call), "another manifest");
    }

    function test_P7_NobodyInitializesAnAppAgain() public {
        address[2] memory targets = [address(app), address(new App())];
        for (uint256 i = 0; i < targets.length; i++) {
            vm.expectRevert(Initializable.InvalidInitialization.selector);
            vm.prank(STRANGER);
            App(targets[i]).initialize(STRANGER, false, true, 0, 0);
        }
    }

    function test_P8_ReleasesAndDevicesStartAfterTheNoticePeriod() public {
        vm.startPrank(OWNER);
        app.setNoticePeriod(7 days);
        app.addComposeHash("added");
        app.approve(_terms(Kind.Release, "approved"), type(uint40).max);
        app.approveManifest(sha256("m"), "m", 1, 0, type(uint40).max);
        app.addDevice("device two");
        vm.stopPrank();
        vm.warp(block.timestamp + 7 days - 1);
        assertTrue(!app.allowedComposeHashes("added"), "added");
        assertTrue(!app.allowedComposeHashes("approved"), "approved");
        assertTrue(!app.allowedComposeHashes(sha256("m")), "by its manifest");
        assertTrue(!app.allowedDeviceIds("device two"), "device");
        vm.expectRevert(abi.encodeWithSelector(IApp.NoticePeriodOutOfBounds.selector, 0, 7 days, 365 days));
        vm.prank(OWNER);
        app.setNoticePeriod(0);
    }
}

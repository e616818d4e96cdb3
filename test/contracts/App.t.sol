// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {BootDecision} from "../../contracts/auth/BootEvaluator.sol";
import {PolicyNames} from "../../contracts/auth/PolicyNames.sol";
import {App} from "../../contracts/registry/App.sol";
import {IApp} from "../../contracts/registry/IApp.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {State} from "../../contracts/types/Approval.sol";
import {AppBootInfo} from "../../contracts/types/BootInfo.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {DenialCode} from "../../contracts/auth/DenialReasons.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";

/// @notice An implementation as others write them: initialized where OpenZeppelin says.
contract OpenZeppelinApp is OwnableUpgradeable, UUPSUpgradeable {
    function initialize(address initialOwner) external initializer {
        __Ownable_init(initialOwner);
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}
}

/// @notice What an owner can do beyond dstack's app, and what he can no longer do once he bound himself.
contract AppTest is KmsAuthFixture {
    /// @dev dstack's own functions for releases and devices: effect, its event, then the common one.
    function test_DstacksFunctionsAddAndRemove() public {
        bytes32 id = "new";
        address target = address(app);
        bytes32 policy = PolicyNames.COMPOSE_HASH;
        _assertChange(target, abi.encodeCall(app.addComposeHash, (id)), "ComposeHashAdded", policy, true);
        assertTrue(app.allowedComposeHashes(id), "release");
        _assertChange(target, abi.encodeCall(app.removeComposeHash, (id)), "ComposeHashRemoved", policy, false);
        assertTrue(!app.allowedComposeHashes(id), "removed release");
        _assertChange(target, abi.encodeCall(app.addDevice, (id)), "DeviceAdded", PolicyNames.DEVICE, true);
        assertTrue(app.allowedDeviceIds(id), "device");
        _assertChange(target, abi.encodeCall(app.removeDevice, (id)), "DeviceRemoved", PolicyNames.DEVICE, false);
        assertTrue(!app.allowedDeviceIds(id), "removed device");
    }

    uint256 private start;

    function setUp() public override {
        super.setUp();
        start = block.timestamp;
    }

    function _release(bytes32 hash) private {
        vm.prank(OWNER);
        app.addComposeHash(hash);
    }

    function _supersede(uint32 oldest, uint256 from, bool nextEpoch) private {
        vm.prank(OWNER);
        app.supersede(oldest, uint40(from), nextEpoch);
    }

    function _assertEpochs(bytes32 hash, uint32 write, uint32 read, string memory what) private view {
        (uint32 w, uint32 r) = app.epochsOf(hash);
        assertEq(w, write, what);
        assertEq(r, read, what);
    }

    /* MANIFESTS */

    function test_ManifestMustHashToTheApprovedId() public {
        bytes memory manifest = bytes('{"name":"demo","docker_compose_file":"services: {}"}');
        bytes32 hash = sha256(manifest);
        vm.prank(OWNER);
        app.approveManifest(hash, manifest, 0, 0, type(uint40).max);

        assertTrue(app.allowedComposeHashes(hash), "not allowed");
        assertEq(app.evidenceOf(Kind.Release, hash), keccak256(manifest), "evidence");
        vm.expectRevert(abi.encodeWithSelector(IApp.ManifestMismatch.selector, sha256("other"), hash));
        vm.prank(OWNER);
        app.approveManifest(hash, "other", 0, 0, type(uint40).max);
    }

    function testFuzz_OneChangedByteIsAnotherManifest(bytes memory manifest, uint256 place) public {
        vm.assume(manifest.length > 0);
        bytes32 hash = sha256(manifest);
        uint256 i = place % manifest.length;
        manifest[i] = bytes1(uint8(manifest[i]) ^ 1);

        vm.expectRevert(abi.encodeWithSelector(IApp.ManifestMismatch.selector, sha256(manifest), hash));
        vm.prank(OWNER);
        app.approveManifest(hash, manifest, 0, 0, type(uint40).max);
    }

    /* SUPERSEDING */

    function test_SupersedeEndsOlderReleasesImmediately() public {
        _release("two");
        _release("three");
        _supersede(3, 0, false);

        assertTrue(!app.allowedComposeHashes(COMPOSE), "first");
        assertTrue(!app.allowedComposeHashes("two"), "second");
        assertTrue(app.allowedComposeHashes("three"), "third");
        _assertApp(_boot(), DenialCode.AppRefused, "Compose hash not allowed");
    }

    function test_SupersedeEndsOlderReleasesAtTheGivenTime() public {
        _release("two");
        _supersede(2, start + 1 days, false);

        assertTrue(app.allowedComposeHashes(COMPOSE), "ended before its grace");
        vm.warp(start + 1 days);
        assertTrue(!app.allowedComposeHashes(COMPOSE), "outlived its grace");
        assertTrue(app.allowedComposeHashes("two"), "the newer one ended too");
    }

    function test_PendingEndOnlyMovesToAnEarlierTime() public {
        _release("two");
        _release("three");
        _supersede(2, start + 2 days, false);
        _expectInvalid(3, start + 3 days, false, 2);
        _expectInvalid(1, start + 1 days, false, 2);

        _supersede(3, start + 1 days, false);
        vm.warp(start + 1 days);
        assertTrue(!app.allowedComposeHashes("two"), "second");
    }

    function _expectInvalid(uint32 oldest, uint256 from, bool nextEpoch, uint32 known) private {
        vm.expectRevert(abi.encodeWithSelector(IApp.SupersessionInvalid.selector, oldest, known, from));
        _supersede(oldest, from, nextEpoch);
    }

    function test_SupersededReleaseCannotBootAfterBeingAddedAgain() public {
        _release("two");
        _supersede(2, 0, false);
        vm.startPrank(OWNER);
        app.removeComposeHash(COMPOSE);
        app.addComposeHash(COMPOSE);
        vm.stopPrank();

        assertTrue(!app.allowedComposeHashes(COMPOSE), "it came back");
        _expectInvalid(1, start, false, 2);
        _expectInvalid(3, start, false, 2);
        _expectInvalid(0, start, false, 2);
    }

    /* EPOCHS */

    function test_NewReleasesGetTheNewEpochAndTheOldEpochEnds() public {
        _release("two");
        _assertEpochs(COMPOSE, 1, 1, "before");
        _supersede(2, start + 10 days, true);

        _assertEpochs(COMPOSE, 1, 1, "the old release writes and reads the old epoch");
        _assertEpochs("two", 2, 1, "the new release writes the new one and reads both");
        _assertEpochs("unknown", 0, 0, "nobody else gets any");
        vm.warp(start + 10 days);
        _assertEpochs(COMPOSE, 0, 0, "the old release gets none");
        _assertEpochs("two", 2, 2, "the old epoch is closed for all");
    }

    function test_NewEpochWaitsForTheLastMigrationAndMigrationsAreBounded() public {
        _release("two");
        _release("three");
        _expectInvalid(2, start + 90 days + 1, true, 0);
        _supersede(2, start + 90 days, true);
        _expectInvalid(3, start + 1 days, true, 2);

        vm.warp(start + 90 days);
        _supersede(3, start + 91 days, true);
        _assertEpochs("two", 2, 2, "second");
        _assertEpochs("three", 3, 2, "third");
        _assertEpochs(COMPOSE, 0, 0, "first");
    }

    function testFuzz_SupersededReleasesNeverGetAnEpochAgain(uint256 seed, uint8 steps) public {
        for (uint256 i = 2; i <= 6; i++) _release(bytes32(i));
        for (uint256 i = 0; i < steps % 20; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            bool ended = !app.allowedComposeHashes(COMPOSE);
            uint40 from = uint40(block.timestamp + (seed % 5 days));
            vm.prank(OWNER);
            try app.supersede(uint32(1 + ((seed >> 64) % 6)), from, (seed >> 128) % 2 == 0) {} catch {}
            vm.warp(block.timestamp + ((seed >> 32) % 3 days));
            (uint32 write, uint32 read) = app.epochsOf(COMPOSE);
            assertTrue(!ended || (write == 0 && read == 0), "a superseded release got keys");
            (uint32 newest, uint32 oldest) = app.epochsOf(bytes32(uint256(6)));
            assertTrue(newest >= oldest && newest - oldest <= 1, "more than one epoch can be read back");
        }
    }

    /* NOTICE */

    function test_NoticePeriodCannotBeShortened() public {
        vm.startPrank(OWNER);
        app.setNoticePeriod(7 days);
        vm.expectRevert(abi.encodeWithSelector(IApp.NoticePeriodOutOfBounds.selector, 6 days, 7 days, 365 days));
        app.setNoticePeriod(6 days);
        vm.expectRevert(abi.encodeWithSelector(IApp.NoticePeriodOutOfBounds.selector, 366 days, 7 days, 365 days));
        app.setNoticePeriod(366 days);
        vm.stopPrank();
    }

    function test_ReleasesAndDevicesStartAfterTheNoticePeriod() public {
        vm.startPrank(OWNER);
        app.setNoticePeriod(7 days);
        app.addComposeHash("two");
        app.addDevice("second");
        app.removeDevice(DEVICE);
        vm.stopPrank();

        assertTrue(!app.allowedDeviceIds(DEVICE), "a removal waits");
        assertEq(uint8(app.stateOf(Kind.Release, "two")), uint8(State.Pending), "release");
        assertEq(uint8(app.stateOf(Kind.Device, "second")), uint8(State.Pending), "device");
        vm.warp(start + 7 days);
        assertTrue(app.allowedComposeHashes("two"), "release after the notice");
    }

    function test_LooseningNeedsAnAnnouncementOfTheSameCall() public {
        address next = address(new App());
        bytes[3] memory calls = [
            abi.encodeCall(app.setAllowAnyDevice, (true)),
            abi.encodeCall(app.setRequireTcbUpToDate, (false)),
            abi.encodeCall(app.upgradeToAndCall, (next, ""))
        ];
        vm.prank(OWNER);
        app.setNoticePeriod(7 days);

        for (uint256 i = 0; i < calls.length; i++) {
            bytes32 digest = keccak256(calls[i]);
            uint256 time = block.timestamp;
            _assertUnannounced(calls[i], 0);
            vm.prank(OWNER);
            app.announce(digest);
            assertEq(app.executableFrom(digest), time + 7 days, "announced");
            _assertUnannounced(calls[i], time + 7 days);
            vm.warp(time + 37 days);
            _assertUnannounced(calls[i], time + 7 days);
            vm.warp(time + 37 days - 1);
            vm.prank(OWNER);
            (bool success, ) = address(app).call(calls[i]);
            assertTrue(success, "refused though announced");
            assertEq(app.executableFrom(digest), 0, "still announced");
            _assertUnannounced(calls[i], 0);
        }
    }

    function _assertUnannounced(bytes memory call, uint256 from) private {
        vm.prank(OWNER);
        (bool success, bytes memory reason) = address(app).call(call);

        assertTrue(!success, "done without an announcement");
        bytes memory expected = abi.encodeWithSelector(
            IApp.NotAnnounced.selector,
            keccak256(call),
            from,
            from + 30 days
        );
        assertEq(keccak256(reason), keccak256(expected), "another error");
    }

    function test_TighteningNeedsNoAnnouncement() public {
        vm.startPrank(OWNER);
        app.setNoticePeriod(7 days);
        app.setAllowAnyDevice(false);
        app.setRequireTcbUpToDate(true);
        app.disableUpgrades();
        app.removeComposeHash(COMPOSE);
        vm.stopPrank();

        _assertApp(_boot(), DenialCode.AppRefused, "Compose hash not allowed");
    }

    function test_OtherAccountsCannotAnnounce() public {
        bytes[4] memory calls = [
            abi.encodeCall(app.announce, ("x")),
            abi.encodeCall(app.setNoticePeriod, (1)),
            abi.encodeCall(app.supersede, (1, 0, false)),
            abi.encodeCall(app.approveManifest, (sha256("x"), "x", 0, 0, type(uint40).max))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(STRANGER);
            (bool success, ) = address(app).call(calls[i]);
            assertTrue(!success, "it was done");
        }
    }

    /* VARIANTS */

    function test_OnlyNamedVariantsAreAccepted() public {
        assertEq(app.variants(), 1, "more than TDX");
        assertTrue(app.acceptsVariant(TeeVariant.Tdx), "TDX");
        _assertVariant(TeeVariant.AwsNitroTpm, DenialCode.VariantNotAccepted, "TEE variant is not accepted");
        vm.prank(OWNER);
        app.setVariants(0x11);

        _assertVariant(TeeVariant.AwsNitroTpm, DenialCode.None, "");
        _assertVariant(TeeVariant.AmdSevSnp, DenialCode.VariantNotAccepted, "TEE variant is not accepted");
        _assertVariant(TeeVariant.Tdx, DenialCode.None, "");
    }

    function _assertVariant(TeeVariant variant, DenialCode expected, string memory reason) private view {
        (DenialCode denial, string memory found) = kms.appDenial(_boot(), variant);
        BootDecision memory decision = evaluator.evaluateApp(kms, _boot(), variant);

        assertEq(uint8(denial), uint8(expected), reason);
        assertEq(found, reason, "reason");
        assertEq(uint8(decision.denial), uint8(expected), "evaluator");
        assertTrue(decision.isAllowed == (expected == DenialCode.None), "allowed");
    }

    function test_VariantsMustContainTdxAndOnlyKnownOnes() public {
        vm.startPrank(OWNER);
        vm.expectRevert(abi.encodeWithSelector(IApp.VariantsInvalid.selector, 0x10, 0x1f));
        app.setVariants(0x10);
        vm.expectRevert(abi.encodeWithSelector(IApp.VariantsInvalid.selector, 0x21, 0x1f));
        app.setVariants(0x21);
        vm.stopPrank();
    }

    function test_AddingVariantsNeedsAnAnnouncementRemovingDoesNot() public {
        bytes memory more = abi.encodeCall(app.setVariants, (0x0b));
        vm.startPrank(OWNER);
        app.setVariants(0x03);
        app.setNoticePeriod(7 days);
        app.announce(keccak256(more));
        vm.stopPrank();
        _assertUnannounced(abi.encodeCall(app.setVariants, (0x07)), 0);
        _assertUnannounced(more, start + 7 days);

        vm.warp(start + 7 days);
        vm.startPrank(OWNER);
        app.setVariants(0x0b);
        app.setVariants(0x01);
        vm.stopPrank();
        assertEq(app.variants(), 1, "variants");
    }

    /* WHAT IT TELLS */

    function test_ReportsReleaseEpochsAndEnd() public {
        _release("two");
        _assertTerms(COMPOSE, 1, 1, 1, 0, "no end is known");
        _supersede(2, start + 10 days, true);

        _assertTerms(COMPOSE, 1, 1, 1, start + 10 days, "ends with its grace");
        _assertTerms("two", 2, 2, 1, 0, "goes on");
        _assertTerms("unknown", 0, 0, 0, 0, "is told nothing");
        vm.startPrank(OWNER);
        app.shorten(Kind.Release, _ids("two"), uint40(start + 5 days));
        app.shorten(Kind.Release, _ids(COMPOSE), uint40(start + 11 days));
        app.shorten(Kind.Device, _ids(DEVICE), uint40(start + 4 days));
        vm.stopPrank();
        _assertTerms("two", 2, 2, 1, start + 4 days, "ends with its machine");
        vm.prank(OWNER);
        app.setAllowAnyDevice(true);
        _assertTerms("two", 2, 2, 1, start + 5 days, "ends by itself");
        _assertTerms(COMPOSE, 1, 1, 1, start + 10 days, "the grace is shorter");
        vm.startPrank(OWNER);
        app.setAllowAnyDevice(false);
        app.shorten(Kind.Release, _ids("two"), uint40(start + 3 days));
        vm.stopPrank();
        _assertTerms("two", 2, 2, 1, start + 3 days, "ends before its machine");
        vm.prank(OWNER);
        app.setAllowAnyDevice(true);

        BootDecision memory decision = evaluator.evaluateApp(kms, _boot(), TeeVariant.Tdx);
        assertEq(decision.release, 1, "release");
        assertEq(decision.writeEpoch, 1, "epoch");
        assertEq(decision.readEpoch, 1, "epoch to read");
        assertEq(decision.validUntil, start + 10 days, "holds until");
    }

    function _assertTerms(
        bytes32 hash,
        uint32 release,
        uint32 write,
        uint32 read,
        uint256 end,
        string memory what
    ) private view {
        (uint32 foundRelease, uint32 foundWrite, uint32 foundRead, uint40 foundEnd) = app.releaseDetails(hash, DEVICE);
        assertEq(foundRelease, release, what);
        assertEq(foundWrite, write, what);
        assertEq(foundRead, read, what);
        assertEq(foundEnd, end, what);
    }

    /* INITIALIZATION */

    function test_NobodyInitializesAnAppAgain() public {
        _assertClosed(address(app));
        vm.prank(OWNER);
        app.renounceOwnership();
        _assertClosed(address(app));
        _assertClosed(address(new App()));
    }

    /// @dev dstack's own implementation asks OpenZeppelin's slot and nothing else.
    function test_UpgradedAppCannotBeInitializedAgain() public {
        address theirs = address(new OpenZeppelinApp());
        vm.prank(OWNER);
        app.upgradeToAndCall(theirs, "");

        vm.expectRevert(Initializable.InvalidInitialization.selector);
        OpenZeppelinApp(address(app)).initialize(STRANGER);
        assertEq(app.owner(), OWNER, "owner");
    }

    function test_UpgradeWorksASecondTime() public {
        address[2] memory next = [address(new App()), address(new App())];
        vm.startPrank(OWNER);
        app.upgradeToAndCall(next[0], "");
        app.upgradeToAndCall(next[1], "");
        vm.stopPrank();

        _assertClosed(address(app));
        assertTrue(app.allowedComposeHashes(COMPOSE), "a release was lost");
    }

    function test_KindsOfOtherRegistriesAreRefused() public {
        assertEq(app.count(Kind.Host), 0, "count");
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.KindUnknown.selector, Kind.Host));
        vm.prank(OWNER);
        app.approve(_terms(Kind.Host, "x"), type(uint40).max);
    }

    /// @dev A new app has no guardian who could have set it.
    function test_SuspensionLastsTheMaximumByDefault() public {
        vm.prank(OWNER);
        app.suspend(Kind.Release, _ids(COMPOSE));

        assertEq(app.approvalOf(Kind.Release, COMPOSE).suspendedUntil(), start + 90 days, "end");
    }

    /// @dev And back again: what another implementation initialized is not open to ours.
    function test_ProxyInitializedByOtherCodeCannotBeInitializedAgain() public {
        bytes memory init = abi.encodeCall(OpenZeppelinApp.initialize, (OWNER));
        address proxy = address(new ERC1967Proxy(address(new OpenZeppelinApp()), init));
        address ours = address(new App());
        vm.prank(OWNER);
        App(proxy).upgradeToAndCall(ours, "");

        _assertClosed(proxy);
        assertEq(App(proxy).variants(), 1, "TDX is accepted");
    }

    function _assertClosed(address target) private {
        vm.startPrank(STRANGER);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        App(target).initialize(STRANGER, false, true, 0, 0);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        App(target).initialize(STRANGER, false, false, true, 0, 0);
        vm.stopPrank();
    }
}

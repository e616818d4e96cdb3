// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {BoundedAppCall} from "../../../contracts/auth/BoundedAppCall.sol";
import {AppSigner} from "../../../contracts/instances/AppSigner.sol";
import {AppSigners} from "../../../contracts/instances/AppSigners.sol";
import {IInstances} from "../../../contracts/instances/IInstances.sol";
import {Instances} from "../../../contracts/instances/Instances.sol";
import {EventLog, RuntimeEvent} from "../../../contracts/quote/eventlog/EventLog.sol";
import {App} from "../../../contracts/registry/App.sol";
import {IApprovalRegistry} from "../../../contracts/registry/IApprovalRegistry.sol";
import {Bytes48} from "../../../contracts/types/Bytes48.sol";
import {Kind} from "../../../contracts/types/Kind.sol";
import {PolicyBreach, PolicyLib} from "../../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {TeeVariant} from "../../../contracts/types/TeeVariant.sol";
import {CatchingApp, GasBombApp, RevertingApp, YesApp} from "../hostile/MaliciousApps.sol";
import {InstancesFixture} from "../InstancesFixture.sol";

/// @notice Somebody tries to break each promise about instances (docs/contracts.md, numbers with I).
contract InstanceAttacks is InstancesFixture {
    /// @dev An approval on which a record depends.
    struct Ground {
        address decider;
        IApprovalRegistry registry;
        Kind kind;
        bytes32 id;
        IInstances.Standing ended;
    }

    function _groundsOfQuote() private view returns (Ground[] memory grounds) {
        bytes32 set = images.idOf(IMAGE, TeeVariant.Tdx, sha256(new bytes(224)));
        grounds = new Ground[](7);
        grounds[0] = Ground(DAO, kms, Kind.App, _key(address(app)), IInstances.Standing.AppNotApproved);
        grounds[1] = Ground(DAO, keys, Kind.RootKey, rootKey, IInstances.Standing.RootKeyNotApproved);
        grounds[2] = Ground(DAO, kms, Kind.OsImage, IMAGE, IInstances.Standing.ImageNotApproved);
        grounds[3] = Ground(DAO, images, Kind.Measurements, set, IInstances.Standing.MeasurementsNotApproved);
        grounds[4] = Ground(DAO, hosts, Kind.Host, DEVICE, IInstances.Standing.HostNotAdmitted);
        grounds[5] = Ground(OWNER, app, Kind.Release, COMPOSE, IInstances.Standing.AppRefuses);
        grounds[6] = Ground(OWNER, app, Kind.Device, DEVICE, IInstances.Standing.AppRefuses);
    }

    function _groundsOfKeyChain() private view returns (Ground[] memory grounds) {
        Ground[] memory all = _groundsOfQuote();
        grounds = new Ground[](3);
        (grounds[0], grounds[1], grounds[2]) = (all[0], all[1], all[5]);
    }

    function _approveAgain(Ground memory ground) private {
        vm.prank(ground.decider);
        ground.registry.approve(_terms(ground.kind, ground.id), NEVER);
    }

    function test_I1_OnlyARegisteredKeySpeaksAndOnlyForItsApp() public {
        _register(INSTANCE_KEY);
        bytes memory signature = _sign(INSTANCE_KEY, DIGEST);
        assertTrue(instances.isFrom(address(app), DIGEST, signature), "its own");
        assertTrue(!instances.isFrom(address(app), keccak256("other"), signature), "another digest");
        assertTrue(!instances.isFrom(STRANGER, DIGEST, signature), "another app");
        assertTrue(!instances.isFrom(address(0), DIGEST, signature), "no app");
        assertTrue(!instances.isFrom(address(app), DIGEST, _sign(OTHER_KEY, DIGEST)), "another key");
        assertTrue(!instances.isFrom(address(0), DIGEST, _sign(OTHER_KEY, DIGEST)), "another key for no app");
    }

    /// @dev Each way to write a signature that ecrecover or a careless check might take.
    function test_I1_MalformedSignaturesAreOfNobody() public {
        _register(INSTANCE_KEY);
        bytes memory good = _sign(INSTANCE_KEY, DIGEST);
        assertTrue(!instances.isFrom(address(app), DIGEST, ""), "empty");
        assertTrue(!instances.isFrom(address(app), DIGEST, bytes.concat(good, hex"00")), "longer");
        assertTrue(!instances.isFrom(address(0), DIGEST, new bytes(65)), "zeros");
        bytes memory changed = bytes.concat(good);
        changed[64] = bytes1(uint8(29));
        assertTrue(!instances.isFrom(address(app), DIGEST, changed), "v of 29");
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(INSTANCE_KEY, DIGEST);
        bytes memory high = abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        assertTrue(!instances.isFrom(address(app), DIGEST, high), "high s");
        assertTrue(instances.isFrom(address(app), DIGEST, abi.encodePacked(r, s, v - 27)), "dstack's form");
    }

    function test_I2_EachEndedApprovalEndsTheKeyInTheSameBlock() public {
        _register(INSTANCE_KEY);
        Ground[] memory grounds = _groundsOfQuote();
        for (uint256 i = 0; i < grounds.length; i++) _assertEnds(INSTANCE_KEY, grounds[i]);
        _pass(1);
        _registerIssued(OTHER_KEY);
        grounds = _groundsOfKeyChain();
        for (uint256 i = 0; i < grounds.length; i++) _assertEnds(OTHER_KEY, grounds[i]);
    }

    function _assertEnds(uint256 key, Ground memory ground) private {
        _assertStanding(key, IInstances.Standing.Live, "before");
        vm.prank(ground.decider);
        ground.registry.suspend(ground.kind, _ids(ground.id));
        _assertStanding(key, ground.ended, "suspended");
        vm.prank(ground.decider);
        ground.registry.lift(ground.kind, _ids(ground.id), NEVER);
        _assertStanding(key, IInstances.Standing.Live, "lifted");
        vm.prank(ground.decider);
        ground.registry.shorten(ground.kind, _ids(ground.id), uint40(vm.getBlockTimestamp() + 1));
        _assertStanding(key, IInstances.Standing.Live, "before the end");
        vm.warp(vm.getBlockTimestamp() + 1);
        _assertStanding(key, ground.ended, "expired");
        _renew(key, ground);
        vm.prank(ground.decider);
        ground.registry.withdraw(ground.kind, _ids(ground.id));
        _assertStanding(key, ground.ended, "withdrawn");
        _renew(key, ground);
    }

    /// @dev Approves again and proves the key again, so that the next ground can be tried.
    function _renew(uint256 key, Ground memory ground) private {
        _approveAgain(ground);
        _pass(1);
        if (ground.kind == Kind.Host) _proveHost();
        if (key == INSTANCE_KEY) _register(key);
        else _registerIssued(key);
        _assertStanding(key, IInstances.Standing.Live, "renewed");
    }

    function test_I2_OtherDecisionsAboutHostAndAppEndTheKeyToo() public {
        _register(INSTANCE_KEY);
        vm.prank(OWNER);
        app.setRequireTcbUpToDate(true);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "up to date");
        vm.prank(OWNER);
        app.removeDevice(DEVICE);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.AppRefuses, "device");
        vm.prank(OWNER);
        app.setAllowAnyDevice(true);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "any device");
        vm.prank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.UpToDate, 0, NEVER);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.HostNotAdmitted, "status");
        vm.prank(DAO);
        kms.setHosts(address(0), NEVER);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.HostNotAdmitted, "no host registry");
    }

    function test_I3_NewVersionRevivesNoRecord() public {
        Ground[] memory grounds = _groundsOfQuote();
        for (uint256 i = 0; i < grounds.length; i++) {
            _register(INSTANCE_KEY);
            _withdrawAndApprove(grounds[i]);
            IInstances.Standing ended = _standingAgain(grounds[i]);
            _assertStanding(INSTANCE_KEY, ended, "revived in the same second");
            _pass(1);
            if (grounds[i].kind == Kind.Host) _proveHost();
            _assertStanding(INSTANCE_KEY, ended, "revived");
        }
        grounds = _groundsOfKeyChain();
        for (uint256 i = 0; i < grounds.length; i++) {
            _pass(1);
            _registerIssued(OTHER_KEY);
            _assertStanding(OTHER_KEY, IInstances.Standing.Live, "before");
            _withdrawAndApprove(grounds[i]);
            IInstances.Standing ended = _standingAgain(grounds[i]);
            _assertStanding(OTHER_KEY, ended, "revived by key chain");
        }
    }

    /// @dev What holds about an older record when this approval is active again: the app allows the boot then.
    function _standingAgain(Ground memory ground) private pure returns (IInstances.Standing) {
        if (ground.kind == Kind.Release) return IInstances.Standing.ReleaseNotApproved;
        return ground.kind == Kind.Device ? IInstances.Standing.DeviceNotApproved : ground.ended;
    }

    function test_I3_NewVersionOfADeviceDoesNotMatterIfTheAppAllowsAny() public {
        vm.prank(OWNER);
        app.setAllowAnyDevice(true);
        _register(INSTANCE_KEY);
        _withdrawAndApprove(_groundsOfQuote()[6]);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "the approval of the device was no ground");
    }

    function _withdrawAndApprove(Ground memory ground) private {
        vm.prank(ground.decider);
        ground.registry.withdraw(ground.kind, _ids(ground.id));
        _approveAgain(ground);
    }

    /// @dev Somebody keeps a second proof, and registers it after the withdrawal and the next approval.
    function test_I4_ProofFromBeforeAWithdrawalNeverCounts() public {
        Ground[] memory grounds = _groundsOfQuote();
        for (uint256 i = 0; i < grounds.length; i++) {
            uint256 made = number - 1;
            IInstances.QuoteProof memory kept = _quoteProof(_quote(INSTANCE_KEY, made), INSTANCE_KEY, made);
            _passWithdrawal(grounds[i]);
            instances.register(kept);
            _assertStanding(INSTANCE_KEY, _standingAgain(grounds[i]), "a quote from before the withdrawal");
            _register(INSTANCE_KEY);
            _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "a quote of the block of the approval");
            _pass(1);
        }
        grounds = _groundsOfKeyChain();
        for (uint256 i = 0; i < grounds.length; i++) {
            IInstances.ChainProof memory kept = _chainProof(OTHER_KEY, COMPOSE, 1);
            _passWithdrawal(grounds[i]);
            instances.registerIssued(kept);
            _assertStanding(OTHER_KEY, _standingAgain(grounds[i]), "a statement from before the withdrawal");
            _registerIssued(OTHER_KEY);
            _assertStanding(OTHER_KEY, IInstances.Standing.Live, "a statement of the block of the approval");
            _pass(1);
        }
    }

    /// @dev The last block is then the one in which the approval returned.
    function _passWithdrawal(Ground memory ground) private {
        _pass(1);
        _withdrawAndApprove(ground);
        _pass(1);
        if (ground.kind == Kind.Host) _proveHost();
    }

    function test_I4_QuoteCountsForItsChainRegistryAppKeyAndBlockOnly() public {
        uint256 atBlock = number - 1;
        Report memory report = _quote(INSTANCE_KEY, atBlock);
        address key = vm.addr(INSTANCE_KEY);
        bytes32 hash = blockhash(atBlock);
        bytes32 expected = instances.bindingOf(address(app), key, atBlock, hash);
        bytes32[4] memory others = [
            instances.bindingOf(STRANGER, key, atBlock, hash),
            instances.bindingOf(address(app), STRANGER, atBlock, hash),
            instances.bindingOf(address(app), key, atBlock - 1, blockhash(atBlock - 1)),
            keccak256(abi.encode(keccak256("assent-instance-v1"), 1, address(0x1), address(app), key, atBlock, hash))
        ];
        bytes4 mismatch = IInstances.InstanceReportDataMismatch.selector;
        for (uint256 i = 0; i < others.length; i++) {
            report.td = _td(others[i], _recordBoot());
            _expectRefusal(report, abi.encodeWithSelector(mismatch, others[i], expected, bytes32(0)));
        }
        report = _quote(INSTANCE_KEY, atBlock);
        report.td[583] = 0x01;
        _expectRefusal(report, abi.encodeWithSelector(mismatch, expected, expected, bytes32(uint256(1))));
    }

    function test_I4_OldProofNeitherExtendsNorRevives() public {
        uint256 atBlock = number - 1;
        Report memory old = _quote(INSTANCE_KEY, atBlock);
        IInstances.QuoteProof memory first = _quoteProof(old, INSTANCE_KEY, atBlock);
        _pass(1);
        IInstances.ChainProof memory issued = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        uint256 issuedAt = number - 1;
        _pass(1);
        _register(INSTANCE_KEY);
        address key = vm.addr(INSTANCE_KEY);
        uint256 known = number - 1;
        _pass(10 days);
        bytes4 notNewer = IInstances.InstanceProofNotNewer.selector;
        vm.expectRevert(abi.encodeWithSelector(notNewer, key, atBlock, known));
        instances.register(first);
        vm.expectRevert(abi.encodeWithSelector(notNewer, key, issuedAt, known));
        instances.registerIssued(issued);
        Report memory again = _quote(INSTANCE_KEY, known);
        IInstances.QuoteProof memory second = _quoteProof(again, INSTANCE_KEY, known);
        vm.expectRevert(abi.encodeWithSelector(notNewer, key, known, known));
        instances.register(second);

        vm.warp(vm.getBlockTimestamp() + 11 days);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Expired, "expired");
        vm.expectRevert(abi.encodeWithSelector(notNewer, key, known, known));
        instances.register(second);
        number += 300;
        vm.roll(number);
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceBlockUnknown.selector, atBlock, number, 200));
        instances.register(first);
    }

    function test_I4_BlockOfTheFutureIsRefused() public {
        Report memory report = _quote(INSTANCE_KEY, number);
        IInstances.QuoteProof memory proof = _quoteProof(report, INSTANCE_KEY, number);
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceBlockUnknown.selector, number, number, 200));
        instances.register(proof);
    }

    function test_I5_OpenOrMigratableTdMakesNoRecord() public {
        for (uint256 bit = 0; bit < 64; bit++) {
            if (bit == 28) continue;
            Report memory attributed = _quote(INSTANCE_KEY, number - 1);
            attributed.td[120 + bit / 8] |= bytes1(uint8(1 << (bit % 8)));
            _expectBreach(attributed, PolicyBreach.AttributeForbidden);
        }
        Report memory report = _quote(INSTANCE_KEY, number - 1);
        report.td[64] = 0x01;
        _expectBreach(report, PolicyBreach.SeamSigner);
        report = _quote(INSTANCE_KEY, number - 1);
        report.td = bytes.concat(report.td, new bytes(16), hex"01", new bytes(47));
        _expectBreach(report, PolicyBreach.ServiceTd);
    }

    function _expectBreach(Report memory report, PolicyBreach breach) private {
        IInstances.QuoteProof memory proof = _quoteProof(report, INSTANCE_KEY, number - 1);
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, breach));
        instances.register(proof);
    }

    function test_I5_RulesOfTheHostRegistryCountForQuotes() public {
        Report memory report = _quote(INSTANCE_KEY, number - 1);
        report.verdict = Verdict.LeafRevoked;
        _expectRefusal(report, abi.encodeWithSelector(IInstances.InstanceQuoteRejected.selector, Verdict.LeafRevoked));
        report = _quote(INSTANCE_KEY, number - 1);
        report.status = TcbStatus.OutOfDate;
        _expectRefusal(
            report,
            abi.encodeWithSelector(IInstances.InstanceStatusRefused.selector, TcbStatus.OutOfDate, uint40(0))
        );
        report = _quote(INSTANCE_KEY, number - 1);
        report.qeEvaluationNumber = 16;
        bytes4 tooLow = IInstances.InstanceEvaluationNumberTooLow.selector;
        _expectRefusal(report, abi.encodeWithSelector(tooLow, uint32(16), uint32(17)));
        report.qeEvaluationNumber = 18;
        report.tcbEvaluationNumber = 15;
        _expectRefusal(report, abi.encodeWithSelector(tooLow, uint32(15), uint32(17)));
        report = _quote(INSTANCE_KEY, number - 1);
        report.advisories = new bytes32[](1);
        report.advisories[0] = "INTEL-SA-00837";
        bytes32[] memory advisories = report.advisories;
        vm.prank(DAO);
        hosts.setAdvisoriesDenied(advisories, true, NEVER);
        _expectRefusal(
            report,
            abi.encodeWithSelector(IInstances.InstanceAdvisoryDenied.selector, bytes32("INTEL-SA-00837"))
        );
        report = _quote(INSTANCE_KEY, number - 1);
        report.expiresAt = uint64(vm.getBlockTimestamp());
        _expectRefusal(
            report,
            abi.encodeWithSelector(IInstances.InstanceProofExpired.selector, vm.getBlockTimestamp())
        );
        vm.prank(DAO);
        kms.setHosts(address(0), NEVER);
        _expectRefusal(report, abi.encodeWithSelector(IInstances.InstanceHostsMissing.selector));
    }

    function _expectRefusal(Report memory report, bytes memory reason) private {
        IInstances.QuoteProof memory proof = _quoteProof(report, INSTANCE_KEY, number - 1);
        vm.expectRevert(reason);
        instances.register(proof);
    }

    /// @dev The TEE of a malicious app can commit to any address. Without the key it cannot take it.
    function test_I6_NobodyRegistersAKeyThatItDoesNotHold() public {
        _register(INSTANCE_KEY);
        _pass(1);
        Report memory report = _quote(INSTANCE_KEY, number - 1);
        IInstances.QuoteProof memory proof = _quoteProof(report, INSTANCE_KEY, number - 1);
        proof.possession = _sign(OTHER_KEY, _binding(INSTANCE_KEY, number - 1));
        bytes4 notHeld = IInstances.InstanceKeyNotHeld.selector;
        vm.expectRevert(abi.encodeWithSelector(notHeld, vm.addr(OTHER_KEY), vm.addr(INSTANCE_KEY)));
        instances.register(proof);
        proof.possession = "";
        vm.expectRevert(abi.encodeWithSelector(notHeld, address(0), vm.addr(INSTANCE_KEY)));
        instances.register(proof);
        proof.key = address(0);
        vm.expectRevert(abi.encodeWithSelector(notHeld, address(0), address(0)));
        instances.register(proof);
        IInstances.ChainProof memory issued = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        issued.possession = _sign(OTHER_KEY, _binding(INSTANCE_KEY, number - 1));
        vm.expectRevert(abi.encodeWithSelector(notHeld, vm.addr(OTHER_KEY), vm.addr(INSTANCE_KEY)));
        instances.registerIssued(issued);
    }

    function test_I7_OnlyTheWholeLogOfTheBootNamesTheApp() public {
        RuntimeEvent[] memory events = _log(address(app), COMPOSE);
        RuntimeEvent[] memory cut = new RuntimeEvent[](7);
        for (uint256 i = 0; i < 7; i++) cut[i] = events[i];
        vm.expectRevert(IInstances.InstanceBootIncomplete.selector);
        instances.recordBoot(cut, IMAGE);
        events[1] = RuntimeEvent("app", "", 1);
        vm.expectRevert(IInstances.InstanceBootIncomplete.selector);
        instances.recordBoot(events, IMAGE);
        events = _log(address(app), COMPOSE);
        events[2] = RuntimeEvent("compose", "", 1);
        vm.expectRevert(IInstances.InstanceBootIncomplete.selector);
        instances.recordBoot(events, IMAGE);
        events = _log(address(app), COMPOSE);
        vm.expectRevert(
            abi.encodeWithSelector(IInstances.InstanceImageMismatch.selector, IMAGE, bytes32("another image"))
        );
        instances.recordBoot(events, "another image");

        // a log of another app leads to another register, so a quote never finds it
        instances.recordBoot(_log(STRANGER, COMPOSE), IMAGE);
        Report memory report = _report();
        report.td = _td(_binding(INSTANCE_KEY, number - 1), Bytes48(bytes32(uint256(1)), 0));
        bytes32 id = keccak256(bytes.concat(bytes32(uint256(1)), bytes16(0), IMAGE));
        _expectRefusal(report, abi.encodeWithSelector(IInstances.InstanceBootUnknown.selector, id));
    }

    /// @dev An image of somebody else measures whatever its author likes into RTMR3.
    function test_I7_ImageCountsOnlyWithItsApprovedMeasurements() public {
        Report memory report = _quote(INSTANCE_KEY, number - 1);
        report.td[136] = 0x01;
        _bring(report, INSTANCE_KEY, number - 1);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.MeasurementsNotApproved, "MRTD");
        _pass(1);
        report = _quote(INSTANCE_KEY, number - 1);
        report.td[328 + 143] = 0x01;
        _bring(report, INSTANCE_KEY, number - 1);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.MeasurementsNotApproved, "RTMR2");
    }

    /// @dev A host can start an approved release with a key provider of its own, which then chooses the app's secrets.
    function test_I7_AnotherKeyProviderIsRefused() public {
        RuntimeEvent[] memory events = _log(address(app), COMPOSE);
        events[6].payload = '{"name":"none","id":""}';
        instances.recordBoot(events, IMAGE);
        (Bytes48 memory rtmr3, ) = bootLog.replay(events);
        Report memory report = _report();
        report.td = _td(_binding(INSTANCE_KEY, number - 1), rtmr3);
        _bring(report, INSTANCE_KEY, number - 1);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.RootKeyNotApproved, "no KMS");
    }

    function test_I8_StatementCountsForItsKeyReleaseEpochAndRegistryOnly() public {
        bytes4 unknown = IInstances.InstanceRootKeyUnknown.selector;
        IInstances.ChainProof memory proof = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        proof.composeHash = "another release";
        (bool done, ) = address(instances).call(abi.encodeCall(instances.registerIssued, (proof)));
        assertTrue(!done, "another release");
        proof = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        proof.epoch = 2;
        (done, ) = address(instances).call(abi.encodeCall(instances.registerIssued, (proof)));
        assertTrue(!done, "another epoch");
        proof = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        proof.epoch = 0;
        vm.expectRevert(IInstances.InstanceEpochInvalid.selector);
        instances.registerIssued(proof);
        proof = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        IInstances.ChainProof memory other = _chainProof(OTHER_KEY, COMPOSE, 1);
        (other.statement, other.link) = (proof.statement, proof.link);
        (done, ) = address(instances).call(abi.encodeCall(instances.registerIssued, (other)));
        assertTrue(!done, "another key");
        Instances elsewhere = new Instances(address(kms), address(images), address(keys), bootLog, 30 days, 200);
        elsewhere.addRootKey(ca, k256, ROOT_Y);
        (done, ) = address(elsewhere).call(abi.encodeCall(elsewhere.registerIssued, (proof)));
        assertTrue(!done, "another registry");
        proof.link = _sign(OTHER_KEY, instances.signerDigest(address(app), 1, vm.addr(SIGNER_KEY)));
        vm.expectRevert(abi.encodeWithSelector(unknown, vm.addr(OTHER_KEY)));
        instances.registerIssued(proof);
    }

    /// @dev What an app has: its app key, dstack's signature of the root key over it, and every text that its agent lets that
    /// key sign. Nothing of it is a statement.
    function test_I8_KeysThatAnAppGetsMakeNoStatement() public {
        uint256 appKey = 0xA44;
        bytes memory publicKey = abi.encodePacked(uint8(2), bytes32(uint256(0xA44)));
        bytes32 issued = keccak256(abi.encodePacked("dstack-kms-issued:", address(app), publicKey));
        bytes32 issuedEpoch = keccak256(
            abi.encodePacked("assent-kms-issued-epoch:", address(app), uint32(1), publicKey)
        );
        bytes32[2] memory signedByRoot = [issued, issuedEpoch];
        for (uint256 i = 0; i < 2; i++) {
            IInstances.ChainProof memory proof = _chainProof(INSTANCE_KEY, COMPOSE, 1);
            bytes32 binding = _binding(INSTANCE_KEY, number - 1);
            proof.statement = _sign(appKey, instances.statementOf(binding, COMPOSE));
            proof.link = _sign(ROOT_KEY, signedByRoot[i]);
            (bool done, ) = address(instances).call(abi.encodeCall(instances.registerIssued, (proof)));
            assertTrue(!done, "a signature for another purpose");
        }
        IInstances.ChainProof memory malformed = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        malformed.statement = "";
        malformed.link = _sign(ROOT_KEY, instances.signerDigest(address(app), 1, address(0)));
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceRootKeyUnknown.selector, vm.addr(ROOT_KEY)));
        instances.registerIssued(malformed);
    }

    function test_I9_KeyEndsWithItsEpoch() public {
        _registerIssued(INSTANCE_KEY);
        uint40 end = uint40(vm.getBlockTimestamp() + 1 days);
        vm.prank(OWNER);
        app.supersede(1, end, true);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "both epochs can be read");
        vm.warp(end - 1);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "last second");
        vm.warp(end);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.EpochEnded, "epoch ended");
        _pass(1);
        _registerIssued(OTHER_KEY, COMPOSE, 2);
        _assertStanding(OTHER_KEY, IInstances.Standing.Live, "next epoch");
        _registerIssued(0xA3, COMPOSE, 3);
        _assertStanding(0xA3, IInstances.Standing.EpochEnded, "an epoch that the app has not opened");
    }

    function test_I9_KeyEndsWithItsRelease() public {
        _registerIssued(INSTANCE_KEY);
        vm.startPrank(OWNER);
        app.addComposeHash("next");
        app.supersede(2, 0, false);
        vm.stopPrank();
        _assertStanding(INSTANCE_KEY, IInstances.Standing.AppRefuses, "superseded");
    }

    function test_I10_EndedKeyNeverComesBack() public {
        _register(INSTANCE_KEY);
        address key = vm.addr(INSTANCE_KEY);
        address[3] memory others = [STRANGER, GUARDIAN, DAO];
        for (uint256 i = 0; i < others.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceEndUnauthorized.selector, others[i]));
            vm.prank(others[i]);
            instances.end(key);
        }
        vm.prank(OWNER);
        instances.end(key);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Ended, "ended by the owner of the app");
        _pass(1);
        IInstances.QuoteProof memory proof = _quoteProof(_quote(INSTANCE_KEY, number - 1), INSTANCE_KEY, number - 1);
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceKeyEnded.selector, key));
        instances.register(proof);
        IInstances.ChainProof memory issued = _chainProof(INSTANCE_KEY, COMPOSE, 1);
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceKeyEnded.selector, key));
        instances.registerIssued(issued);

        _register(OTHER_KEY);
        vm.prank(vm.addr(OTHER_KEY));
        instances.end(vm.addr(OTHER_KEY));
        _assertStanding(OTHER_KEY, IInstances.Standing.Ended, "ended by itself");
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceEndUnauthorized.selector, address(this)));
        instances.end(address(0x99));
    }

    /// @dev The app is upgraded to code that fails; the instances of another app do not notice.
    function test_I11_MaliciousAppDeniesItsOwnInstancesOnly() public {
        App other = App(kms.deployAndRegisterApp(OWNER, false, false, true, 0, COMPOSE));
        _pass(1);
        _register(INSTANCE_KEY);
        _registerIssued(OTHER_KEY);
        App mine = app;
        app = other;
        _register(0xA3);
        app = mine;
        address[2] memory codes = [address(new GasBombApp()), address(new RevertingApp())];
        for (uint256 i = 0; i < codes.length; i++) {
            vm.etch(address(mine), codes[i].code);
            assertTrue(!instances.isFrom(address(mine), DIGEST, _sign(INSTANCE_KEY, DIGEST)), "by quote");
            assertTrue(!instances.isFrom(address(mine), DIGEST, _sign(OTHER_KEY, DIGEST)), "by key chain");
            assertTrue(instances.isFrom(address(other), DIGEST, _sign(0xA3, DIGEST)), "another app");
        }
        vm.etch(address(mine), address(new YesApp()).code);
        assertTrue(!instances.isFrom(address(mine), DIGEST, _sign(OTHER_KEY, DIGEST)), "no epochs");
    }

    function test_I11_TooLittleGasIsNoDenial() public {
        _register(INSTANCE_KEY);
        _registerIssued(OTHER_KEY);
        uint256[2] memory signers = [INSTANCE_KEY, OTHER_KEY];
        for (uint256 i = 0; i < 2; i++) {
            bytes memory call = abi.encodeCall(instances.isFrom, (address(app), DIGEST, _sign(signers[i], DIGEST)));
            uint256 denials;
            for (uint256 gasLimit = 2_000; gasLimit < 120_000; gasLimit += 997) {
                (bool done, bytes memory answer) = address(instances).staticcall{gas: gasLimit}(call);
                if (done && !abi.decode(answer, (bool))) denials++;
            }
            assertEq(denials, 0, "a live key was denied because of gas");
        }
    }

    /// @dev A foreign app whose answers need more gas than some callers give, and that takes a failure for a denial.
    function test_I11_TooLittleGasIsNoDenialOfAnAppThatCatchesFailures() public {
        for (uint32 version = 1; version <= 2; version++) {
            address foreign = address(new CatchingApp(version));
            kms.registerApp(foreign);
            _pass(1);
            app = App(foreign);
            _register(INSTANCE_KEY);
            _registerIssued(OTHER_KEY);
            _assertNoDenialByGas(INSTANCE_KEY);
            _assertNoDenialByGas(OTHER_KEY);
            _pass(1);
        }
    }

    function _assertNoDenialByGas(uint256 key) private view {
        _assertStanding(key, IInstances.Standing.Live, "with enough gas");
        bytes memory call = abi.encodeCall(instances.isFrom, (address(app), DIGEST, _sign(key, DIGEST)));
        uint256 denials;
        for (uint256 gasLimit = 3_000; gasLimit < 250_000; gasLimit += 211) {
            (bool done, bytes memory answer) = address(instances).staticcall{gas: gasLimit}(call);
            if (done && !abi.decode(answer, (bool))) denials++;
        }
        assertEq(denials, 0, "a live key was denied because of gas");
    }

    function test_I12_RootKeyCountsOnlyAsTheDaoApprovedIt() public {
        bytes memory otherCa = bytes.concat(hex"3059", new bytes(88), hex"01");
        bytes32 id = keccak256(bytes.concat(otherCa, k256));
        vm.expectRevert(abi.encodeWithSelector(IInstances.InstanceRootKeyNotApproved.selector, id));
        instances.addRootKey(otherCa, k256, ROOT_Y);
        assertEq(instances.rootKeyOf(vm.addr(ROOT_KEY)), rootKey, "hidden by another pair");
        uint256 field = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;
        vm.expectRevert(IInstances.InstanceRootKeyMalformed.selector);
        instances.addRootKey(ca, k256, field - ROOT_Y);
        vm.expectRevert(IInstances.InstanceRootKeyMalformed.selector);
        instances.addRootKey(ca, k256, ROOT_Y + 2);
        vm.expectRevert(IInstances.InstanceRootKeyMalformed.selector);
        instances.addRootKey(ca, bytes.concat(k256, hex"00"), ROOT_Y);
        vm.expectRevert(IInstances.InstanceRootKeyMalformed.selector);
        instances.addRootKey(bytes.concat(ca, hex"00"), k256, ROOT_Y);
    }

    function test_I13_SignerAcceptsItsAppOnly() public {
        _register(INSTANCE_KEY);
        AppSigners signers = new AppSigners(new AppSigner(instances));
        address expected = signers.signerOf(address(app));
        AppSigner signer = AppSigner(signers.create(address(app)));
        assertEq(address(signer), expected, "address");
        assertEq(signers.create(address(app)), expected, "second creation");
        bytes memory signature = _sign(INSTANCE_KEY, DIGEST);
        assertTrue(signer.isValidSignature(DIGEST, signature) == bytes4(0x1626ba7e), "its app");
        bytes memory text = "signed text";
        bytes memory ofText = _sign(INSTANCE_KEY, keccak256(text));
        assertTrue(signer.isValidSignature(text, ofText) == bytes4(0x20c13b0b), "older Safe");
        assertTrue(signer.isValidSignature(text, signature) == bytes4(0xffffffff), "another text");
        AppSigner other = AppSigner(signers.create(STRANGER));
        assertTrue(other.isValidSignature(DIGEST, signature) == bytes4(0xffffffff), "another app");
        AppSigner implementation = signers.implementation();
        assertEq(implementation.app(), address(0), "app of the implementation");
        assertTrue(implementation.isValidSignature(DIGEST, signature) == bytes4(0xffffffff), "implementation");
        vm.prank(OWNER);
        app.removeComposeHash(COMPOSE);
        assertTrue(signer.isValidSignature(DIGEST, signature) == bytes4(0xffffffff), "withdrawn");
    }
}

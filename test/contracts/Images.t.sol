// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {DenialCode} from "../../contracts/auth/DenialReasons.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {IImages} from "../../contracts/registry/IImages.sol";
import {Images} from "../../contracts/registry/Images.sol";
import {ApprovalStateInvalid, State} from "../../contracts/types/Approval.sol";
import {AppBootInfo} from "../../contracts/types/BootInfo.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";
import {Log} from "./Vm.sol";

/// @notice What an image may show, and what it costs to show something else.
contract ImagesTest is KmsAuthFixture {
    uint40 private constant NEVER = type(uint40).max;

    Images private images;
    bytes private registers = bytes.concat(_register(0x11), _register(0x22), _register(0x33), _register(0x44));

    function setUp() public override {
        super.setUp();
        bytes memory init = abi.encodeCall(Images.initialize, (DAO, GUARDIAN, 7 days));
        images = Images(address(new ERC1967Proxy(address(new Images()), init)));
    }

    function _register(uint8 value) private pure returns (bytes memory register) {
        register = new bytes(48);
        for (uint256 i = 0; i < 48; i++) register[i] = bytes1(value);
    }

    function _set(
        TeeVariant variant,
        bytes memory shown
    ) private pure returns (IImages.MeasurementSetTerms[] memory sets) {
        sets = new IImages.MeasurementSetTerms[](1);
        sets[0] = IImages.MeasurementSetTerms(IMAGE, variant, shown, 0, 0, "recipe");
    }

    function _approve() private returns (bytes32 mrSystem) {
        vm.prank(DAO);
        images.approveMeasurementSets(_set(TeeVariant.Tdx, registers), NEVER);
        return images.mrSystemOf(TeeVariant.Tdx, registers);
    }

    function _close() private {
        vm.startPrank(DAO);
        images.closeImages(_ids(IMAGE));
        kms.setImages(address(images), NEVER);
        vm.stopPrank();
    }

    /* A SET */

    function test_SetApprovedAgainGetsTheNextVersion() public {
        bytes32 id = images.idOf(IMAGE, TeeVariant.Tdx, _approve());
        vm.prank(DAO);
        images.withdraw(Kind.Measurements, _ids(id));
        _approve();

        assertEq(images.approvalOf(Kind.Measurements, id).version(), 2, "version");
        assertEq(images.count(Kind.Measurements), 1, "listed once");
    }

    function test_OneSetIsOneApprovalWithItsEvidence() public {
        vm.recordLogs();
        bytes32 mrSystem = _approve();
        Log[] memory logs = vm.getRecordedLogs();

        bytes32 id = keccak256(abi.encode(IMAGE, uint8(0), mrSystem));
        assertEq(images.idOf(IMAGE, TeeVariant.Tdx, mrSystem), id, "id");
        assertEq(uint8(images.stateOf(Kind.Measurements, id)), uint8(State.Active), "state");
        assertEq(images.evidenceOf(Kind.Measurements, id), keccak256("recipe"), "evidence");
        IImages.MeasurementSet memory shown = images.measurementSetOf(id);
        assertEq(shown.osImageHash, IMAGE, "image");
        assertEq(shown.mrSystem, mrSystem, "system");
        assertEq(logs.length, 2, "described once, approved once");
        (, , bytes memory emitted) = abi.decode(logs[0].data, (TeeVariant, bytes32, bytes));
        assertEq(keccak256(emitted), keccak256(registers), "registers");
    }

    /// @dev dstack: SHA-256 of the four registers and the digest of the key provider, which is 32 zero bytes at that time.
    function test_MrSystemMatchesDstack() public view {
        assertEq(
            images.mrSystemOf(TeeVariant.Tdx, registers),
            sha256(bytes.concat(registers, new bytes(32))),
            "TDX, as dstack computes it"
        );
        assertEq(
            images.mrSystemOf(TeeVariant.AmdSevSnp, _register(1)),
            sha256(_register(1)),
            "SNP has no key provider in it"
        );
        bytes memory pcrs = bytes.concat(_register(1), _register(2), _register(3));
        assertEq(images.mrSystemOf(TeeVariant.AwsNitroTpm, pcrs), sha256(bytes.concat(pcrs, bytes32(0))), "NitroTPM");
        assertEq(images.mrSystemOf(TeeVariant.NitroEnclave, pcrs), sha256(pcrs), "Nitro");
        bytes memory image = abi.encode(IMAGE);
        assertEq(images.mrSystemOf(TeeVariant.GcpTdx, image), sha256(bytes.concat(image, bytes32(0))), "GCP");
    }

    function testFuzz_RegistersHaveTheLengthOfTheirVariant(uint8 which, uint8 length) public {
        TeeVariant variant = TeeVariant(which % 5);
        uint256 right = [uint256(192), 32, 144, 48, 144][uint8(variant)];
        vm.assume(length != right);

        vm.expectRevert(abi.encodeWithSelector(IImages.RegistersMalformed.selector, variant, length));
        images.mrSystemOf(variant, new bytes(length));
    }

    function test_IdNeedsItsRegistersBeforeItCanBeApproved() public {
        vm.expectRevert(abi.encodeWithSelector(IImages.MeasurementSetUnknown.selector, bytes32("invented")));
        vm.prank(DAO);
        images.approve(_terms(Kind.Measurements, "invented"), NEVER);

        bytes32 id = images.idOf(IMAGE, TeeVariant.Tdx, _approve());
        vm.startPrank(DAO);
        images.withdraw(Kind.Measurements, _ids(id));
        images.approve(_terms(Kind.Measurements, id), NEVER);
        vm.stopPrank();
        assertEq(images.approvalOf(Kind.Measurements, id).version(), 2, "version");
    }

    function test_RevokedSetCannotBeApprovedAgain() public {
        bytes32 id = images.idOf(IMAGE, TeeVariant.Tdx, images.mrSystemOf(TeeVariant.Tdx, registers));
        vm.startPrank(DAO);
        images.revoke(Kind.Measurements, _ids(id));

        vm.expectRevert(abi.encodeWithSelector(ApprovalStateInvalid.selector, State.Revoked));
        images.approveMeasurementSets(_set(TeeVariant.Tdx, registers), NEVER);
        vm.stopPrank();
    }

    function test_SetsWithoutAnImageAreRefused() public {
        IImages.MeasurementSetTerms[] memory sets = _set(TeeVariant.Tdx, registers);
        sets[0].osImageHash = 0;

        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.IdInvalid.selector, Kind.OsImage, bytes32(0)));
        vm.prank(DAO);
        images.approveMeasurementSets(sets, NEVER);
    }

    function test_OnlyTheDaoSetsDelayAndName() public {
        vm.startPrank(DAO);
        images.setActivationDelay(2 days, NEVER);
        images.setImageName(IMAGE, "dstack 0.5.4");
        vm.stopPrank();
        bytes32 id = images.idOf(IMAGE, TeeVariant.Tdx, _approve());

        assertEq(images.imageNameOf(IMAGE), "dstack 0.5.4", "name");
        assertEq(uint8(images.stateOf(Kind.Measurements, id)), uint8(State.Pending), "waits");
        vm.warp(block.timestamp + 2 days);
        assertEq(uint8(images.stateOf(Kind.Measurements, id)), uint8(State.Active), "waited");
    }

    /* THE QUESTION */

    function test_OpenImagesNeedNoMeasurementSet() public {
        vm.prank(DAO);
        kms.setImages(address(images), NEVER);

        _assertApp(_boot(), DenialCode.None, "");
    }

    function test_ClosedImageNeedsAnApprovedMeasurementSet() public {
        bytes32 mrSystem = _approve();
        _close();
        AppBootInfo memory boot = _boot();
        _assertApp(boot, DenialCode.MeasurementsNotAllowed, "Measurements are not allowed for this OS image");

        boot.mrSystem = mrSystem;
        _assertApp(boot, DenialCode.None, "");
        _assertKms(_boot(), DenialCode.None, "");
    }

    function test_SetOfAnotherImageDoesNotCount() public {
        IImages.MeasurementSetTerms[] memory sets = _set(TeeVariant.Tdx, registers);
        sets[0].osImageHash = "other";
        vm.prank(DAO);
        images.approveMeasurementSets(sets, NEVER);
        _close();
        AppBootInfo memory boot = _boot();
        boot.mrSystem = images.mrSystemOf(TeeVariant.Tdx, registers);

        _assertApp(boot, DenialCode.MeasurementsNotAllowed, "Measurements are not allowed for this OS image");
    }

    function test_SetCountsForOneVariantOnly() public {
        bytes memory launch = _register(7);
        vm.prank(DAO);
        images.approveMeasurementSets(_set(TeeVariant.AmdSevSnp, launch), NEVER);
        _close();
        AppBootInfo memory boot = _boot();
        boot.mrSystem = images.mrSystemOf(TeeVariant.AmdSevSnp, launch);

        _assertApp(boot, DenialCode.MeasurementsNotAllowed, "Measurements are not allowed for this OS image");
        vm.prank(OWNER);
        app.setVariants(0x09);
        (DenialCode denial, ) = kms.appDenial(boot, TeeVariant.AmdSevSnp);
        assertEq(uint8(denial), uint8(DenialCode.None), "the same as its own variant");
    }

    function test_GuardianStopsASetAndTheDaoOpensAnImage() public {
        AppBootInfo memory boot = _boot();
        boot.mrSystem = _approve();
        _close();
        bytes32 id = images.idOf(IMAGE, TeeVariant.Tdx, boot.mrSystem);
        vm.prank(GUARDIAN);
        images.suspend(Kind.Measurements, _ids(id));
        _assertApp(boot, DenialCode.MeasurementsNotAllowed, "Measurements are not allowed for this OS image");

        vm.prank(DAO);
        images.openImages(_ids(IMAGE), NEVER);
        _assertApp(boot, DenialCode.None, "");
    }

    function test_ReportsTheEndOfAMeasurementSet() public {
        AppBootInfo memory boot = _boot();
        boot.mrSystem = _approve();
        _close();
        uint40 end = uint40(block.timestamp + 77);
        bytes32 id = images.idOf(IMAGE, TeeVariant.Tdx, boot.mrSystem);
        vm.prank(DAO);
        images.shorten(Kind.Measurements, _ids(id), end);

        assertEq(evaluator.evaluateApp(kms, boot, TeeVariant.Tdx).validUntil, end, "holds until");
        vm.warp(end);
        _assertApp(boot, DenialCode.MeasurementsNotAllowed, "Measurements are not allowed for this OS image");
    }

    function test_GuardianCanOnlySuspend() public {
        bytes[] memory calls = new bytes[](5);
        calls[0] = abi.encodeCall(images.approveMeasurementSets, (_set(TeeVariant.Tdx, registers), NEVER));
        calls[1] = abi.encodeCall(images.closeImages, (_ids(IMAGE)));
        calls[2] = abi.encodeCall(images.openImages, (_ids(IMAGE), NEVER));
        calls[3] = abi.encodeCall(images.setImageName, (IMAGE, "x"));
        calls[4] = abi.encodeCall(images.setActivationDelay, (0, NEVER));
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(GUARDIAN);
            (bool success, bytes memory reason) = address(images).call(calls[i]);
            assertTrue(!success, "it was done");
            assertEq(bytes4(reason), OwnableUpgradeable.OwnableUnauthorizedAccount.selector, "another error");
        }
    }
}

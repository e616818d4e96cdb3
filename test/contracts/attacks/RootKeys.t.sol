// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {IRootKeys} from "../../../contracts/registry/IRootKeys.sol";
import {KmsMeasurement} from "../../../contracts/registry/KmsMeasurement.sol";
import {RootKeys} from "../../../contracts/registry/RootKeys.sol";
import {AcceptingVerifier} from "../../../contracts/test/AcceptingVerifier.sol";
import {State} from "../../../contracts/types/Approval.sol";
import {Kind} from "../../../contracts/types/Kind.sol";
import {PolicyBreach, PolicyLib} from "../../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {HostsOfOne, KmsAuthFixture} from "../KmsAuth.t.sol";

uint40 constant NEVER = type(uint40).max;

/// @notice Somebody tries to break each promise about root keys (docs/contracts.md, numbers with R).
contract RootKeyAttacks is KmsAuthFixture {
    RootKeys private keys;
    bytes private ca = bytes.concat(hex"3059", new bytes(89));
    bytes private k256 = bytes.concat(hex"02", new bytes(32));

    function setUp() public override {
        super.setUp();
        bytes memory init = abi.encodeCall(
            RootKeys.initialize,
            (DAO, address(new AcceptingVerifier()), address(kms), GUARDIAN, 7 days)
        );
        keys = RootKeys(address(new ERC1967Proxy(address(new RootKeys()), init)));
        bytes32 measurement = KmsMeasurement.aggregate(_report(584).td);
        vm.prank(DAO);
        kms.addKmsAggregatedMr(measurement);
    }

    /// @dev A TD whose attributes are SEPT_VE_DISABLE alone, of a report of this length.
    function _report(uint256 length) private view returns (Report memory report) {
        report.verdict = Verdict.Verified;
        report.status = TcbStatus.UpToDate;
        report.deviceId = DEVICE;
        bytes32 commitment = keys.commitmentTo(ca, k256);
        report.td = bytes.concat(new bytes(123), hex"10", new bytes(396), commitment, new bytes(length - 552));
    }

    function _prove(Report memory report) private returns (bytes32) {
        return keys.prove(abi.encode(report), ca, k256);
    }

    function _expectBreach(Report memory report, PolicyBreach breach) private {
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, breach));
        _prove(report);
    }

    function test_R1_KeyWithoutAProofOpensNoEpoch() public {
        bytes32 id = keys.idOf(ca, k256);
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyNotProven.selector, id));
        vm.prank(DAO);
        keys.approve(_terms(Kind.RootKey, id), NEVER);
        _prove(_report(584));
        assertEq(keys.currentEpoch(), 0, "opened by a proof alone");
        assertEq(uint8(keys.stateOf(Kind.RootKey, id)), uint8(State.None), "approved by a proof alone");
    }

    /// @dev The host of an approved KMS starts it so that it can be read, changed or taken away later.
    function test_R2_DebugOrMigratableTdProvesNoKey() public {
        for (uint256 bit = 0; bit < 64; bit++) {
            if (bit == 28) continue;
            Report memory attributed = _report(bit % 2 == 0 ? 584 : 648);
            attributed.td[120 + bit / 8] |= bytes1(uint8(1 << (bit % 8)));
            _expectBreach(attributed, PolicyBreach.AttributeForbidden);
        }
        Report memory report = _report(584);
        report.td[123] = 0;
        _expectBreach(report, PolicyBreach.AttributeMissing);
        report = _report(584);
        report.td[135] = 0x80;
        _expectBreach(report, PolicyBreach.Xfam);
        report = _report(584);
        report.td[64] = 0x01;
        _expectBreach(report, PolicyBreach.SeamSigner);
        report = _report(648);
        report.td[600] = 0x01;
        _expectBreach(report, PolicyBreach.ServiceTd);
        report = _report(885);
        report.td[729] = 0x01;
        _expectBreach(report, PolicyBreach.ServiceTd);
        report = _report(885);
        report.td[876] = 0x01;
        _expectBreach(report, PolicyBreach.ServiceTd);
        _expectBreach(_report(886), PolicyBreach.BodyType);
        for (uint8 status = 2; status <= uint8(TcbStatus.Revoked); status++) {
            report = _report(584);
            report.status = TcbStatus(status);
            _expectBreach(report, PolicyBreach.Status);
        }
        _prove(_report(885));
    }

    function test_R3_QuoteOfOtherKeysProvesNothing() public {
        bytes memory quote = abi.encode(_report(584));
        bytes memory other = bytes.concat(hex"03", new bytes(32));
        (bool done, ) = address(keys).call(abi.encodeCall(keys.prove, (quote, ca, other)));
        assertTrue(!done, "other keys");
        Report memory report = _report(584);
        report.td[583] = 0x01;
        (done, ) = address(keys).call(abi.encodeCall(keys.prove, (abi.encode(report), ca, k256)));
        assertTrue(!done, "something beside the commitment");
    }

    function test_R4_DeviceAndMeasurementMustBeAllowed() public {
        Report memory report = _report(584);
        report.deviceId = "other";
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyDeviceNotAllowed.selector, bytes32("other")));
        _prove(report);
        report = _report(584);
        report.td[136] = 0x01;
        bytes32 measurement = KmsMeasurement.aggregate(report.td);
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyMeasurementNotAllowed.selector, measurement));
        _prove(report);

        address others = address(new HostsOfOne("another machine"));
        address ours = address(new HostsOfOne(DEVICE));
        vm.prank(DAO);
        kms.setHosts(others, NEVER);
        report = _report(584);
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyHostNotAdmitted.selector, DEVICE));
        _prove(report);
        vm.prank(DAO);
        kms.setHosts(ours, NEVER);
        _prove(report);
    }

    function test_R5_EpochKeepsItsKeyAndAKeyItsEpoch() public {
        bytes32 id = _prove(_report(584));
        vm.startPrank(DAO);
        keys.approve(_terms(Kind.RootKey, id), NEVER);
        keys.approve(_terms(Kind.RootKey, id), NEVER);
        keys.withdraw(Kind.RootKey, _ids(id));
        keys.approve(_terms(Kind.RootKey, id), NEVER);
        vm.stopPrank();
        assertEq(keys.currentEpoch(), 1, "epochs");
        assertEq(keys.keyOf(1), id, "key");
        assertEq(keys.proofOf(id).epoch, 1, "epoch of the key");
    }

    /// @dev The quote is public as soon as it is proposed; a stranger brings it first, and the batch must not fail.
    function test_R6_FrontRunningAProofStopsNothing() public {
        bytes memory quote = abi.encode(_report(584));
        vm.prank(STRANGER);
        bytes32 id = keys.prove(quote, ca, k256);
        vm.startPrank(DAO);
        assertEq(keys.prove(quote, ca, k256), id, "id");
        keys.approve(_terms(Kind.RootKey, id), NEVER);
        vm.stopPrank();
        assertEq(keys.keyOf(1), id, "key");
    }
}

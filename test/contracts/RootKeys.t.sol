// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {IRootKeys} from "../../contracts/registry/IRootKeys.sol";
import {KmsMeasurement} from "../../contracts/registry/KmsMeasurement.sol";
import {RootKeys} from "../../contracts/registry/RootKeys.sol";
import {IExecutionDeadline} from "../../contracts/registry/IExecutionDeadline.sol";
import {AcceptingVerifier} from "../../contracts/test/AcceptingVerifier.sol";
import {ApprovalStateInvalid, State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {PolicyBreach, PolicyLib} from "../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../contracts/types/Report.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";

contract RootKeysTest is KmsAuthFixture {
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
        bytes32 measurement = _measurement(_td(0, 0, false));
        vm.prank(DAO);
        kms.addKmsAggregatedMr(measurement);
    }

    /// @dev A TD whose registers are all 0x11, with or without a configuration id.
    function _td(bytes32 data, bytes32 rest, bool configured) private pure returns (bytes memory td) {
        td = new bytes(584);
        td[123] = 0x10;
        for (uint256 i = 136; i < 184; i++) td[i] = 0x11;
        for (uint256 i = 328; i < 520; i++) td[i] = 0x11;
        if (configured) td[200] = 0x01;
        for (uint256 i = 0; i < 32; i++) {
            td[520 + i] = data[i];
            td[552 + i] = rest[i];
        }
    }

    /// @dev The definition, register by register.
    function _measurement(bytes memory td) private pure returns (bytes32) {
        bytes memory parts;
        for (uint256 i = 136; i < 184; i++) parts = bytes.concat(parts, td[i]);
        for (uint256 i = 328; i < 520; i++) parts = bytes.concat(parts, td[i]);
        if (td[200] != 0) for (uint256 i = 184; i < 328; i++) parts = bytes.concat(parts, td[i]);
        return sha256(parts);
    }

    function _report() private view returns (Report memory report) {
        report.verdict = Verdict.Verified;
        report.status = TcbStatus.UpToDate;
        report.deviceId = DEVICE;
        report.quoteId = "quote";
        report.td = _td(keys.commitmentTo(ca, k256), 0, false);
    }

    function _prove(Report memory report) private returns (bytes32) {
        return keys.prove(abi.encode(report), ca, k256);
    }

    function _approve(bytes32 id) private {
        vm.prank(DAO);
        keys.approve(_terms(Kind.RootKey, id), type(uint40).max);
    }

    function test_CommitmentMatchesTheBootstrapOfDstack() public view {
        bytes memory message = bytes.concat("dstack-kms-genereted-keys-v1:3059", _zeros(178), ";02", _zeros(64), ";");

        assertEq(keys.commitmentTo(ca, k256), keccak256(message), "commitment");
    }

    function test_OnlyTheDaoChangesTheVerifierBeforeTheDeadline() public {
        bytes memory refused = abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, STRANGER);
        vm.prank(STRANGER);
        vm.expectRevert(refused);
        keys.setVerifier(STRANGER, type(uint40).max);

        vm.startPrank(DAO);
        vm.expectRevert(
            abi.encodeWithSelector(
                IExecutionDeadline.ExecutionDeadlinePassed.selector,
                block.timestamp,
                block.timestamp - 1
            )
        );
        keys.setVerifier(STRANGER, uint40(block.timestamp - 1));
        keys.setVerifier(STRANGER, uint40(block.timestamp));
        vm.stopPrank();
        assertEq(address(keys.verifier()), STRANGER, "verifier");
    }

    function _zeros(uint256 length) private pure returns (bytes memory zeros) {
        zeros = new bytes(length);
        for (uint256 i = 0; i < length; i++) zeros[i] = "0";
    }

    function test_ProofAloneAllowsNothing() public {
        bytes32 id = _prove(_report());

        assertEq(uint8(keys.stateOf(Kind.RootKey, id)), uint8(State.None), "state");
        assertEq(keys.currentEpoch(), 0, "epoch");
        assertEq(keys.proofOf(id).deviceId, DEVICE, "device");
        bytes memory again = abi.encode(_report());
        vm.warp(block.timestamp + 1 days);
        assertEq(keys.prove(again, ca, k256), id, "proven again");
        assertEq(keys.proofOf(id).provenAt, block.timestamp - 1 days, "the first proof stays");
    }

    function test_ApprovalOpensAnEpoch() public {
        bytes32 first = _prove(_report());
        _approve(first);
        assertEq(keys.currentEpoch(), 1, "first epoch");
        assertEq(keys.keyOf(1), first, "key of the first epoch");
        assertEq(uint8(keys.stateOf(Kind.RootKey, first)), uint8(State.Active), "state");

        k256[32] = 0x07;
        bytes32 second = _prove(_report());
        _approve(second);
        assertEq(keys.currentEpoch(), 2, "second epoch");
        assertEq(keys.keyOf(2), second, "key of the second epoch");
        assertEq(keys.proofOf(first).epoch, 1, "the first keeps its epoch");
    }

    function test_KeyKeepsItsEpochThroughAllItsVersions() public {
        bytes32 id = _prove(_report());
        _approve(id);
        vm.prank(DAO);
        keys.withdraw(Kind.RootKey, _ids(id));
        _approve(id);

        assertEq(keys.approvalOf(Kind.RootKey, id).version(), 2, "version");
        assertEq(keys.currentEpoch(), 1, "epochs");
        assertEq(keys.proofOf(id).epoch, 1, "epoch of the key");
    }

    function aggregate(bytes memory td) external pure returns (bytes32) {
        return KmsMeasurement.aggregate(td);
    }

    /// @dev A verifier hands over whole reports; if one day it does not, nothing beyond them is read.
    function test_NothingBeyondTheReportIsRead() public {
        assertEq(this.aggregate(_td(0, 0, false)), _measurement(_td(0, 0, false)), "measurement");
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 1));
        this.aggregate(new bytes(519));
    }

    function test_KeysWithoutAProofAreNotApproved() public {
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyNotProven.selector, bytes32("invented")));
        _approve("invented");
    }

    function test_RevokedKeysCannotBeApprovedAgain() public {
        bytes32 id = keys.idOf(ca, k256);
        vm.prank(DAO);
        keys.revoke(Kind.RootKey, _ids(id));
        _prove(_report());

        vm.expectRevert(abi.encodeWithSelector(ApprovalStateInvalid.selector, State.Revoked));
        _approve(id);
    }

    function test_ProveRevertsOnAnyOtherCommitment() public {
        bytes32 right = keys.commitmentTo(ca, k256);
        Report memory report = _report();
        report.td = _td("other", 0, false);
        vm.expectRevert(
            abi.encodeWithSelector(IRootKeys.RootKeyCommitmentMismatch.selector, bytes32("other"), right, bytes32(0))
        );
        _prove(report);
        report.td = _td(right, "more", false);
        vm.expectRevert(
            abi.encodeWithSelector(IRootKeys.RootKeyCommitmentMismatch.selector, right, right, bytes32("more"))
        );
        _prove(report);
    }

    function test_ProveRevertsUnlessTheNodeIsAllowed() public {
        Report memory report = _report();
        report.deviceId = "other";
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyDeviceNotAllowed.selector, bytes32("other")));
        _prove(report);

        report = _report();
        report.td = _td(keys.commitmentTo(ca, k256), 0, true);
        bytes32 measurement = _measurement(report.td);
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyMeasurementNotAllowed.selector, measurement));
        _prove(report);
        vm.prank(DAO);
        kms.addKmsAggregatedMr(measurement);
        _prove(report);
    }

    function test_ProveRevertsOnRejectedQuotes() public {
        Report memory report = _report();
        report.status = TcbStatus.OutOfDate;
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.Status));
        _prove(report);

        report = _report();
        report.td[120] = 0x01;
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.AttributeForbidden));
        _prove(report);

        report = _report();
        report.verdict = Verdict.QuoteSignature;
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyQuoteRejected.selector, Verdict.QuoteSignature));
        _prove(report);

        bytes memory quote = abi.encode(_report());
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyMalformed.selector, 91, 34));
        keys.prove(quote, ca, bytes.concat(k256, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(IRootKeys.RootKeyMalformed.selector, 92, 33));
        keys.prove(quote, bytes.concat(ca, hex"00"), k256);
    }
}

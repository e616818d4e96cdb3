// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IHosts} from "../../../contracts/registry/IHosts.sol";
import {State} from "../../../contracts/types/Approval.sol";
import {Kind} from "../../../contracts/types/Kind.sol";
import {PolicyBreach, PolicyLib} from "../../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../../contracts/types/Report.sol";
import {HostsFixture} from "../Hosts.t.sol";
import {ChangedCollateral} from "../HostsLife.t.sol";

uint40 constant NEVER = type(uint40).max;

/// @notice Somebody tries to break each promise about hosts (docs/contracts.md, numbers with H).
contract HostAttacks is HostsFixture {
    bytes32 private constant NEXT = "device after a BIOS update";
    bytes32 private constant THIRD = "device after another";

    function _isAdmitted(bytes32 deviceId) private view returns (bool isAdmitted) {
        (isAdmitted, ) = hosts.admission(deviceId);
    }

    function _registerAs(bytes32 deviceId, uint256 number) private {
        Report memory report = _report(operator, number);
        report.deviceId = deviceId;
        _register(report, number);
    }

    function _continue(bytes32 from, bytes32 to) private returns (bool done) {
        bytes32 typeHash = keccak256("HostContinuity(bytes32 from,bytes32 to,uint256 deadline)");
        bytes memory signature = _signed(OPERATOR_KEY, keccak256(abi.encode(typeHash, from, to, NEVER)));
        (done, ) = address(hosts).call(abi.encodeCall(hosts.continueAs, (from, to, NEVER, signature)));
    }

    /// @dev Proven as DEVICE and as NEXT, and free to go on.
    function _prepare() private {
        vm.prank(DAO);
        hosts.setContinuityDelay(1 days, NEVER);
        _registerAs(DEVICE, 990);
        _registerAs(NEXT, 991);
    }

    function test_H1_QuoteIsBoundToRegistryOperatorAndBlock() public {
        Report memory report = _report(operator, 990);
        bytes memory quote = abi.encode(report);
        vm.prank(STRANGER);
        (bool done, ) = address(hosts).call(abi.encodeCall(hosts.register, (quote, 990)));
        assertTrue(!done, "another operator");
        vm.prank(operator);
        (done, ) = address(hosts).call(abi.encodeCall(hosts.register, (quote, 991)));
        assertTrue(!done, "another block");
        hosts = _deploy(_rules());
        vm.prank(operator);
        (done, ) = address(hosts).call(abi.encodeCall(hosts.register, (quote, 990)));
        assertTrue(!done, "another registry");
    }

    function _expectBreach(Report memory report, PolicyBreach breach) private {
        vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, breach));
        _register(report, 990);
    }

    function _wider(Report memory report, uint256 length) private pure returns (Report memory) {
        report.td = bytes.concat(report.td, new bytes(length - report.td.length));
        return report;
    }

    /// @dev Every attribute by which a TD can be debugged or migrated.
    function test_H2_DebugOrMigratableTdProvesNoHost() public {
        for (uint256 bit = 0; bit < 64; bit++) {
            if (bit == 28) continue;
            Report memory attributed = _report(operator, 990);
            attributed.td[120 + bit / 8] |= bytes1(uint8(1 << (bit % 8)));
            _expectBreach(attributed, PolicyBreach.AttributeForbidden);
        }
        Report memory report = _report(operator, 990);
        report.td[123] = 0;
        _expectBreach(report, PolicyBreach.AttributeMissing);
        report = _report(operator, 990);
        report.td[135] = 0x80;
        _expectBreach(report, PolicyBreach.Xfam);
        report = _wider(_report(operator, 990), 648);
        report.td[647] = 0x01;
        _expectBreach(report, PolicyBreach.ServiceTd);
        uint16[2] memory places = [729, 876];
        for (uint256 i = 0; i < places.length; i++) {
            report = _wider(_report(operator, 990), 885);
            report.td[places[i]] = 0x01;
            _expectBreach(report, PolicyBreach.ServiceTd);
        }
        _expectBreach(_wider(_report(operator, 990), 886), PolicyBreach.BodyType);
        _register(_wider(_report(operator, 990), 885), 990);
    }

    function test_H3_OlderProofReplacesNothing() public {
        _registerAs(DEVICE, 990);
        for (uint256 number = 985; number <= 990; number++) {
            bytes memory quote = abi.encode(_report(operator, number));
            vm.prank(operator);
            (bool done, ) = address(hosts).call(abi.encodeCall(hosts.register, (quote, number)));
            assertTrue(!done, "replaced by an older one");
        }
    }

    /// @dev The DAO removes the operator. The operator's old quote and its used permit are refused.
    function test_H3_OlderProofReplacesNothingWithoutAnOperator() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        bytes32 content = keccak256(
            abi.encode(
                keccak256("HostRegistration(bytes32 quoteHash,uint256 blockNumber,uint256 deadline)"),
                keccak256(quote),
                uint256(990),
                uint256(NEVER)
            )
        );
        bytes memory used = abi.encodeCall(
            hosts.registerFor,
            (operator, quote, 990, NEVER, _signed(OPERATOR_KEY, content))
        );
        (bool done, ) = address(hosts).call(used);
        assertTrue(done, "not registered");
        vm.prank(DAO);
        hosts.setOperator(DEVICE, address(0), NEVER);
        bytes memory older = abi.encodeCall(hosts.register, (abi.encode(_report(operator, 980)), 980));
        for (uint256 i = 0; i < 2; i++) {
            vm.prank(operator);
            (done, ) = address(hosts).call(older);
            assertTrue(!done, "replaced by an older one");
            (done, ) = address(hosts).call(used);
            assertTrue(!done, "the permit served twice");
            vm.warp(NOW + 20 days);
        }
    }

    function test_H4_AnyAccountCanProveAHostWithoutAnOperator() public {
        _registerAs(DEVICE, 990);
        vm.prank(DAO);
        hosts.setOperator(DEVICE, address(0), NEVER);
        bytes memory quote = abi.encode(_report(STRANGER, 991));
        vm.prank(STRANGER);
        hosts.register(quote, 991);
        assertEq(hosts.hostOf(DEVICE).operator, STRANGER, "operator");
    }

    function test_H4_OtherAccountsCannotTakeAProvenOrNamedHost() public {
        vm.prank(DAO);
        hosts.setOperator(DEVICE, operator, NEVER);
        // before its first proof, while it is in force, and when it has expired
        for (uint256 i = 0; i < 3; i++) {
            bytes memory quote = abi.encode(_report(STRANGER, 995));
            vm.prank(STRANGER);
            (bool done, ) = address(hosts).call(abi.encodeCall(hosts.register, (quote, 995)));
            assertTrue(!done, "taken");
            if (i == 0) _registerAs(DEVICE, 990);
            if (i == 1) vm.warp(NOW + 19 days);
        }
        vm.prank(DAO);
        hosts.setOperator(DEVICE, address(0), NEVER);
        assertEq(hosts.namedOperatorOf(DEVICE), address(0), "named");
    }

    function test_H5_OldProofDoesNotCountForANewApproval() public {
        _registerAs(DEVICE, 990);
        assertTrue(_isAdmitted(DEVICE), "not admitted");
        vm.startPrank(DAO);
        hosts.withdraw(Kind.Host, _ids(DEVICE));
        hosts.approve(_terms(DEVICE), NEVER);
        vm.stopPrank();
        assertTrue(!_isAdmitted(DEVICE), "admitted by the old proof");
        vm.roll(1001);
        _registerAs(DEVICE, 1000);
        assertTrue(_isAdmitted(DEVICE), "not admitted by a new one");
    }

    /// @dev The operator keeps a second quote, and registers it after the withdrawal and the next approval.
    function test_H5_QuoteFromBeforeAWithdrawalIsNoNewProof() public {
        _registerAs(DEVICE, 990);
        bytes memory kept = abi.encode(_report(operator, 999));
        vm.startPrank(DAO);
        hosts.withdraw(Kind.Host, _ids(DEVICE));
        hosts.approve(_terms(DEVICE), NEVER);
        vm.stopPrank();
        vm.roll(1002);
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofBeforeApproval.selector, DEVICE, 999, 1000));
        vm.prank(operator);
        hosts.register(kept, 999);
        assertTrue(!_isAdmitted(DEVICE), "admitted by a quote from before the withdrawal");
    }

    /// @dev The votes are public for days; the operator changes ids twice before they are carried out.
    function test_H6_NewIdDoesNotEvadeADecision() public {
        bytes[4] memory decisions = [
            abi.encodeCall(hosts.withdraw, (Kind.Host, _ids(DEVICE))),
            abi.encodeCall(hosts.revoke, (Kind.Host, _ids(DEVICE))),
            abi.encodeCall(hosts.suspend, (Kind.Host, _ids(DEVICE))),
            abi.encodeCall(hosts.shorten, (Kind.Host, _ids(DEVICE), uint40(NOW + 2 days + 1)))
        ];
        for (uint256 i = 0; i < decisions.length; i++) {
            vm.warp(NOW);
            hosts = _deploy(_rules());
            vm.prank(DAO);
            hosts.approve(_terms(DEVICE), NEVER);
            _prepare();
            assertTrue(_continue(DEVICE, NEXT), "not continued");
            vm.warp(NOW + 1 days);
            _registerAs(THIRD, 992);
            assertTrue(_continue(NEXT, THIRD), "not continued again");
            assertEq(hosts.currentIdOf(DEVICE), THIRD, "of the first");
            assertEq(hosts.currentIdOf(NEXT), THIRD, "of the second");
            vm.warp(NOW + 2 days);
            assertTrue(_isAdmitted(THIRD), "not admitted");

            vm.prank(i == 2 ? GUARDIAN : DAO);
            (bool done, ) = address(hosts).call(decisions[i]);
            assertTrue(done, "the operator made the decision fail");
            vm.warp(NOW + 2 days + 1);
            assertTrue(!_isAdmitted(THIRD) && !_isAdmitted(NEXT) && !_isAdmitted(DEVICE), "evaded");
        }
    }

    function test_H6_NamedOperatorFollowsToTheNewId() public {
        _prepare();
        assertTrue(_continue(DEVICE, NEXT), "not continued");
        vm.prank(DAO);
        hosts.setOperator(DEVICE, STRANGER, NEVER);
        assertEq(hosts.namedOperatorOf(NEXT), STRANGER, "named");
        assertEq(hosts.hostOf(NEXT).operator, STRANGER, "operator");
        Report memory report = _report(operator, 992);
        report.deviceId = NEXT;
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostOwnedByOtherOperator.selector, NEXT, STRANGER));
        _register(report, 992);
    }

    function test_H6_NamedOperatorStaysWhenItContinues() public {
        vm.prank(DAO);
        hosts.setOperator(DEVICE, operator, NEVER);
        _prepare();
        assertTrue(_continue(DEVICE, NEXT), "not continued");
        assertEq(hosts.namedOperatorOf(NEXT), operator, "named");
    }

    /// @dev The DAO renews DEVICE, and the operator continues as NEXT just before.
    function test_H6_HostHasOneApprovedId() public {
        _prepare();
        assertTrue(_continue(DEVICE, NEXT), "not continued");
        vm.prank(DAO);
        hosts.approve(_terms(DEVICE), NEVER);
        vm.warp(NOW + 1 days);
        vm.roll(1001);
        _registerAs(DEVICE, 1000);
        assertTrue(_isAdmitted(DEVICE) && !_isAdmitted(NEXT), "two machines of one");
        assertEq(hosts.currentIdOf(NEXT), DEVICE, "present id");
    }

    /// @dev After an older BIOS came back, the DAO approves the id between the first and the last again.
    function test_H6_DecisionReachesAnIdThatWasApprovedAgain() public {
        _prepare();
        assertTrue(_continue(DEVICE, NEXT), "not continued");
        vm.warp(NOW + 1 days);
        _registerAs(THIRD, 992);
        assertTrue(_continue(NEXT, THIRD), "not continued again");
        vm.prank(DAO);
        hosts.approve(_terms(NEXT), NEVER);
        vm.warp(NOW + 2 days);
        vm.roll(1001);
        _registerAs(NEXT, 1000);
        assertTrue(_isAdmitted(NEXT) && !_isAdmitted(THIRD), "not moved back");
        vm.prank(DAO);
        hosts.revoke(Kind.Host, _ids(DEVICE));
        assertTrue(!_isAdmitted(DEVICE) && !_isAdmitted(NEXT) && !_isAdmitted(THIRD), "evaded");
    }

    /// @dev The proof of the machine has lapsed before its certificate was revoked.
    function test_H7_RevocationCanBeShownAfterTheProofExpired() public {
        IHosts.HostRules memory rules = _rules();
        rules.maxLifetime = 2 days;
        vm.startPrank(DAO);
        hosts.setContinuityDelay(1 days, NEVER);
        hosts.setRules(rules, NEVER);
        vm.stopPrank();
        _registerAs(DEVICE, 990);
        vm.warp(NOW + 2 days);
        _registerAs(NEXT, 991);
        _judgeAll(Verdict.TcbRevoked);
        bytes memory quote = abi.encode(_report(operator, 990));
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofExpired.selector, NOW + 2 days));
        hosts.endProof(DEVICE, quote);
        _judgeAll(Verdict.LeafRevoked);
        hosts.endProof(DEVICE, quote);
        assertEq(hosts.hostOf(DEVICE).expiresAt, NOW + 2 days, "its end moved");
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofExpired.selector, NOW + 2 days));
        hosts.endProof(DEVICE, quote);

        assertTrue(!_continue(DEVICE, NEXT), "handed on");
    }

    /// @dev Another certificate of the same machine proves it again, and it changes its id before or after.
    function test_H7_LaterProofDoesNotDeleteARevocation() public {
        _prepare();
        _revoke(DEVICE, 990);
        _registerAs(DEVICE, 992);
        _registerAs(NEXT, 993);
        assertTrue(!_continue(DEVICE, NEXT), "handed on");

        hosts = _deploy(_rules());
        vm.prank(DAO);
        hosts.approve(_terms(DEVICE), NEVER);
        _prepare();
        _revoke(NEXT, 991);
        _registerAs(NEXT, 992);
        assertTrue(!_continue(DEVICE, NEXT), "handed on to a revoked machine");

        hosts = _deploy(_rules());
        vm.prank(DAO);
        hosts.approve(_terms(DEVICE), NEVER);
        _prepare();
        assertTrue(_continue(DEVICE, NEXT), "not continued");
        _revoke(DEVICE, 990);
        vm.warp(NOW + 1 days);
        _registerAs(THIRD, 992);
        assertTrue(!_continue(NEXT, THIRD), "handed on by a machine that was revoked under its first id");
    }

    function _judgeAll(Verdict verdict) private {
        address changed = address(new ChangedCollateral(verdict, TcbStatus.None));
        vm.prank(DAO);
        hosts.setVerifier(changed, NEVER);
    }

    /// @dev Somebody shows that the certificate behind the proof was revoked.
    function _revoke(bytes32 deviceId, uint256 number) private {
        address live = address(hosts.verifier());
        Report memory report = _report(operator, number);
        report.deviceId = deviceId;
        _judgeAll(Verdict.LeafRevoked);
        hosts.endProof(deviceId, abi.encode(report));
        vm.prank(DAO);
        hosts.setVerifier(live, NEVER);
    }

    function test_H7_RevokedHostCannotContinue() public {
        Verdict[2] memory revoked = [Verdict.LeafRevoked, Verdict.CaRevoked];
        for (uint256 i = 0; i < revoked.length; i++) {
            hosts = _deploy(_rules());
            vm.prank(DAO);
            hosts.approve(_terms(DEVICE), NEVER);
            _prepare();
            address live = address(hosts.verifier());
            address dead = address(new ChangedCollateral(revoked[i], TcbStatus.None));
            vm.prank(DAO);
            hosts.setVerifier(dead, NEVER);
            hosts.endProof(DEVICE, abi.encode(_report(operator, 990)));
            vm.prank(DAO);
            hosts.setVerifier(live, NEVER);

            assertTrue(!_continue(DEVICE, NEXT), "handed on");
        }
    }

    /// @dev What a BIOS update cures does not stop a machine from going on under its new id.
    function test_H7_HostWithAnOldTcbContinues() public {
        _prepare();
        address live = address(hosts.verifier());
        address old = address(new ChangedCollateral(Verdict.TcbRevoked, TcbStatus.None));
        vm.prank(DAO);
        hosts.setVerifier(old, NEVER);
        hosts.endProof(DEVICE, abi.encode(_report(operator, 990)));
        vm.prank(DAO);
        hosts.setVerifier(live, NEVER);

        assertTrue(_continue(DEVICE, NEXT), "stopped");
    }

    function test_H8_ContinuitySignatureCountsOnce() public {
        _prepare();
        assertTrue(_continue(DEVICE, NEXT), "not continued");
        vm.startPrank(DAO);
        hosts.withdraw(Kind.Host, _ids(NEXT));
        hosts.approve(_terms(DEVICE), NEVER);
        vm.stopPrank();
        vm.roll(1001);
        _registerAs(DEVICE, 1000);
        _registerAs(NEXT, 993);
        assertTrue(_isAdmitted(DEVICE), "not admitted");

        assertTrue(!_continue(DEVICE, NEXT), "continued with the signature of then");
    }

    function test_H9_OnlyAnInvalidQuoteEndsItsProof() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        bytes memory call = abi.encodeCall(hosts.endProof, (DEVICE, quote));
        _registerAs(DEVICE, 990);
        (bool done, ) = address(hosts).call(call);
        assertTrue(!done, "ended while alive");
        address dead = address(new ChangedCollateral(Verdict.LeafRevoked, TcbStatus.None));
        vm.prank(DAO);
        hosts.setVerifier(dead, NEVER);
        (done, ) = address(hosts).call(abi.encodeCall(hosts.endProof, (DEVICE, bytes.concat(quote, hex"00"))));
        assertTrue(!done, "ended by another quote");
        (done, ) = address(hosts).call(call);
        assertTrue(done && !_isAdmitted(DEVICE), "not ended");
    }

    function test_H10_PermitIsForOneOperatorQuoteAndTime() public {
        bytes32 typeHash = keccak256("HostRegistration(bytes32 quoteHash,uint256 blockNumber,uint256 deadline)");
        bytes memory quote = abi.encode(_report(operator, 990));
        bytes memory other = abi.encode(_report(operator, 991));
        bytes32 content = keccak256(abi.encode(typeHash, keccak256(quote), uint256(990), NOW + 10));
        bytes memory theirs = _signed(0xBAD, content);
        bytes memory permit = _signed(OPERATOR_KEY, content);
        bytes[4] memory calls = [
            abi.encodeCall(hosts.registerFor, (operator, quote, 990, NOW + 10, theirs)),
            abi.encodeCall(hosts.registerFor, (operator, other, 991, NOW + 10, permit)),
            abi.encodeCall(hosts.registerFor, (STRANGER, quote, 990, NOW + 10, permit)),
            abi.encodeCall(hosts.registerFor, (operator, quote, 990, NOW + 11, permit))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            (bool done, ) = address(hosts).call(calls[i]);
            assertTrue(!done, "registered");
        }
        hosts.registerFor(operator, quote, 990, NOW + 10, permit);
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofNotNewer.selector, DEVICE, 990, 990));
        hosts.registerFor(operator, quote, 990, NOW + 10, permit);
    }

    function test_H11_AdmissionChecksEveryConditionAtEachUse() public {
        _registerAs(DEVICE, 990);
        assertTrue(_isAdmitted(DEVICE), "not admitted");
        vm.startPrank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.UpToDate, uint40(NOW), NEVER);
        assertTrue(!_isAdmitted(DEVICE), "with a status that no longer passes");
        hosts.setStatusAcceptedUntil(TcbStatus.UpToDate, NEVER, NEVER);
        hosts.suspend(Kind.Host, _ids(DEVICE));
        assertTrue(!_isAdmitted(DEVICE), "while suspended");
        hosts.lift(Kind.Host, _ids(DEVICE), NEVER);
        vm.stopPrank();
        assertTrue(_isAdmitted(DEVICE), "not admitted again");
        vm.warp(NOW + 20 days);
        assertTrue(!_isAdmitted(DEVICE), "after its proof");
        assertEq(uint8(hosts.stateOf(Kind.Host, DEVICE)), uint8(State.Active), "state");
    }

    /// @dev `endProof` verifies the same bytes twice. Longer ones could be registered, but not ended.
    function test_H12_QuoteThatCannotBeVerifiedTwiceProvesNothing() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        bytes memory padded = bytes.concat(quote, new bytes(8_192 - quote.length));
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostQuoteTooLong.selector, 8_193, 8_192));
        vm.prank(operator);
        hosts.register(bytes.concat(padded, hex"00"), 990);
        vm.prank(operator);
        hosts.register(padded, 990);
        _judgeAll(Verdict.LeafRevoked);
        hosts.endProof(DEVICE, padded);
        assertTrue(!_isAdmitted(DEVICE), "not ended");
    }

    /// @dev A short form names a record of the verifier of then; the DAO has another one since.
    function test_H12_PreviousVerifierVerifiesItsOwnRecords() public {
        _registerAs(DEVICE, 990);
        bytes memory quote = abi.encode(_report(operator, 990));
        _judgeAll(Verdict.RecordUnknown);
        vm.expectRevert(
            abi.encodeWithSelector(IHosts.HostProofStillValid.selector, DEVICE, Verdict.Verified, TcbStatus.UpToDate)
        );
        hosts.endProof(DEVICE, quote);
        _judgeAll(Verdict.LeafRevoked);
        _judgeAll(Verdict.RecordUnknown);
        hosts.endProof(DEVICE, quote);
        assertTrue(!_isAdmitted(DEVICE), "not ended");
    }

    /// @dev The DAO names the verifier that it has: the one before stays the last.
    function test_H12_SettingTheSameVerifierKeepsThePreviousOne() public {
        _registerAs(DEVICE, 990);
        bytes memory quote = abi.encode(_report(operator, 990));
        _judgeAll(Verdict.RecordUnknown);
        address same = address(hosts.verifier());
        vm.prank(DAO);
        hosts.setVerifier(same, NEVER);
        vm.expectRevert(
            abi.encodeWithSelector(IHosts.HostProofStillValid.selector, DEVICE, Verdict.Verified, TcbStatus.UpToDate)
        );
        hosts.endProof(DEVICE, quote);
    }

    /// @dev Without an earlier verifier nobody else is asked.
    function test_H12_UnknownRecordOfTheFirstVerifierEndsNothing() public {
        _registerAs(DEVICE, 990);
        bytes memory quote = abi.encode(_report(operator, 990));
        vm.etch(address(hosts.verifier()), address(new ChangedCollateral(Verdict.RecordUnknown, TcbStatus.None)).code);
        vm.expectRevert(
            abi.encodeWithSelector(IHosts.HostProofStillValid.selector, DEVICE, Verdict.RecordUnknown, TcbStatus.None)
        );
        hosts.endProof(DEVICE, quote);
    }
}

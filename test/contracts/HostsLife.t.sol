// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IBonded} from "../../contracts/registry/IHostBonds.sol";
import {IHosts} from "../../contracts/registry/IHosts.sol";
import {State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {Report, TcbStatus, Verdict} from "../../contracts/types/Report.sol";
import {HostsFixture} from "./Hosts.t.sol";

/// @notice Judges every quote as it was told to: collateral that changed after the quote was brought.
contract ChangedCollateral {
    Verdict private immutable _VERDICT;
    TcbStatus private immutable _STATUS;

    constructor(Verdict verdict, TcbStatus status) {
        (_VERDICT, _STATUS) = (verdict, status);
    }

    function verify(bytes calldata) public view returns (Report memory report) {
        report.verdict = _VERDICT;
        if (_VERDICT == Verdict.Verified) report.status = _STATUS;
    }

    function verifyUnder(bytes calldata quote, uint32) external view returns (Report memory) {
        return verify(quote);
    }

    function settledEvaluationNumber() external pure returns (uint32) {
        return 0;
    }
}

contract BondsOf is IBonded {
    address private immutable _OPERATOR;

    constructor(address operator) {
        _OPERATOR = operator;
    }

    function isBonded(bytes32, address operator) external view returns (bool) {
        return operator == _OPERATOR;
    }
}

/// @notice What happens to a machine after it was proven: it dies, it gets another id, it needs a bond.
contract HostsLifeTest is HostsFixture {
    uint40 private constant NEVER = type(uint40).max;
    bytes32 private constant NEXT = "device after a BIOS update";

    /* INVALID QUOTES */

    function _collateralChanges(Verdict verdict, TcbStatus status) private {
        address verifier = address(new ChangedCollateral(verdict, status));
        vm.prank(DAO);
        hosts.setVerifier(verifier, NEVER);
    }

    function test_AnyoneEndsAProofWhoseQuoteIsNotVerifiedAnyMore() public {
        Verdict[4] memory dead = [Verdict.LeafRevoked, Verdict.CaRevoked, Verdict.LeafNotInForce, Verdict.TcbRevoked];
        for (uint256 i = 0; i < dead.length; i++) {
            hosts = _deploy(_rules());
            vm.prank(DAO);
            hosts.approve(_terms(DEVICE), NEVER);
            bytes memory quote = abi.encode(_report(operator, 990));
            _register(_report(operator, 990), 990);
            _collateralChanges(dead[i], TcbStatus.None);

            vm.prank(STRANGER);
            hosts.endProof(DEVICE, quote);

            _assertAdmitted(false, "admitted though dead");
            assertEq(hosts.hostOf(DEVICE).expiresAt, NOW, "when it ended");
            vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofExpired.selector, NOW));
            hosts.endProof(DEVICE, quote);
        }
    }

    function test_ExpiredCollateralDoesNotEndAProof() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        _register(_report(operator, 990), 990);
        Verdict[4] memory alive = [
            Verdict.PckCrlExpired,
            Verdict.TcbInfoExpired,
            Verdict.QeIdentityExpired,
            Verdict.RootCrlMissing
        ];
        for (uint256 i = 0; i < alive.length; i++) {
            _collateralChanges(alive[i], TcbStatus.None);
            vm.expectRevert(
                abi.encodeWithSelector(IHosts.HostProofStillValid.selector, DEVICE, alive[i], TcbStatus.None)
            );
            hosts.endProof(DEVICE, quote);
        }
        _assertAdmitted(true, "ended by whoever wanted");
    }

    function test_StatusThatIsNoLongerAcceptedEndsAProof() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        _register(_report(operator, 990), 990);
        _collateralChanges(Verdict.Verified, TcbStatus.SWHardeningNeeded);
        vm.expectRevert(
            abi.encodeWithSelector(
                IHosts.HostProofStillValid.selector,
                DEVICE,
                Verdict.Verified,
                TcbStatus.SWHardeningNeeded
            )
        );
        hosts.endProof(DEVICE, quote);

        _collateralChanges(Verdict.Verified, TcbStatus.OutOfDate);
        hosts.endProof(DEVICE, quote);
        _assertAdmitted(false, "a demoted platform stayed");
    }

    function test_OnlyTheRegisteredQuoteEndsItsProof() public {
        _register(_report(operator, 990), 990);
        bytes memory another = abi.encode(_report(operator, 991));
        _collateralChanges(Verdict.LeafRevoked, TcbStatus.None);

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostQuoteUnknown.selector, DEVICE));
        hosts.endProof(DEVICE, another);
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostQuoteUnknown.selector, bytes32("nobody's")));
        hosts.endProof("nobody's", another);
    }

    function test_ExpiredApprovalsAreMarkedByAnyone() public {
        vm.prank(DAO);
        hosts.shorten(Kind.Host, _ids(DEVICE), uint40(NOW + 10));
        vm.warp(NOW + 10);
        vm.prank(STRANGER);
        hosts.markExpired(Kind.Host, _ids(DEVICE));

        assertEq(uint8(hosts.stateOf(Kind.Host, DEVICE)), uint8(State.Withdrawn), "state");
    }

    /* ONE MACHINE UNDER A NEW ID */

    function _drifted(uint256 number) private view returns (Report memory report) {
        report = _report(operator, number);
        report.deviceId = NEXT;
    }

    function _continuity(bytes32 from, bytes32 to, uint256 deadline) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("HostContinuity(bytes32 from,bytes32 to,uint256 deadline)");
        return _signed(OPERATOR_KEY, keccak256(abi.encode(typeHash, from, to, deadline)));
    }

    function _openContinuity() private {
        vm.prank(DAO);
        hosts.setContinuityDelay(1 days, NEVER);
    }

    function _continue() private {
        hosts.continueAs(DEVICE, NEXT, NOW + 1 days, _continuity(DEVICE, NEXT, NOW + 1 days));
    }

    function _isAdmitted(bytes32 deviceId) private view returns (bool isAdmitted) {
        (isAdmitted, ) = hosts.admission(deviceId);
    }

    function test_HostContinuesUnderItsNewId() public {
        vm.prank(DAO);
        hosts.shorten(Kind.Host, _ids(DEVICE), uint40(NOW + 15 days));
        _register(_report(operator, 990), 990);
        _openContinuity();
        _register(_drifted(991), 991);
        assertTrue(!_isAdmitted(NEXT), "admitted by its proof alone");

        vm.prank(STRANGER);
        _continue();

        assertTrue(!_isAdmitted(DEVICE), "both are admitted");
        assertTrue(!_isAdmitted(NEXT), "it need not wait");
        assertEq(uint8(hosts.stateOf(Kind.Host, DEVICE)), uint8(State.Withdrawn), "old");
        assertEq(uint8(hosts.stateOf(Kind.Host, NEXT)), uint8(State.Pending), "new");
        vm.warp(NOW + 1 days);
        assertTrue(_isAdmitted(NEXT), "not admitted after the delay");
        assertEq(hosts.approvalOf(Kind.Host, NEXT).expiresAt(), NOW + 15 days, "it lasts longer than it was given");
    }

    function test_GuardianSuspendsAContinuedHost() public {
        _register(_report(operator, 990), 990);
        _openContinuity();
        _register(_drifted(991), 991);
        _continue();
        vm.prank(GUARDIAN);
        hosts.suspend(Kind.Host, _ids(NEXT));
        vm.warp(NOW + 2 days);

        assertTrue(!_isAdmitted(NEXT), "admitted though evicted in its delay");
    }

    function test_NoHostContinuesUnlessTheDaoAllowsIt() public {
        _register(_report(operator, 990), 990);
        _register(_drifted(991), 991);
        bytes memory signature = _continuity(DEVICE, NEXT, NOW);

        vm.expectRevert(IHosts.HostContinuityClosed.selector);
        hosts.continueAs(DEVICE, NEXT, NOW, signature);
    }

    function test_ContinuityIsSignedByTheOperatorForOnePairAndTime() public {
        _register(_report(operator, 990), 990);
        _openContinuity();
        _register(_drifted(991), 991);
        bytes memory signature = _continuity(DEVICE, NEXT, NOW);

        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, operator));
        hosts.continueAs(DEVICE, "other", NOW, signature);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, operator));
        hosts.continueAs(DEVICE, NEXT, NOW + 1, signature);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, address(0)));
        hosts.continueAs("unknown", NEXT, NOW, signature);
        vm.warp(NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitExpired.selector, NOW));
        hosts.continueAs(DEVICE, NEXT, NOW, signature);
    }

    function _expectNotContinuous(bool sameOperator, bool samePlatform, bool proven, bool undecided) private {
        bytes memory signature = _continuity(DEVICE, NEXT, NOW + 1 days);
        vm.expectRevert(
            abi.encodeWithSelector(IHosts.HostContinuityInvalid.selector, sameOperator, samePlatform, proven, undecided)
        );
        hosts.continueAs(DEVICE, NEXT, NOW + 1 days, signature);
    }

    function test_OtherPlatformsCannotContinue() public {
        Report memory old = _report(operator, 990);
        old.platformInstanceId = "platform";
        _register(old, 990);
        _openContinuity();
        _expectNotContinuous(false, false, false, true);

        Report memory next = _drifted(991);
        _register(next, 991);
        _expectNotContinuous(true, false, true, true);
        next = _drifted(992);
        next.platformInstanceId = "platform";
        next.fmspc = 0x111111111111;
        _register(next, 992);
        _expectNotContinuous(true, false, true, true);
        next = _drifted(993);
        next.platformInstanceId = "platform";
        _register(next, 993);
        _continue();
    }

    function test_OlderOrExpiredProofsCannotContinue() public {
        _register(_report(operator, 990), 990);
        _openContinuity();
        _register(_drifted(989), 989);
        _expectNotContinuous(true, true, false, true);

        Report memory next = _drifted(991);
        next.expiresAt = uint64(NOW + 10);
        _register(next, 991);
        vm.warp(NOW + 10);
        _expectNotContinuous(true, true, false, true);
    }

    function test_ContinuityUndoesNoDecisionOfTheDao() public {
        _register(_report(operator, 990), 990);
        _openContinuity();
        _register(_drifted(991), 991);
        vm.prank(GUARDIAN);
        hosts.suspend(Kind.Host, _ids(DEVICE));
        _expectNotContinuous(true, true, true, false);
        vm.startPrank(DAO);
        hosts.lift(Kind.Host, _ids(DEVICE), NEVER);
        hosts.approve(_terms(NEXT), NEVER);
        hosts.withdraw(Kind.Host, _ids(NEXT));
        vm.stopPrank();
        _expectNotContinuous(true, true, true, false);
    }

    /// @dev A host that the DAO approved again must be proven again before its approval can be continued.
    function test_ProofUnderAnOlderApprovalCannotContinue() public {
        _register(_report(operator, 990), 990);
        _openContinuity();
        _register(_drifted(991), 991);
        vm.startPrank(DAO);
        hosts.withdraw(Kind.Host, _ids(DEVICE));
        hosts.approve(_terms(DEVICE), NEVER);
        vm.stopPrank();

        _expectNotContinuous(true, true, true, false);
    }

    /* BONDS */

    function test_BondIsRequiredOnceTheDaoSetsIt() public {
        _register(_report(operator, 990), 990);
        address none = address(new BondsOf(STRANGER));
        address some = address(new BondsOf(operator));
        vm.prank(DAO);
        hosts.setBonds(none, NEVER);
        _assertAdmitted(false, "admitted without a bond");

        vm.prank(DAO);
        hosts.setBonds(some, NEVER);
        _assertAdmitted(true, "refused with a bond");
        vm.prank(DAO);
        hosts.setOperator(DEVICE, STRANGER, NEVER);
        _assertAdmitted(false, "another operator has none");
        vm.prank(DAO);
        hosts.setBonds(address(0), NEVER);
        _assertAdmitted(true, "no longer asked");
    }
}

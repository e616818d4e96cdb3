// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {RecentBlockHash} from "../../contracts/registry/RecentBlockHash.sol";
import {Hosts} from "../../contracts/registry/Hosts.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {IHosts} from "../../contracts/registry/IHosts.sol";
import {AcceptingVerifier} from "../../contracts/test/AcceptingVerifier.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {PolicyBreach, PolicyLib} from "../../contracts/types/Policy.sol";
import {Report, TcbStatus, Verdict} from "../../contracts/types/Report.sol";
import {Test} from "./Vm.sol";

abstract contract HostsFixture is Test {
    address internal constant DAO = address(0xDA0);
    address internal constant GUARDIAN = address(0x6A);
    address internal constant STRANGER = address(0x57);
    uint256 internal constant OPERATOR_KEY = 0xA11CE;
    bytes32 internal constant DEVICE = "device";
    uint256 internal constant NOW = 1_750_000_000;

    Hosts internal hosts;
    address internal operator;

    function setUp() public virtual {
        vm.warp(NOW);
        vm.roll(1000);
        operator = vm.addr(OPERATOR_KEY);
        hosts = _deploy(_rules());
        vm.prank(DAO);
        hosts.approve(_terms(DEVICE), type(uint40).max);
    }

    function _rules() internal pure returns (IHosts.HostRules memory) {
        return
            IHosts.HostRules({
                attestedSince: 0,
                minLifetime: 0,
                maxLifetime: 30 days,
                window: 200,
                minEvaluationNumber: 17,
                isOpen: false,
                activationDelay: 0
            });
    }

    function _deploy(IHosts.HostRules memory rules) internal returns (Hosts) {
        bytes memory init = abi.encodeCall(
            Hosts.initialize,
            (DAO, address(new AcceptingVerifier()), GUARDIAN, 7 days, rules)
        );
        return Hosts(address(new ERC1967Proxy(address(new Hosts()), init)));
    }

    function _terms(bytes32 device) internal pure returns (IApprovalRegistry.ApprovalTerms[] memory terms) {
        terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms(Kind.Host, device, 0, 0, "");
    }

    function _ids(bytes32 id) internal pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = id;
    }

    function _report(address forOperator, uint256 number) internal view returns (Report memory report) {
        report.verdict = Verdict.Verified;
        report.status = TcbStatus.UpToDate;
        report.tcbEvaluationNumber = 18;
        report.qeEvaluationNumber = 18;
        report.expiresAt = uint64(NOW + 20 days);
        report.tcbDate = uint64(NOW - 90 days);
        report.fmspc = 0xb0c06f000000;
        report.deviceId = DEVICE;
        report.quoteId = keccak256(abi.encode(number));
        report.advisories = new bytes32[](2);
        report.advisories[0] = "INTEL-SA-00837";
        report.advisories[1] = "INTEL-SA-00960";
        report.td = _td(hosts.reportDataFor(forOperator, number, blockhash(number)), 0, 0);
    }

    /// @dev A TD report 1.0 with nothing in it but attributes (the lowest eight, and SEPT_VE_DISABLE) and report data.
    function _td(bytes32 first, bytes32 second, uint8 attributes) internal pure returns (bytes memory) {
        return bytes.concat(new bytes(120), bytes1(attributes), hex"000010", new bytes(396), first, second);
    }

    function _register(Report memory report, uint256 number) internal {
        vm.prank(operator);
        hosts.register(abi.encode(report), number);
    }

    function _assertAdmitted(bool expected, string memory what) internal view {
        (bool isAdmitted, ) = hosts.admission(DEVICE);
        assertTrue(isAdmitted == expected, what);
    }

    /// @dev EIP-712, of this registry on this chain.
    function _signed(uint256 key, bytes32 content) internal view returns (bytes memory) {
        (, string memory name, string memory version, uint256 chainId, address contract_, , ) = hosts.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                contract_
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, content)));
        return abi.encodePacked(r, s, v);
    }
}

contract HostsTest is HostsFixture {
    /* A PROOF */

    function test_StoresTheFactsOfTheQuote() public {
        _assertAdmitted(false, "admitted without a proof");
        _register(_report(operator, 990), 990);

        IHosts.Host memory host = hosts.hostOf(DEVICE);
        assertEq(host.operator, operator, "operator");
        assertEq(host.attestedAt, NOW, "attested");
        assertEq(host.expiresAt, NOW + 20 days, "expires with the collateral");
        assertEq(uint8(host.status), uint8(TcbStatus.UpToDate), "status");
        assertEq(host.provenAtBlock, 990, "block");
        assertEq(host.tcbEvaluationNumber, 18, "evaluation number");
        assertEq(host.approvalVersion, 1, "version");
        assertEq(
            host.advisories,
            keccak256(abi.encodePacked(bytes32("INTEL-SA-00837"), bytes32("INTEL-SA-00960"))),
            "advisories"
        );
        (bool isAdmitted, uint40 validUntil) = hosts.admission(DEVICE);
        assertTrue(isAdmitted, "not admitted");
        assertEq(validUntil, NOW + 20 days, "holds until");
    }

    function test_RegisterRevertsWhenTheQuoteIsRejected() public {
        Report memory report;
        report.verdict = Verdict.LeafRevoked;

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostQuoteRejected.selector, Verdict.LeafRevoked));
        _register(report, 990);
    }

    function test_RegisterRevertsIfOneBoundValueDiffers() public {
        Report memory report = _report(STRANGER, 990);
        _expectWrongData(report, operator, 990);
        _register(report, 990);

        report = _report(operator, 989);
        _expectWrongData(report, operator, 990);
        _register(report, 990);

        Hosts other = _deploy(_rules());
        report = _report(operator, 990);
        report.td = _td(other.reportDataFor(operator, 990, blockhash(990)), 0, 0);
        _expectWrongData(report, operator, 990);
        _register(report, 990);

        report = _report(operator, 990);
        report.td = _td(hosts.reportDataFor(operator, 990, blockhash(990)), bytes32(uint256(1)), 0);
        _expectWrongData(report, operator, 990);
        _register(report, 990);
    }

    function _expectWrongData(Report memory report, address who, uint256 number) private {
        (bytes32 found, bytes32 rest) = report.reportData();
        bytes32 expected = hosts.reportDataFor(who, number, blockhash(number));
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostReportDataMismatch.selector, found, expected, rest));
    }

    function test_ReportDataIsTheDocumentedPreimage() public view {
        bytes32 expected = keccak256(
            abi.encode(
                keccak256("assent-host-v1"),
                block.chainid,
                address(hosts),
                operator,
                uint256(990),
                blockhash(990)
            )
        );

        assertEq(hosts.reportDataFor(operator, 990, blockhash(990)), expected, "preimage");
    }

    function test_RegisterRevertsOutsideTheWindow() public {
        vm.roll(2000);
        uint256[4] memory numbers = [uint256(2000), 2001, 1799, type(uint256).max];
        for (uint256 i = 0; i < numbers.length; i++) {
            Report memory report = _report(operator, numbers[i]);
            vm.expectRevert(abi.encodeWithSelector(IHosts.HostBlockUnknown.selector, numbers[i], 2000, 200));
            _register(report, numbers[i]);
        }
        _register(_report(operator, 1800), 1800);
        _register(_report(operator, 1999), 1999);
    }

    function test_OnlyANewerProofReplacesAnOlderOne() public {
        Report memory replay = _report(operator, 990);
        _register(replay, 990);

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofNotNewer.selector, DEVICE, 990, 990));
        _register(replay, 990);
        Report memory older = _report(operator, 989);
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofNotNewer.selector, DEVICE, 989, 990));
        _register(older, 989);

        _register(_report(operator, 991), 991);
        assertEq(hosts.hostOf(DEVICE).provenAtBlock, 991, "block");
    }

    function test_AnotherOperatorWaitsUntilTheProofExpires() public {
        _register(_report(operator, 990), 990);
        Report memory foreign = _report(STRANGER, 995);

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostOwnedByOtherOperator.selector, DEVICE, operator));
        vm.prank(STRANGER);
        hosts.register(abi.encode(foreign), 995);

        vm.warp(NOW + 20 days);
        foreign.expiresAt = uint64(NOW + 40 days);
        vm.prank(STRANGER);
        hosts.register(abi.encode(foreign), 995);
        assertEq(hosts.hostOf(DEVICE).operator, STRANGER, "operator");
    }

    function test_DaoNamesAnotherOperatorOfAHost() public {
        _register(_report(operator, 990), 990);
        vm.prank(DAO);
        hosts.setOperator(DEVICE, STRANGER, type(uint40).max);
        Report memory renewed = _report(operator, 995);

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostOwnedByOtherOperator.selector, DEVICE, STRANGER));
        _register(renewed, 995);
    }

    function test_DebugTdIsNeverAccepted() public {
        for (uint8 bit = 0; bit < 8; bit++) {
            Report memory report = _report(operator, 990);
            report.td = _td(hosts.reportDataFor(operator, 990, blockhash(990)), 0, uint8(1 << bit));
            vm.expectRevert(abi.encodeWithSelector(PolicyLib.PolicyBreached.selector, PolicyBreach.AttributeForbidden));
            _register(report, 990);
        }
    }

    /* WHAT THE DAO ASKS */

    function test_StatusIsAcceptedUntilTheDateOfTheDao() public {
        Report memory report = _report(operator, 990);
        report.status = TcbStatus.OutOfDate;
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostStatusRefused.selector, TcbStatus.OutOfDate, 0));
        _register(report, 990);

        vm.prank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.OutOfDate, uint40(NOW + 2 days), type(uint40).max);
        _register(report, 990);
        (, uint40 validUntil) = hosts.admission(DEVICE);
        assertEq(validUntil, NOW + 2 days, "grace");
        assertEq(hosts.statusAcceptedUntil(TcbStatus.OutOfDate), NOW + 2 days, "rule");
        vm.warp(NOW + 2 days);
        _assertAdmitted(false, "admitted after the grace");
    }

    function test_TighterRulesTakeEffectAtTheNextUse() public {
        _register(_report(operator, 990), 990);
        vm.prank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.UpToDate, uint40(NOW), type(uint40).max);
        _assertAdmitted(false, "admitted in a state that the DAO ended");

        vm.startPrank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.UpToDate, type(uint40).max, type(uint40).max);
        IHosts.HostRules memory rules = _rules();
        rules.attestedSince = uint40(NOW + 1);
        hosts.setRules(rules, type(uint40).max);
        vm.stopPrank();
        _assertAdmitted(false, "admitted with a proof from before");
        assertEq(hosts.rules().attestedSince, NOW + 1, "rules");
    }

    function test_EvaluationNumberHasAMinimum() public {
        Report memory report = _report(operator, 990);
        report.qeEvaluationNumber = 16;
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostEvaluationNumberTooLow.selector, 16, 17));
        _register(report, 990);

        (report.tcbEvaluationNumber, report.qeEvaluationNumber) = (15, 18);
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostEvaluationNumberTooLow.selector, 15, 17));
        _register(report, 990);
    }

    function test_DeniedAdvisoriesArePartOfTheRules() public {
        vm.prank(DAO);
        hosts.setAdvisoriesDenied(_ids("INTEL-SA-00960"), true, type(uint40).max);
        Report memory report = _report(operator, 990);
        assertTrue(hosts.isAdvisoryDenied("INTEL-SA-00960"), "denied");

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostAdvisoryDenied.selector, bytes32("INTEL-SA-00960")));
        _register(report, 990);
        vm.prank(DAO);
        hosts.setAdvisoriesDenied(_ids("INTEL-SA-00960"), false, type(uint40).max);
        _register(report, 990);
    }

    function test_ProofLifetimeFollowsTheCollateralWithinBounds() public {
        IHosts.HostRules memory rules = _rules();
        rules.minLifetime = 5 days;
        rules.maxLifetime = 10 days;
        vm.prank(DAO);
        hosts.setRules(rules, type(uint40).max);

        _register(_report(operator, 990), 990);
        assertEq(hosts.hostOf(DEVICE).expiresAt, NOW + 10 days, "at most");
        Report memory soon = _report(operator, 991);
        soon.expiresAt = uint64(NOW + 1 days);
        _register(soon, 991);
        assertEq(hosts.hostOf(DEVICE).expiresAt, NOW + 5 days, "at least");
    }

    function test_ExpiredCollateralProvesNothing() public {
        Report memory report = _report(operator, 990);
        report.expiresAt = uint64(NOW);

        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofExpired.selector, NOW));
        _register(report, 990);
    }

    function test_AdmissionEndsWithProofOrApproval() public {
        _register(_report(operator, 990), 990);
        _assertHolds(NOW + 20 days, "the proof ends");
        _shortenOne(NOW + 21 days);
        _assertHolds(NOW + 20 days, "the approval ends later");
        _shortenOne(NOW + 19 days);
        _assertHolds(NOW + 19 days, "the approval ends sooner");
    }

    function _shortenOne(uint256 end) private {
        vm.prank(DAO);
        hosts.shorten(Kind.Host, _ids(DEVICE), uint40(end));
    }

    function _assertHolds(uint256 expected, string memory what) private view {
        (, uint40 validUntil) = hosts.admission(DEVICE);
        assertEq(validUntil, expected, what);
    }

    function test_ContradictoryRulesAreRefused() public {
        IHosts.HostRules memory rules = _rules();
        rules.minLifetime = 31 days;
        _expectInvalid(rules);
        rules = _rules();
        rules.window = 8192;
        _expectInvalid(rules);
        rules = _rules();
        (rules.minLifetime, rules.maxLifetime) = (0, 0);
        _expectInvalid(rules);
        rules = _rules();
        rules.window = 0;
        _expectInvalid(rules);
        vm.expectRevert(IHosts.HostRulesInvalid.selector);
        vm.prank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.Revoked, type(uint40).max, type(uint40).max);
        vm.expectRevert(IHosts.HostRulesInvalid.selector);
        vm.prank(DAO);
        hosts.setStatusAcceptedUntil(TcbStatus.None, type(uint40).max, type(uint40).max);
        assertEq(hosts.activationDelay(Kind.App), 0, "delay of what is not here");
    }

    function _expectInvalid(IHosts.HostRules memory rules) private {
        vm.expectRevert(IHosts.HostRulesInvalid.selector);
        vm.prank(DAO);
        hosts.setRules(rules, type(uint40).max);
    }

    /* ADMISSION */

    function test_OldProofDoesNotCountUnderANewApproval() public {
        _register(_report(operator, 990), 990);
        vm.startPrank(DAO);
        hosts.withdraw(Kind.Host, _ids(DEVICE));
        hosts.approve(_terms(DEVICE), type(uint40).max);
        vm.stopPrank();

        _assertAdmitted(false, "an old proof came back to life");
        vm.roll(1001);
        _register(_report(operator, 1000), 1000);
        _assertAdmitted(true, "a new proof does not count");
    }

    function test_ProofBeforeTheFirstApprovalCountsForTheFirstOnly() public {
        hosts = _deploy(_rules());
        _register(_report(operator, 990), 990);
        _assertAdmitted(false, "admitted without an approval");
        vm.startPrank(DAO);
        hosts.approve(_terms(DEVICE), type(uint40).max);
        _assertAdmitted(true, "the first");
        hosts.withdraw(Kind.Host, _ids(DEVICE));
        hosts.approve(_terms(DEVICE), type(uint40).max);
        vm.stopPrank();

        _assertAdmitted(false, "the second");
    }

    function test_GuardianSuspendsAHostInOneCall() public {
        _register(_report(operator, 990), 990);

        vm.prank(GUARDIAN);
        hosts.suspend(Kind.Host, _ids(DEVICE));

        _assertAdmitted(false, "admitted while suspended");
    }

    function test_ClosedRegistryProvesButAdmitsNobody() public {
        vm.prank(DAO);
        hosts.withdraw(Kind.Host, _ids(DEVICE));
        _register(_report(operator, 990), 990);

        _assertAdmitted(false, "admitted without the DAO");
        assertEq(hosts.hostOf(DEVICE).operator, operator, "not proven");
    }

    function test_OpenRegistryAdmitsAfterTheDelayUnlessSuspended() public {
        IHosts.HostRules memory rules = _rules();
        rules.isOpen = true;
        rules.activationDelay = 1 days;
        hosts = _deploy(rules);

        _register(_report(operator, 990), 990);
        _assertAdmitted(false, "admitted at once");
        vm.warp(NOW + 1 days);
        _assertAdmitted(true, "not admitted after the delay");

        vm.prank(DAO);
        hosts.revoke(Kind.Host, _ids(DEVICE));
        vm.warp(NOW + 25 days);
        Report memory again = _report(operator, 991);
        again.expiresAt = uint64(NOW + 60 days);
        _register(again, 991);
        _assertAdmitted(false, "a revoked machine let itself in again");
    }

    /* PERMITS */

    function _permit(bytes memory quote, uint256 number, uint256 deadline) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("HostRegistration(bytes32 quoteHash,uint256 blockNumber,uint256 deadline)");
        return _signed(OPERATOR_KEY, keccak256(abi.encode(typeHash, keccak256(quote), number, deadline)));
    }

    function test_RelayerPaysWithThePermitOfTheOperator() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        bytes memory permit = _permit(quote, 990, NOW);

        vm.prank(STRANGER);
        hosts.registerFor(operator, quote, 990, NOW, permit);

        assertEq(hosts.hostOf(DEVICE).operator, operator, "operator");
        vm.expectRevert(abi.encodeWithSelector(IHosts.HostProofNotNewer.selector, DEVICE, 990, 990));
        hosts.registerFor(operator, quote, 990, NOW, permit);
    }

    function test_PermitIsForOneQuoteOneBlockAndOneTime() public {
        bytes memory quote = abi.encode(_report(operator, 990));
        bytes memory permit = _permit(quote, 990, NOW);
        bytes memory other = abi.encode(_report(operator, 991));

        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, operator));
        hosts.registerFor(operator, other, 990, NOW, permit);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, operator));
        hosts.registerFor(operator, quote, 991, NOW, permit);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, operator));
        hosts.registerFor(operator, quote, 990, NOW + 1, permit);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitInvalid.selector, STRANGER));
        hosts.registerFor(STRANGER, quote, 990, NOW, permit);
        vm.warp(NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IHosts.PermitExpired.selector, NOW));
        hosts.registerFor(operator, quote, 990, NOW, permit);
    }

    function test_OnlyTheOwnerSetsRules() public {
        bytes[] memory calls = new bytes[](6);
        calls[0] = abi.encodeCall(hosts.setOperator, (DEVICE, STRANGER, type(uint40).max));
        calls[1] = abi.encodeCall(hosts.setRules, (_rules(), type(uint40).max));
        calls[2] = abi.encodeCall(
            hosts.setStatusAcceptedUntil,
            (TcbStatus.OutOfDate, type(uint40).max, type(uint40).max)
        );
        calls[3] = abi.encodeCall(hosts.setAdvisoriesDenied, (_ids("x"), false, type(uint40).max));
        calls[4] = abi.encodeCall(hosts.setVerifier, (STRANGER, type(uint40).max));
        calls[5] = abi.encodeCall(hosts.approve, (_terms("other"), type(uint40).max));
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(GUARDIAN);
            (bool success, bytes memory reason) = address(hosts).call(calls[i]);

            assertTrue(!success, "it was done");
            assertTrue(bytes4(reason) == OwnableUpgradeable.OwnableUnauthorizedAccount.selector, "another error");
        }
    }
}

/// @notice Answers like the contract of EIP-2935, for one block.
contract History {
    fallback(bytes calldata question) external returns (bytes memory) {
        require(abi.decode(question, (uint256)) == 5000, "not kept");
        return abi.encode(keccak256("block 5000"));
    }
}

contract BlockHashTest is Test {
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

    function test_OlderBlockHashesComeFromTheHistoryContract() public {
        vm.roll(13_191);
        vm.etch(HISTORY, address(new History()).code);

        assertEq(RecentBlockHash.get(5000), keccak256("block 5000"), "8,191 blocks back");
        assertEq(RecentBlockHash.get(5001), 0, "not kept");
        vm.roll(13_192);
        assertEq(RecentBlockHash.get(5000), 0, "8,192 blocks back");
        assertEq(RecentBlockHash.get(13_192), 0, "this block");
    }

    function test_ChainWithoutTheHistoryContractKnows256Blocks() public {
        vm.roll(13_000);
        vm.etch(HISTORY, "");

        assertEq(RecentBlockHash.get(5000), 0, "older");
    }
}

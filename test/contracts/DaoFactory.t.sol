// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC5805} from "@openzeppelin/contracts/interfaces/IERC5805.sol";
import {IERC6372} from "@openzeppelin/contracts/interfaces/IERC6372.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {AssentGovernor} from "../../contracts/governance/AssentGovernor.sol";
import {AssentVotes} from "../../contracts/governance/AssentVotes.sol";
import {AssentVotesWrapper} from "../../contracts/governance/AssentVotesWrapper.sol";
import {CreationCode} from "../../contracts/governance/CreationCode.sol";
import {DaoFactory} from "../../contracts/governance/DaoFactory.sol";
import {DaoParameters, IDaoFactory} from "../../contracts/registry/IDaoFactory.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {DenialCode} from "../../contracts/auth/DenialReasons.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";
import {Log} from "./Vm.sol";

contract OldToken is ERC20 {
    constructor(address holder) ERC20("Old", "OLD") {
        _mint(holder, 1000);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }
}

contract DaoFactoryTest is KmsAuthFixture {
    uint256 private constant VOTER_KEY = 0xB0B;
    bytes32 private constant ADMIN = 0;
    bytes32 private constant PROPOSER = keccak256("PROPOSER_ROLE");
    bytes32 private constant EXECUTOR = keccak256("EXECUTOR_ROLE");
    bytes32 private constant CANCELLER = keccak256("CANCELLER_ROLE");

    DaoFactory private factory;
    address private voter;

    function setUp() public override {
        super.setUp();
        voter = vm.addr(VOTER_KEY);
        bytes memory code = type(AssentGovernor).creationCode;
        factory = new DaoFactory(
            [_keep(_slice(code, 0, 24_000)), _keep(_slice(code, 24_000, code.length))],
            _keep(type(TimelockController).creationCode),
            _keep(type(AssentVotes).creationCode),
            _keep(type(AssentVotesWrapper).creationCode)
        );
    }

    function _keep(bytes memory code) private returns (address) {
        return address(new CreationCode(code));
    }

    function _slice(bytes memory code, uint256 from, uint256 to) private pure returns (bytes memory part) {
        part = new bytes(to - from);
        for (uint256 i = 0; i < part.length; i++) part[i] = code[from + i];
    }

    function _terms() private view returns (DaoParameters memory terms) {
        terms.name = "Votes of one app";
        terms.symbol = "APP";
        terms.holder = voter;
        terms.supply = 1000;
        terms.votingDelay = 1 days;
        terms.votingPeriod = 3 days;
        terms.lateQuorumExtension = 1 hours;
        terms.proposalThreshold = 10;
        terms.quorumPercent = 10;
        terms.timelockDelay = 2 days;
        terms.guardian = GUARDIAN;
        terms.suspension = 5 days;
    }

    function _handOver(DaoParameters memory terms) private returns (TimelockController, AssentGovernor, AssentVotes) {
        vm.recordLogs();
        vm.prank(OWNER);
        address owner = app.transferToNewDao(factory, terms);
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != IDaoFactory.DaoCreated.selector) continue;
            (address governor, address votes) = abi.decode(logs[i].data, (address, address));
            return (TimelockController(payable(owner)), AssentGovernor(payable(governor)), AssentVotes(votes));
        }
        revert NotTrue("no DAO was told");
    }

    function test_OneTransactionGivesTheAppToItsDao() public {
        (TimelockController timelock, AssentGovernor governor, AssentVotes votes) = _handOver(_terms());

        assertEq(app.owner(), address(timelock), "owner");
        assertEq(app.pendingOwner(), address(0), "pending owner");
        assertEq(app.guardian(), GUARDIAN, "guardian");
        assertEq(app.suspension(), 5 days, "suspension");
        assertEq(governor.timelock(), address(timelock), "timelock");
        assertEq(address(governor.token()), address(votes), "votes");
        assertEq(governor.proposalGuardian(), GUARDIAN, "guardian of proposals");
        assertEq(votes.balanceOf(voter), 1000, "supply");
        assertEq(timelock.getMinDelay(), 2 days, "delay");
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, OWNER));
        vm.prank(OWNER);
        app.addComposeHash("x");
    }

    function test_OnlyTheGovernorHasRoles() public {
        (TimelockController timelock, AssentGovernor governor, ) = _handOver(_terms());
        address[6] memory others = [address(factory), address(app), OWNER, GUARDIAN, voter, address(0)];
        bytes32[4] memory roles = [ADMIN, PROPOSER, EXECUTOR, CANCELLER];
        for (uint256 i = 0; i < roles.length; i++) {
            for (uint256 j = 0; j < others.length; j++) {
                assertTrue(!timelock.hasRole(roles[i], others[j]), "another holds a role");
            }
            assertTrue(timelock.hasRole(roles[i], address(governor)) == (i != 0), "the governor's roles");
        }
        assertTrue(timelock.hasRole(ADMIN, address(timelock)), "the DAO cannot change its roles");
    }

    /// @dev The whole way, with a vote that was signed and not sent by the voter.
    function test_DaoApprovesAReleaseByASignedVote() public {
        (, AssentGovernor governor, AssentVotes votes) = _handOver(_terms());
        vm.prank(voter);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _proposal("second");
        vm.prank(voter);
        uint256 id = governor.propose(targets, values, calls, "second release");
        (address[] memory stored, , , ) = governor.proposalDetails(id);
        assertEq(stored[0], address(app), "not readable on-chain");

        vm.warp(block.timestamp + 1 days + 1);
        bytes memory signature = _signVote(governor, id);
        vm.prank(STRANGER);
        governor.castVoteBySig(id, 1, voter, signature);
        vm.warp(block.timestamp + 3 days + 1);
        governor.queue(id);
        vm.warp(block.timestamp + 2 days);
        governor.execute(id);

        assertTrue(app.allowedComposeHashes("second"), "not allowed");
        assertEq(uint8(governor.state(id)), uint8(IGovernor.ProposalState.Executed), "state");
    }

    function _proposal(
        bytes32 hash
    ) private view returns (address[] memory targets, uint256[] memory values, bytes[] memory calls) {
        (targets, values, calls) = (new address[](1), new uint256[](1), new bytes[](1));
        targets[0] = address(app);
        calls[0] = abi.encodeCall(app.addComposeHash, (hash));
    }

    function _signVote(AssentGovernor governor, uint256 id) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(governor.name())),
                keccak256(bytes(governor.version())),
                block.chainid,
                address(governor)
            )
        );
        bytes32 content = keccak256(abi.encode(governor.BALLOT_TYPEHASH(), id, 1, voter, governor.nonces(voter)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(VOTER_KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        return abi.encodePacked(r, s, v);
    }

    function test_QueuedDecisionExpiresAndNobodyElseExecutesIt() public {
        (TimelockController timelock, AssentGovernor governor, AssentVotes votes) = _handOver(_terms());
        vm.prank(voter);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _proposal("forgotten");
        vm.startPrank(voter);
        uint256 id = governor.propose(targets, values, calls, "forgotten");
        vm.warp(block.timestamp + 1 days + 1);
        governor.castVote(id, 1);
        vm.stopPrank();
        vm.warp(block.timestamp + 3 days + 1);
        governor.queue(id);
        uint256 eta = governor.proposalEta(id);
        vm.warp(eta + 30 days);
        assertEq(uint8(governor.state(id)), uint8(IGovernor.ProposalState.Queued), "expired too soon");
        vm.warp(eta + 30 days + 1);
        assertEq(uint8(governor.state(id)), uint8(IGovernor.ProposalState.Expired), "never expires");

        (bool executed, ) = address(governor).call(abi.encodeWithSignature("execute(uint256)", id));
        assertTrue(!executed, "executed though expired");
        bytes32 salt = bytes20(address(governor)) ^ keccak256("forgotten");
        assertTrue(
            timelock.isOperationReady(timelock.hashOperationBatch(targets, values, calls, 0, salt)),
            "not ready"
        );
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), EXECUTOR)
        );
        timelock.executeBatch(targets, values, calls, 0, salt);
        assertTrue(!app.allowedComposeHashes("forgotten"), "it fired");
    }

    function test_GuardianOfTheDaoSuspendsARelease() public {
        _handOver(_terms());
        vm.prank(GUARDIAN);
        app.suspend(Kind.Release, _ids(COMPOSE));

        assertEq(uint8(app.stateOf(Kind.Release, COMPOSE)), uint8(State.Suspended), "state");
        _assertApp(_boot(), DenialCode.AppRefused, "Compose hash not allowed");
    }

    function test_HoldersWrapAnExistingTokenToVote() public {
        OldToken old = new OldToken(voter);
        DaoParameters memory terms = _terms();
        terms.underlying = address(old);
        (, AssentGovernor governor, ) = _handOver(terms);
        AssentVotesWrapper votes = AssentVotesWrapper(address(governor.token()));
        assertEq(votes.decimals(), 6, "decimals are the token's");
        assertEq(votes.CLOCK_MODE(), "mode=timestamp", "mode");
        assertEq(votes.nonces(voter), 0, "nonces");

        vm.startPrank(voter);
        old.approve(address(votes), 400);
        votes.depositFor(voter, 400);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
        assertEq(votes.getVotes(voter), 400, "votes");
        assertEq(votes.totalSupply(), old.balanceOf(address(votes)), "backed");
        votes.withdrawTo(voter, 150);
        vm.stopPrank();
        assertEq(old.balanceOf(voter), 750, "returned");
        assertEq(votes.getVotes(voter), 250, "votes left");
    }

    function test_DaoNeedsVotes() public {
        DaoParameters memory terms = _terms();
        terms.supply = 0;
        _expectWithoutVotes(terms);
        terms = _terms();
        terms.holder = address(0);
        _expectWithoutVotes(terms);
        terms = _terms();
        terms.underlying = STRANGER;
        _expectWithoutVotes(terms);
    }

    function _expectWithoutVotes(DaoParameters memory terms) private {
        vm.expectRevert(
            abi.encodeWithSelector(DaoFactory.DaoWithoutVotes.selector, terms.underlying, terms.holder, terms.supply)
        );
        factory.create(terms);
    }

    /// @dev OpenZeppelin's own words come through: a voting period of zero, a quorum above all votes.
    function test_InvalidParametersRevertWithTheErrorOfTheGovernor() public {
        DaoParameters memory terms = _terms();
        terms.votingPeriod = 0;
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidVotingPeriod.selector, 0));
        factory.create(terms);

        DaoFactory empty = new DaoFactory([STRANGER, STRANGER], STRANGER, _keep(hex"fe"), STRANGER);
        vm.expectRevert(DaoFactory.DaoPartNotCreated.selector);
        empty.create(_terms());
    }

    function test_OnlyTheOwnerTransfersToANewDao() public {
        DaoParameters memory terms = _terms();
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, STRANGER));
        vm.prank(STRANGER);
        app.transferToNewDao(factory, terms);

        terms.suspension = 1;
        vm.expectRevert(abi.encodeWithSelector(IApprovalRegistry.SuspensionOutOfBounds.selector, 1, 1 hours, 90 days));
        vm.prank(OWNER);
        app.transferToNewDao(factory, terms);
    }

    /// @dev By their published ids, so that existing voting front ends find what they look for.
    function test_SupportsTheStandardInterfaces() public {
        (, AssentGovernor governor, AssentVotes votes) = _handOver(_terms());
        assertTrue(governor.supportsInterface(type(IGovernor).interfaceId), "IGovernor");
        assertTrue(governor.supportsInterface(type(IERC165).interfaceId), "ERC-165");
        assertTrue(governor.supportsInterface(0x4e2312e0), "ERC-1155 receiver, as OpenZeppelin's");
        assertTrue(!governor.supportsInterface(0xffffffff), "never");
        assertEq(uint32(type(IERC6372).interfaceId), 0xda287a1d, "ERC-6372");
        bytes4 whole = _idOfGovernors();
        assertTrue(governor.supportsInterface(whole), "a governor, as OpenZeppelin publishes it");
        bytes4 older = whole ^ bytes4(keccak256("getProposalId(address[],uint256[],bytes[],bytes32)"));
        assertTrue(governor.supportsInterface(older), "and as it was without that one");
        assertEq(uint32(whole), 0xcdbdfcee, "the id that other libraries compute");
        assertEq(uint32(type(IVotes).interfaceId), 0xe90fb3f6, "ERC-5805's votes");

        IERC5805[2] memory speakers = [IERC5805(address(votes)), IERC5805(address(governor))];
        for (uint256 i = 0; i < speakers.length; i++) {
            assertEq(speakers[i].clock(), block.timestamp, "clock");
            assertEq(speakers[i].CLOCK_MODE(), "mode=timestamp", "mode");
        }
        assertEq(governor.COUNTING_MODE(), "support=bravo&quorum=for,abstain", "counting");
        vm.prank(voter);
        speakers[0].delegate(voter);
        vm.warp(block.timestamp + 1);
        assertEq(speakers[0].getPastVotes(voter, block.timestamp - 1), 1000, "past votes");
        assertEq(speakers[0].getPastTotalSupply(block.timestamp - 1), 1000, "past supply");
        assertEq(governor.quorum(block.timestamp - 1), 100, "quorum");
    }

    /// @dev ERC-165's definition, from the signatures and not from the compiler's interface.
    function _idOfGovernors() private pure returns (bytes4 id) {
        string[27] memory signatures = [
            "name()",
            "version()",
            "COUNTING_MODE()",
            "hashProposal(address[],uint256[],bytes[],bytes32)",
            "getProposalId(address[],uint256[],bytes[],bytes32)",
            "state(uint256)",
            "proposalThreshold()",
            "proposalSnapshot(uint256)",
            "proposalDeadline(uint256)",
            "proposalProposer(uint256)",
            "proposalEta(uint256)",
            "proposalNeedsQueuing(uint256)",
            "votingDelay()",
            "votingPeriod()",
            "quorum(uint256)",
            "getVotes(address,uint256)",
            "getVotesWithParams(address,uint256,bytes)",
            "hasVoted(uint256,address)",
            "propose(address[],uint256[],bytes[],string)",
            "queue(address[],uint256[],bytes[],bytes32)",
            "execute(address[],uint256[],bytes[],bytes32)",
            "cancel(address[],uint256[],bytes[],bytes32)",
            "castVote(uint256,uint8)",
            "castVoteWithReason(uint256,uint8,string)",
            "castVoteWithReasonAndParams(uint256,uint8,string,bytes)",
            "castVoteBySig(uint256,uint8,address,bytes)",
            "castVoteWithReasonAndParamsBySig(uint256,uint8,address,string,bytes,bytes)"
        ];
        for (uint256 i = 0; i < signatures.length; i++) id ^= bytes4(keccak256(bytes(signatures[i])));
    }

    function test_VotesAreDelegatedByASignature() public {
        (, , AssentVotes votes) = _handOver(_terms());
        bytes32 content = keccak256(
            abi.encode(
                keccak256("Delegation(address delegatee,uint256 nonce,uint256 expiry)"),
                STRANGER,
                votes.nonces(voter),
                block.timestamp
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", votes.DOMAIN_SEPARATOR(), content));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(VOTER_KEY, digest);
        votes.delegateBySig(STRANGER, 0, block.timestamp, v, r, s);

        assertEq(votes.delegates(voter), STRANGER, "delegate");
    }

    function test_LateQuorumExtendsTheVote() public {
        (, AssentGovernor governor, AssentVotes votes) = _handOver(_terms());
        vm.prank(voter);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _proposal("late");
        vm.prank(voter);
        uint256 id = governor.propose(targets, values, calls, "late");
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline - 10);
        vm.prank(voter);
        governor.castVote(id, 1);

        assertEq(governor.proposalDeadline(id), block.timestamp + 1 hours, "deadline");
    }

    function test_GuardianCancelsButNotItsOwnReplacement() public {
        (, AssentGovernor governor, AssentVotes votes) = _handOver(_terms());
        vm.prank(voter);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _proposal("bad");
        vm.startPrank(voter);
        uint256 bad = governor.propose(targets, values, calls, "bad");
        calls[0] = abi.encodeCall(app.setGuardian, (STRANGER, 1 days, type(uint40).max));
        uint256 change = governor.propose(targets, values, calls, "another guardian");
        targets[0] = address(governor);
        calls[0] = abi.encodeCall(governor.setProposalGuardian, (STRANGER));
        uint256 own = governor.propose(targets, values, calls, "another guardian of proposals");
        calls[0] = abi.encodeCall(governor.setVotingDelay, (0));
        uint256 rule = governor.propose(targets, values, calls, "another rule of the governor");
        vm.stopPrank();

        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, bad, STRANGER));
        vm.prank(STRANGER);
        governor.cancel(bad);
        vm.startPrank(GUARDIAN);
        governor.cancel(bad);
        governor.cancel(rule);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, change, GUARDIAN));
        governor.cancel(change);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, own, GUARDIAN));
        governor.cancel(own);
        vm.stopPrank();
        assertEq(uint8(governor.state(bad)), uint8(IGovernor.ProposalState.Canceled), "not cancelled");
        assertEq(uint8(governor.state(rule)), uint8(IGovernor.ProposalState.Canceled), "rule not cancelled");
    }

    function test_WithoutAGuardianOnlyTheProposerCancels() public {
        DaoParameters memory terms = _terms();
        terms.guardian = address(0);
        (, AssentGovernor governor, AssentVotes votes) = _handOver(terms);
        vm.prank(voter);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _proposal("mine");
        vm.prank(voter);
        uint256 mine = governor.propose(targets, values, calls, "mine");

        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, mine, STRANGER));
        vm.prank(STRANGER);
        governor.cancel(mine);
        vm.prank(voter);
        governor.cancel(mine);
        assertEq(uint8(governor.state(mine)), uint8(IGovernor.ProposalState.Canceled), "not cancelled");
    }

    function test_FactoryWithoutCreationCodesReverts() public {
        DaoFactory empty = new DaoFactory([address(1), address(2)], address(3), address(4), address(5));
        (bool made, ) = address(empty).call(abi.encodeCall(empty.create, (_terms())));

        assertTrue(!made, "a DAO of nothing");
    }
}

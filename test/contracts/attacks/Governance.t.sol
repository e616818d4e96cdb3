// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {AssentGovernor} from "../../../contracts/governance/AssentGovernor.sol";
import {AssentVotes} from "../../../contracts/governance/AssentVotes.sol";
import {AssentVotesWrapper} from "../../../contracts/governance/AssentVotesWrapper.sol";
import {CreationCode} from "../../../contracts/governance/CreationCode.sol";
import {DaoFactory} from "../../../contracts/governance/DaoFactory.sol";
import {IApprovalRegistry} from "../../../contracts/registry/IApprovalRegistry.sol";
import {DaoParameters, IDaoFactory} from "../../../contracts/registry/IDaoFactory.sol";
import {KmsAuthFixture} from "../KmsAuth.t.sol";
import {Log} from "../Vm.sol";

contract OldCoin is ERC20 {
    constructor(address holder, uint256 supply) ERC20("Old", "OLD") {
        _mint(holder, supply);
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function burn(uint256 amount) external {
        _burn(msg.sender, amount);
    }
}

/// @notice Takes whatever it is given, and names an owner.
contract Taker {
    address public owner;

    constructor(address claimed) {
        owner = claimed;
    }

    fallback() external payable {}

    receive() external payable {}
}

/// @notice Somebody tries to break each promise about the DAO (docs/contracts.md, numbers with G).
contract GovernanceAttacks is KmsAuthFixture {
    DaoFactory private factory;
    address private voter = address(0xB0B);
    address private attacker = address(0xBAD);
    TimelockController private timelock;
    AssentGovernor private governor;
    AssentVotes private votes;

    function setUp() public override {
        super.setUp();
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
        (terms.name, terms.symbol, terms.holder, terms.supply) = ("Votes", "V", voter, 1000);
        (terms.votingDelay, terms.votingPeriod, terms.lateQuorumExtension) = (1 days, 3 days, 1 hours);
        (terms.quorumPercent, terms.timelockDelay) = (10, 2 days);
        (terms.guardian, terms.suspension) = (GUARDIAN, 5 days);
    }

    function _handOver(DaoParameters memory terms) private {
        vm.recordLogs();
        vm.prank(OWNER);
        timelock = TimelockController(payable(app.transferToNewDao(factory, terms)));
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != IDaoFactory.DaoCreated.selector) continue;
            (address made, address token) = abi.decode(logs[i].data, (address, address));
            (governor, votes) = (AssentGovernor(payable(made)), AssentVotes(token));
        }
    }

    function _handOverToVoter() private {
        _handOver(_terms());
        vm.prank(voter);
        votes.delegate(voter);
        vm.warp(block.timestamp + 1);
    }

    function _propose(address who, address to, uint256 value, bytes memory data) private returns (uint256) {
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = (
            new address[](1),
            new uint256[](1),
            new bytes[](1)
        );
        (targets[0], values[0], calls[0]) = (to, value, data);
        vm.prank(who);
        return governor.propose(targets, values, calls, "text");
    }

    function _vote(address who, uint256 id) private {
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(who);
        governor.castVote(id, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
    }

    function _state(uint256 id) private view returns (IGovernor.ProposalState) {
        return governor.state(id);
    }

    function test_G1_PassedProposalThatNobodyQueuesExpires() public {
        _handOverToVoter();
        uint256 id = _propose(voter, address(app), 0, abi.encodeCall(app.addComposeHash, ("old release")));
        _vote(voter, id);
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline + 30 days);
        assertTrue(_state(id) == IGovernor.ProposalState.Succeeded, "expired too soon");
        vm.warp(deadline + 30 days + 1);
        assertTrue(_state(id) == IGovernor.ProposalState.Expired, "never expires");
        (bool queued, ) = address(governor).call(abi.encodeWithSignature("queue(uint256)", id));
        assertTrue(!queued, "queued");
        vm.warp(deadline + 3 * 365 days);
        (queued, ) = address(governor).call(abi.encodeWithSignature("queue(uint256)", id));
        assertTrue(!queued && _state(id) == IGovernor.ProposalState.Expired, "queued years later");
    }

    function test_G2_QueuedProposalThatNobodyExecutesExpires() public {
        _handOverToVoter();
        uint256 id = _propose(voter, address(app), 0, abi.encodeCall(app.addComposeHash, ("old release")));
        _vote(voter, id);
        governor.queue(id);
        vm.warp(governor.proposalEta(id) + 30 days + 1);
        (bool executed, ) = address(governor).call(abi.encodeWithSignature("execute(uint256)", id));
        assertTrue(!executed && !app.allowedComposeHashes("old release"), "it fired late");
        assertTrue(!timelock.hasRole(keccak256("EXECUTOR_ROLE"), address(0)), "anyone executes on the timelock");
    }

    /// @dev What the guardian cannot cancel, and what only looks like it.
    function test_G3_GuardianCanCancelEverythingExceptItsReplacement() public {
        _handOverToVoter();
        bytes memory another = abi.encodeCall(IApprovalRegistry.setGuardian, (STRANGER, 1 days, type(uint40).max));
        uint256[3] memory replacing = [
            // a contract can name any owner: it gets this one call, and no money
            _propose(voter, address(new Taker(address(timelock))), 0, another),
            _propose(voter, address(app), 0, another),
            _propose(voter, address(governor), 0, abi.encodeCall(governor.setProposalGuardian, (STRANGER)))
        ];
        uint256[6] memory disguised = [
            _propose(voter, address(new Taker(address(timelock))), 1 ether, another),
            _propose(voter, address(new Taker(attacker)), 0, another),
            _propose(voter, attacker, 0, another),
            // a contract without an owner
            _propose(voter, address(votes), 0, another),
            _propose(voter, address(app), 1, another),
            _propose(voter, address(governor), 1, abi.encodeCall(governor.setProposalGuardian, (STRANGER)))
        ];
        vm.startPrank(GUARDIAN);
        for (uint256 i = 0; i < disguised.length; i++) {
            governor.cancel(disguised[i]);
            assertTrue(_state(disguised[i]) == IGovernor.ProposalState.Canceled, "left without a veto");
        }
        for (uint256 i = 0; i < replacing.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, replacing[i], GUARDIAN));
            governor.cancel(replacing[i]);
        }
        vm.stopPrank();
    }

    function _handOverWrapped(OldCoin coin) private {
        DaoParameters memory terms = _terms();
        (terms.underlying, terms.supply) = (address(coin), 1_000_000);
        _handOver(terms);
    }

    function _wrap(OldCoin coin, address who, uint256 amount) private {
        vm.startPrank(who);
        coin.approve(address(votes), amount);
        AssentVotesWrapper(address(votes)).depositFor(who, amount);
        votes.delegate(who);
        vm.stopPrank();
        vm.warp(block.timestamp + 1);
    }

    /// @dev Alone with one unit less than the quorum of everything there is, then with that one too.
    function test_G4_FirstWrapperDoesNotControlTheDao() public {
        OldCoin coin = new OldCoin(voter, 1_000_000);
        _handOverWrapped(coin);
        vm.prank(voter);
        coin.transfer(attacker, 99_999);
        _wrap(coin, attacker, 99_999);
        uint256 id = _propose(attacker, address(app), 0, abi.encodeCall(app.addComposeHash, ("exfiltrate")));
        _vote(attacker, id);
        assertTrue(_state(id) == IGovernor.ProposalState.Defeated, "taken over");

        vm.prank(voter);
        coin.transfer(attacker, 1);
        _wrap(coin, attacker, 1);
        id = _propose(attacker, address(app), 0, abi.encodeCall(app.addComposeHash, ("a tenth of all")));
        _vote(attacker, id);
        assertTrue(_state(id) == IGovernor.ProposalState.Succeeded, "a tenth of all is not enough");
    }

    /// @dev A stranger raises the supply around the hand-over: by a deposit, a mint or a flash loan.
    function test_G4_QuorumDoesNotDependOnTheSupplyOfOneMoment() public {
        OldCoin coin = new OldCoin(voter, 1_000_000);
        coin.mint(attacker, 30_000_000);
        _handOverWrapped(coin);
        vm.prank(attacker);
        coin.burn(30_000_000);
        vm.warp(block.timestamp + 1);
        assertEq(governor.quorum(block.timestamp - 1), 100_000, "of the supply of that moment");
    }

    /// @dev Minting and burning the token for a moment changes nothing; more wrapped votes raise the quorum.
    function test_G4_QuorumOfAWrappedTokenDoesNotFall() public {
        OldCoin coin = new OldCoin(voter, 1_000_000);
        _handOverWrapped(coin);
        uint256 time = block.timestamp;
        vm.warp(time + 1);
        vm.prank(voter);
        coin.burn(999_000);
        assertEq(governor.quorum(time), 100_000, "fell with the supply");
        coin.mint(attacker, 5_000_000);
        assertEq(governor.quorum(time), 100_000, "of a supply that came later");
        _wrap(coin, attacker, 5_000_000);
        assertEq(governor.quorum(block.timestamp - 1), 500_000, "of all that is wrapped");
    }

    function test_G5_FactoryCreatesNoDaoInWhichOneUnitDecides() public {
        OldCoin coin = new OldCoin(voter, 49);
        DaoParameters memory terms = _terms();
        (terms.underlying, terms.supply, terms.quorumPercent) = (address(coin), 49, 4);
        vm.expectRevert(abi.encodeWithSelector(DaoFactory.DaoWithoutQuorum.selector, 49, 4));
        factory.create(terms);
        terms.quorumPercent = 5;
        factory.create(terms);
        // more than there is: nobody could decide
        terms.supply = 1_000;
        vm.expectRevert(abi.encodeWithSelector(DaoFactory.DaoWithoutQuorum.selector, 1_000, 5));
        factory.create(terms);
        terms.supply = 0;
        vm.expectRevert(abi.encodeWithSelector(DaoFactory.DaoWithoutVotes.selector, address(coin), voter, 0));
        factory.create(terms);
        vm.expectRevert(AssentVotesWrapper.MinimumSupplyMissing.selector);
        new AssentVotesWrapper(coin, "Votes", "V", 0);
        terms = _terms();
        terms.quorumPercent = 0;
        vm.expectRevert(abi.encodeWithSelector(DaoFactory.DaoWithoutQuorum.selector, 1000, 0));
        factory.create(terms);
        terms = _terms();
        terms.supply = 19;
        vm.expectRevert(abi.encodeWithSelector(DaoFactory.DaoWithoutQuorum.selector, 19, 10));
        factory.create(terms);
        terms.supply = 20;
        factory.create(terms);
    }

    function test_G6_OnlyTheGovernorActsOnTheTimelock() public {
        _handOverToVoter();
        bytes32[4] memory roles = [
            bytes32(0),
            keccak256("PROPOSER_ROLE"),
            keccak256("EXECUTOR_ROLE"),
            keccak256("CANCELLER_ROLE")
        ];
        address[6] memory others = [address(factory), OWNER, GUARDIAN, voter, address(app), address(0)];
        for (uint256 i = 0; i < roles.length; i++) {
            for (uint256 j = 0; j < others.length; j++) {
                assertTrue(!timelock.hasRole(roles[i], others[j]), "another holds a role");
                vm.prank(others[j]);
                (bool granted, ) = address(timelock).call(
                    abi.encodeCall(IAccessControl.grantRole, (roles[i], others[j]))
                );
                assertTrue(!granted, "took a role");
            }
        }
    }

    function test_G7_RulesOfTheDaoChangeByItsVoteOnly() public {
        _handOverToVoter();
        bytes[5] memory calls = [
            abi.encodeCall(governor.setVotingDelay, (0)),
            abi.encodeCall(governor.setVotingPeriod, (1)),
            abi.encodeCall(governor.setProposalThreshold, (0)),
            abi.encodeCall(governor.updateQuorumNumerator, (1)),
            abi.encodeCall(governor.setProposalGuardian, (STRANGER))
        ];
        address[3] memory others = [voter, GUARDIAN, STRANGER];
        for (uint256 i = 0; i < calls.length; i++) {
            for (uint256 j = 0; j < others.length; j++) {
                vm.prank(others[j]);
                (bool done, ) = address(governor).call(calls[i]);
                assertTrue(!done, "changed without a vote");
            }
        }
    }
}

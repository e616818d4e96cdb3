// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorProposalGuardian} from "@openzeppelin/contracts/governance/extensions/GovernorProposalGuardian.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorStorage} from "@openzeppelin/contracts/governance/extensions/GovernorStorage.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {GovernorVotesQuorumFraction} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";

import {IApprovalRegistry} from "../registry/IApprovalRegistry.sol";

/// @notice What a registry says about its owner.
interface IOwned {
    function owner() external view returns (address);
}

/// @notice How the DAO is set up; changed later only by its own vote.
struct GovernorRules {
    /// @notice Seconds from proposal to vote.
    uint48 votingDelay;
    /// @notice Seconds in which votes are cast.
    uint32 votingPeriod;
    /// @notice Votes needed to propose.
    uint256 proposalThreshold;
    /// @notice Percent of the supply that must take part.
    uint256 quorumPercent;
    /// @notice Seconds of voting left at least once the quorum is reached.
    uint48 lateQuorumExtension;
    /// @notice May cancel proposals at any stage; zero = each proposer may cancel his own.
    address guardian;
}

/// @notice OpenZeppelin's Governor with everything standard, and a guardian that cannot keep its own post.
contract AssentGovernor is
    Governor,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorStorage,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorPreventLateQuorum,
    GovernorTimelockControl,
    GovernorProposalGuardian
{
    /// @notice How long a passed proposal may wait to be queued after its vote, and how long a queued one may wait to be
    /// executed after its time: OpenZeppelin's governor and timelock would keep both for ever.
    uint256 public constant EXECUTION_WINDOW = 30 days;

    uint256 private constant OWNER_GAS = 50_000;

    constructor(
        IVotes token,
        TimelockController timelock,
        GovernorRules memory rules
    )
        Governor("Assent")
        GovernorSettings(rules.votingDelay, rules.votingPeriod, rules.proposalThreshold)
        GovernorVotes(token)
        GovernorVotesQuorumFraction(rules.quorumPercent)
        GovernorPreventLateQuorum(rules.lateQuorumExtension)
        GovernorTimelockControl(timelock)
    {
        _setProposalGuardian(rules.guardian);
    }

    /// @dev Holds only where nobody but the governor may execute on the timelock.
    function state(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (ProposalState found) {
        found = super.state(proposalId);
        if (found == ProposalState.Succeeded) {
            if (clock() > proposalDeadline(proposalId) + EXECUTION_WINDOW) found = ProposalState.Expired;
        } else if (found == ProposalState.Queued) {
            if (block.timestamp > proposalEta(proposalId) + EXECUTION_WINDOW) found = ProposalState.Expired;
        }
    }

    /* WHERE TWO EXTENSIONS MEET */

    function proposalDeadline(
        uint256 proposalId
    ) public view override(Governor, GovernorPreventLateQuorum) returns (uint256) {
        return super.proposalDeadline(proposalId);
    }

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function proposalNeedsQueuing(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (bool) {
        return super.proposalNeedsQueuing(proposalId);
    }

    /// @dev The guardian may cancel anything but the vote on the guardian, else the DAO could never replace it.
    function _validateCancel(
        uint256 proposalId,
        address caller
    ) internal view override(Governor, GovernorProposalGuardian) returns (bool) {
        if (caller == proposalGuardian() && _onlyNamesGuardians(proposalId)) return false;
        return super._validateCancel(proposalId, caller);
    }

    function _onlyNamesGuardians(uint256 proposalId) private view returns (bool) {
        (address[] memory targets, uint256[] memory values, bytes[] memory calldatas, ) = proposalDetails(proposalId);
        for (uint256 i = 0; i < targets.length; i++) {
            bytes4 selector = bytes4(calldatas[i]);
            bool namesGuardian =
                targets[i] == address(this)
                    ? selector == this.setProposalGuardian.selector
                    : selector == IApprovalRegistry.setGuardian.selector && _isOwned(targets[i]);
            if (values[i] != 0 || !namesGuardian) return false;
        }
        return true;
    }

    /// @dev Whether the DAO owns it, as it owns every registry. An unknown contract gets little gas and is not believed more.
    function _isOwned(address target) private view returns (bool) {
        (bool success, bytes memory answer) = target.staticcall{gas: OWNER_GAS}(abi.encodeCall(IOwned.owner, ()));
        return success && answer.length == 32 && uint256(bytes32(answer)) == uint160(_executor());
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override(Governor, GovernorStorage) returns (uint256) {
        return super._propose(targets, values, calldatas, description, proposer);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }
}

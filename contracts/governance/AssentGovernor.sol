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

/// @notice A contract with an owner, as every registry.
interface IOwned {
    /// @notice The owner; for the DAO's contracts the timelock.
    function owner() external view returns (address);
}

/// @notice Parameters of a new governor. Only a vote of the DAO can change them later.
struct GovernorRules {
    /// @notice Seconds from a proposal to the start of voting.
    uint48 votingDelay;
    /// @notice How long voting lasts, seconds.
    uint32 votingPeriod;
    /// @notice Votes that an account needs to propose, in the smallest unit.
    uint256 proposalThreshold;
    /// @notice Percent of the votes' supply that must take part.
    uint256 quorumPercent;
    /// @notice Minimum time of voting that is left after the quorum is reached, seconds.
    uint48 lateQuorumExtension;
    /// @notice The account that can cancel proposals at any stage; zero = each proposer can cancel its own.
    address guardian;
}

/// @notice The governor: OpenZeppelin's Governor with two limits of Assent. A decision expires if it is not carried out in
/// time, and the guardian cannot cancel a proposal that only replaces the guardian.
/// @dev Functions, events and errors are OpenZeppelin's. An expired proposal reverts with `GovernorUnexpectedProposalState`.
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
    /// @notice The execution window, seconds: a successful proposal must be queued in this time after its vote, and executed
    /// in this time after it became executable. OpenZeppelin's governor and timelock have no such limit.
    uint256 public constant EXECUTION_WINDOW = 30 days;

    /// @dev Gas to ask an unknown contract for its owner.
    uint256 private constant OWNER_GAS = 50_000;

    /// @param token the votes token, with a clock in seconds.
    /// @param timelock executes the decisions; only this governor may have its executor role.
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

    /// @notice The state of a proposal. `Expired` if the execution window has passed.
    /// @dev Effective only if no other account can execute on the timelock; `assent deployment check` verifies
    /// this.
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

    /* OVERRIDES: Solidity requires one where several extensions define a function */

    /// @notice The last second of voting on a proposal.
    function proposalDeadline(
        uint256 proposalId
    ) public view override(Governor, GovernorPreventLateQuorum) returns (uint256) {
        return super.proposalDeadline(proposalId);
    }

    /// @notice Votes that an account needs to propose.
    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    /// @notice Always true: every proposal passes through the timelock.
    function proposalNeedsQueuing(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (bool) {
        return super.proposalNeedsQueuing(proposalId);
    }

    /// @dev The guardian can cancel any proposal but one that only replaces the guardian: else the DAO could not remove it.
    function _validateCancel(
        uint256 proposalId,
        address caller
    ) internal view override(Governor, GovernorProposalGuardian) returns (bool) {
        if (caller == proposalGuardian() && _onlyNamesGuardians(proposalId)) return false;
        return super._validateCancel(proposalId, caller);
    }

    /// @dev Whether all calls set the guardian of this governor or of the DAO's registries, without value.
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

    /// @dev Whether the DAO owns the target, as it owns every registry. The target is an unknown contract: it gets little gas.
    function _isOwned(address target) private view returns (bool) {
        (bool success, bytes memory answer) = target.staticcall{gas: OWNER_GAS}(abi.encodeCall(IOwned.owner, ()));
        return success && answer.length == 32 && uint256(bytes32(answer)) == uint160(_executor());
    }

    /// @dev Stores the calls of the proposal (`GovernorStorage`).
    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        string memory description,
        address proposer
    ) internal override(Governor, GovernorStorage) returns (uint256) {
        return super._propose(targets, values, calldatas, description, proposer);
    }

    /// @dev Schedules the calls in the timelock.
    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    /// @dev Executes the calls through the timelock.
    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    /// @dev Cancels the operation in the timelock too.
    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    /// @dev The timelock: the account as which decisions act.
    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }

    /// @dev Extends voting if the quorum is reached late.
    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }
}

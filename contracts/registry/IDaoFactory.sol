// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Parameters of a new DAO. Times in seconds.
struct DaoParameters {
    /// @notice Name of the votes token.
    string name;
    /// @notice Symbol of the votes token.
    string symbol;
    /// @notice An ERC-20 token whose holders wrap it to vote; zero = a new votes token. With a wrapped token the quorum is a
    /// share of `supply`, or of the wrapped votes if they are more.
    address underlying;
    /// @notice Gets all votes of a new votes token.
    address holder;
    /// @notice Number of votes of a new votes token, in its smallest unit (18 decimals). With a wrapped token: its total supply,
    /// in its smallest unit, as the creator knows it. It is not read from the token, because anyone could raise it for a moment.
    uint256 supply;
    /// @notice Time from a proposal to the start of voting.
    uint48 votingDelay;
    /// @notice How long voting lasts.
    uint32 votingPeriod;
    /// @notice Minimum time of voting that is left after the quorum is reached.
    uint48 lateQuorumExtension;
    /// @notice Votes that an account needs to propose, in the smallest unit.
    uint256 proposalThreshold;
    /// @notice Percent of the votes that must take part. It must be at least two units of votes.
    uint256 quorumPercent;
    /// @notice Time between queueing and execution of a proposal.
    uint256 timelockDelay;
    /// @notice Can suspend approvals and cancel proposals; zero = no guardian.
    address guardian;
    /// @notice How long a suspension by the guardian lasts.
    uint40 suspension;
}

/// @notice Creates DAOs of a votes token, a governor and a timelock, with the same code as Assent's own DAO.
interface IDaoFactory {
    /// @notice A DAO was created.
    /// @param creator the caller.
    /// @param timelock executes the DAO's decisions: the owner of what belongs to the DAO.
    /// @param governor counts votes.
    /// @param votes the votes token.
    event DaoCreated(address indexed creator, address indexed timelock, address governor, address votes);

    /// @notice Creates a DAO. Anyone may call. Only its governor can propose to its timelock and execute; factory and caller
    /// keep no rights. Emits `DaoCreated`.
    /// @dev Does not check if `underlying` is an honest ERC-20 token, or if any account has enough votes to decide.
    /// @return timelock executes the DAO's decisions: make it the owner.
    function create(DaoParameters calldata parameters) external returns (address timelock);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice How the DAO of one app is to be. Times in seconds.
struct DaoTerms {
    /// @notice Name and symbol of the votes.
    string name;
    string symbol;
    /// @notice An ERC-20 whose holders wrap it to vote; zero = new votes, all of `supply` to `holder`. Quorum is then a
    /// share of the token's whole supply at the DAO's creation, wrapped or not.
    address underlying;
    address holder;
    uint256 supply;
    uint48 votingDelay;
    uint32 votingPeriod;
    uint48 lateQuorumExtension;
    uint256 proposalThreshold;
    /// @notice Percent of the votes that must take part; must come to one unit of votes at least.
    uint256 quorumPercent;
    uint256 timelockDelay;
    /// @notice May suspend for `suspension` seconds and cancel proposals; zero = nobody.
    address guardian;
    uint40 suspension;
}

/// @notice Makes DAOs: votes, governor, timelock, of the same code as Assent's own.
interface IDaoFactory {
    event DaoCreated(address indexed creator, address indexed timelock, address governor, address votes);

    /// @notice Makes a DAO in which only the governor proposes and executes, and the factory and the sender hold nothing.
    /// @dev Not checked: whether `underlying` is an honest ERC-20, and whether anyone holds enough votes to decide.
    /// @return timelock the one who acts for the DAO: make it the owner.
    function create(DaoTerms calldata terms) external returns (address timelock);
}

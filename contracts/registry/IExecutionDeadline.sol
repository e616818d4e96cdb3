// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What functions have in common that take an execution deadline (`notAfter`, unix seconds).
/// @dev A DAO's decision waits in a timelock. With a deadline, a decision that was forgotten there cannot take effect
/// years later.
interface IExecutionDeadline {
    /// @notice The call was executed after its deadline.
    /// @param time the block's timestamp.
    /// @param notAfter the last second in which the call was allowed.
    error ExecutionDeadlinePassed(uint256 time, uint256 notAfter);
}

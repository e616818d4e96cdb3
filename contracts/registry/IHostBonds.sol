// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IExecutionDeadline} from "./IExecutionDeadline.sol";

/// @notice The function of the bonds that the host registry calls.
interface IBonded {
    /// @notice Whether `operator` has at least the minimum bond for this host.
    function isBonded(bytes32 deviceId, address operator) external view returns (bool);
}

/// @notice The functions of the bonds that a contract calls which proves faults.
interface IFaultBonds is IBonded {
    /// @notice Takes an amount from a bond for one proven fault: as `IHostBonds.slash`, but only for the owner. Only contracts that
    /// the owner named (`setSlashLimit`), and at most their limit. Emits `BondSlashed`.
    /// @dev Reverts with `SlashLimitExceeded`, and with `BondTermsInvalid` for 0.
    /// @param amount in the smallest unit of the token.
    /// @param evidence what was proven; only in the event.
    function slashFault(bytes32 deviceId, address holder, uint96 amount, bytes calldata evidence) external;

    /// @notice The minimum bond of a host, in the smallest unit of the token.
    function minimum() external view returns (uint96);
}

/// @notice Bonds: deposits of operators for their hosts. The DAO can slash them because of a proven fault, and can let a contract
/// slash for faults that the contract proves itself, up to a limit for each fault.
/// @dev A bond belongs to a pair of host and holder, so nobody can block the bond of another operator.
/// Amounts are in the smallest unit of the token. Functions marked "owner" revert with `OwnableUnauthorizedAccount` for
/// anyone else.
/// Trust: the DAO alone decides what a fault is, or names a contract whose code decides. For the DAO's own decisions nothing
/// on-chain checks the evidence in the event. The token is
/// fixed at initialization. A deposit of a token that takes a fee reverts.
interface IHostBonds is IFaultBonds, IExecutionDeadline {
    /// @notice The deposit of one holder for one host.
    struct Bond {
        /// @notice The amount that counts for `isBonded`.
        uint96 bonded;
        /// @notice The amount that was taken out. It no longer counts, but can still be slashed.
        uint96 unbonding;
        /// @notice First second in which the holder can withdraw `unbonding`, unix seconds; 0 = nothing is unbonding.
        uint40 unbondsAt;
    }

    /// @notice A holder deposited. `bond` is the state after it, in all events.
    /// @param holder whose bond it is.
    /// @param amount what was added, in the smallest unit of the token.
    /// @param bond all of it afterwards.
    event BondDeposited(bytes32 indexed deviceId, address indexed holder, uint96 amount, Bond bond);
    /// @notice A holder took an amount out. It can be withdrawn from `bond.unbondsAt`.
    /// @param amount what no longer counts.
    event UnbondingStarted(bytes32 indexed deviceId, address indexed holder, uint96 amount, Bond bond);
    /// @notice A holder withdrew the amount that was unbonding.
    /// @param amount what was paid.
    event BondReturned(bytes32 indexed deviceId, address indexed holder, uint96 amount, Bond bond);
    /// @notice The owner slashed a bond.
    /// @param to receives the amount.
    /// @param amount what was taken; less than requested if the bond was smaller.
    /// @param evidence the document that proves the fault.
    event BondSlashed(
        bytes32 indexed deviceId,
        address indexed holder,
        address to,
        uint96 amount,
        Bond bond,
        bytes evidence
    );
    /// @notice The minimum bond and the unbonding time (seconds) changed.
    /// @param minimum in the smallest unit of the token.
    /// @param unbondingTime seconds.
    event BondTermsSet(uint96 minimum, uint32 unbondingTime);
    /// @notice A contract may take up to `limit` for each fault that it proves; 0 = nothing any more.
    /// @param limit in the smallest unit of the token.
    event SlashLimitSet(address indexed slasher, uint96 limit);
    /// @notice The token of all bonds. Emitted once, at initialization.
    event BondTokenSet(address token);

    /// @notice The token moved another amount than the deposit, or than what is paid out.
    /// @param found what the token transferred.
    /// @param expected the deposit.
    error BondTransferMismatch(uint256 found, uint256 expected);

    /// @notice The bond is smaller than the amount to unbond.
    /// @param found the bond that counts.
    /// @param expected the amount to unbond.
    error BondTooSmall(uint256 found, uint256 expected);

    /// @notice Nothing is unbonding, or the unbonding time has not passed.
    /// @param unbonding amount that is unbonding; 0 = nothing.
    /// @param unbondsAt first second in which it can be withdrawn, unix seconds.
    error BondNotReturnable(uint256 unbonding, uint256 unbondsAt);

    /// @notice The caller may not slash that much; `limit` is 0 if the owner did not name it.
    error SlashLimitExceeded(address slasher, uint96 amount, uint96 limit);

    /// @notice An amount is zero, or the unbonding time is shorter than an hour or longer than a year.
    error BondTermsInvalid();

    /// @notice Deposits for a host. Anyone; the caller is the holder and should be the host's operator. The caller must have
    /// approved the amount of the token before. Emits `BondDeposited`.
    /// @dev Reverts with `BondTermsInvalid` for 0, with `BondTransferMismatch`, and with the errors of the token.
    /// @param amount in the smallest unit of the token.
    function deposit(bytes32 deviceId, uint96 amount) external;

    /// @notice Takes an amount out of the caller's bond. Emits `UnbondingStarted`.
    /// @dev The unbonding time starts again for everything that is unbonding, and never ends earlier than before. Reverts with `BondTermsInvalid` for 0, and with
    /// `BondTooSmall`.
    /// @param amount in the smallest unit of the token.
    function unbond(bytes32 deviceId, uint96 amount) external;

    /// @notice Pays out the amount that is unbonding, to the holder (the caller). Emits `BondReturned`.
    /// @dev Reverts with `BondNotReturnable`.
    function withdraw(bytes32 deviceId) external;

    /// @notice Takes an amount from a bond: first from what is unbonding, then from what counts. Owner. Emits `BondSlashed`.
    /// @dev Takes the whole bond if it is smaller than `amount`, so a withdrawal before the vote ends does not prevent it.
    /// Reverts with `ExecutionDeadlinePassed`, and with `BondTermsInvalid` for 0.
    /// @param holder whose bond it is.
    /// @param to receives the amount.
    /// @param evidence the document that proves the fault; only in the event.
    /// @param notAfter execution deadline, unix seconds.
    function slash(
        bytes32 deviceId,
        address holder,
        uint96 amount,
        address to,
        bytes calldata evidence,
        uint40 notAfter
    ) external;

    /// @notice Sets the minimum bond and the unbonding time. Owner. Emits `BondTermsSet`.
    /// @dev What is unbonding already keeps its time. Reverts with `ExecutionDeadlinePassed` and `BondTermsInvalid`.
    /// The unbonding time should be longer than a decision of the DAO: otherwise a bond can be paid out before the DAO can
    /// slash it. This contract does not know the DAO's times; `assent deployment check` compares
    /// them.
    /// @param newMinimum minimum bond of a host, in the smallest unit of the token.
    /// @param newUnbondingTime seconds, from an hour to a year.
    /// @param notAfter execution deadline, unix seconds.
    function setTerms(uint96 newMinimum, uint32 newUnbondingTime, uint40 notAfter) external;

    /// @notice Lets a contract slash bonds for faults that it proves. Owner. Emits `SlashLimitSet`.
    /// @dev Reverts with `ExecutionDeadlinePassed`.
    /// @param slasher the contract: read its code, because it decides what a fault is.
    /// @param limit the most for one fault, in the smallest unit of the token; 0 = nothing any more.
    /// @param notAfter execution deadline, unix seconds.
    function setSlashLimit(address slasher, uint96 limit, uint40 notAfter) external;

    /// @notice The most that a contract may take for one fault; 0 = it may not slash.
    function slashLimitOf(address slasher) external view returns (uint96);

    /// @notice The bond of a holder for a host; all zero if nothing was deposited.
    function bondOf(bytes32 deviceId, address holder) external view returns (Bond memory);

    /// @notice Seconds from `unbond` to `withdraw`.
    function unbondingTime() external view returns (uint32);
}

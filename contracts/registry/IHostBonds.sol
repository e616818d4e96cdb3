// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What the registry of hosts needs to know of bonds.
interface IBonded {
    /// @notice Whether `operator` stands in for this machine with at least the minimum.
    function isBonded(bytes32 deviceId, address operator) external view returns (bool);
}

/// @notice What operators deposit for their machines, and lose if the DAO finds a fault proven.
/// @dev A bond belongs to a pair of machine and holder, so that nobody can occupy another's machine.
/// Trust: the DAO alone decides what a fault is; the evidence is in the event and is not judged here. The token is what
/// the DAO chose for good; one that takes a fee or lies about balances is refused at the deposit.
interface IHostBonds is IBonded {
    /// @notice What one holder has in for one machine.
    struct Bond {
        uint96 bonded;
        /// @notice No longer counts, can still be slashed, and is paid out from `leavesAt` on.
        uint96 leaving;
        uint40 leavesAt;
    }

    event BondDeposited(bytes32 indexed deviceId, address indexed holder, uint96 amount, Bond bond);
    event BondLeaving(bytes32 indexed deviceId, address indexed holder, uint96 amount, Bond bond);
    event BondReturned(bytes32 indexed deviceId, address indexed holder, uint96 amount, Bond bond);
    event BondSlashed(
        bytes32 indexed deviceId,
        address indexed holder,
        address to,
        uint96 amount,
        Bond bond,
        bytes evidence
    );
    event BondTermsSet(uint96 minimum, uint32 unbondingTime);
    event BondTokenSet(address token);

    /// @notice Thrown when a decision is carried out after the time it was made for.
    error DecisionTooLate(uint256 time, uint256 notAfter);

    /// @notice Thrown when the token moved another amount than it was asked to.
    error BondTransferWrong(uint256 found, uint256 expected);

    /// @notice Thrown when more is to leave than there is.
    error BondTooSmall(uint256 found, uint256 wanted);

    /// @notice Thrown when nothing is leaving, or not yet.
    error BondNotReturnable(uint256 leaving, uint256 leavesAt);

    /// @notice Thrown when an amount is zero, or the unbonding time shorter than an hour or longer than a year.
    error BondTermsInvalid();

    /// @notice Deposits for a machine; the sender is the holder and should be its operator.
    function deposit(bytes32 deviceId, uint96 amount) external;

    /// @notice Takes `amount` out of what counts; the whole of what is leaving waits for the unbonding time from now.
    function unbond(bytes32 deviceId, uint96 amount) external;

    /// @notice Pays out what has waited long enough.
    function withdraw(bytes32 deviceId) external;

    /// @notice Takes from what is leaving first, then from what counts; all of it if there is less than `amount`, so that
    /// a holder who withdraws a part does not stop the decision. The event says what was taken. Only the owner.
    function slash(
        bytes32 deviceId,
        address holder,
        uint96 amount,
        address to,
        bytes calldata evidence,
        uint40 notAfter
    ) external;

    /// @notice What an operator must have in, and how long a return takes. What is leaving already keeps its time.
    /// Only the owner.
    /// @dev The time should be longer than the owner needs for a decision, else a bond leaves before it can be slashed.
    /// This contract does not know how its owner decides; `assent check` compares the two.
    function setTerms(uint96 newMinimum, uint32 newUnbondingTime, uint40 notAfter) external;

    function bondOf(bytes32 deviceId, address holder) external view returns (Bond memory);

    function minimum() external view returns (uint96);

    function unbondingTime() external view returns (uint32);
}

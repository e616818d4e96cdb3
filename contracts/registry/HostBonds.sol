// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IBonded, IFaultBonds, IHostBonds} from "./IHostBonds.sol";
import {RenounceableUpgrades} from "./RenounceableUpgrades.sol";

/// @notice Keeps the bonds. It is a contract of its own, so that a malicious token can harm nothing else.
contract HostBonds is IHostBonds, RenounceableUpgrades {
    using SafeERC20 for IERC20;

    /// @dev Bounds of the unbonding time, seconds.
    uint32 private constant MIN_UNBONDING = 1 hours;
    uint32 private constant MAX_UNBONDING = 365 days;

    /// @dev A bond belongs to one host and one holder: nobody can withdraw what another account deposited.
    mapping(bytes32 deviceId => mapping(address holder => Bond)) private _bonds;
    /// @inheritdoc IFaultBonds
    uint96 public minimum;
    /// @inheritdoc IHostBonds
    uint32 public unbondingTime;
    /// @notice The token of all bonds; fixed at initialization.
    IERC20 public token;
    /// @inheritdoc IHostBonds
    mapping(address slasher => uint96) public slashLimitOf;
    uint256[49] private __gap;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets owner, token and terms. Once only: reverts with `InvalidInitialization` the second time.
    /// @param initialMinimum minimum bond of a host, in the smallest unit of the token.
    /// @param initialUnbondingTime seconds, from an hour to a year; else reverts with `BondTermsInvalid`.
    function initialize(
        address initialOwner,
        IERC20 bondToken,
        uint96 initialMinimum,
        uint32 initialUnbondingTime
    ) external initializer {
        __Ownable_init(initialOwner);
        token = bondToken;
        _setTerms(initialMinimum, initialUnbondingTime);

        emit BondTokenSet(address(bondToken));
    }

    /* HOLDER */

    /// @inheritdoc IHostBonds
    function deposit(bytes32 deviceId, uint96 amount) external {
        require(amount != 0, BondTermsInvalid());
        Bond storage bond = _bonds[deviceId][msg.sender];
        bond.bonded += amount;

        emit BondDeposited(deviceId, msg.sender, amount, bond);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        require(received == amount, BondTransferMismatch(received, amount));
    }

    /// @inheritdoc IHostBonds
    function unbond(bytes32 deviceId, uint96 amount) external {
        Bond storage bond = _bonds[deviceId][msg.sender];
        require(amount != 0, BondTermsInvalid());
        require(bond.bonded >= amount, BondTooSmall(bond.bonded, amount));

        bond.bonded -= amount;
        bond.unbonding += amount;
        // terms that became shorter do not bring forward what is unbonding already
        uint40 from = uint40(block.timestamp + unbondingTime);
        if (from > bond.unbondsAt) bond.unbondsAt = from;

        emit UnbondingStarted(deviceId, msg.sender, amount, bond);
    }

    /// @inheritdoc IHostBonds
    function withdraw(bytes32 deviceId) external {
        Bond storage bond = _bonds[deviceId][msg.sender];
        uint96 amount = bond.unbonding;
        require(amount != 0 && block.timestamp >= bond.unbondsAt, BondNotReturnable(amount, bond.unbondsAt));

        (bond.unbonding, bond.unbondsAt) = (0, 0);

        emit BondReturned(deviceId, msg.sender, amount, bond);
        _pay(msg.sender, amount);
    }

    /// @dev A token that takes more than `amount` from this contract would take it from other holders.
    function _pay(address to, uint96 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransfer(to, amount);
        uint256 paid = before - token.balanceOf(address(this));
        require(paid == amount, BondTransferMismatch(paid, amount));
    }

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IHostBonds
    function slash(
        bytes32 deviceId,
        address holder,
        uint96 amount,
        address to,
        bytes calldata evidence,
        uint40 notAfter
    ) external onlyOwner {
        require(block.timestamp <= notAfter, ExecutionDeadlinePassed(block.timestamp, notAfter));
        _slash(deviceId, holder, amount, to, evidence);
    }

    /// @inheritdoc IFaultBonds
    function slashFault(bytes32 deviceId, address holder, uint96 amount, bytes calldata evidence) external {
        uint96 limit = slashLimitOf[msg.sender];
        require(amount <= limit, SlashLimitExceeded(msg.sender, amount, limit));
        _slash(deviceId, holder, amount, owner(), evidence);
    }

    /// @dev Takes from what is unbonding first.
    function _slash(bytes32 deviceId, address holder, uint96 amount, address to, bytes calldata evidence) private {
        Bond storage bond = _bonds[deviceId][holder];
        uint256 total = uint256(bond.bonded) + bond.unbonding;
        require(amount != 0, BondTermsInvalid());

        // a part may have been withdrawn since the vote: then take the rest, so that the batch succeeds
        uint96 taken = amount < total ? amount : uint96(total);
        uint96 fromUnbonding = taken < bond.unbonding ? taken : bond.unbonding;
        bond.unbonding -= fromUnbonding;
        bond.bonded -= taken - fromUnbonding;

        emit BondSlashed(deviceId, holder, to, taken, bond, evidence);
        if (taken != 0) _pay(to, taken);
    }

    /// @inheritdoc IHostBonds
    function setTerms(uint96 newMinimum, uint32 newUnbondingTime, uint40 notAfter) external onlyOwner {
        require(block.timestamp <= notAfter, ExecutionDeadlinePassed(block.timestamp, notAfter));
        _setTerms(newMinimum, newUnbondingTime);
    }

    /// @inheritdoc IHostBonds
    function setSlashLimit(address slasher, uint96 limit, uint40 notAfter) external onlyOwner {
        require(block.timestamp <= notAfter, ExecutionDeadlinePassed(block.timestamp, notAfter));
        slashLimitOf[slasher] = limit;

        emit SlashLimitSet(slasher, limit);
    }

    /// @dev Checks the bounds and emits `BondTermsSet`.
    function _setTerms(uint96 newMinimum, uint32 newUnbondingTime) private {
        bool bounded = newUnbondingTime >= MIN_UNBONDING && newUnbondingTime <= MAX_UNBONDING;
        require(bounded, BondTermsInvalid());

        (minimum, unbondingTime) = (newMinimum, newUnbondingTime);

        emit BondTermsSet(newMinimum, newUnbondingTime);
    }

    /* VIEWS */

    /// @inheritdoc IBonded
    function isBonded(bytes32 deviceId, address operator) external view returns (bool) {
        return _bonds[deviceId][operator].bonded >= minimum;
    }

    /// @inheritdoc IHostBonds
    function bondOf(bytes32 deviceId, address holder) external view returns (Bond memory) {
        return _bonds[deviceId][holder];
    }
}

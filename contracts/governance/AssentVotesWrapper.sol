// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC20Wrapper} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Wrapper.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

/// @notice The wrapped votes token: holders of an existing ERC-20 token deposit it here (`depositFor`) and get one vote for
/// each unit. `withdrawTo` burns votes and returns the token.
/// @dev The quorum is a share of `minimumSupply`, or of the wrapped votes if they are more. If it were a share of the wrapped
/// votes only, the first holder who wraps tokens could decide alone. The creator names the supply: a supply that is read at
/// creation can be raised for a moment, by a deposit, a mint or a flash loan, and then no quorum could be reached.
/// Trust: the underlying token. If it changes balances by itself or takes a fee, votes remain without tokens behind them.
contract AssentVotesWrapper is ERC20, ERC20Permit, ERC20Votes, ERC20Wrapper {
    /// @notice Minimum base of the quorum, in the smallest unit: should be the total supply of the underlying token.
    uint256 public immutable minimumSupply;

    /// @notice The named supply is zero, so the first holder could decide alone.
    error MinimumSupplyMissing();

    /// @notice Reverts with `MinimumSupplyMissing`.
    constructor(
        IERC20 underlyingToken,
        string memory name,
        string memory symbol,
        uint256 supply
    ) ERC20(name, symbol) ERC20Permit(name) ERC20Wrapper(underlyingToken) {
        require(supply != 0, MinimumSupplyMissing());
        minimumSupply = supply;
    }

    /// @notice The base of the quorum: the votes that were wrapped at `timepoint`, but at least `minimumSupply`.
    /// @param timepoint unix seconds, in the past; else reverts with `ERC5805FutureLookup`.
    function getPastTotalSupply(uint256 timepoint) public view override returns (uint256) {
        uint256 wrapped = super.getPastTotalSupply(timepoint);
        return wrapped < minimumSupply ? minimumSupply : wrapped;
    }

    /// @notice ERC-6372: the clock of votes is the block's timestamp, seconds.
    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    /// @notice ERC-6372: "mode=timestamp".
    // solhint-disable-next-line func-name-mixedcase
    /// @notice ERC-6372: times are unix seconds.
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @notice The decimals of the underlying token.
    function decimals() public view override(ERC20, ERC20Wrapper) returns (uint8) {
        return super.decimals();
    }

    /// @notice The next nonce of an account, for permits (EIP-2612) and delegation by signature.
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    /// @dev Moves votes with the tokens.
    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}

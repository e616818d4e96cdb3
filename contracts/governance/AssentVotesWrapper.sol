// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC20Wrapper} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Wrapper.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

/// @notice Votes for a token that has none: one for each unit that is deposited here, given back when they are returned.
/// @dev Every holder of the token could take part, so the quorum is a share of the token's whole supply when this contract
/// was made, or of what is wrapped if that is more. A share of the wrapped votes alone would make the first who wraps the
/// whole electorate. It is fixed, and not the supply of now, since whoever can mint or burn for a moment would move it.
/// Trust: the token. One that changes balances by itself, or takes a fee, leaves votes without a token behind them.
contract AssentVotesWrapper is ERC20, ERC20Permit, ERC20Votes, ERC20Wrapper {
    /// @notice Supply of the underlying token when this contract was made: the least of which a quorum is a share.
    uint256 public immutable supplyAtCreation;

    /// @notice Thrown when there is nothing that could be wrapped, so that whoever gets the first unit would decide.
    error UnderlyingWithoutSupply(address token);

    constructor(
        IERC20 underlyingToken,
        string memory name,
        string memory symbol
    ) ERC20(name, symbol) ERC20Permit(name) ERC20Wrapper(underlyingToken) {
        supplyAtCreation = underlyingToken.totalSupply();
        require(supplyAtCreation != 0, UnderlyingWithoutSupply(address(underlyingToken)));
    }

    /// @notice Votes of which a quorum is a share: those wrapped at `timepoint`, at least `supplyAtCreation`.
    function getPastTotalSupply(uint256 timepoint) public view override returns (uint256) {
        uint256 wrapped = super.getPastTotalSupply(timepoint);
        return wrapped < supplyAtCreation ? supplyAtCreation : wrapped;
    }

    function clock() public view override returns (uint48) {
        return Time.timestamp();
    }

    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function decimals() public view override(ERC20, ERC20Wrapper) returns (uint8) {
        return super.decimals();
    }

    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";

/// @notice The votes token of a DAO: OpenZeppelin's ERC20Votes with a fixed supply and a clock in seconds.
/// @dev Time is the same on all chains; block numbers are not (some L2s return those of L1). Tokens without a delegate
/// have no votes.
contract AssentVotes is ERC20, ERC20Permit, ERC20Votes {
    /// @param holder gets the whole supply.
    /// @param supply in the smallest unit (18 decimals).
    constructor(
        string memory name,
        string memory symbol,
        address holder,
        uint256 supply
    ) ERC20(name, symbol) ERC20Permit(name) {
        _mint(holder, supply);
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

    /// @notice The next nonce of an account, for permits (EIP-2612) and delegation by signature.
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    /// @dev Moves votes with the tokens.
    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}

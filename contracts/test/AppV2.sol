// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {App} from "../registry/App.sol";

/// @notice For tests of upgrades: App with one more variable.
/// @custom:oz-upgrades-unsafe-allow constructor
contract AppV2 is App {
    uint256 public added;

    function generation() external pure returns (uint256) {
        return 2;
    }
}

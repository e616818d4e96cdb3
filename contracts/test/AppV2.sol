// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {App} from "../registry/App.sol";

/// @notice What a next release of apps could be, for tests of upgrades: the same, and one thing more.
/// @custom:oz-upgrades-unsafe-allow constructor
contract AppV2 is App {
    uint256 public added;

    function generation() external pure returns (uint256) {
        return 2;
    }
}

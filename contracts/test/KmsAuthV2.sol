// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KmsAuth} from "../auth/KmsAuth.sol";

/// @notice What a next release could be, for tests of upgrades: the same, and one thing more.
/// @custom:oz-upgrades-unsafe-allow constructor
contract KmsAuthV2 is KmsAuth {
    uint256 public added;

    function generation() external pure returns (uint256) {
        return 2;
    }
}

/// @notice One that must not be put there: it would read its owner's decisions from elsewhere.
contract KmsAuthMoved {
    uint256 public first;
    mapping(uint256 kind => mapping(bytes32 id => uint256)) public approvals;
}

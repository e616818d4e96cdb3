// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KmsAuth} from "../auth/KmsAuth.sol";

/// @notice For tests of upgrades: KmsAuth with one more variable.
/// @custom:oz-upgrades-unsafe-allow constructor
contract KmsAuthV2 is KmsAuth {
    uint256 public added;

    function generation() external pure returns (uint256) {
        return 2;
    }
}

/// @notice For tests of upgrades: has another storage layout, so an upgrade to it must be refused.
contract KmsAuthMoved {
    uint256 public first;
    mapping(uint256 kind => mapping(bytes32 id => uint256)) public approvals;
}

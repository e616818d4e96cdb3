// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AppBootInfo} from "../types/BootInfo.sol";

/// @notice What a contract must answer to be an app. Its ERC-165 id is the selector of its one function, 0x1e079198.
interface IAppAuth {
    /// @notice Whether the app wants to boot like that; if not, why.
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AppBootInfo} from "../types/BootInfo.sol";

/// @notice The function that a contract must have to be an app (dstack). Its selector, 0x1e079198, is its ERC-165 id.
interface IAppAuth {
    /// @notice Whether the app allows this boot.
    /// @dev KmsAuth calls it with at most 1,000,000 gas and accepts a `reason` of at most 1,024 bytes. A revert, a longer
    /// answer or an answer that is not ABI-encoded in the canonical form is a denial.
    /// @param bootInfo facts that the asking KMS has verified; see `AppBootInfo`.
    /// @return isAllowed true if the boot is allowed.
    /// @return reason why it is not; empty if it is.
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TeeVariant} from "../types/TeeVariant.sol";

/// @notice What an app may tell beyond dstack's yes and no. An app that does not answer accepts TDX only, and tells nothing.
interface IAppTerms {
    function acceptsVariant(TeeVariant variant) external view returns (bool);

    /// @notice What a boot with this release on this machine gets: the release's number, the epochs whose keys it may
    /// write with and read back to, and the first second at which that ends by itself (0 = no such second is known).
    /// All zero if the release may not boot.
    function termsOf(
        bytes32 composeHash,
        bytes32 deviceId
    ) external view returns (uint32 release, uint32 writeEpoch, uint32 readEpoch, uint40 holdsUntil);
}

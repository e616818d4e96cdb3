// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TeeVariant} from "../types/TeeVariant.sol";

/// @notice What an app can answer beyond dstack's yes and no. Optional: an app without these functions accepts TDX only.
/// @dev Assent calls both with at most 100,000 gas each. A revert or an answer of another length counts as no answer.
/// The app can answer falsely about itself, but about no other app.
interface IAppDetails {
    /// @notice Whether the app accepts boots of this TEE variant. Not asked for `Tdx`.
    /// @param variant TEE variant of the boot.
    /// @return true if the app may boot on it.
    function acceptsVariant(TeeVariant variant) external view returns (bool);

    /// @notice What a boot with this release on this host gets. All zero if the release may not boot.
    /// @param composeHash the release.
    /// @param deviceId the host.
    /// @return release number of the release in this app, from 1.
    /// @return writeEpoch the key epoch whose keys it gets for new data.
    /// @return readEpoch the oldest key epoch whose keys it still gets; at most `writeEpoch`.
    /// @return validUntil first second in which this answer ends by itself (unix seconds); 0 = no end is known.
    function releaseDetails(
        bytes32 composeHash,
        bytes32 deviceId
    ) external view returns (uint32 release, uint32 writeEpoch, uint32 readEpoch, uint40 validUntil);
}

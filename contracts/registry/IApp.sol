// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAppAuth} from "../auth/IAppAuth.sol";
import {IAppAuthBasicManagement} from "../auth/IAppAuthBasicManagement.sol";

/// @notice One app: its releases, its devices, and who may change them. Its address is the app's id.
/// @dev Functions, events and reasons are dstack's DstackApp; docs/compatibility.md lists what is added and closed.
/// Trust: the owner decides alone, unless he binds himself. Nothing here knows images, hosts or quotes.
interface IApp is IAppAuth, IAppAuthBasicManagement {
    event AllowAnyDeviceSet(bool allowAny);
    event RequireTcbUpToDateSet(bool requireUpToDate);
    event UpgradesDisabled();

    function setAllowAnyDevice(bool _allowAnyDevice) external;

    function setRequireTcbUpToDate(bool _requireUpToDate) external;

    /// @notice Gives up upgrades for good.
    function disableUpgrades() external;
}

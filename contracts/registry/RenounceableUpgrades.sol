// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {PolicyNames, PolicyChanged} from "../auth/PolicyNames.sol";

/// @notice UUPS upgrades by the owner, until the owner renounces them permanently.
/// @dev `upgradeToAndCall` has no execution deadline: a DAO puts `requireNotAfter` first in the same batch. It emits
/// `Upgraded` and `PolicyChanged`, and reverts with "Upgrades are permanently disabled" after `renounceUpgrades`.
abstract contract RenounceableUpgrades is Ownable2StepUpgradeable, UUPSUpgradeable {
    /// @dev keccak256(abi.encode(uint256(keccak256("assent.storage.Upgrades")) - 1)) & ~bytes32(uint256(0xff)), ERC-7201:
    /// the registries use the slots from 0.
    bytes32 private constant RENOUNCED = 0x03d7897141dc64fee7013428d5b33389c9a243ad73b9e07b5fa4987775508500;

    /// @notice The code can never be replaced again.
    event UpgradesRenounced();

    /// @notice Gives up upgrades permanently. Owner. Emits `UpgradesRenounced` and `PolicyChanged`.
    function renounceUpgrades() external onlyOwner {
        bytes32 slot = RENOUNCED;
        assembly ("memory-safe") {
            sstore(slot, 1)
        }

        emit UpgradesRenounced();
        emit PolicyChanged(msg.sender, PolicyNames.UPGRADES_DISABLED, bytes32(0), true);
    }

    /// @notice Whether upgrades were renounced.
    function upgradesRenounced() public view returns (bool isRenounced) {
        bytes32 slot = RENOUNCED;
        assembly ("memory-safe") {
            isRenounced := sload(slot)
        }
    }

    /// @dev UUPS hook: only the owner, and only until upgrades are renounced.
    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        require(!upgradesRenounced(), "Upgrades are permanently disabled");
        bytes32 implementation = bytes32(uint256(uint160(newImplementation)));
        emit PolicyChanged(msg.sender, PolicyNames.IMPLEMENTATION_UPGRADE, implementation, true);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {AppSigner} from "./AppSigner.sol";

/// @notice Creates the signer of each app, at an address that follows from the app.
/// @dev Anyone may call. The address can be used, and can receive funds, before the signer exists. It has no owner.
contract AppSigners {
    /// @notice The code of all signers.
    AppSigner public immutable implementation;

    /// @notice The signer of an app was created.
    event AppSignerCreated(address indexed app, address signer);

    /// @param implementation_ the code of all signers.
    constructor(AppSigner implementation_) {
        implementation = implementation_;
    }

    /// @notice Creates the signer of an app. Emits `AppSignerCreated`; does nothing if it exists.
    /// @param app address of the app contract; it need not exist.
    /// @return signer address of the signer.
    function create(address app) external returns (address signer) {
        signer = signerOf(app);
        if (signer.code.length != 0) return signer;
        Clones.cloneDeterministicWithImmutableArgs(address(implementation), abi.encodePacked(app), bytes32(0));

        emit AppSignerCreated(app, signer);
    }

    /// @notice The address of an app's signer, whether it exists or not.
    function signerOf(address app) public view returns (address) {
        bytes memory arguments = abi.encodePacked(app);
        return Clones.predictDeterministicAddressWithImmutableArgs(address(implementation), arguments, bytes32(0));
    }
}

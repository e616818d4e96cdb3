// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {IInstanceSignatures} from "./IInstances.sol";

/// @notice The signer of one app (ERC-1271): it accepts the signatures of the live instances of this app. Use its address where a
/// contract expects the address of an account, for example as an owner of a Safe.
/// @dev Deployed by `AppSigners` as a clone for each app. It keeps nothing, and cannot send transactions or hold rights of its own.
/// The instance signs the hash as it is: the contract that asks must hash its own address and a nonce into it, as a Safe does.
contract AppSigner is IERC1271 {
    /// @notice The registry of instances.
    IInstanceSignatures public immutable instances;

    /// @dev Magic value of Safe contracts before 1.5.0, which show the signed bytes in place of their hash.
    bytes4 private constant LEGACY_VALUE = 0x20c13b0b;
    /// @dev Any other value means that the signature is not accepted.
    bytes4 private constant REFUSED = 0xffffffff;

    /// @dev Bytes of the code of a clone: OpenZeppelin's proxy with the app's address.
    uint256 private constant CLONE_LENGTH = 0x2d + 20;

    /// @param instances_ the registry of instances.
    constructor(IInstanceSignatures instances_) {
        instances = instances_;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return instances.isFrom(app(), hash, signature) ? IERC1271.isValidSignature.selector : REFUSED;
    }

    /// @notice As Safe contracts before 1.5.0 ask: about the keccak256 of `data`.
    /// @param data the bytes that were hashed.
    /// @param signature as in `IInstanceSignatures.isFrom`.
    /// @return 0x20c13b0b if the signature is accepted.
    function isValidSignature(bytes calldata data, bytes calldata signature) external view returns (bytes4) {
        return instances.isFrom(app(), keccak256(data), signature) ? LEGACY_VALUE : REFUSED;
    }

    /// @notice The app of this signer; zero for the implementation, which accepts no signature.
    function app() public view returns (address) {
        bytes memory arguments =
            address(this).code.length == CLONE_LENGTH ? Clones.fetchCloneArgs(address(this)) : bytes("");
        return arguments.length == 20 ? address(bytes20(arguments)) : address(0);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Creates the proxies of apps: ERC-1967 proxies with 58 bytes of code, at addresses that follow from a number.
/// @dev The init code is the same for every app: it asks its creator for `appImplementation()`. So the address follows from
/// creator and salt. It must never change, because KmsAuth computes its list of apps from these addresses.
library AppProxy {
    /// @dev Init code, then the code of the proxy. docs/contracts.md lists the instructions; Factory.t.sol tests them.
    bytes internal constant CREATION =
        hex"6325a992da5f5260205f6004601c335afa505f51"
        hex"807f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc55"
        hex"7fbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b5f5fa2"
        hex"603a8060645f395ff3"
        hex"365f5f375f5f365f7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc545af4"
        hex"3d5f5f3e6036573d5ffd5b3d5ff3";
    /// @dev keccak256 of `CREATION`.
    bytes32 internal constant CREATION_HASH = 0x1978b27387c84fc999a93bec335e0c88a23322f9af78197cb263a62ae0cadd44;

    /// @notice The proxy could not be created: there is no app implementation, or it has no code.
    error AppNotCreated();

    /// @notice The address of this contract's proxy with `salt`, whether it exists or not.
    /// @param salt number of the app in the list of its factory.
    function addressOf(uint256 salt) internal view returns (address) {
        bytes32 digest = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, CREATION_HASH));
        return address(uint160(uint256(digest)));
    }

    /// @notice Creates the proxy at `addressOf(salt)`. Reverts with `AppNotCreated`.
    /// @param salt number of the app in the list of its factory.
    /// @return proxy address of the new proxy.
    function create(uint256 salt) internal returns (address proxy) {
        bytes memory creation = CREATION;
        assembly ("memory-safe") {
            proxy := create2(0, add(creation, 0x20), mload(creation), salt)
        }
        require(proxy != address(0), AppNotCreated());
    }
}

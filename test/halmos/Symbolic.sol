// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice The cheatcodes of Halmos that the proofs use.
interface SymbolicVm {
    function warp(uint256 time) external;

    function prank(address caller) external;
}

interface Svm {
    /// @notice The calldata of any function of a contract, with symbolic arguments.
    function createCalldata(string calldata contractName) external pure returns (bytes memory data);
}

/// @notice The base of proofs that call contracts.
abstract contract SymbolicTest {
    SymbolicVm internal constant vm = SymbolicVm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Svm internal constant svm = Svm(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
}

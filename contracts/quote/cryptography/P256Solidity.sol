// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @notice P-256 verification with the interface of the precompile (EIP-7951), for chains that do not have it. It costs
/// about 50 times as much gas.
/// @dev Input: digest ‖ r ‖ s ‖ x ‖ y. Output: a 32-byte 1, or nothing.
contract P256Solidity {
    /// @dev Order of the curve.
    uint256 private constant N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;

    fallback(bytes calldata input) external returns (bytes memory) {
        if (input.length != 160) return "";
        (bytes32 digest, bytes32 r, uint256 s, bytes32 x, bytes32 y) = abi.decode(
            input,
            (bytes32, bytes32, uint256, bytes32, bytes32)
        );
        // OpenZeppelin's library wants the lower of the two values of s that sign the same
        if (s > N / 2 && s < N) s = N - s;
        return P256.verifySolidity(digest, r, bytes32(s), x, y) ? abi.encode(1) : bytes("");
    }
}

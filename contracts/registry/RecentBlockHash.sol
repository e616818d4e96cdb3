// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Hashes of recent blocks: the last 256 from the EVM, the last 8,191 on chains with EIP-2935.
library RecentBlockHash {
    /// @notice Number of block hashes that EIP-2935's contract keeps.
    uint256 internal constant HISTORY = 8191;
    /// @dev Keeps the hashes of the last 8,191 blocks (EIP-2935).
    address private constant HISTORY_CONTRACT = 0x0000F90827F1C53a10cb7A02335B175320002935;

    /// @notice The hash of block `number`; zero if the block is in the future, or too old for this chain.
    function get(uint256 number) internal view returns (bytes32 hash) {
        hash = blockhash(number);
        if (hash != 0 || number >= block.number || block.number - number > HISTORY) return hash;

        (bool success, bytes memory answer) = HISTORY_CONTRACT.staticcall(abi.encode(number));
        if (success && answer.length == 32) hash = abi.decode(answer, (bytes32));
    }
}

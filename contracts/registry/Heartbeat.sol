// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Keeps the last root that each account posted. A KMS node can use it to limit the age of its view of the chain.
/// @dev A node makes a random nonce. A relayer posts a Merkle root over the nonces of many nodes. If the node finds its
/// nonce below a root in the state of a block, this state is younger than the nonce.
/// Trust: the contract is not trusted. The proof rests on the nonce, which nobody could know before the node made it. An
/// account can post any value, but it cannot post a root over a nonce before the nonce exists.
/// There is no owner and no upgrade. Nodes read the mapping in storage slot 0 by storage proofs.
contract Heartbeat {
    /// @notice The last root that an account posted; zero if it never posted one.
    mapping(address poster => bytes32 root) public rootOf;

    /// @notice An account posted a root. The account is the caller; it is left out because it would cost 375 gas each time.
    event Beat(bytes32 root);

    /// @notice Stores a root for the caller, in place of its last one. Anyone. Emits `Beat`.
    /// @dev So that the nonces of the last root stay provable, the next root must cover the last root too
    /// (`src/chain/heartbeat/tree.ts`). The contract does not check this.
    /// @param root any value.
    function beat(bytes32 root) external {
        rootOf[msg.sender] = root;

        emit Beat(root);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice SHA-256, keccak-256 and P-256 over bytes in memory, without copying them.
library Digest {
    /// @notice The P-256 contract that was chosen for the deployment accepts wrong signatures or rejects correct ones.
    error P256Unusable(address p256);

    /// @notice SHA-256 of `length` bytes of `data` from `from` on. The caller has checked the bounds.
    function sha256Of(bytes memory data, uint256 from, uint256 length) internal view returns (bytes32 digest) {
        bool success;
        assembly ("memory-safe") {
            success := staticcall(gas(), 2, add(add(data, 32), from), length, 0, 32)
            digest := mload(0)
        }
        // the precompile fails only if there is too little gas
        require(success);
    }

    /// @notice SHA-256 of two parts of `data`, concatenated. The caller has checked the bounds.
    /// @param first offset of the first part.
    /// @param second offset of the second part.
    function sha256OfTwo(
        bytes memory data,
        uint256 first,
        uint256 firstLength,
        uint256 second,
        uint256 secondLength
    ) internal view returns (bytes32) {
        bytes memory both;
        assembly ("memory-safe") {
            // in free memory, which is not allocated
            both := mload(0x40)
            mcopy(add(both, 32), add(add(data, 32), first), firstLength)
            mcopy(add(add(both, 32), firstLength), add(add(data, 32), second), secondLength)
        }
        return sha256Of(both, 0, firstLength + secondLength);
    }

    /// @notice SHA-256 of the `length` highest bytes of `word`.
    function sha256OfWord(uint256 word, uint256 length) internal view returns (bytes32 digest) {
        bool success;
        assembly ("memory-safe") {
            mstore(0, word)
            success := staticcall(gas(), 2, 0, length, 0, 32)
            digest := mload(0)
        }
        require(success);
    }

    /// @notice Whether (r, s) is a signature over `digest` by the key (x, y).
    /// @dev Reverts if the call fails: then there was too little gas, which is no verdict on the signature.
    /// @param p256 the precompile or a contract with its interface.
    function isSigned(
        address p256,
        bytes32 digest,
        uint256 r,
        uint256 s,
        uint256 x,
        uint256 y
    ) internal view returns (bool valid) {
        bool success;
        (success, valid) = _ask(p256, digest, r, s, x, y);
        require(success);
    }

    /// @dev RIP-7212 and EIP-7951: returns a 32-byte 1 for a valid signature and nothing for an invalid one. A high s
    /// is valid.
    /// @param p256 the precompile, or a contract with the same interface.
    /// @return success whether the call returned.
    /// @return valid whether the signature is valid.
    function _ask(
        address p256,
        bytes32 digest,
        uint256 r,
        uint256 s,
        uint256 x,
        uint256 y
    ) private view returns (bool success, bool valid) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, digest)
            mstore(add(input, 0x20), r)
            mstore(add(input, 0x40), s)
            mstore(add(input, 0x60), x)
            mstore(add(input, 0x80), y)
            mstore(0, 0)
            success := staticcall(gas(), p256, input, 0xa0, 0, 0x20)
            valid := and(and(success, eq(returndatasize(), 0x20)), eq(mload(0), 1))
        }
    }

    /// @notice keccak-256 of `length` bytes of `data` from `from` on. The caller has checked the bounds.
    function keccakOf(bytes memory data, uint256 from, uint256 length) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(add(add(data, 32), from), length)
        }
    }

    /// @notice Tests a P-256 contract with known answers: a signature by the private key 1, the same with high s, one
    /// over another digest, and one with r = 0.
    /// @dev An account without code returns nothing, like a rejection, so the first test finds it.
    function requireUsable(address p256) internal view {
        bytes32 digest = 0x4242424242424242424242424242424242424242424242424242424242424242;
        uint256 r = 0x81cab37811c2d4f77b7c8bf3508e18c50d22d25e95b6b1aaa5cf965e114dadff;
        uint256 low = 0x5cdf11dddaf61443a8c1e4fe1b018d10a0f2af4b53d2fed016114eb2888c8c85;
        uint256 high = 0xa320ee212509ebbd573e1b01e4fe72ef1bf44b6253449fb4dda87c1073d698cc;
        uint256 x = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296;
        uint256 y = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5;
        bool usable =
            _says(p256, true, digest, r, low, x, y) &&
                _says(p256, true, digest, r, high, x, y) &&
                _says(p256, false, digest ^ bytes32(uint256(1)), r, low, x, y) &&
                _says(p256, false, digest, 0, low, x, y);
        require(usable, P256Unusable(p256));
    }

    /// @dev Whether the contract answers as expected. A failed call is no answer.
    function _says(
        address p256,
        bool expected,
        bytes32 digest,
        uint256 r,
        uint256 s,
        uint256 x,
        uint256 y
    ) private view returns (bool) {
        (bool success, bool valid) = _ask(p256, digest, r, s, x, y);
        return success && valid == expected;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Digest} from "../../../contracts/quote/cryptography/Digest.sol";
import {P256Solidity} from "../../../contracts/quote/cryptography/P256Solidity.sol";
import {Test} from "../Vm.sol";

/// @notice Answers like another verifier, but for one thing.
contract AlmostP256 {
    uint256 private constant N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    address private immutable _RIGHT;
    uint256 private immutable _FAULT;

    constructor(address right, uint256 fault) {
        _RIGHT = right;
        _FAULT = fault;
    }

    fallback(bytes calldata input) external returns (bytes memory) {
        (uint256 digest, uint256 r, uint256 s) = abi.decode(input, (uint256, uint256, uint256));
        // refuses everything, refuses high s, accepts another digest, accepts an invalid signature
        if (_FAULT == 0 || (_FAULT == 1 && s > N / 2)) return "";
        if ((_FAULT == 2 && uint8(digest) == 0x43) || (_FAULT == 3 && r == 0)) return abi.encode(1);
        (, bytes memory answer) = _RIGHT.staticcall(input);
        return answer;
    }
}

/// @notice The P-256 verifier of signatures, and SHA-256 with any amount of gas.
contract DigestTest is Test {
    bytes32 private constant DIGEST = 0x4242424242424242424242424242424242424242424242424242424242424242;
    uint256 private constant N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;
    uint256 private constant R = 0x81cab37811c2d4f77b7c8bf3508e18c50d22d25e95b6b1aaa5cf965e114dadff;
    uint256 private constant S = 0x5cdf11dddaf61443a8c1e4fe1b018d10a0f2af4b53d2fed016114eb2888c8c85;
    uint256 private constant X = 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296;
    uint256 private constant Y = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5;

    function requireUsable(address p256) external view {
        Digest.requireUsable(p256);
    }

    function sha256OfZeros(uint256 length) external view returns (bytes32) {
        return Digest.sha256Of(new bytes(length), 0, length);
    }

    function test_RefusesAP256ContractWithOneWrongAnswer() public {
        address right = address(new P256Solidity());
        this.requireUsable(right);
        for (uint256 fault = 0; fault < 4; ++fault) {
            address almost = address(new AlmostP256(right, fault));
            vm.expectRevert(abi.encodeWithSelector(Digest.P256Unusable.selector, almost));
            this.requireUsable(almost);
        }
        vm.expectRevert(abi.encodeWithSelector(Digest.P256Unusable.selector, address(0xdead)));
        this.requireUsable(address(0xdead));
    }

    /// @dev EIP-7951: a one, or nothing.
    function test_P256AnswersLikeThePrecompile() public {
        address p256 = address(new P256Solidity());
        bytes[] memory inputs = new bytes[](7);
        inputs[0] = abi.encode(DIGEST, R, S, X, Y);
        inputs[1] = abi.encode(DIGEST, R, N - S, X, Y);
        inputs[2] = abi.encode(DIGEST, R, N, X, Y);
        inputs[3] = abi.encode(DIGEST, R, type(uint256).max, X, Y);
        inputs[4] = abi.encode(DIGEST, R, 0, X, Y);
        inputs[5] = abi.encode(DIGEST, R, S, X, Y, 0);
        inputs[6] = abi.encode(DIGEST, R, S, X);
        for (uint256 i = 0; i < inputs.length; ++i) {
            (bool success, bytes memory found) = p256.staticcall(inputs[i]);
            (, bytes memory expected) = address(0x100).staticcall(inputs[i]);
            assertTrue(success, "answers");
            assertEq(keccak256(found), keccak256(expected), "answer");
            assertEq(found.length, i < 2 ? 32 : 0, "length");
        }
    }

    /// @dev The precompile may run out of gas where the caller does not: no digest then, and never another.
    function test_ReturnsTheRightDigestOrReverts() public view {
        uint256 length = 400_000;
        bytes32 expected = sha256(new bytes(length));
        uint256 refused;
        for (uint256 allowed = 300_000; allowed < 800_000; allowed += 10_000) {
            try this.sha256OfZeros{gas: allowed}(length) returns (bytes32 found) {
                assertEq(found, expected, "digest");
            } catch {
                ++refused;
            }
        }
        assertTrue(refused > 0 && refused < 50, "both");
    }
}

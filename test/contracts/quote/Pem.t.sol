// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Pem} from "../../../contracts/quote/parsing/Pem.sol";
import {Test} from "../Vm.sol";
import {PemPlain} from "./plain/PemPlain.sol";

/// @notice PEM 32 characters at a time against one at a time.
contract PemTest is Test {
    function decode(bytes calldata text, uint256 pos) external pure returns (bytes memory der, uint256 next) {
        return Pem.decode(text, pos, text.length);
    }

    function decodeWithin(bytes calldata text, uint256 end) external pure returns (bytes memory der, uint256 next) {
        return Pem.decode(text, 0, end);
    }

    function testFuzz_DecodesEncodedBytes(bytes calldata der, uint8 before) public view {
        vm.assume(der.length > 0);
        bytes memory text = PemPlain.encode(der);

        (bytes memory found, uint256 next) = this.decode(bytes.concat(new bytes(before), text, "\n-"), before);

        assertEq(keccak256(found), keccak256(der), "bytes");
        assertEq(next, before + text.length, "end");
    }

    /// @dev Lengths on both sides of a whole line, of half a line, and of each padding.
    function test_DecodesEveryLengthUpTo99() public view {
        for (uint256 length = 1; length < 100; ++length) {
            bytes memory der = new bytes(length);
            for (uint256 i = 0; i < length; ++i) der[i] = bytes1(uint8(251 * i + length));
            this.testFuzz_DecodesEncodedBytes(der, 0);
        }
    }

    /// @dev Any octet in the place of any character.
    function testFuzz_AgreesWithThePlainReaderOnChangedText(
        bytes32[6] calldata words,
        uint256 length,
        uint256 place,
        bytes1 char
    ) public view {
        bytes memory der = abi.encodePacked(words);
        length = bound(length, 1, der.length);
        assembly ("memory-safe") {
            mstore(der, length)
        }
        bytes memory text = PemPlain.encode(der);
        text[place % text.length] = char;

        _agree(text);
    }

    /// @dev Every octet in the place of one character in the middle of a line, and of one in the last.
    function test_AlphabetIsExact() public view {
        bytes memory text = PemPlain.encode(new bytes(60));
        for (uint256 char = 0; char < 256; ++char) {
            bytes memory changed = bytes.concat(text);
            changed[28 + 31 + (char % 2)] = bytes1(uint8(char));
            _agree(changed);
            changed = bytes.concat(text);
            changed[28 + 65 + 3] = bytes1(uint8(char));
            _agree(changed);
        }
    }

    /// @dev What follows belongs to somebody else, be it the rest of a certificate.
    function test_RefusesALastLineThatReachesBeyondTheEnd() public view {
        bytes memory text = PemPlain.encode(new bytes(51));
        (bytes memory der, ) = this.decodeWithin(text, text.length);
        assertEq(der.length, 51, "length");
        try this.decodeWithin(text, 28 + 65 + 4) {
            assertTrue(false, "read beyond the end");
        } catch (bytes memory reason) {
            assertEq(bytes32(bytes4(reason)), bytes32(Pem.PemMalformed.selector), "error");
        }
    }

    /// @dev RFC 4648 §3.5: bits that no byte needs are zero.
    function test_RefusesBitsAfterTheLastByte() public view {
        bytes[2] memory wrong = [bytes("AAB="), "AB=="];
        for (uint256 i = 0; i < 2; ++i) {
            _agree(bytes.concat("-----BEGIN CERTIFICATE-----\n", wrong[i], "\n-----END CERTIFICATE-----"));
        }
    }

    function testFuzz_AgreesWithThePlainReaderOnCutText(bytes32[3] calldata words, uint256 length) public view {
        bytes memory text = PemPlain.encode(abi.encodePacked(words));
        length = bound(length, 0, text.length);
        assembly ("memory-safe") {
            mstore(text, length)
        }

        _agree(text);
    }

    function _agree(bytes memory text) private view {
        (bool valid, bytes memory expected) = PemPlain.decode(text);
        try this.decode(text, 0) returns (bytes memory der, uint256) {
            assertTrue(valid, "accepted what is malformed");
            assertEq(keccak256(der), keccak256(expected), "bytes");
        } catch (bytes memory reason) {
            assertTrue(!valid, "refused what is well-formed");
            assertEq(bytes32(bytes4(reason)), bytes32(Pem.PemMalformed.selector), "error");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "../../../contracts/quote/records/CodeStore.sol";
import {Test} from "../Vm.sol";

/// @notice Bytes as code: read as they were written, up to what an account holds.
contract CodeStoreTest is Test {
    uint256 private constant MOST = 24_575;

    function write(bytes calldata data) external returns (address) {
        return CodeStore.write(data);
    }

    function writeNamed(bytes calldata data) external returns (address) {
        return CodeStore.writeNamed(data);
    }

    function test_ReadsWhatItWrote() public {
        uint256[5] memory lengths = [uint256(0), 1, 31, 32, MOST];
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 expected = keccak256(_filled(lengths[i]));
            assertEq(keccak256(CodeStore.read(CodeStore.write(_filled(lengths[i])))), expected, "read");
            address named = CodeStore.writeNamed(_filled(lengths[i]));
            assertEq(keccak256(CodeStore.readNamed(named)), expected, "read by name");
            assertEq(CodeStore.nameOf(_filled(lengths[i])), named, "name");
            assertEq(CodeStore.writeNamed(_filled(lengths[i])), named, "written once");
            assertEq(named.codehash, CodeStore.codeHash(_filled(lengths[i])), "hash");
        }
    }

    function test_ReadsNothingWhereNothingWasWritten() public {
        assertEq(CodeStore.read(address(0xdead)).length, 0, "no account");
        assertEq(CodeStore.readNamed(address(0xdead)).length, 0, "no account, by name");
        assertEq(CodeStore.readNamed(CodeStore.write(_filled(40))).length, 0, "written without a name");
    }

    /// @dev 200 gas per byte: the rest is enough to revert. The chain refuses more bytes with the same result.
    function test_RefusesWhatCannotBeWritten() public {
        bytes memory data = _filled(MOST);
        vm.expectRevert(abi.encodeWithSelector(CodeStore.CodeTooLong.selector, MOST));
        this.write{gas: 4_800_000}(data);
        vm.expectRevert(abi.encodeWithSelector(CodeStore.CodeTooLong.selector, MOST));
        this.writeNamed{gas: 4_800_000}(data);
        this.write{gas: 6_000_000}(data);
    }

    function _filled(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; ++i) data[i] = bytes1(uint8(7 * i + 1));
    }
}

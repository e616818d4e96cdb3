// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

struct Log {
    bytes32[] topics;
    bytes data;
    address emitter;
}

/// @notice The cheatcodes that the tests use.
interface Vm {
    function prank(address sender) external;

    function startPrank(address sender) external;

    function stopPrank() external;

    function warp(uint256 timestamp) external;

    function deal(address account, uint256 balance) external;

    function roll(uint256 number) external;

    function assume(bool condition) external pure;

    function expectRevert(bytes calldata data) external;

    function expectRevert(bytes4 selector) external;

    function expectEmit(bool topic1, bool topic2, bool topic3, bool data, address emitter) external;

    function recordLogs() external;

    function getRecordedLogs() external returns (Log[] memory);

    function load(address target, bytes32 slot) external view returns (bytes32);

    function etch(address target, bytes calldata code) external;

    function addr(uint256 key) external pure returns (address);

    function getNonce(address account) external view returns (uint64);

    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    function toString(uint256 value) external pure returns (string memory);

    function snapshotGasLastCall(string calldata name) external returns (uint256);

    function snapshotValue(string calldata name, uint256 value) external;

    function getBlockTimestamp() external view returns (uint256);
}

/// @notice Assertions with words; a test contract is one of these.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(string what, uint256 found, uint256 expected);
    error NotEqualText(string what, string found, string expected);
    error NotTrue(string what);

    function assertEq(uint256 found, uint256 expected, string memory what) internal pure {
        require(found == expected, NotEqual(what, found, expected));
    }

    function assertEq(address found, address expected, string memory what) internal pure {
        assertEq(uint160(found), uint160(expected), what);
    }

    function assertEq(bytes32 found, bytes32 expected, string memory what) internal pure {
        assertEq(uint256(found), uint256(expected), what);
    }

    function assertEq(string memory found, string memory expected, string memory what) internal pure {
        require(keccak256(bytes(found)) == keccak256(bytes(expected)), NotEqualText(what, found, expected));
    }

    function assertTrue(bool holds, string memory what) internal pure {
        require(holds, NotTrue(what));
    }

    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + (value % (high - low + 1));
    }
}

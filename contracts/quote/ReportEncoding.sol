// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, TcbStatus} from "../types/Report.sol";

/// @notice Returns reports to the caller of the contract in one copy, instead of the field by field copy of `return`.
/// @dev In memory a report differs from its ABI encoding only in two words, which hold pointers in place of offsets.
/// `test/contracts/quote/ReportEncoding.t.sol` compares the result with `abi.encode`.
library ReportEncoding {
    /// @notice Bytes of the fixed fields of a report.
    uint256 private constant HEAD = 544;
    /// @dev Offset of the pointer to the advisories.
    uint256 private constant ADVISORIES = 480;
    /// @dev Offset of the pointer to the TD report.
    uint256 private constant TD = 512;
    /// @notice Bit n: `TcbStatus(n)` exists.
    uint256 private constant STATUSES = (2 << uint256(type(TcbStatus).max)) - 1;

    /// @notice Returns `report` to the caller of the contract.
    function finish(Report memory report) internal pure {
        uint256 start;
        assembly ("memory-safe") {
            start := mload(0x40)
            mstore(start, 32)
        }
        uint256 end = _put(report, start + 32);
        assembly ("memory-safe") {
            return(start, sub(end, start))
        }
    }

    /// @notice Returns `reports` to the caller of the contract.
    function finish(Report[] memory reports) internal pure {
        unchecked {
            uint256 count = reports.length;
            uint256 start;
            assembly ("memory-safe") {
                start := mload(0x40)
                mstore(start, 32)
                mstore(add(start, 32), count)
            }
            // offsets are relative to the position after the number of reports
            uint256 offsets = start + 64;
            uint256 end = offsets + 32 * count;
            for (uint256 i = 0; i < count; ++i) {
                assembly ("memory-safe") {
                    mstore(add(offsets, mul(32, i)), sub(end, offsets))
                }
                end = _put(reports[i], end);
            }
            assembly ("memory-safe") {
                return(start, sub(end, start))
            }
        }
    }

    /// @notice Copies all fields of `other`. The arrays of advisories and TD report are shared.
    function copy(Report memory report, Report memory other) internal pure {
        assembly ("memory-safe") {
            mcopy(report, other, HEAD)
        }
    }

    /// @notice Sets the three statuses from numbers of `TcbStatus`, with one range check instead of three.
    function setStatuses(Report memory report, uint256 status, uint256 launch, uint256 current) internal pure {
        assert((STATUSES >> status) & (STATUSES >> launch) & (STATUSES >> current) & 1 == 1);
        assembly ("memory-safe") {
            mstore(add(report, 32), status)
            mstore(add(report, 64), launch)
            mstore(add(report, 96), current)
        }
    }

    /// @dev Encodes a report at `start`: fixed fields, advisories, TD report.
    /// @return end first byte after it.
    function _put(Report memory report, uint256 start) private pure returns (uint256 end) {
        assembly ("memory-safe") {
            mcopy(start, report, HEAD)
            end := add(start, HEAD)

            let list := mload(add(report, ADVISORIES))
            let length := add(32, mul(32, mload(list)))
            mstore(add(start, ADVISORIES), HEAD)
            mcopy(end, list, length)
            end := add(end, length)

            let td := mload(add(report, TD))
            length := mload(td)
            mstore(add(start, TD), sub(end, start))
            let next := add(end, and(add(length, 63), not(31)))
            // the padding after the last byte is zero
            mstore(sub(next, 32), 0)
            mcopy(end, td, add(32, length))
            end := next
        }
    }
}

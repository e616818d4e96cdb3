// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice dstack's aggregated measurement (mr_aggregated) of a TD, computed from its signed TD report.
library KmsMeasurement {
    /// @dev Offsets in the TD report.
    uint256 private constant MR_TD = 136;
    uint256 private constant MR_CONFIG_ID = 184;
    uint256 private constant RTMR_0 = 328;
    uint256 private constant RTMRS_END = 520;

    /// @notice SHA-256(MRTD ‖ RTMR0–3 [‖ MRCONFIGID ‖ MROWNER ‖ MROWNERCONFIG]), the part in brackets
    /// only if it is not all zero.
    /// @param td the TD report, at least 520 bytes; fails (`Panic(0x01)`) on a shorter one.
    function aggregate(bytes memory td) internal pure returns (bytes32) {
        bytes memory configuration = _slice(td, MR_CONFIG_ID, RTMR_0);
        bytes memory registers = bytes.concat(_slice(td, MR_TD, MR_CONFIG_ID), _slice(td, RTMR_0, RTMRS_END));
        return sha256(_isZero(configuration) ? registers : bytes.concat(registers, configuration));
    }

    /// @dev Copies `source[from:to]`. Fails (`Panic(0x01)`) beyond the end.
    function _slice(bytes memory source, uint256 from, uint256 to) private pure returns (bytes memory part) {
        assert(to <= source.length);
        part = new bytes(to - from);
        assembly ("memory-safe") {
            mcopy(add(part, 0x20), add(add(source, 0x20), from), sub(to, from))
        }
    }

    /// @dev Whether all bytes are zero.
    function _isZero(bytes memory part) private pure returns (bool) {
        return keccak256(part) == keccak256(new bytes(part.length));
    }
}

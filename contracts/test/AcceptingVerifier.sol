// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IQuoteVerifier} from "../quote/IQuoteVerifier.sol";
import {Report} from "../types/Report.sol";

/// @notice For tests of the code that uses a report: accepts every quote. A quote is the ABI encoding of its report.
contract AcceptingVerifier is IQuoteVerifier {
    function verify(bytes calldata quote) external pure returns (Report memory) {
        return abi.decode(quote, (Report));
    }

    function verifyUnder(bytes calldata quote, uint32) external pure returns (Report memory) {
        return abi.decode(quote, (Report));
    }

    function settledEvaluationNumber() external pure returns (uint32) {
        return 0;
    }

    function verifyBatch(bytes calldata, bytes[] calldata) external pure returns (Report[] memory reports) {
        return reports;
    }

    function register(bytes calldata quote) external pure returns (Report memory report, address record) {
        return (abi.decode(quote, (Report)), address(0));
    }

    function registerVerdict(bytes calldata quote) external pure returns (Report memory report, address record) {
        return (abi.decode(quote, (Report)), address(0));
    }
}

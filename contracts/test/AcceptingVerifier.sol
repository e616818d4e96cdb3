// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IQuoteVerifier} from "../quote/IQuoteVerifier.sol";
import {Report} from "../types/Report.sol";

/// @notice For tests of what comes after verification only: a quote is the ABI encoding of the report it "proves".
contract AcceptingVerifier is IQuoteVerifier {
    function verify(bytes calldata quote) external pure returns (Report memory) {
        return abi.decode(quote, (Report));
    }

    function verifyUnder(bytes calldata quote, uint32) external pure returns (Report memory) {
        return abi.decode(quote, (Report));
    }

    function settledNumber() external pure returns (uint32) {
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

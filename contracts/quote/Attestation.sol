// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Policy, PolicyLib} from "../types/Policy.sol";
import {Report, Verdict} from "../types/Report.sol";
import {IQuoteVerifier} from "./IQuoteVerifier.sol";

/// @notice Asks a verifier and takes only yes for an answer: `using Attestation for IQuoteVerifier`.
library Attestation {
    /// @notice Thrown when the quote is not to be believed.
    error QuoteRejected(Verdict verdict);

    /// @notice What `quote` proves, if it is verified and passes the standard policy; reverts otherwise.
    function attest(IQuoteVerifier verifier, bytes memory quote) internal view returns (Report memory) {
        return attestUnder(verifier, quote, PolicyLib.standard());
    }

    /// @notice What `quote` proves, if it is verified and passes `policy`; reverts otherwise.
    function attestUnder(
        IQuoteVerifier verifier,
        bytes memory quote,
        Policy memory policy
    ) internal view returns (Report memory report) {
        report = verifier.verify(quote);
        require(report.isVerified(), QuoteRejected(report.verdict));
        policy.enforce(report);
    }
}

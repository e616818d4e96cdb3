// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Policy, PolicyLib} from "../types/Policy.sol";
import {Report, Verdict} from "../types/Report.sol";
import {IQuoteVerifier} from "./IQuoteVerifier.sol";

/// @notice Verifies a quote and reverts unless the verdict is Verified and a policy allows it. The recommended way to use a
/// verifier: `using Attestation for IQuoteVerifier`, then `verifier.attest(quote)`.
library Attestation {
    /// @notice The verifier rejected the quote.
    error QuoteRejected(Verdict verdict);

    /// @notice What `quote` proves. Reverts with `QuoteRejected`, and with `PolicyBreached` unless it passes
    /// `PolicyLib.standard`.
    /// @dev Check `report.reportData()` against your own nonce or key: a quote can be replayed.
    /// @param verifier a quote verifier that the caller trusts.
    /// @param quote raw or compact quote.
    /// @return the verified facts.
    function attest(IQuoteVerifier verifier, bytes memory quote) internal view returns (Report memory) {
        return attestUnder(verifier, quote, PolicyLib.standard());
    }

    /// @notice What `quote` proves. Reverts with `QuoteRejected`, and with `PolicyBreached` unless it passes `policy`.
    /// @param verifier a quote verifier that the caller trusts.
    /// @param quote raw or compact quote.
    /// @param policy rules beyond Intel's.
    /// @return report the verified facts.
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

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "../../types/Bytes48.sol";
import {Report, Verdict} from "../../types/Report.sol";
import {Boot, EventLog, RuntimeEvent} from "./EventLog.sol";
import {IQuoteVerifier} from "../IQuoteVerifier.sol";

/// @notice Tells which app a quote proves to run: the quote verified, its RTMR3 replayed from the event log.
contract BootLog {
    IQuoteVerifier public immutable verifier;

    /// @notice Thrown when the quote is not to be believed.
    error QuoteRejected(Verdict verdict);

    constructor(IQuoteVerifier verifier_) {
        verifier = verifier_;
    }

    /// @notice What `quote` and `events` prove together. Judges neither measurements nor attributes nor status.
    function prove(
        bytes calldata quote,
        RuntimeEvent[] calldata events
    ) external view returns (Report memory report, Boot memory boot) {
        report = verifier.verify(quote);
        require(report.isVerified(), QuoteRejected(report.verdict));
        boot = EventLog.prove(report, events);
    }

    /// @notice Where `events` lead from an empty register, and what they say.
    function replay(RuntimeEvent[] calldata events) external pure returns (Bytes48 memory rtmr, Boot memory boot) {
        return EventLog.replay(events);
    }
}

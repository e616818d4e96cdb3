// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "../../types/Bytes48.sol";
import {Report, Verdict} from "../../types/Report.sol";
import {Boot, EventLog, RuntimeEvent} from "./EventLog.sol";
import {IQuoteVerifier} from "../IQuoteVerifier.sol";

/// @notice Says which app a quote proves: verifies the quote and replays RTMR3 from dstack's event log.
/// @dev Anyone may call. Has no state and no power.
contract BootLog {
    /// @notice The contract that verifies quotes.
    IQuoteVerifier public immutable verifier;

    /// @notice The verifier rejected the quote.
    error QuoteRejected(Verdict verdict);

    /// @param verifier_ the contract that verifies quotes.
    constructor(IQuoteVerifier verifier_) {
        verifier = verifier_;
    }

    /// @notice What `quote` and `events` prove together. Does not check measurements, TD attributes or TCB status.
    /// @dev Reverts with `QuoteRejected`, `EventMalformed`, `EventLogMismatch`, and with the verifier's errors.
    /// @param quote in any form that the verifier takes.
    /// @param events all runtime events of the boot, in order.
    /// @return report the report on the quote.
    /// @return boot app, release and instance that the events name.
    function prove(
        bytes calldata quote,
        RuntimeEvent[] calldata events
    ) external view returns (Report memory report, Boot memory boot) {
        report = verifier.verify(quote);
        require(report.isVerified(), QuoteRejected(report.verdict));
        boot = EventLog.prove(report, events);
    }

    /// @notice The value of RTMR3 after `events`, and what they say. Reverts with `EventMalformed`.
    /// @param events runtime events in the order of the log.
    /// @return rtmr value of RTMR3.
    /// @return boot app id, compose hash, instance id and key provider.
    function replay(RuntimeEvent[] calldata events) external pure returns (Bytes48 memory rtmr, Boot memory boot) {
        return EventLog.replay(events);
    }
}

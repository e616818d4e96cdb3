// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, Verdict} from "../types/Report.sol";

/// @notice Verifies Intel TDX quotes (v4 and v5, ECDSA P-256) against collateral that Intel signed.
/// @dev Every `quote` parameter takes any of these forms, told apart by their first byte; they prove the same:
///  - the raw quote as the TEE produced it (trailing bytes after the authentication data are ignored);
///  - compact with the PCK leaf in DER; with a known PCK; with a known attestation key (`docs/verifier.md`).
/// Malformed input reverts with a typed error. A well-formed quote that is not to be believed is a report with
/// another `verdict` than `Verified` and nothing else in it: use `Attestation`, which cannot be asked wrongly.
/// Trust: a quote is bearer data and stays valid as long as its collateral; freshness is the caller's business
/// (put a nonce into the report data). Nobody here judges measurements, TD attributes or the status.
interface IQuoteVerifier {
    /// @notice Thrown when something is to be remembered of a quote that is not to be believed.
    error NotVerified(Verdict verdict);

    /// @notice Says where a record is, for whoever encodes the host's next quote.
    event RecordWritten(bytes32 indexed deviceId, address record);

    /// @notice What `quote` proves now, under the standard TCB evaluation number. Look at `verdict` first.
    function verify(bytes calldata quote) external view returns (Report memory);

    /// @notice `verify` under the highest evaluation number held that is not above `evaluationNumber`.
    /// @dev The greatest value is Intel's "early" update.
    function verifyUnder(bytes calldata quote, uint32 evaluationNumber) external view returns (Report memory);

    /// @notice The evaluation number under which something may be taken away from a host that was let in before: the one
    /// that Intel's list made the standard number at least a week ago.
    /// @dev Never an "early" number because a list has ended: then it is the last one that a list made the standard. 255,
    /// which is every number, as long as no list came at all.
    function settledNumber() external view returns (uint32);

    /// @notice Verifies several quotes of one host: `head` is the first in any form, each of `others` the signature
    /// and the signed part of another quote under the same attestation key.
    /// @dev When `head` is not verified, none of the others is, and all have its verdict.
    function verifyBatch(bytes calldata head, bytes[] calldata others) external view returns (Report[] memory);

    /// @notice Verifies `quote` and remembers what its platform proved, so that later quotes can be shorter.
    /// @dev Records are immutable and only hold what anyone could replay; expiry, revocation and TCB level are
    /// applied at each use, so no registration can raise or lower what another quote comes to.
    /// @return report as `verify` returns it.
    /// @return record name for the short forms: its address.
    function register(bytes calldata quote) external returns (Report memory report, address record);

    /// @notice `register`, and remembers the verdict on the TCB too: good until any collateral of it changes or
    /// expires, and judged anew from then on.
    function registerVerdict(bytes calldata quote) external returns (Report memory report, address record);
}

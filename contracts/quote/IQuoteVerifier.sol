// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, Verdict} from "../types/Report.sol";

/// @notice Verifies Intel TDX quotes (v4 and v5, ECDSA P-256) against collateral that Intel signed.
/// @dev Anyone may call every function. A `quote` parameter takes each of these forms, which differ in their first byte
/// and prove the same:
///  - the raw quote as the TEE produced it (bytes after the authentication data are ignored);
///  - a compact form with the PCK leaf in DER, with a known PCK, or with a known attestation key (docs/verifier.md).
/// Malformed input reverts with `QuoteMalformed(field, offset)`, `PemMalformed`, `DerMalformed` or
/// `CertificateUnsupported`.
/// A well-formed quote that is rejected gives a report whose `verdict` is not `Verified` and whose other fields are
/// zero. The library `Attestation` reverts in that case, and also applies a policy.
/// Trust: a quote proves nothing about time. It can be replayed as long as its collateral is valid, so put a nonce into
/// the report data. The verifier does not check measurements, TD attributes or the TCB status: that is `Policy`.
/// Example, for a contract that accepts one image and one nonce:
///     Report memory report = verifier.verify(quote);
///     require(report.isVerified(), "quote rejected");
///     PolicyLib.upToDate().enforce(report);
///     require(report.imageKey() == approvedImage, "other image");
///     (bytes32 nonce, ) = report.reportData();
interface IQuoteVerifier {
    /// @notice The quote was rejected, so no record of it is written.
    error NotVerified(Verdict verdict);

    /// @notice A record was written. Use its address to encode later quotes of this host in a short form.
    /// @param deviceId the host.
    /// @param record address of the record.
    event RecordWritten(bytes32 indexed deviceId, address record);

    /// @notice What `quote` proves now, under the standard TCB evaluation number. Check `verdict` first.
    /// @dev A view: anyone can call it off-chain without gas. It reads the chain's clock, so the same quote can be
    /// verified now and rejected later. Uses the documents of the highest stored number up to the standard one; the report
    /// names it.
    /// @param quote in any form.
    function verify(bytes calldata quote) external view returns (Report memory);

    /// @notice `verify` with the collateral of the highest stored evaluation number up to `evaluationNumber`.
    /// @dev `type(uint32).max` is Intel's "early" update: the newest collateral.
    /// @param quote in any form.
    /// @param evaluationNumber highest TCB evaluation number to use.
    function verifyUnder(bytes calldata quote, uint32 evaluationNumber) external view returns (Report memory);

    /// @notice The evaluation number that this contract has used as the standard one for at least a week. Use it to end what
    /// was accepted before, so that a new number does not end everything at once.
    /// @dev A list that comes late starts the week. If Intel's list has expired, the last number that a list made the standard.
    /// 0, for which there are no documents, if no list was ever uploaded, and in the week after the first one.
    function settledEvaluationNumber() external view returns (uint32);

    /// @notice Verifies several quotes under the same attestation key, cheaper than one by one.
    /// @dev If `head` is rejected, all reports have its verdict.
    /// @param head the first quote, in any form.
    /// @param others of each further quote the signature (64 bytes) and the signed part.
    /// @return one report for `head`, then one for each of `others`.
    function verifyBatch(bytes calldata head, bytes[] calldata others) external view returns (Report[] memory);

    /// @notice Verifies `quote` and stores what its platform proved, so that later quotes can be shorter. Emits
    /// `RecordWritten`. Reverts with `NotVerified`.
    /// @dev A record is immutable and holds only what anyone could replay. Expiry, revocation and TCB level are checked at each
    /// use, so a record cannot change the verdict on another quote.
    /// @return report as of `verify`.
    /// @return record address of the record: use it in the short forms.
    function register(bytes calldata quote) external returns (Report memory report, address record);

    /// @notice `register`, which also stores the TCB verdict. Later quotes of the same TCB are then cheapest, until any of the
    /// collateral changes or expires; after that the TCB is evaluated again at each use.
    /// @return report as of `verify`.
    /// @return record address of the record: use it in the short forms.
    function registerVerdict(bytes calldata quote) external returns (Report memory report, address record);
}

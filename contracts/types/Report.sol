// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "./Bytes48.sol";

/// @notice Whether a well-formed quote is to be believed, and if not, the first reason against it.
enum Verdict {
    None, // never returned: an empty report is not a verified one
    Verified,
    ChainUnknown, // the chain above the leaf is none that the collateral store has verified
    CaRevoked, // the CA that issued the leaf is in the root CRL
    LeafIssuer, // the leaf names another issuer than the CA that has to have signed it
    LeafSignature,
    LeafName, // the subject is not an "Intel SGX PCK Certificate"
    LeafExtension, // a CA certificate, or one without the SGX extension
    LeafNotInForce, // before its notBefore or after its notAfter
    LeafRevoked,
    RootCrlMissing,
    RootCrlExpired,
    PckCrlMissing,
    PckCrlExpired,
    TcbInfoMissing, // the store has no TCB info for this FMSPC
    TcbInfoExpired,
    TcbInfoPceId, // the TCB info is for another PCEID than the leaf's
    QeIdentityMissing,
    QeIdentityExpired,
    TcbSigningRevoked,
    ModuleUnknown, // no identity for the major version of the TDX module
    ModuleSigner,
    ModuleAttributes,
    QeReportSignature,
    QeReportData, // the QE report does not bind the attestation key
    QeMiscSelect,
    QeAttributes,
    QeSigner,
    QeProduct,
    QeUnsupported, // older than every level of the QE identity
    QuoteSignature,
    TcbUnsupported, // no TCB level of the platform matches
    ModuleUnsupported, // older than every level of the module identity
    TcbUnrecognized, // Intel gave the level a status that this verifier does not know
    TcbRevoked,
    RecordUnknown // the quote refers to a record that this verifier never wrote
}

/// @notice TCB status in Intel's words. `Revoked` is never in a report: it is a verdict.
enum TcbStatus {
    None,
    UpToDate,
    SWHardeningNeeded,
    ConfigurationNeeded,
    ConfigurationAndSWHardeningNeeded,
    OutOfDate,
    OutOfDateConfigurationNeeded,
    TDRelaunchAdvised,
    TDRelaunchAdvisedConfigurationNeeded,
    Revoked
}

/// @notice What a quote proves. Unless `verdict` is `Verified`, every other field is empty.
struct Report {
    /// @notice Look at this first, or use an entry point that reverts unless it is `Verified`.
    Verdict verdict;
    /// @notice Status of platform, QE and TDX module together, with the advice to relaunch.
    TcbStatus status;
    /// @notice The same for the TCB that launched the TD alone.
    TcbStatus launchStatus;
    /// @notice The same for the TCB that runs the TD now; differs after a TD-preserving update only.
    TcbStatus currentStatus;
    /// @notice Format of the quote: 4 or 5.
    uint8 version;
    /// @notice 2: TD report 1.0; 3: 1.5; 4: 1.5 Ex.
    uint8 bodyType;
    /// @notice `tcbEvaluationDataNumber` of the TCB info.
    uint32 tcbEvaluationNumber;
    /// @notice `tcbEvaluationDataNumber` of the QE identity.
    uint32 qeEvaluationNumber;
    /// @notice Oldest date of the levels matched (unix seconds): what is patched up to then.
    uint64 tcbDate;
    /// @notice Oldest issue date of TCB info, QE identity and PCK CRL (unix seconds).
    uint64 collateralIssuedAt;
    /// @notice Earliest end of anything relied on (unix seconds).
    uint64 expiresAt;
    bytes6 fmspc;
    /// @notice SHA-256 of the PPID: which machine.
    bytes32 deviceId;
    /// @notice Zero on single-package platforms, which have none.
    bytes16 platformInstanceId;
    /// @notice keccak-256 of the signed part: the only identity a quote has (its signature is malleable).
    bytes32 quoteId;
    /// @notice Advisory ids ("INTEL-SA-00837") of platform, then QE, then TDX module.
    bytes32[] advisories;
    /// @notice The TD report as signed, 584, 648 or 885 bytes; read it with the functions below.
    bytes td;
}

using ReportLib for Report global;

/// @notice The fields of the TD report inside a `Report`.
library ReportLib {
    uint256 private constant BODY_1_0 = 584;
    uint256 private constant BODY_1_5 = 648;
    uint256 private constant BODY_1_5_EX = 885;

    function isVerified(Report memory report) internal pure returns (bool) {
        return report.verdict == Verdict.Verified;
    }

    /// @notice Security versions of the TCB that launched the TD.
    function teeTcbSvn(Report memory report) internal pure returns (bytes16) {
        return bytes16(_word(report, 0));
    }

    function mrSeam(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 16);
    }

    function mrSignerSeam(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 64);
    }

    /// @notice SEAM attributes as the number they are (little-endian in the quote).
    function seamAttributes(Report memory report) internal pure returns (uint64) {
        return _uint64(report, 112);
    }

    /// @notice TD attributes as the number they are: bit 0 is DEBUG, bit 28 SEPT_VE_DISABLE.
    function tdAttributes(Report memory report) internal pure returns (uint64) {
        return _uint64(report, 120);
    }

    function xfam(Report memory report) internal pure returns (uint64) {
        return _uint64(report, 128);
    }

    function mrTd(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 136);
    }

    function mrConfigId(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 184);
    }

    function mrOwner(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 232);
    }

    function mrOwnerConfig(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 280);
    }

    /// @param index 0 to 3.
    function rtmr(Report memory report, uint256 index) internal pure returns (Bytes48 memory) {
        assert(index < 4);
        return _bytes48(report, 328 + 48 * index);
    }

    /// @notice keccak-256 of MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2: firmware, kernel and root file system, for sets of approved ones.
    function imageKey(Report memory report) internal pure returns (bytes32) {
        return
            keccak256(
                bytes.concat(
                    report.mrTd().toBytes(),
                    report.rtmr(0).toBytes(),
                    report.rtmr(1).toBytes(),
                    report.rtmr(2).toBytes()
                )
            );
    }

    /// @notice The 64 bytes the TD chose, in two halves.
    function reportData(Report memory report) internal pure returns (bytes32 first, bytes32 second) {
        return (_word(report, 520), _word(report, 552));
    }

    /// @notice Security versions of the TCB that runs the TD now; of a 1.0 report, those of its launch.
    function teeTcbSvn2(Report memory report) internal pure returns (bytes16) {
        return bytes16(_word(report, report.td.length == BODY_1_0 ? 0 : BODY_1_0));
    }

    /// @notice Measurement of the bound service TDs; zero if none is bound.
    /// @dev A 1.0 report has no such field: zero then means "not shown". `showsServiceTds` tells the two apart.
    function mrServiceTd(Report memory report) internal pure returns (Bytes48 memory) {
        if (!report.showsServiceTds()) return Bytes48(0, 0);
        return _bytes48(report, 600);
    }

    /// @notice Whether the report has a field for bound service TDs. A 1.0 report (584 bytes) has none.
    function showsServiceTds(Report memory report) internal pure returns (bool) {
        return report.td.length != BODY_1_0;
    }

    /// @notice Service TDs bound when the TD was built; zero unless the report is a 1.5 Ex (885 bytes).
    function initialServiceTdHash(Report memory report) internal pure returns (Bytes48 memory) {
        if (report.td.length != BODY_1_5_EX) return Bytes48(0, 0);
        return _bytes48(report, 729);
    }

    /// @notice Service TDs bound now; zero unless the report is a 1.5 Ex (885 bytes).
    function currentServiceTdHash(Report memory report) internal pure returns (Bytes48 memory) {
        if (report.td.length != BODY_1_5_EX) return Bytes48(0, 0);
        return _bytes48(report, 829);
    }

    /// @notice Whether any field of the report shows a bound service TD.
    function bindsServiceTd(Report memory report) internal pure returns (bool) {
        return
            !report.mrServiceTd().isZero() ||
            !report.initialServiceTdHash().isZero() ||
            !report.currentServiceTdHash().isZero();
    }

    /// @notice Whether the TD report has one of the three lengths that these functions can read.
    function isBodyKnown(Report memory report) internal pure returns (bool) {
        uint256 length = report.td.length;
        return length == BODY_1_0 || length == BODY_1_5 || length == BODY_1_5_EX;
    }

    function _bytes48(Report memory report, uint256 offset) private pure returns (Bytes48 memory) {
        return Bytes48(_word(report, offset), bytes16(_word(report, offset + 16) << 128));
    }

    function _uint64(Report memory report, uint256 offset) private pure returns (uint64 value) {
        uint256 word = uint256(_word(report, offset));
        for (uint256 i = 0; i < 8; ++i) {
            value |= uint64(((word >> (248 - 8 * i)) & 0xff) << (8 * i));
        }
    }

    /// @dev Every offset above lies 32 bytes or more inside the shortest body; an empty report has none.
    function _word(Report memory report, uint256 offset) private pure returns (bytes32 word) {
        bytes memory td = report.td;
        assert(offset + 32 <= td.length);
        assembly ("memory-safe") {
            word := mload(add(add(td, 32), offset))
        }
    }
}

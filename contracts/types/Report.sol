// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "./Bytes48.sol";

/// @notice Verdict on a well-formed quote: Verified, or the first reason for rejection. Append, never reorder.
/// @dev `src/quote/verdict.ts` has the same names; docs/verifier.md explains each.
enum Verdict {
    None, // never returned; so an empty report is not a verified one
    Verified,
    ChainUnknown, // the collateral store has not verified the certificates above the leaf
    CaRevoked, // the CA that issued the leaf is in the root CRL
    LeafIssuer, // the leaf names another issuer than the CA that must have signed it
    LeafSignature, // the CA did not sign the leaf
    LeafName, // the subject is not an "Intel SGX PCK Certificate"
    LeafExtension, // a CA certificate, or no SGX extension
    LeafNotInForce, // before its notBefore or after its notAfter
    LeafRevoked, // the leaf is in the CRL of its CA
    RootCrlMissing, // the store has no CRL of the root
    RootCrlExpired,
    PckCrlMissing, // the store has no CRL of the CA that issued the leaf
    PckCrlExpired,
    TcbInfoMissing, // the store has no TCB info for this FMSPC
    TcbInfoExpired,
    TcbInfoPceId, // the TCB info is for another PCEID than that of the leaf
    QeIdentityMissing, // the store has no QE identity
    QeIdentityExpired,
    TcbSigningRevoked, // the key that signed TCB info or QE identity is revoked
    ModuleUnknown, // the TCB info has no identity for the major version of the TDX module
    ModuleSigner, // another signer than the identity of the TDX module
    ModuleAttributes, // SEAM attributes are set
    QeReportSignature, // the PCK did not sign the QE report
    QeReportData, // the QE report does not bind the attestation key
    QeMiscSelect, // MISCSELECT of the QE differs from the QE identity
    QeAttributes, // ATTRIBUTES of the QE differ from the QE identity
    QeSigner, // MRSIGNER of the QE differs from the QE identity
    QeProduct, // ISVPRODID of the QE differs from the QE identity
    QeUnsupported, // older than every level of the QE identity
    QuoteSignature, // the attestation key did not sign the quote
    TcbUnsupported, // no TCB level of the platform matches
    ModuleUnsupported, // older than every level of the module identity
    TcbUnrecognized, // the matching level has a status that this verifier does not know
    TcbRevoked, // the matching level has the status `Revoked`
    RecordUnknown // the quote refers to a record that this verifier did not write
}

/// @notice TCB status, named as Intel names it. Append, never reorder.
/// @dev A report never has `Revoked`: its verdict is then `TcbRevoked`.
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

/// @notice The result of verification. Unless `verdict` is `Verified`, every other field is zero or empty.
struct Report {
    /// @notice Check this first, or use a function that reverts unless it is `Verified` (`Attestation`).
    Verdict verdict;
    /// @notice The status that counts: of platform, QE and TDX module together, with the advice to relaunch.
    TcbStatus status;
    /// @notice The status of the TCB with which the TD was launched.
    TcbStatus launchStatus;
    /// @notice The status of the TCB that runs the TD now. Differs from `launchStatus` only after a TD-preserving update.
    TcbStatus currentStatus;
    /// @notice Format of the quote: 4 or 5.
    uint8 version;
    /// @notice Version of the TD report: 2 = 1.0, 3 = 1.5, 4 = 1.5 Ex.
    uint8 bodyType;
    /// @notice `tcbEvaluationDataNumber` of the TCB info.
    uint32 tcbEvaluationNumber;
    /// @notice `tcbEvaluationDataNumber` of the QE identity.
    uint32 qeEvaluationNumber;
    /// @notice Oldest date of the matching levels, unix seconds: the platform has all fixes up to this date.
    uint64 tcbDate;
    /// @notice Oldest issue date of TCB info, QE identity and PCK CRL, unix seconds.
    uint64 collateralIssuedAt;
    /// @notice Earliest end of all certificates and collateral that were used, unix seconds.
    uint64 expiresAt;
    /// @notice Intel's id of the platform model.
    bytes6 fmspc;
    /// @notice SHA-256 of the PPID: identifies the host.
    bytes32 deviceId;
    /// @notice Identifies a platform with several packages; zero on single-package platforms.
    bytes16 platformInstanceId;
    /// @notice keccak256 of the signed part. Use this to identify a quote: its signature is malleable.
    bytes32 quoteId;
    /// @notice Advisory ids as ASCII, such as "INTEL-SA-00837": of the platform, then the QE, then the TDX module.
    bytes32[] advisories;
    /// @notice The TD report as signed: 584, 648 or 885 bytes. Read its fields with the functions of `ReportLib`.
    bytes td;
}

using ReportLib for Report global;

/// @notice Reads the fields of the TD report in a `Report`.
/// @dev The functions that read a field fail (`Panic(0x01)`) if the TD report is too short, as in a report that is not verified.
library ReportLib {
    /// @dev Bytes of a TD report of TDX 1.0, 1.5, and 1.5 with the extended body.
    uint256 private constant BODY_1_0 = 584;
    uint256 private constant BODY_1_5 = 648;
    uint256 private constant BODY_1_5_EX = 885;

    /// @notice Whether the quote is genuine by Intel's rules. Says nothing about status, measurements or TD attributes.
    function isVerified(Report memory report) internal pure returns (bool) {
        return report.verdict == Verdict.Verified;
    }

    /// @notice TEE_TCB_SVN: the 16 SVNs of the TCB that launched the TD.
    function teeTcbSvn(Report memory report) internal pure returns (bytes16) {
        return bytes16(_word(report, 0));
    }

    /// @notice MRSEAM: the measurement of the TDX module.
    function mrSeam(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 16);
    }

    /// @notice MRSIGNERSEAM: the signer of the TDX module; zero for Intel's.
    function mrSignerSeam(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 64);
    }

    /// @notice SEAMATTRIBUTES as a number (little-endian in the quote).
    function seamAttributes(Report memory report) internal pure returns (uint64) {
        return _uint64(report, 112);
    }

    /// @notice TD attributes as a number (little-endian in the quote): bit 0 is DEBUG, bit 28 SEPT_VE_DISABLE.
    function tdAttributes(Report memory report) internal pure returns (uint64) {
        return _uint64(report, 120);
    }

    /// @notice XFAM as a number (little-endian in the quote).
    function xfam(Report memory report) internal pure returns (uint64) {
        return _uint64(report, 128);
    }

    /// @notice MRTD: the measurement of the TD's initial memory, the firmware.
    function mrTd(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 136);
    }

    /// @notice MRCONFIGID: chosen by the host before launch.
    function mrConfigId(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 184);
    }

    /// @notice MROWNER: chosen by the host before launch.
    function mrOwner(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 232);
    }

    /// @notice MROWNERCONFIG: chosen by the host before launch.
    function mrOwnerConfig(Report memory report) internal pure returns (Bytes48 memory) {
        return _bytes48(report, 280);
    }

    /// @notice A runtime measurement register. Fails (`Panic(0x01)`) for another index.
    /// @param index 0 to 3.
    function rtmr(Report memory report, uint256 index) internal pure returns (Bytes48 memory) {
        assert(index < 4);
        return _bytes48(report, 328 + 48 * index);
    }

    /// @notice keccak256 of MRTD ‖ RTMR0 ‖ RTMR1 ‖ RTMR2: firmware, kernel and root file system. Use it as the key of a list
    /// of approved images.
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

    /// @notice The 64 bytes that the TD chose, in two halves.
    function reportData(Report memory report) internal pure returns (bytes32 first, bytes32 second) {
        return (_word(report, 520), _word(report, 552));
    }

    /// @notice TEE_TCB_SVN2: the 16 SVNs of the TCB that runs the TD now. For a 1.0 report, those of its launch.
    function teeTcbSvn2(Report memory report) internal pure returns (bytes16) {
        return bytes16(_word(report, report.td.length == BODY_1_0 ? 0 : BODY_1_0));
    }

    /// @notice Measurement of the bound service TDs; zero if none is bound.
    /// @dev A 1.0 report has no such field: zero then means "not shown". See `showsServiceTds`.
    function mrServiceTd(Report memory report) internal pure returns (Bytes48 memory) {
        if (!report.showsServiceTds()) return Bytes48(0, 0);
        return _bytes48(report, 600);
    }

    /// @notice Whether the report has a field for bound service TDs. A 1.0 report (584 bytes) has none.
    function showsServiceTds(Report memory report) internal pure returns (bool) {
        return report.td.length != BODY_1_0;
    }

    /// @notice Hash of the service TDs that were bound when the TD was built; zero unless the report is a 1.5 Ex (885 bytes).
    function initialServiceTdHash(Report memory report) internal pure returns (Bytes48 memory) {
        if (report.td.length != BODY_1_5_EX) return Bytes48(0, 0);
        return _bytes48(report, 729);
    }

    /// @notice Hash of the service TDs that are bound now; zero unless the report is a 1.5 Ex (885 bytes).
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

    /// @notice Whether the TD report has one of the three known lengths.
    function isBodyKnown(Report memory report) internal pure returns (bool) {
        uint256 length = report.td.length;
        return length == BODY_1_0 || length == BODY_1_5 || length == BODY_1_5_EX;
    }

    /// @dev A measurement of 48 bytes.
    function _bytes48(Report memory report, uint256 offset) private pure returns (Bytes48 memory) {
        return Bytes48(_word(report, offset), bytes16(_word(report, offset + 16) << 128));
    }

    /// @dev A little-endian number of 8 bytes.
    function _uint64(Report memory report, uint256 offset) private pure returns (uint64 value) {
        uint256 word = uint256(_word(report, offset));
        for (uint256 i = 0; i < 8; ++i) {
            value |= uint64(((word >> (248 - 8 * i)) & 0xff) << (8 * i));
        }
    }

    /// @dev Each offset above is at least 32 bytes before the end of the shortest body. Fails on an empty report.
    function _word(Report memory report, uint256 offset) private pure returns (bytes32 word) {
        bytes memory td = report.td;
        assert(offset + 32 <= td.length);
        assembly ("memory-safe") {
            word := mload(add(add(td, 32), offset))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Facts that the PCK certificate and the QE report of a quote prove. They are the same for every quote with
/// the same attestation key, so a record keeps them: eight words, in this layout.
struct PckFacts {
    /// @notice The small numbers, packed; see `PckFactsWord`.
    PckFactsWord facts;
    /// @notice Component SVNs (16 bytes) ‖ PPID (16).
    uint256 platform;
    /// @notice Platform instance id (16 bytes) ‖ ATTRIBUTES of the quoting enclave (16).
    uint256 instance;
    /// @notice Serial number of the PCK certificate (20 bytes) ‖ end of the QE identity (4) ‖ its issue date (4) ‖ date
    /// of the quoting enclave's TCB level (4). Times are unix seconds.
    uint256 serialAndDates;
    /// @notice Public key of the PCK certificate, which signs QE reports.
    uint256 x;
    /// @notice Its second coordinate.
    uint256 y;
    /// @notice MRSIGNER of the quoting enclave.
    bytes32 signer;
    /// @notice keccak-256 of the attestation key.
    bytes32 keyHash;
}

/// @notice From the highest byte: status of the quoting enclave (1 byte), number of the CA (1), unused (1), PCESVN (2),
/// PCEID (2), FMSPC (6), ISVPRODID (2), ISVSVN (2), set epoch (3), cap (1), evaluation number of the QE identity (1),
/// its signer (1), MISCSELECT (4), end of the PCK certificate (5).
type PckFactsWord is uint256;

using PckRecord for PckFacts global;
using PckFactsWordLib for PckFactsWord global;

/// @notice Reads the fields of a `PckFactsWord`.
library PckFactsWordLib {
    /// @notice TCB status of the quoting enclave. `None`: the level has advisories, so the QE identity must be read
    /// each time.
    function qeStatus(PckFactsWord facts) internal pure returns (uint256) {
        return PckFactsWord.unwrap(facts) >> 248;
    }

    /// @notice Number of the CA that issued the certificate, in the collateral store.
    function ca(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 240);
    }

    /// @notice SVN of the provisioning certification enclave, which the TCB info compares.
    function pceSvn(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 216);
    }

    /// @notice Id of the provisioning certification enclave.
    function pceId(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 200);
    }

    /// @notice Platform family.
    function fmspc(PckFactsWord facts) internal pure returns (bytes6) {
        return bytes6(uint48(PckFactsWord.unwrap(facts) >> 152));
    }

    /// @notice ISVPRODID of the quoting enclave.
    function product(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 136);
    }

    /// @notice ISVSVN of the quoting enclave.
    function svn(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 120);
    }

    /// @notice Epoch of CRLs and QE identity when the record was written.
    function setEpoch(PckFactsWord facts) internal pure returns (uint256) {
        return uint24(PckFactsWord.unwrap(facts) >> 96);
    }

    /// @notice Highest evaluation number that could be used when the record was written.
    function cap(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 88);
    }

    /// @notice Evaluation number of the QE identity.
    function qeNumber(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 80);
    }

    /// @notice TCB signing key of the QE identity, counted from 0.
    function qeDocumentSigner(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 72);
    }

    /// @notice MISCSELECT of the quoting enclave.
    function miscSelect(PckFactsWord facts) internal pure returns (uint256) {
        return uint32(PckFactsWord.unwrap(facts) >> 40);
    }

    /// @notice End of the PCK certificate or of its CA, whichever is earlier; unix seconds.
    function notAfter(PckFactsWord facts) internal pure returns (uint256) {
        return uint40(PckFactsWord.unwrap(facts));
    }
}

/// @notice Builds the facts of a host, and packs them into a record: one byte for the kind, then eight words.
library PckRecord {
    /// @notice First byte of a record of this kind.
    uint256 internal constant KIND = 1;
    /// @notice Bytes of a record.
    uint256 internal constant LENGTH = 257;

    /// @dev Bits of the facts that come from the certificate.
    uint256 private constant CERTIFICATE = ((1 << 248) - (1 << 152)) | ((1 << 40) - 1);
    /// @dev Bits that come from the QE report. The remaining bits come from the QE identity.
    uint256 private constant QE_REPORT = ((1 << 152) - (1 << 120)) | ((1 << 72) - (1 << 40));

    /// @notice The record of these facts.
    function pack(PckFacts memory pck) internal pure returns (bytes memory record) {
        record = new bytes(LENGTH);
        assembly ("memory-safe") {
            mstore8(add(record, 32), KIND)
            mcopy(add(record, 33), pck, 256)
        }
    }

    /// @notice Sets the facts of the PCK certificate and clears all others.
    function setPlatform(PckFacts memory pck, uint256 pceSvn, uint256 pceId, uint256 fmspc) internal pure {
        pck.facts = PckFactsWord.wrap((pceSvn << 216) | (pceId << 200) | (fmspc << 152));
    }

    /// @notice Sets the CA and the end of the certificate.
    function setEnd(PckFacts memory pck, uint256 ca, uint256 notAfter) internal pure {
        pck.facts = PckFactsWord.wrap(PckFactsWord.unwrap(pck.facts) | (ca << 240) | notAfter);
    }

    /// @notice Sets the facts of the QE report.
    function setQeReport(
        PckFacts memory pck,
        uint256 product,
        uint256 svn,
        uint256 miscSelect,
        uint256 qeAttributes
    ) internal pure {
        pck.facts = PckFactsWord.wrap(
            (PckFactsWord.unwrap(pck.facts) & ~QE_REPORT) | (product << 136) | (svn << 120) | (miscSelect << 40)
        );
        pck.instance = ((pck.instance >> 128) << 128) | qeAttributes;
    }

    /// @notice Sets the QE identity that is used, and clears the level that an earlier one gave.
    function setQeIdentity(
        PckFacts memory pck,
        uint256 setEpoch,
        uint256 cap,
        uint256 number,
        uint256 signer,
        uint256 issuedAt,
        uint256 until
    ) internal pure {
        pck.facts = PckFactsWord.wrap(
            (PckFactsWord.unwrap(pck.facts) & (CERTIFICATE | QE_REPORT)) |
                (setEpoch << 96) |
                (cap << 88) |
                (number << 80) |
                (signer << 72)
        );
        pck.serialAndDates = ((pck.serialAndDates >> 96) << 96) | (until << 64) | (issuedAt << 32);
    }

    /// @notice Sets the level of the quoting enclave under that identity.
    function setQeLevel(PckFacts memory pck, uint256 status, uint256 date) internal pure {
        pck.facts = PckFactsWord.wrap(PckFactsWord.unwrap(pck.facts) | (status << 248));
        pck.serialAndDates |= date;
    }

    /// @notice The 16 component SVNs of the CPU, an octet each.
    function components(PckFacts memory pck) internal pure returns (uint256) {
        return pck.platform >> 128;
    }

    /// @notice Provisioning id of the platform, 16 bytes.
    function ppid(PckFacts memory pck) internal pure returns (uint256) {
        return uint128(pck.platform);
    }

    /// @notice Zero on single-package platforms.
    function platformInstanceId(PckFacts memory pck) internal pure returns (bytes16) {
        return bytes16(uint128(pck.instance >> 128));
    }

    /// @notice ATTRIBUTES of the quoting enclave, 16 bytes.
    function attributes(PckFacts memory pck) internal pure returns (uint256) {
        return uint128(pck.instance);
    }

    /// @notice Serial number of the PCK certificate; a CRL names it.
    function serial(PckFacts memory pck) internal pure returns (uint256) {
        return pck.serialAndDates >> 96;
    }

    /// @notice End of the QE identity, unix seconds.
    function qeUntil(PckFacts memory pck) internal pure returns (uint256) {
        return uint32(pck.serialAndDates >> 64);
    }

    /// @notice Issue date of the QE identity, unix seconds.
    function qeIssuedAt(PckFacts memory pck) internal pure returns (uint256) {
        return uint32(pck.serialAndDates >> 32);
    }

    /// @notice Date of the quoting enclave's TCB level, unix seconds.
    function qeDate(PckFacts memory pck) internal pure returns (uint256) {
        return uint32(pck.serialAndDates);
    }
}

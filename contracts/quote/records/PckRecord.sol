// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice What the PCK certificate and the QE report of a quote prove, the part that any later quote of the same
/// attestation key proves again, as it lies in a record: eight words.
struct PckFacts {
    PckFactsWord facts;
    /// @notice Component SVNs 16 | PPID 16.
    uint256 platform;
    /// @notice Platform instance id 16 | ATTRIBUTES of the QE 16.
    uint256 instance;
    /// @notice Serial number of the PCK certificate 20 | end 4, issue date 4 of the QE identity | date of its level 4.
    uint256 serialAndDates;
    /// @notice The PCK.
    uint256 x;
    uint256 y;
    /// @notice MRSIGNER of the QE.
    bytes32 signer;
    /// @notice keccak-256 of the attestation key.
    bytes32 keyHash;
}

/// @notice status of the QE 1 | CA 1 | 0 1 | PCESVN 2 | PCEID 2 | FMSPC 6 | ISVPRODID 2 | ISVSVN 2
/// | set epoch 3 | cap 1 | number and signer of the QE identity 1 1 | MISCSELECT 4 | end of the PCK certificate 5.
type PckFactsWord is uint256;

using PckRecord for PckFacts global;
using PckFactsWordLib for PckFactsWord global;

library PckFactsWordLib {
    /// @notice What the QE identity said is `None` where it has to be asked each time.
    function qeStatus(PckFactsWord facts) internal pure returns (uint256) {
        return PckFactsWord.unwrap(facts) >> 248;
    }

    /// @notice The number of the CA in the store.
    function ca(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 240);
    }

    function pceSvn(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 216);
    }

    function pceId(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 200);
    }

    function fmspc(PckFactsWord facts) internal pure returns (bytes6) {
        return bytes6(uint48(PckFactsWord.unwrap(facts) >> 152));
    }

    function product(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 136);
    }

    function svn(PckFactsWord facts) internal pure returns (uint256) {
        return uint16(PckFactsWord.unwrap(facts) >> 120);
    }

    function setEpoch(PckFactsWord facts) internal pure returns (uint256) {
        return uint24(PckFactsWord.unwrap(facts) >> 96);
    }

    function cap(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 88);
    }

    function qeNumber(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 80);
    }

    function qeDocumentSigner(PckFactsWord facts) internal pure returns (uint256) {
        return uint8(PckFactsWord.unwrap(facts) >> 72);
    }

    function miscSelect(PckFactsWord facts) internal pure returns (uint256) {
        return uint32(PckFactsWord.unwrap(facts) >> 40);
    }

    function notAfter(PckFactsWord facts) internal pure returns (uint256) {
        return uint40(PckFactsWord.unwrap(facts));
    }
}

/// @notice How a host is put together, and how it lies in the code of an account: a kind and its eight words.
library PckRecord {
    uint256 internal constant KIND = 1;
    uint256 internal constant LENGTH = 257;

    /// @dev Which bits of the facts are the certificate's, and which the QE report's; the others are the QE identity's.
    uint256 private constant CERTIFICATE = ((1 << 248) - (1 << 152)) | ((1 << 40) - 1);
    uint256 private constant QE_REPORT = ((1 << 152) - (1 << 120)) | ((1 << 72) - (1 << 40));

    function pack(PckFacts memory pck) internal pure returns (bytes memory record) {
        record = new bytes(LENGTH);
        assembly ("memory-safe") {
            mstore8(add(record, 32), KIND)
            mcopy(add(record, 33), pck, 256)
        }
    }

    /// @notice What the PCK certificate says; whatever was known before is forgotten.
    function setPlatform(PckFacts memory pck, uint256 pceSvn, uint256 pceId, uint256 fmspc) internal pure {
        pck.facts = PckFactsWord.wrap((pceSvn << 216) | (pceId << 200) | (fmspc << 152));
    }

    /// @notice Who has signed the certificate, and until when it is in force.
    function setEnd(PckFacts memory pck, uint256 ca, uint256 notAfter) internal pure {
        pck.facts = PckFactsWord.wrap(PckFactsWord.unwrap(pck.facts) | (ca << 240) | notAfter);
    }

    /// @notice What the QE report says.
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

    /// @notice Which QE identity judges the QE; what another one said is forgotten.
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

    /// @notice What that identity says of it.
    function setQeLevel(PckFacts memory pck, uint256 status, uint256 date) internal pure {
        pck.facts = PckFactsWord.wrap(PckFactsWord.unwrap(pck.facts) | (status << 248));
        pck.serialAndDates |= date;
    }

    function components(PckFacts memory pck) internal pure returns (uint256) {
        return pck.platform >> 128;
    }

    function ppid(PckFacts memory pck) internal pure returns (uint256) {
        return uint128(pck.platform);
    }

    function platformInstanceId(PckFacts memory pck) internal pure returns (bytes16) {
        return bytes16(uint128(pck.instance >> 128));
    }

    function attributes(PckFacts memory pck) internal pure returns (uint256) {
        return uint128(pck.instance);
    }

    function serial(PckFacts memory pck) internal pure returns (uint256) {
        return pck.serialAndDates >> 96;
    }

    function qeUntil(PckFacts memory pck) internal pure returns (uint256) {
        return uint32(pck.serialAndDates >> 64);
    }

    function qeIssuedAt(PckFacts memory pck) internal pure returns (uint256) {
        return uint32(pck.serialAndDates >> 32);
    }

    function qeDate(PckFacts memory pck) internal pure returns (uint256) {
        return uint32(pck.serialAndDates);
    }
}

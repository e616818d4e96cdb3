// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Who signs collateral under Intel's root.
enum Issuer {
    Root,
    PlatformCa,
    ProcessorCa,
    TcbSigning
}

/// @notice Intel's collateral on-chain. Anyone uploads; only signatures under the pinned root key decide.
/// @dev Only newer replaces older. Nobody owns the store, nothing in it can be deleted or changed otherwise.
/// Expired documents are kept and refused at use. What is not checked: whether Intel has published something newer
/// that nobody has uploaded; `collateralIssuedAt` in a report says how old the oldest document is.
interface ICollateralStore {
    /// @notice All that has to be looked at whenever a quote is judged, in one slot. Times are unix seconds.
    struct Freshness {
        /// @notice Until when the root CRL lasts; 0 while there is none.
        uint32 rootCrlUntil;
        uint32 platformCrlUntil;
        uint32 processorCrlUntil;
        /// @notice When the CRL was issued, in whole hours since 1970.
        uint24 platformCrlHour;
        uint24 processorCrlHour;
        /// @notice Counts changes of a PCK CRL's set, of the QE identity and of the standard number.
        uint24 setEpoch;
        /// @notice Counts changes of any TCB info and of the standard number.
        uint24 tcbEpoch;
        /// @notice Counts replacements of a CA by one with another serial number.
        uint8 caEpoch;
        /// @notice In the root CRL: bit 0 Platform CA, bit 1 Processor CA, bit 2 + n the n-th TCB signing certificate.
        uint8 revoked;
        /// @notice Intel's standard TCB evaluation number, as long as `standardUntil` says.
        uint8 standard;
        uint32 standardUntil;
    }

    /// @notice One TCB info or QE identity.
    struct DocumentSlot {
        /// @notice The account whose code is the blob, or what `UsualQeIdentity` keeps in its place.
        address blob;
        uint32 issuedAt;
        /// @notice Its own next update, or the end of the certificate that signed it.
        uint32 until;
        uint8 evaluationNumber;
        /// @notice Which TCB signing certificate signed it.
        uint8 signer;
        /// @notice How many levels stand in the place of `blob`; 0: none, it is an account.
        uint8 levels;
    }

    /// @notice One CRL.
    struct CrlSlot {
        address serials;
        uint40 thisUpdate;
        uint16 count;
    }

    event IssuerStored(Issuer indexed issuer, uint256 serial, uint256 notBefore, uint256 notAfter);
    event CrlStored(Issuer indexed issuer, uint256 thisUpdate, uint256 nextUpdate, uint256 entries, bool changed);
    event DocumentStored(
        bytes32 indexed family,
        uint256 indexed evaluationNumber,
        uint256 issuedAt,
        uint256 nextUpdate,
        bool changed
    );
    event StandardStored(uint256 evaluationNumber, uint256 issuedAt, uint256 until);

    /// @notice Thrown when a certificate, CRL or document is not signed by the issuer it must come from.
    error SignatureInvalid(Issuer issuer);
    /// @notice Thrown when a certificate or CRL carries a name that has no part in Intel's hierarchy.
    error IssuerUnexpected(bytes32 commonName);
    /// @notice Thrown when the certificate of `issuer` has to be stored first.
    error IssuerMissing(Issuer issuer);
    /// @notice Thrown when the root CRL lists the certificate of `issuer`.
    error IssuerRevoked(Issuer issuer);
    /// @notice Thrown when a certificate is not, or no longer, or not yet one for the task its name claims.
    error IssuerUnfit(Issuer issuer);
    /// @notice Thrown when the chain does not end in the pinned root key.
    error RootUntrusted();
    /// @notice Thrown when what is held was issued at the same time or later.
    error CollateralNotNewer(uint256 held, uint256 offered);
    /// @notice Thrown when a document or CRL is dated later than the block, or ends before it begins.
    error CollateralDates(uint256 issuedAt, uint256 nextUpdate);
    /// @notice Thrown when a document is not the JSON that Intel writes: what stands at `offset` may not stand there.
    error JsonMalformed(uint256 offset);
    /// @notice Thrown when a document has more levels, modules or texts than this store takes.
    error DocumentTooLarge(uint256 offset);
    /// @notice Thrown for a CRL with more entries than one blob holds.
    error CrlTooLong(uint256 offset);
    /// @notice Thrown when the store has seen more TCB signing certificates than it can tell apart.
    error TooManySigners();

    /// @notice Stores a CA or the TCB signing certificate. `chain` is PEM: the certificate, then the root.
    /// @dev The text itself is remembered: a raw quote must carry the same after its leaf.
    function putIssuer(bytes calldata chain) external;

    /// @notice Stores a CRL of the root, the Platform CA or the Processor CA, in DER.
    function putCrl(bytes calldata der) external;

    /// @notice Stores a TDX TCB info: the exact bytes that Intel signed, and r ‖ s.
    function putTcbInfo(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice Stores a TD QE identity: the exact bytes that Intel signed, and r ‖ s.
    function putQeIdentity(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice Learns from Intel's list which evaluation number is the standard one now.
    /// @dev The same list may be sent again, when a number has become standard by the passing of time. While no
    /// list is in force, the highest number held is used: the strictest, not the most convenient.
    function putEvaluationNumbers(bytes calldata json, bytes32 r, bytes32 s) external;

    function rootKey() external view returns (uint256 x, uint256 y);
    /// @notice The P-256 verifier: the precompile at 0x100, or the contract chosen at deployment.
    function p256() external view returns (address);
    function freshness() external view returns (Freshness memory);
    function crl(Issuer issuer) external view returns (CrlSlot memory);
    /// @notice When the stored certificate of `issuer` begins and ends; zero when there is none.
    function issuerValidity(Issuer issuer) external view returns (uint256 notBefore, uint256 notAfter);
    /// @notice The document of `family` (FMSPC, or "TD_QE") with that number; empty when there is none.
    function document(bytes32 family, uint256 evaluationNumber) external view returns (DocumentSlot memory);
    /// @notice Bit n set: the document of `family` with evaluation number n is held.
    function heldNumbers(bytes32 family) external view returns (uint256);
    function evaluationNumbersIssuedAt() external view returns (uint256);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice Who signs collateral under Intel's root: a task, which several keys may have.
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
        /// @notice Bit n - 1: the root CRL lists all certificates of issuer n.
        uint16 revoked;
        /// @notice Intel's standard TCB evaluation number, as long as `standardUntil` says.
        uint8 standard;
        uint32 standardUntil;
    }

    /// @notice One TCB info or QE identity.
    struct DocumentSlot {
        /// @notice The account whose code is the blob, or what `QeIdentityTemplate` keeps in its place.
        address blob;
        uint32 issuedAt;
        /// @notice Its own next update, or the end of the certificate that signed it.
        uint32 until;
        uint8 evaluationNumber;
        /// @notice Which TCB signing key signed it, counted from 0.
        uint8 signer;
        /// @notice How many levels stand in the place of `blob`; 0: none, it is an account.
        uint8 levels;
    }

    /// @notice One CRL.
    struct CrlSlot {
        address serials;
        uint40 thisUpdate;
        uint16 count;
        /// @notice Its own next update, or the end of its issuer.
        uint32 until;
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
    /// @notice Thrown when a document is not JSON without white space, or lacks a member: what stands at `offset` may
    /// not stand there.
    error JsonMalformed(uint256 offset);
    /// @notice Thrown when a document rates a platform or an enclave with a status that it cannot have.
    error StatusUnknown(uint256 offset);
    /// @notice Thrown when a document has more levels, modules, texts or nesting than this store takes.
    error DocumentTooLarge(uint256 offset);
    /// @notice Thrown for a CRL with more entries than one blob holds.
    error CrlTooLong(uint256 offset);
    /// @notice Thrown when the store has seen more signers than it can tell apart: 6 of documents, 10 CAs.
    error TooManySigners();

    /// @notice Stores a certificate of a CA or of a TCB signing key. `chain` is PEM: the certificate, then the root.
    /// @dev Both must be signed by the pinned key. The issuer is its key and name; a further certificate of it only adds
    /// to what is known, so no upload takes the place of another. The text is remembered as well: a raw quote must carry
    /// one that is known after its leaf.
    function putIssuer(bytes calldata chain) external;

    /// @notice Stores a CRL of the root, the Platform CA or the Processor CA, in DER.
    function putCrl(bytes calldata der) external;

    /// @notice Stores a TDX TCB info: the exact bytes that Intel signed, and r ‖ s.
    function putTcbInfo(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice Stores a TD QE identity: the exact bytes that Intel signed, and r ‖ s.
    function putQeIdentity(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice Learns from Intel's list which evaluation number is the standard one now.
    /// @dev The number that the list announces takes over at its time by itself. While no list is in force, the highest
    /// number held is used: the strictest, not the most convenient. The same list may be sent again.
    function putEvaluationNumbers(bytes calldata json, bytes32 r, bytes32 s) external;

    function rootKey() external view returns (uint256 x, uint256 y);
    /// @notice The P-256 verifier: the precompile at 0x100, or the contract chosen at deployment.
    function p256() external view returns (address);
    function freshness() external view returns (Freshness memory);
    /// @notice The CRL of an issuer by its number: 0 the root, 1 the first Platform CA, 2 the first Processor CA, 9 to 16
    /// further CAs.
    function crl(uint8 issuer) external view returns (CrlSlot memory);
    /// @notice When the longest certificate that is not revoked begins and ends, of this issuer and those after it with
    /// the same task: 1 Platform CA, 2 Processor CA, 3 TCB signing; zero when there is none.
    function issuerValidity(uint8 issuer) external view returns (uint256 notBefore, uint256 notAfter);
    /// @notice What is known of a PEM text (certificate, root) by its keccak-256: number of the issuer, 0 when the text is
    /// unknown, and what its certificate says.
    function chainOf(
        bytes32 textHash
    ) external view returns (uint8 issuer, uint160 serial, uint40 notBefore, uint40 notAfter);
    /// @notice The document of `family` (FMSPC, or "TD_QE") with that number; empty when there is none.
    function document(bytes32 family, uint256 evaluationNumber) external view returns (DocumentSlot memory);
    /// @notice Bit n set: the document of `family` with evaluation number n is held.
    function heldNumbers(bytes32 family) external view returns (uint256);
    function evaluationNumbersIssuedAt() external view returns (uint256);
    /// @notice keccak-256 of the serial numbers in the CRL of that issuer, 20 bytes each, in the order of the list.
    function listed(uint8 issuer) external view returns (bytes32);
}

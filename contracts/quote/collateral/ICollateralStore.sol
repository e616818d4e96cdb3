// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice The issuers in Intel's hierarchy. Several keys can have the same task.
enum Issuer {
    /// @notice Intel SGX Root CA.
    Root,
    /// @notice Intel SGX PCK Platform CA.
    PlatformCa,
    /// @notice Intel SGX PCK Processor CA.
    ProcessorCa,
    /// @notice Intel SGX TCB Signing: signs TCB info, QE identity and the list of evaluation numbers.
    TcbSigning
}

/// @notice Stores Intel's collateral on-chain. Anyone can upload; the store accepts only what the pinned root key signed.
/// @dev The store has no owner. Newer collateral replaces older; nothing can be deleted. Expired documents stay stored, and
/// quotes that need them are rejected. The store cannot know whether Intel has published something newer that nobody has
/// uploaded; `collateralIssuedAt` in a report says how old the oldest document is. Times are unix seconds.
/// Each upload reverts with `SignatureInvalid`, `CollateralNotNewer` or `CollateralDates`; certificates and CRLs also with
/// the `Issuer…` errors, `PemMalformed`, `DerMalformed` and `CertificateUnsupported`; documents with `JsonMalformed`,
/// `StatusUnknown` and `DocumentTooLarge`.
interface ICollateralStore {
    /// @notice What the verification of every quote needs, in one storage slot.
    struct Freshness {
        /// @notice End of the root CRL; 0 = not stored.
        uint32 rootCrlUntil;
        /// @notice End of the CRL of the first Platform CA; 0 = not stored.
        uint32 platformCrlUntil;
        /// @notice End of the CRL of the first Processor CA; 0 = not stored.
        uint32 processorCrlUntil;
        /// @notice Issue time of the CRL of the first Platform CA, hours since 1970.
        uint24 platformCrlHour;
        /// @notice Issue time of the CRL of the first Processor CA, hours since 1970.
        uint24 processorCrlHour;
        /// @notice Counts changes of a PCK CRL's entries, of the QE identity and of the standard number.
        uint24 setEpoch;
        /// @notice Counts changes of any TCB info and of the standard number.
        uint24 tcbEpoch;
        /// @notice Bit n - 1: the root CRL lists all certificates of issuer n.
        uint16 revoked;
        /// @notice Intel's standard TCB evaluation number, until `standardUntil`.
        uint8 standard;
        /// @notice End of the standard number.
        uint32 standardUntil;
    }

    /// @notice One TCB info or QE identity.
    struct DocumentSlot {
        /// @notice The account whose code is the compact document (`TcbBlob`), or the levels of a `QeIdentityTemplate`.
        address blob;
        /// @notice Issue date in the document.
        uint32 issuedAt;
        /// @notice End: the document's next update, or the end of the signer's certificate if it is earlier.
        uint32 until;
        /// @notice `tcbEvaluationDataNumber` of the document.
        uint8 evaluationNumber;
        /// @notice Which TCB signing key signed it, counted from 0.
        uint8 signer;
        /// @notice Number of levels in `blob`; 0 = `blob` is an account.
        uint8 levels;
    }

    /// @notice One CRL.
    struct CrlSlot {
        /// @notice The account whose code is the sorted list of serial numbers.
        address serials;
        /// @notice Issue time.
        uint40 thisUpdate;
        /// @notice Number of entries.
        uint16 count;
        /// @notice End: the CRL's next update, or the end of its issuer's certificate if it is earlier.
        uint32 until;
    }

    /// @notice A certificate of a CA or a TCB signing key was stored.
    /// @param issuer task of the certificate.
    /// @param serial serial number.
    /// @param notBefore start of validity, unix seconds.
    /// @param notAfter end of the certificate or of its root, whichever is earlier.
    event IssuerStored(Issuer indexed issuer, uint256 serial, uint256 notBefore, uint256 notAfter);
    /// @notice A CRL was stored.
    /// @param changed whether its entries differ from those of the last one.
    /// @param issuer task of the issuer.
    /// @param thisUpdate issue time, unix seconds.
    /// @param nextUpdate end, unix seconds.
    /// @param entries number of serial numbers.
    event CrlStored(Issuer indexed issuer, uint256 thisUpdate, uint256 nextUpdate, uint256 entries, bool changed);
    /// @notice A TCB info or QE identity was stored.
    /// @param family the FMSPC, or "TD_QE".
    /// @param changed whether its content differs from that of the last one.
    /// @param evaluationNumber TCB evaluation number.
    /// @param issuedAt issue time, unix seconds.
    /// @param nextUpdate end, unix seconds.
    event DocumentStored(
        bytes32 indexed family,
        uint256 indexed evaluationNumber,
        uint256 issuedAt,
        uint256 nextUpdate,
        bool changed
    );
    /// @notice Intel's list made this the standard evaluation number.
    /// @param evaluationNumber the standard one now.
    /// @param issuedAt issue time of the list, unix seconds.
    /// @param until last second in which it is the standard one by this list.
    event StandardStored(uint256 evaluationNumber, uint256 issuedAt, uint256 until);

    /// @notice The certificate, CRL or document is not signed by the required issuer.
    error SignatureInvalid(Issuer issuer);
    /// @notice The name in the certificate or CRL is not one of Intel's hierarchy.
    error IssuerUnexpected(bytes32 commonName);
    /// @notice The certificate of `issuer` must be uploaded first.
    error IssuerMissing(Issuer issuer);
    /// @notice The root CRL lists the certificate of `issuer`.
    error IssuerRevoked(Issuer issuer);
    /// @notice The certificate is expired, not yet valid, or not usable for the task of its name.
    error IssuerUnfit(Issuer issuer);
    /// @notice The chain does not end in the pinned root key.
    error RootUntrusted();
    /// @notice The stored collateral was issued at the same time or later. Both values are unix seconds.
    /// @param held issue time of what is stored.
    /// @param offered issue time of the upload.
    error CollateralNotNewer(uint256 held, uint256 offered);
    /// @notice The document or CRL was issued after the block's time, or ends before it begins; or it is a list of evaluation
    /// numbers that has ended.
    /// @param issuedAt issue time, unix seconds.
    /// @param nextUpdate end, unix seconds.
    error CollateralDates(uint256 issuedAt, uint256 nextUpdate);
    /// @notice The document is not JSON without white space, or a member is missing.
    /// @param offset of the first wrong byte.
    error JsonMalformed(uint256 offset);
    /// @notice The document gives a platform or an enclave a status that it cannot have.
    /// @param offset position of the status in the document.
    error StatusUnknown(uint256 offset);
    /// @notice The document has more levels, modules, texts or nesting than this store accepts.
    /// @param offset position at which a limit is exceeded.
    error DocumentTooLarge(uint256 offset);
    /// @notice The CRL has more entries than one account can hold.
    /// @param offset position of the first entry that does not fit.
    error CrlTooLong(uint256 offset);
    /// @notice The store can distinguish 6 signers of documents and 10 CAs; this one would be more.
    error TooManySigners();

    /// @notice Stores a certificate of a CA or of a TCB signing key. Anyone. Emits `IssuerStored`.
    /// @dev An issuer is a key with a name. A further certificate of the same issuer is added, so an upload cannot replace
    /// another one. The hash of the text is stored too: the certificates after the leaf in a raw quote must be such a text.
    /// @param chain PEM: the certificate, then the root, both signed by the pinned root key.
    function uploadIssuer(bytes calldata chain) external;

    /// @notice Stores a CRL of the root, a Platform CA or a Processor CA. Anyone. Emits `CrlStored`.
    /// @dev Also reverts with `CrlTooLong`.
    /// @param der the CRL in DER.
    function uploadCrl(bytes calldata der) external;

    /// @notice Stores a TDX TCB info. Anyone. Emits `DocumentStored`.
    /// @param json the exact bytes that Intel signed.
    /// @param r first half of the signature.
    /// @param s second half of the signature.
    function uploadTcbInfo(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice Stores a TD QE identity. Anyone. Emits `DocumentStored`. Parameters as of `uploadTcbInfo`.
    /// @param json the text as Intel signed it: the member `enclaveIdentity` of the response.
    /// @param r signature, first part.
    /// @param s signature, second part.
    function uploadQeIdentity(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice Stores Intel's list of evaluation numbers, which says which one is the standard. Anyone. Emits
    /// `StandardStored`. Parameters as of `uploadTcbInfo`.
    /// @dev A later number in the list becomes the standard at its time without a transaction. Without a valid list the highest
    /// stored number counts: the strictest one. The same list can be uploaded again. A list must not have ended.
    /// @param json the text as Intel signed it: the member `tcbEvaluationDataNumbers` of the response.
    /// @param r signature, first part.
    /// @param s signature, second part.
    function uploadEvaluationNumbers(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice The pinned root key, P-256.
    /// @return x first coordinate of the point.
    /// @return y second coordinate of the point.
    function rootKey() external view returns (uint256 x, uint256 y);

    /// @notice The P-256 verifier: the precompile at 0x100, or the contract that was chosen at deployment.
    function p256() external view returns (address);

    /// @notice The data that the verification of every quote needs.
    function freshness() external view returns (Freshness memory);

    /// @notice The CRL of an issuer.
    /// @param issuer 0 = the root, 1 = the first Platform CA, 2 = the first Processor CA, 9 to 16 = further CAs.
    function crl(uint8 issuer) external view returns (CrlSlot memory);

    /// @notice Start and end of the certificate that lasts longest among all certificates for a task that are not revoked.
    /// Zero if the store has no such certificate.
    /// @param issuer 1 = Platform CA, 2 = Processor CA, 3 = TCB signing.
    function issuerValidity(uint8 issuer) external view returns (uint256 notBefore, uint256 notAfter);

    /// @notice What is stored about an uploaded PEM text (certificate, then root).
    /// @param textHash keccak256 of the text.
    /// @return issuer number of the issuer; 0 = the text is unknown.
    /// @return serial serial number of the certificate.
    /// @return notBefore begin of the certificate.
    /// @return notAfter end of the certificate.
    function chainOf(
        bytes32 textHash
    ) external view returns (uint8 issuer, uint160 serial, uint40 notBefore, uint40 notAfter);

    /// @notice The document of a family with an evaluation number; all zero if it is not stored.
    /// @param family the FMSPC, or "TD_QE".
    /// @param evaluationNumber TCB evaluation number.
    function document(bytes32 family, uint256 evaluationNumber) external view returns (DocumentSlot memory);

    /// @notice The stored evaluation numbers of a family: bit n is set if the document with number n is stored.
    /// @param family FMSPC, left-aligned; the constant of `Collateral` for the QE identity.
    function heldNumbers(bytes32 family) external view returns (uint256);

    /// @notice Issue time of the stored list of evaluation numbers; 0 = no list is stored.
    function evaluationNumbersIssuedAt() external view returns (uint256);

    /// @notice keccak256 of the serial numbers in the CRL of an issuer, 20 bytes each, in the order of the CRL.
    /// @param issuer number of the issuer.
    function listed(uint8 issuer) external view returns (bytes32);
}

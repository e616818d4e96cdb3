// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, TcbStatus, Verdict} from "../types/Report.sol";
import {CodeStore} from "./records/CodeStore.sol";
import {CertificateSlot, CollateralLib, IssuerRecord, IssuerSlot, NumbersSlot} from "./collateral/Collateral.sol";
import {CollateralStore} from "./collateral/CollateralStore.sol";
import {Crl} from "./certificates/Crl.sol";
import {Digest} from "./cryptography/Digest.sol";
import {DocumentUpload} from "./collateral/DocumentUpload.sol";
import {PckFacts, PckFactsWord, PckRecord} from "./records/PckRecord.sol";
import {Issuer} from "./collateral/ICollateralStore.sol";
import {IQuoteVerifier} from "./IQuoteVerifier.sol";
import {Pem} from "./parsing/Pem.sol";
import {Parts, QuoteParser} from "./parsing/QuoteParser.sol";
import {CrlLib, CrlWord, DocumentWord, FreshnessLib, FreshnessSlot} from "./collateral/StorageSlots.sol";
import {Level, LevelLib, TcbBlob} from "./evaluation/TcbBlob.sol";
import {ReportEncoding} from "./ReportEncoding.sol";
import {TcbEvaluation} from "./evaluation/TcbEvaluation.sol";
import {QeIdentityTemplate} from "./evaluation/QeIdentityTemplate.sol";
import {TcbVerdict, TcbVerdictWord, TcbVerdictRecord} from "./records/TcbVerdictRecord.sol";
import {Certificate, SgxExtension, X509} from "./certificates/X509.sol";

/// @notice Verifies TDX quotes by Intel's rules: format, signature chain, collateral, quoting enclave, TDX module,
/// quote signature, TCB level, in this order. The collateral store is part of it, so that reading collateral needs no
/// external call.
/// @dev The rules are those of Intel's quote verification library; `src/quote/verify.ts` implements them a second time,
/// and test/chain/parity.test.ts compares both on every quote of the fault catalogue. docs/verifier.md explains each
/// verdict.
/// A malformed quote reverts. A well-formed quote that is not genuine returns a report with the first reason as
/// verdict.
/// Trust: the root key of the constructor, the P-256 contract, and the chain's clock. Anyone can upload collateral. No
/// account has rights over this contract: it has neither owner nor upgrades.
/// Gas decides much of the code: structs are laid out by hand, and positions in byte arrays are computed instead of
/// copied.
contract QuoteVerifier is CollateralStore, IQuoteVerifier {
    /// @dev Size in memory of `Session`, bytes.
    uint256 private constant SESSION = 256;
    /// @dev Size in memory of `PckFacts`, bytes.
    uint256 private constant PCK = 256;

    /// @dev A cap that every evaluation number passes: no standard number is known, or the caller wants the newest
    /// collateral.
    uint256 private constant NO_CAP = 255;

    /// @dev Stands for the evaluation number that is the standard one at the time of the call.
    uint256 private constant STANDARD = type(uint256).max;

    /// @dev Everything that quotes of one host have in common. It is read once, also for a batch.
    struct Session {
        /// @dev Must be the first field: for a known host, `_setPck` lets it point into the record.
        PckFacts pck;
        /// @dev Ends of the CRLs, standard evaluation number and epochs, read from storage once.
        FreshnessSlot fresh;
        /// @dev Highest evaluation number that may be used.
        uint256 cap;
        /// @dev The host's verification record; empty before it is read, and for a quote without one.
        bytes record;
        /// @dev Slot of the TCB info: dates, number, signer.
        DocumentWord tcbInfo;
        /// @dev TCB info in the packed form of `TcbBlob`.
        bytes tcb;
        /// @dev QE identity in the packed form of `TcbBlob`; empty if the host's record already contains its result.
        bytes qe;
        /// @dev TCB level of the quoting enclave.
        Level qeLevel;
    }

    /// @param root root certificate in DER; its key is the root of trust permanently.
    /// @param p256_ address of the P-256 precompile, or of a contract with the same interface.
    constructor(bytes memory root, address p256_) CollateralStore(root, p256_) {}

    /// @inheritdoc IQuoteVerifier
    function verify(bytes calldata quote) external view returns (Report memory report) {
        _verify(report, quote, STANDARD);
        ReportEncoding.finish(report);
    }

    /// @inheritdoc IQuoteVerifier
    function verifyUnder(bytes calldata quote, uint32 evaluationNumber) external view returns (Report memory report) {
        _verify(report, quote, CollateralLib.min(evaluationNumber, NO_CAP));
        ReportEncoding.finish(report);
    }

    /// @inheritdoc IQuoteVerifier
    function verifyBatch(bytes calldata head, bytes[] calldata others) external view returns (Report[] memory reports) {
        reports = new Report[](1 + others.length);
        Report memory first = reports[0];
        Parts memory parts = QuoteParser.blank()[0];
        QuoteParser.parse(parts, head);
        Session memory session = _blank()[0];
        _verifyParts(first, session, parts, STANDARD);
        bytes memory key = _slice(parts.data, parts.signatureAt + 64, 64);
        for (uint256 i = 0; i < others.length; ++i) {
            Report memory report = reports[i + 1];
            // if the first quote is rejected, nothing is known about the host
            if (first.isVerified()) _further(report, session, first, parts, QuoteParser.parseSigned(others[i], key));
            else report.verdict = first.verdict;
        }
        ReportEncoding.finish(reports);
    }

    /// @inheritdoc IQuoteVerifier
    function register(bytes calldata quote) external returns (Report memory report, address record) {
        Parts memory parts = QuoteParser.blank()[0];
        QuoteParser.parse(parts, quote);
        Session memory session = _blank()[0];
        record = _register(report, session, parts);

        emit RecordWritten(report.deviceId, record);
    }

    /// @inheritdoc IQuoteVerifier
    function registerVerdict(bytes calldata quote) external returns (Report memory report, address record) {
        Parts memory parts = QuoteParser.blank()[0];
        QuoteParser.parse(parts, quote);
        Session memory session = _blank()[0];
        address pckRecord = _register(report, session, parts);
        TcbVerdict memory tcbVerdict = _tcbVerdict(report, session, parts, pckRecord);
        record = CodeStore.writeNamed(TcbVerdictRecord.pack(tcbVerdict, report.advisories));

        emit RecordWritten(report.deviceId, record);
    }

    /// @dev Verifies the quote and stores the facts of its PCK certificate as a record. Reverts with `NotVerified` for
    /// a quote that is not genuine, because a record must never make a later quote look better than it is.
    function _register(Report memory report, Session memory session, Parts memory parts) private returns (address) {
        _verifyParts(report, session, parts, STANDARD);
        require(report.isVerified(), NotVerified(report.verdict));
        return CodeStore.writeNamed(session.pck.pack());
    }

    /* A QUOTE */

    /// @dev Verifies one quote. If it names a TCB verdict record that is still good, only the quote's own signature is
    /// checked.
    /// @param cap highest evaluation number, or `STANDARD`.
    function _verify(Report memory report, bytes memory quote, uint256 cap) private view {
        Parts memory parts = QuoteParser.blank()[0];
        QuoteParser.parse(parts, quote);
        bytes memory record;
        if (parts.form == QuoteParser.KNOWN_KEY) {
            record = CodeStore.readNamed(parts.record);
            if (_kind(record) == TcbVerdictRecord.KIND && _recall(report, parts, record, cap)) return;
        }
        Session memory session = _blank()[0];
        session.record = record;
        _verifyParts(report, session, parts, cap);
    }

    /// @dev Verifies a parsed quote, without a TCB verdict record.
    function _verifyParts(Report memory report, Session memory session, Parts memory parts, uint256 cap) private view {
        session.fresh = FreshnessLib.load(_collateral.freshness);
        session.cap = _cap(session.fresh, cap);
        Verdict verdict = _open(session, parts);
        if (verdict == Verdict.Verified) _conclude(report, session, parts);
        else report.verdict = verdict;
    }

    /// @dev Allocates one session as the single element of an array, with a size that is known at compile time. A
    /// declared struct would be initialized field by field, which costs more gas.
    function _blank() private pure returns (Session[] memory one) {
        bytes memory none;
        assembly ("memory-safe") {
            let session := mload(0x40)
            let pck := add(session, SESSION)
            one := add(pck, PCK)
            // bytes after the calldata read as zero
            calldatacopy(session, calldatasize(), add(SESSION, PCK))
            mstore(session, pck)
            mstore(add(session, 96), none)
            mstore(add(session, 160), none)
            mstore(add(session, 192), none)
            mstore(one, 1)
            mstore(add(one, 32), session)
            mstore(0x40, add(one, 64))
        }
    }

    /// @dev The cap of a call. While no list of evaluation numbers is in force, every number counts: old collateral is
    /// better than none, because its own dates are checked too.
    /// @param fresh the slot with the standard number and its end.
    /// @param cap the highest evaluation number that the caller accepts; 0 = the standard one.
    function _cap(FreshnessSlot fresh, uint256 cap) private view returns (uint256) {
        if (cap != STANDARD) return cap;
        uint256 until = fresh.standardUntil();
        if (block.timestamp <= until) return fresh.standard();
        if (until == 0) return NO_CAP;
        NumbersSlot storage numbers = _collateral.numbers;
        bool isNext = numbers.nextFrom <= block.timestamp && block.timestamp <= numbers.nextUntil;
        return isNext ? numbers.next : NO_CAP;
    }

    /// @inheritdoc IQuoteVerifier
    function settledEvaluationNumber() external view returns (uint32) {
        return DocumentUpload.settledEvaluationNumber(_collateral);
    }

    /// @dev Checks everything that does not depend on the quote itself: PCK certificate, CRLs, TCB info, QE identity,
    /// quoting enclave. The order of the checks is the order of the verdicts.
    function _open(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        verdict = _pck(session, parts);
        if (verdict != Verdict.Verified) return verdict;
        verdict = _tcbInfo(session);
        if (verdict != Verdict.Verified) return verdict;
        if (parts.form == QuoteParser.KNOWN_KEY && _isQeKnown(session)) return Verdict.Verified;
        verdict = _qeIdentity(session);
        if (verdict != Verdict.Verified) return verdict;
        if (parts.form != QuoteParser.KNOWN_KEY) verdict = _qeReport(session, parts);
        return verdict == Verdict.Verified ? _qe(session) : verdict;
    }

    /// @dev Checks TDX module, quote signature and TCB level, and fills the report if all hold.
    function _conclude(Report memory report, Session memory session, Parts memory parts) private view {
        (Verdict verdict, uint256 moduleAt) = _module(session, parts);
        if (verdict == Verdict.Verified) verdict = _signature(parts, session.pck.keyHash);
        if (verdict == Verdict.Verified) verdict = _evaluate(report, session, parts, moduleAt);
        report.verdict = verdict;
        if (verdict == Verdict.Verified) _fill(report, session, parts);
    }

    /// @dev Verifies a further quote of a host whose first quote was verified. If TDX module and SVNs are the same, the
    /// TCB level is the same too, so only the signature is checked.
    function _further(
        Report memory report,
        Session memory session,
        Report memory first,
        Parts memory known,
        Parts memory parts
    ) private view {
        (uint256 svn, uint256 svn2) = _svns(known);
        (uint256 otherSvn, uint256 otherSvn2) = _svns(parts);
        if (svn != otherSvn || svn2 != otherSvn2 || _moduleHash(known) != _moduleHash(parts)) {
            return _conclude(report, session, parts);
        }
        Verdict verdict = _signature(parts, session.pck.keyHash);
        if (verdict == Verdict.Verified) {
            ReportEncoding.copy(report, first);
            _fillQuote(report, parts);
        }
        report.verdict = verdict;
    }

    /* PCK CERTIFICATE AND CRLS */

    /// @dev Checks the PCK certificate, or the record that stands for it: validity, CRLs, revocation.
    function _pck(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        bool isKnown = parts.form == QuoteParser.KNOWN_PCK || parts.form == QuoteParser.KNOWN_KEY;
        verdict = isKnown ? _knownPck(session, parts) : _leaf(session, parts);
        if (verdict != Verdict.Verified) return verdict;

        PckFactsWord facts = session.pck.facts;
        if (facts.notAfter() < block.timestamp) return Verdict.LeafNotInForce;
        verdict = _crlsInForce(session.fresh, facts.ca());
        if (verdict != Verdict.Verified) return verdict;
        // while the set is the same, the record already says that the leaf is not in it
        if (isKnown && facts.setEpoch() == session.fresh.setEpoch()) return Verdict.Verified;
        return _isListed(facts.ca(), session.pck.serial()) ? Verdict.LeafRevoked : Verdict.Verified;
    }

    /// @dev Whether the CRL of an issuer contains a serial number. False if the store has no such CRL: the caller
    /// checks that it is there.
    /// @param issuer number of the issuer; 0 is the root.
    function _isListed(uint256 issuer, uint256 serial) private view returns (bool) {
        CrlWord list = CrlLib.load(_collateral.crls[issuer]);
        uint256 count = list.count();
        return count != 0 && Crl.contains(list.serials(), count, serial);
    }

    /// @dev The root CRL and the CRL of the CA must be stored and must not have expired, and the CA must not be
    /// revoked.
    /// @param ca number of the CA that issued the leaf.
    function _crlsInForce(FreshnessSlot fresh, uint256 ca) private view returns (Verdict) {
        uint256 until = fresh.rootCrlUntil();
        if (until < block.timestamp) return until == 0 ? Verdict.RootCrlMissing : Verdict.RootCrlExpired;
        if (fresh.isRevoked(ca)) return Verdict.CaRevoked;
        until = _crlUntil(fresh, ca);
        if (until < block.timestamp) return until == 0 ? Verdict.PckCrlMissing : Verdict.PckCrlExpired;
        return Verdict.Verified;
    }

    /// @dev End of the CRL of a CA. For the first Platform CA and the first Processor CA it is in the slot that every
    /// call reads anyway.
    /// @param ca number of the issuer.
    function _crlUntil(FreshnessSlot fresh, uint256 ca) private view returns (uint256) {
        return ca < 3 ? fresh.crlUntil(ca) : CrlLib.load(_collateral.crls[ca]).until();
    }

    /// @dev Issue time of the CRL of a CA; for the first CA of each name rounded down to an hour.
    function _crlIssuedAt(FreshnessSlot fresh, uint256 ca) private view returns (uint256) {
        return ca < 3 ? fresh.crlIssuedAt(ca) : CrlLib.load(_collateral.crls[ca]).issuedAt();
    }

    /// @dev Reads the PCK facts of a record. The address of a record is derived from its content and this contract
    /// (CREATE2), so a record that somebody else wrote has another address and is not found.
    function _knownPck(Session memory session, Parts memory parts) private view returns (Verdict) {
        bytes memory record = session.record;
        if (record.length == 0) record = CodeStore.readNamed(parts.record);
        uint256 kind = _kind(record);
        // a verdict record that is no longer good, or not allowed here, names the PCK record
        if (kind == TcbVerdictRecord.KIND) {
            record = CodeStore.readNamed(address(bytes20(TcbVerdictRecord.open(record).pckRecord)));
            kind = _kind(record);
        }
        if (kind != PckRecord.KIND) return Verdict.RecordUnknown;
        _setPck(session, record);
        return Verdict.Verified;
    }

    /// @dev Lets the session point at the PCK facts inside the record: eight words after the byte of the kind. Nothing
    /// is copied.
    function _setPck(Session memory session, bytes memory record) private pure {
        assembly ("memory-safe") {
            mstore(session, add(record, 33))
        }
    }

    /// @dev Parses the PCK certificate of a quote that carries one, finds its CA and checks name, extensions and
    /// signature.
    function _leaf(Session memory session, Parts memory parts) private view returns (Verdict) {
        bytes memory der;
        uint256 pos;
        if (parts.form == QuoteParser.LEAF) der = _slice(parts.data, parts.chainAt, parts.chainLength);
        else (der, pos) = Pem.decode(parts.data, parts.chainAt, parts.chainAt + parts.chainLength);
        Certificate memory leaf = X509.parseLeaf(der);
        (Verdict verdict, uint256 ca, uint256 notAfter) = parts.form == QuoteParser.RAW
            ? _caOfChain(parts, pos, leaf)
            : _caOfName(leaf);
        if (verdict != Verdict.Verified) return verdict;
        if (leaf.commonName != "Intel SGX PCK Certificate") return Verdict.LeafName;
        if (leaf.isAuthority || leaf.sgxAt == 0 || leaf.keyUsage & X509.DIGITAL_SIGNATURE == 0) {
            return Verdict.LeafExtension;
        }
        if (block.timestamp < leaf.notBefore) return Verdict.LeafNotInForce;
        _setLeaf(session.pck, leaf, X509.sgxExtension(der, leaf));
        session.pck.setEnd(ca, CollateralLib.min(leaf.notAfter, notAfter));
        return Verdict.Verified;
    }

    /// @dev Finds the CA of a raw quote by the text of its chain: CA and root certificate must be a text that the store
    /// verified before, with nothing after it except line feeds and zero bytes.
    /// @return verdict `Verified` if that CA signed the leaf.
    /// @return ca number of the CA.
    /// @return notAfter end of the CA's certificate.
    function _caOfChain(
        Parts memory parts,
        uint256 pos,
        Certificate memory leaf
    ) private view returns (Verdict, uint256 ca, uint256 notAfter) {
        bytes memory data = parts.data;
        uint256 end = parts.chainAt + parts.chainLength;
        while (end > pos && (data[end - 1] == "\n" || data[end - 1] == 0)) --end;
        if (end <= pos + 1 || data[pos] != "\n") return (Verdict.ChainUnknown, ca, notAfter);
        CertificateSlot storage slot = _collateral.chains[Digest.keccakOf(data, pos + 1, end - pos - 1)];
        (ca, notAfter) = (slot.issuer, slot.notAfter);
        bool isCa = ca != 0 && (ca < uint256(Issuer.TcbSigning) || ca >= CollateralLib.FIRST_FURTHER_CA);
        if (!isCa) return (Verdict.ChainUnknown, ca, notAfter);
        // another certificate of the same key can still be valid
        if (_isListed(0, slot.serial)) return (Verdict.CaRevoked, ca, notAfter);
        return (_isIssued(_collateral.issuers[ca].record, leaf), ca, notAfter);
    }

    /// @dev Finds the CA of a leaf that came without its chain: one of the stored CAs of the leaf's issuer name must
    /// have signed it.
    function _caOfName(Certificate memory leaf) private view returns (Verdict verdict, uint256 ca, uint256 notAfter) {
        ca = uint256(CollateralLib.caNamed(leaf.issuerCommonName));
        verdict = Verdict.LeafIssuer;
        while (ca != 0) {
            IssuerSlot storage slot = _collateral.issuers[ca];
            if (slot.record == address(0)) return (Verdict.ChainUnknown, ca, notAfter);
            verdict = _isIssued(slot.record, leaf);
            notAfter = slot.notAfter;
            if (verdict == Verdict.Verified) break;
            ca = slot.next;
        }
    }

    /// @dev Whether an issuer signed a leaf: first the name in DER must be equal, then the signature must verify (RFC
    /// 5280 §6.1.3).
    function _isIssued(address record, Certificate memory leaf) private view returns (Verdict) {
        IssuerRecord memory issuer = CollateralLib.recordOf(record);
        if (issuer.name != leaf.issuer) return Verdict.LeafIssuer;
        bool isSigned = Digest.isSigned(_P256, leaf.digest, leaf.r, leaf.s, issuer.x, issuer.y);
        return isSigned ? Verdict.Verified : Verdict.LeafSignature;
    }

    /// @dev Copies the facts of the leaf that later checks and records need.
    function _setLeaf(PckFacts memory pck, Certificate memory leaf, SgxExtension memory sgx) private pure {
        pck.setPlatform(sgx.pceSvn, sgx.pceId, sgx.fmspc);
        pck.platform = (sgx.components << 128) | sgx.ppid;
        pck.instance = sgx.platformInstanceId << 128;
        pck.serialAndDates = leaf.serial << 96;
        (pck.x, pck.y) = (leaf.x, leaf.y);
    }

    /* TCB INFO AND QE IDENTITY */

    /// @dev Reads the TCB info of the platform family with the highest evaluation number under the cap. It must be in
    /// force, its signer must not be revoked, and it must be for the PCEID of the leaf.
    function _tcbInfo(Session memory session) private view returns (Verdict) {
        PckFactsWord facts = session.pck.facts;
        DocumentWord word = _collateral.documentUnder(facts.fmspc(), session.cap);
        if (word.until() < block.timestamp) {
            return word.blob() == address(0) ? Verdict.TcbInfoMissing : Verdict.TcbInfoExpired;
        }
        if (session.fresh.isSignerRevoked(word.signer())) return Verdict.TcbSigningRevoked;
        session.tcbInfo = word;
        session.tcb = CodeStore.read(word.blob());
        return TcbBlob.pceId(session.tcb) == facts.pceId() ? Verdict.Verified : Verdict.TcbInfoPceId;
    }

    /// @dev Reads the QE identity with the highest evaluation number under the cap. It must be in force and its signer
    /// must not be revoked.
    function _qeIdentity(Session memory session) private view returns (Verdict) {
        DocumentWord word = _collateral.documentUnder("TD_QE", session.cap);
        if (word.until() < block.timestamp) {
            return word.blob() == address(0) ? Verdict.QeIdentityMissing : Verdict.QeIdentityExpired;
        }
        if (session.fresh.isSignerRevoked(word.signer())) return Verdict.TcbSigningRevoked;
        uint256 levels = word.levels();
        session.qe = levels == 0 ? CodeStore.read(word.blob()) : QeIdentityTemplate.blobOf(word.blob(), levels);
        session.pck.setQeIdentity(
            session.fresh.setEpoch(),
            session.cap,
            word.evaluationNumber(),
            word.signer(),
            word.issuedAt(),
            word.until()
        );
        return Verdict.Verified;
    }

    /// @dev Whether the result of the QE identity in the host's record is still valid: the same set of documents, the
    /// same cap, not expired, signer not revoked. Then the QE identity is not read.
    function _isQeKnown(Session memory session) private view returns (bool) {
        PckFacts memory pck = session.pck;
        PckFactsWord facts = pck.facts;
        if (facts.qeStatus() == uint256(TcbStatus.None) || facts.setEpoch() != session.fresh.setEpoch()) return false;
        if (facts.cap() != session.cap || pck.qeUntil() < block.timestamp) return false;
        if (session.fresh.isSignerRevoked(facts.qeDocumentSigner())) return false;
        session.qeLevel = LevelLib.pack(facts.qeStatus(), pck.qeDate(), 0, 0);
        return true;
    }

    /* QE REPORT */

    /// @dev Checks the report of the quoting enclave: the PCK signed it, and its report data binds the attestation key.
    function _qeReport(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        PckFacts memory pck = session.pck;
        bytes memory data = parts.data;
        uint256 pos = parts.qeReportAt;
        bytes32 digest = Digest.sha256Of(data, pos, 384);
        (uint256 r, uint256 s) = (TcbBlob.word(data, pos + 384), TcbBlob.word(data, pos + 416));
        if (!Digest.isSigned(_P256, digest, r, s, pck.x, pck.y)) return Verdict.QeReportSignature;
        if (_bound(parts) != bytes32(TcbBlob.word(data, pos + 320))) return Verdict.QeReportData;

        pck.keyHash = Digest.keccakOf(data, parts.signatureAt + 64, 64);
        pck.signer = bytes32(TcbBlob.word(data, pos + 128));
        pck.setQeReport(
            _u16(data, pos + 256),
            _u16(data, pos + 258),
            TcbBlob.word(data, pos + 16) >> 224,
            TcbBlob.word(data, pos + 48) >> 128
        );
        return Verdict.Verified;
    }

    /// @dev SHA-256 of attestation key ‖ QE authentication data. The first half of the QE's report data must be equal
    /// to it (Intel, quote format, "QE Report").
    function _bound(Parts memory parts) private view returns (bytes32) {
        uint256 key = parts.signatureAt + 64;
        return Digest.sha256OfTwo(parts.data, key, 64, parts.qeAuthAt, parts.qeAuthLength);
    }

    /// @dev Compares the quoting enclave with the QE identity, field by field under the masks of the identity, and
    /// finds its TCB level by ISVSVN.
    function _qe(Session memory session) private pure returns (Verdict) {
        PckFacts memory pck = session.pck;
        PckFactsWord facts = pck.facts;
        bytes memory qe = session.qe;
        uint256 head = TcbBlob.word(qe, 0);
        // as in Intel's library: if the identity has bits outside its mask, no enclave matches it
        if (facts.miscSelect() & (head >> 144) & 0xffffffff != (head >> 176) & 0xffffffff) return Verdict.QeMiscSelect;
        uint256 attributes = TcbBlob.word(qe, 14);
        if (pck.attributes() & uint128(attributes) != attributes >> 128) return Verdict.QeAttributes;
        if (pck.signer != bytes32(TcbBlob.word(qe, 46))) return Verdict.QeSigner;
        if (facts.product() != uint16(head >> 208)) return Verdict.QeProduct;
        (bool found, Level level) = TcbEvaluation.isvLevel(qe, TcbBlob.QE_LEVELS, head >> 248, facts.svn());
        if (!found) return Verdict.QeUnsupported;
        session.qeLevel = level;
        // advisories are not in the record, so such a level is read each time
        pck.setQeLevel(level.advisoryCount() == 0 ? level.status() : uint256(TcbStatus.None), level.date());
        return Verdict.Verified;
    }

    /* THE QUOTE ITSELF: its positions are the parser's, inside the quote */

    /// @dev Checks the TDX module: MRSIGNERSEAM and SEAMATTRIBUTES must be those of the module identity of its major
    /// version (`TDX_01` …), or of `tdxModule` in the TCB info for major version 0. Attributes must be zero.
    /// @return verdict `Verified`, or why the module is rejected.
    /// @return identityAt position of that identity in the TCB info; 0 for major version 0.
    function _module(
        Session memory session,
        Parts memory parts
    ) private pure returns (Verdict verdict, uint256 identityAt) {
        unchecked {
            uint256 pos = parts.bodyAt;
            uint256 expectedAt = 6;
            uint256 major = uint8(TcbBlob.word(parts.data, pos) >> 240);
            if (major != 0) {
                identityAt = TcbEvaluation.moduleAt(session.tcb, major);
                if (identityAt == 0) return (Verdict.ModuleUnknown, identityAt);
                expectedAt = identityAt + 2;
            }
            if (TcbBlob.word(parts.data, pos + 112) >> 192 != 0) return (Verdict.ModuleAttributes, identityAt);
            bytes32 expected = bytes32(TcbBlob.word(session.tcb, expectedAt));
            return (_moduleHash(parts) == expected ? Verdict.Verified : Verdict.ModuleSigner, identityAt);
        }
    }

    /// @dev Checks the quote signature over header and body. The attestation key must be the one that the QE report
    /// bound.
    function _signature(Parts memory parts, bytes32 keyHash) private view returns (Verdict) {
        unchecked {
            bytes memory data = parts.data;
            uint256 pos = parts.signatureAt;
            if (Digest.keccakOf(data, pos + 64, 64) != keyHash) return Verdict.RecordUnknown;
            bool signed = Digest.isSigned(
                _P256,
                Digest.sha256Of(data, parts.signedAt, parts.signedLength),
                TcbBlob.word(data, pos),
                TcbBlob.word(data, pos + 32),
                TcbBlob.word(data, pos + 64),
                TcbBlob.word(data, pos + 96)
            );
            return signed ? Verdict.Verified : Verdict.QuoteSignature;
        }
    }

    /// @dev Finds the TCB level. A TD that stayed alive during an update of the TDX module has two TCBs; both must be
    /// known, and the one of the launch decides about the status.
    /// @param moduleAt position of the module identity in the TCB info.
    function _evaluate(
        Report memory report,
        Session memory session,
        Parts memory parts,
        uint256 moduleAt
    ) private pure returns (Verdict verdict) {
        (uint256 svn, uint256 svn2) = _svns(parts);
        uint256 launch;
        uint256 date;
        Level platform;
        Level module;
        (verdict, launch, date, platform, module) = _evaluateOne(session, svn, moduleAt);
        if (verdict != Verdict.Verified) return verdict;
        uint256 current = launch;
        if (svn2 != svn) {
            moduleAt = TcbEvaluation.moduleAt(session.tcb, uint8(svn2 >> 112));
            (verdict, current, , , ) = _evaluateOne(session, svn2, moduleAt);
            if (verdict != Verdict.Verified) return verdict;
        }
        report.tcbDate = uint64(date);
        report.advisories = _advisories(session, platform, module);
        // only a TD that survived an update of the module can need a new launch
        uint256 status = svn2 == svn ? launch : TcbEvaluation.relaunch(launch, current);
        ReportEncoding.setStatuses(report, status, launch, current);
    }

    /// @dev TCB level for one set of SVNs.
    function _evaluateOne(
        Session memory session,
        uint256 svn,
        uint256 moduleAt
    ) private pure returns (Verdict verdict, uint256 status, uint256 date, Level platform, Level module) {
        PckFacts memory pck = session.pck;
        uint256 pceSvn = pck.facts.pceSvn();
        return TcbEvaluation.evaluate(session.tcb, session.qeLevel, pck.components(), pceSvn, svn, moduleAt);
    }

    /// @dev TEE_TCB_SVN (at launch) and TEE_TCB_SVN2 (now), 16 bytes each as a number. A TD report 1.0 has only the
    /// first; then both are equal.
    /// @return svn TEE_TCB_SVN, with which the TD was launched.
    /// @return svn2 TEE_TCB_SVN2, of the TDX module that runs now.
    function _svns(Parts memory parts) private pure returns (uint256 svn, uint256 svn2) {
        unchecked {
            svn = TcbBlob.word(parts.data, parts.bodyAt) >> 128;
            svn2 = parts.bodyType == 2 ? svn : TcbBlob.word(parts.data, parts.bodyAt + 584) >> 128;
        }
    }

    /// @dev Advisory ids of platform, quoting enclave and TDX module, in this order, written into new memory without
    /// copies.
    function _advisories(
        Session memory session,
        Level platform,
        Level module
    ) private pure returns (bytes32[] memory list) {
        Level qe = session.qeLevel;
        uint256 end;
        assembly ("memory-safe") {
            list := mload(0x40)
            end := add(list, 32)
        }
        end = TcbBlob.advisories(session.tcb, platform, end);
        end = TcbBlob.advisories(session.qe, qe, end);
        end = TcbBlob.advisories(session.tcb, module, end);
        assembly ("memory-safe") {
            mstore(list, shr(5, sub(end, add(list, 32))))
            mstore(0x40, end)
        }
    }

    /// @dev Fills the report with facts of the host and of the collateral.
    function _fill(Report memory report, Session memory session, Parts memory parts) private view {
        PckFacts memory pck = session.pck;
        PckFactsWord facts = pck.facts;
        report.tcbEvaluationNumber = uint32(session.tcbInfo.evaluationNumber());
        report.qeEvaluationNumber = uint32(facts.qeNumber());
        report.fmspc = facts.fmspc();
        report.deviceId = Digest.sha256OfWord(pck.ppid() << 128, 16);
        report.platformInstanceId = pck.platformInstanceId();
        report.collateralIssuedAt = uint64(_issuedAt(session));
        report.expiresAt = uint64(_until(session));
        _fillTd(report, session.fresh, facts.ca(), parts);
    }

    /// @dev Adds the dates of the CRLs, and the facts of the quote itself.
    function _fillTd(Report memory report, FreshnessSlot fresh, uint256 ca, Parts memory parts) private view {
        uint256 until = CollateralLib.min(_crlUntil(fresh, ca), fresh.rootCrlUntil());
        report.expiresAt = uint64(CollateralLib.min(report.expiresAt, until));
        report.collateralIssuedAt = uint64(CollateralLib.min(report.collateralIssuedAt, _crlIssuedAt(fresh, ca)));
        _fillQuote(report, parts);
    }

    /// @dev The facts that differ between two quotes of the same host.
    function _fillQuote(Report memory report, Parts memory parts) private pure {
        report.version = uint8(parts.version);
        report.bodyType = uint8(parts.bodyType);
        report.quoteId = Digest.keccakOf(parts.data, parts.signedAt, parts.signedLength);
        report.td = _body(parts);
    }

    /// @dev The TD report as a byte array inside the quote, without a copy: its length overwrites the 32 bytes before
    /// it, the end of the header, which is not read again.
    function _body(Parts memory parts) private pure returns (bytes memory td) {
        bytes memory data = parts.data;
        uint256 pos = parts.bodyAt;
        uint256 length = parts.bodyLength;
        assembly ("memory-safe") {
            td := add(data, pos)
            mstore(td, length)
        }
    }

    /// @dev Earliest end of PCK certificate, TCB info and QE identity. The CRLs are added in `_fillTd`.
    function _until(Session memory session) private pure returns (uint256) {
        uint256 until = CollateralLib.min(session.tcbInfo.until(), session.pck.qeUntil());
        return CollateralLib.min(session.pck.facts.notAfter(), until);
    }

    /// @dev Oldest issue time of TCB info and QE identity. The CRLs are added in `_fillTd`.
    function _issuedAt(Session memory session) private pure returns (uint256) {
        return CollateralLib.min(session.tcbInfo.issuedAt(), session.pck.qeIssuedAt());
    }

    /* A VERDICT THAT WAS REMEMBERED */

    /// @dev Answers from a TCB verdict record. Signature and CRLs are checked as for any quote.
    /// @return true if the record decided; false if it is no longer good, so that the quote must be verified
    /// completely.
    function _recall(
        Report memory report,
        Parts memory parts,
        bytes memory record,
        uint256 cap
    ) private view returns (bool) {
        FreshnessSlot fresh = FreshnessLib.load(_collateral.freshness);
        TcbVerdict memory tcbVerdict = TcbVerdictRecord.open(record);
        if (!_isGood(tcbVerdict, fresh, _cap(fresh, cap), parts)) return false;
        TcbVerdictWord facts = tcbVerdict.facts;
        Verdict verdict = _crlsInForce(fresh, facts.ca());
        if (verdict == Verdict.Verified) verdict = _signature(parts, tcbVerdict.keyHash);
        report.verdict = verdict;
        if (verdict != Verdict.Verified) return true;
        ReportEncoding.setStatuses(report, facts.status(), facts.launchStatus(), facts.currentStatus());
        report.tcbEvaluationNumber = uint32(facts.tcbNumber());
        report.qeEvaluationNumber = uint32(facts.qeNumber());
        report.tcbDate = uint64(facts.tcbDate());
        report.fmspc = facts.fmspc();
        report.deviceId = tcbVerdict.deviceId;
        report.platformInstanceId = bytes16(uint128(tcbVerdict.instanceAndDate >> 128));
        report.collateralIssuedAt = uint64(tcbVerdict.instanceAndDate);
        report.expiresAt = uint64(facts.until());
        report.advisories = TcbVerdictRecord.advisories(record, facts.advisoryCount());
        _fillTd(report, fresh, facts.ca(), parts);
        return true;
    }

    /// @dev Whether a TCB verdict record still holds: nothing that it rests on has ended or changed, no signer was
    /// revoked, and the quote has the same SVNs and the same TDX module.
    function _isGood(
        TcbVerdict memory tcbVerdict,
        FreshnessSlot fresh,
        uint256 cap,
        Parts memory parts
    ) private view returns (bool) {
        TcbVerdictWord facts = tcbVerdict.facts;
        if (facts.until() < block.timestamp || facts.signers() & fresh.revoked() != 0) return false;
        if (facts.conditions() != _conditions(fresh, cap)) return false;
        (uint256 svn, uint256 svn2) = _svns(parts);
        if (tcbVerdict.svns != (svn << 128) | svn2) return false;
        return tcbVerdict.moduleHash == _moduleHash(parts);
    }

    /// @dev Cap and epochs under which a TCB verdict was made. An epoch grows whenever a document changes in a way that
    /// can change a verdict.
    function _conditions(FreshnessSlot fresh, uint256 cap) private pure returns (uint256) {
        return TcbVerdictRecord.conditions(cap, fresh.setEpoch(), fresh.tcbEpoch());
    }

    /// @dev Packs a verified report into a TCB verdict record; the layout is in `TcbVerdictRecord`.
    function _tcbVerdict(
        Report memory report,
        Session memory session,
        Parts memory parts,
        address pckRecord
    ) private pure returns (TcbVerdict memory tcbVerdict) {
        PckFactsWord facts = session.pck.facts;
        uint256 signers = (4 << session.tcbInfo.signer()) | (4 << facts.qeDocumentSigner());
        uint256 statuses =
            (uint256(report.status) << 16) | (uint256(report.launchStatus) << 8) | uint256(report.currentStatus);
        tcbVerdict.facts = TcbVerdictWord.wrap(
            (statuses << 232) |
                (facts.ca() << 224) |
                (session.tcbInfo.evaluationNumber() << 216) |
                (facts.qeNumber() << 208) |
                (signers << 200) |
                (_conditions(session.fresh, session.cap) << 136) |
                (uint256(report.tcbDate) << 104) |
                (_until(session) << 64) |
                (uint256(uint48(report.fmspc)) << 16) |
                report.advisories.length
        );
        (uint256 svn, uint256 svn2) = _svns(parts);
        tcbVerdict.svns = (svn << 128) | svn2;
        tcbVerdict.keyHash = session.pck.keyHash;
        tcbVerdict.moduleHash = _moduleHash(parts);
        tcbVerdict.deviceId = report.deviceId;
        tcbVerdict.instanceAndDate = (uint256(uint128(report.platformInstanceId)) << 128) | _issuedAt(session);
        tcbVerdict.pckRecord = bytes20(pckRecord);
    }

    /// @dev keccak-256 of MRSIGNERSEAM ‖ SEAMATTRIBUTES.
    function _moduleHash(Parts memory parts) private pure returns (bytes32) {
        unchecked {
            return Digest.keccakOf(parts.data, parts.bodyAt + 64, 56);
        }
    }

    /* SMALL RULES */

    /// @dev First byte of a record, which says what it contains; 0 for no record.
    function _kind(bytes memory record) private pure returns (uint256) {
        return record.length == 0 ? 0 : TcbBlob.word(record, 0) >> 248;
    }

    /// @dev A little-endian number of two bytes.
    function _u16(bytes memory data, uint256 pos) private pure returns (uint256) {
        uint256 head = TcbBlob.word(data, pos);
        return (head >> 248) | ((head >> 232) & 0xff00);
    }

    /// @dev Copies `length` bytes into a new byte array.
    /// @param pos offset of the first byte; the caller has checked the bounds.
    function _slice(bytes memory data, uint256 pos, uint256 length) private pure returns (bytes memory slice) {
        assembly ("memory-safe") {
            slice := mload(0x40)
            mstore(slice, length)
            mcopy(add(slice, 32), add(add(data, 32), pos), length)
            mstore(0x40, and(add(add(slice, 63), length), not(31)))
        }
    }
}

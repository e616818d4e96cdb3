// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Report, TcbStatus, Verdict} from "../types/Report.sol";
import {CodeStore} from "./CodeStore.sol";
import {CollateralLib, IssuerRecord} from "./Collateral.sol";
import {CollateralStore} from "./CollateralStore.sol";
import {Crl} from "./Crl.sol";
import {Digest} from "./Digest.sol";
import {Host, HostRecord} from "./HostRecord.sol";
import {Issuer} from "./ICollateralStore.sol";
import {IQuoteVerifier} from "./IQuoteVerifier.sol";
import {Pem} from "./Pem.sol";
import {Parts, QuoteForm, QuoteParser} from "./QuoteParser.sol";
import {Level, LevelLib, TcbBlob} from "./TcbBlob.sol";
import {Evaluation, TcbEvaluation} from "./TcbEvaluation.sol";
import {Judgement, VerdictRecord} from "./VerdictRecord.sol";
import {Certificate, SgxExtension, X509} from "./X509.sol";

/// @notice Format, signature chain, TCB level, in this order; the collateral store is part of it.
contract QuoteVerifier is CollateralStore, IQuoteVerifier {
    /// @dev Every number: no standard number is known, or the caller wants the newest.
    uint256 private constant NO_CAP = 255;

    /// @dev The cap of `verify`: whatever number is the standard one now.
    uint256 private constant STANDARD = type(uint256).max;

    /// @dev All that one host's quotes have in common, once it is judged.
    struct Session {
        Freshness fresh;
        uint256 cap;
        Host host;
        bytes tcb;
        uint256 tcbNumber;
        uint256 tcbSigner;
        uint256 tcbUntil;
        uint256 tcbIssuedAt;
        /// @dev Empty when the record of the host told what the QE identity says.
        bytes qe;
        Level qeLevel;
    }

    constructor(bytes memory root, address p256_) CollateralStore(root, p256_) {}

    /// @inheritdoc IQuoteVerifier
    function verify(bytes calldata quote) external view returns (Report memory report) {
        _verify(report, quote, STANDARD);
    }

    /// @inheritdoc IQuoteVerifier
    function verifyUnder(bytes calldata quote, uint32 evaluationNumber) external view returns (Report memory report) {
        _verify(report, quote, CollateralLib.min(evaluationNumber, NO_CAP));
    }

    /// @inheritdoc IQuoteVerifier
    function verifyBatch(bytes calldata head, bytes[] calldata others) external view returns (Report[] memory reports) {
        reports = new Report[](1 + others.length);
        Report memory first = reports[0];
        Parts memory parts = QuoteParser.parse(head);
        Session memory session;
        _judge(first, session, parts, STANDARD);
        bytes memory key = _slice(parts.data, parts.signatureAt + 64, 64);
        for (uint256 i = 0; i < others.length; ++i) {
            Report memory report = reports[i + 1];
            // no host, no further quotes of it
            if (first.isVerified()) _conclude(report, session, QuoteParser.parseSigned(others[i], key));
            else report.verdict = first.verdict;
        }
    }

    /// @inheritdoc IQuoteVerifier
    function register(bytes calldata quote) external returns (Report memory report, address record) {
        Parts memory parts = QuoteParser.parse(quote);
        Session memory session;
        record = _register(report, session, parts);

        emit RecordWritten(report.deviceId, record);
    }

    /// @inheritdoc IQuoteVerifier
    function registerVerdict(bytes calldata quote) external returns (Report memory report, address record) {
        Parts memory parts = QuoteParser.parse(quote);
        Session memory session;
        address host = _register(report, session, parts);
        record = CodeStore.writeNamed(VerdictRecord.pack(_judgement(report, session, parts, host)));

        emit RecordWritten(report.deviceId, record);
    }

    function _register(Report memory report, Session memory session, Parts memory parts) private returns (address) {
        _judge(report, session, parts, STANDARD);
        require(report.isVerified(), NotVerified(report.verdict));
        return CodeStore.writeNamed(HostRecord.pack(session.host));
    }

    /* A QUOTE */

    function _verify(Report memory report, bytes memory quote, uint256 cap) private view {
        Parts memory parts = QuoteParser.parse(quote);
        if (parts.form == QuoteForm.KnownKey) {
            bytes memory record = CodeStore.read(parts.record);
            if (record.length != 0 && uint8(record[0]) == VerdictRecord.KIND) {
                if (_recall(report, parts, record, cap)) return;
            }
        }
        Session memory session;
        _judge(report, session, parts, cap);
    }

    function _judge(Report memory report, Session memory session, Parts memory parts, uint256 cap) private view {
        session.fresh = _collateral.freshness;
        session.cap = _cap(session.fresh, cap);
        report.verdict = _open(session, parts);
        if (report.verdict == Verdict.Verified) _conclude(report, session, parts);
    }

    function _cap(Freshness memory fresh, uint256 cap) private view returns (uint256) {
        if (cap != STANDARD) return cap;
        return block.timestamp <= fresh.standardUntil ? fresh.standard : NO_CAP;
    }

    /// @dev Everything but the quote's own signature and TCB.
    function _open(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        verdict = _pck(session, parts);
        if (verdict != Verdict.Verified) return verdict;
        verdict = _tcbInfo(session);
        if (verdict != Verdict.Verified) return verdict;
        if (parts.form == QuoteForm.KnownKey && _isQeKnown(session)) return Verdict.Verified;
        verdict = _qeIdentity(session);
        if (verdict != Verdict.Verified) return verdict;
        if (parts.form != QuoteForm.KnownKey) verdict = _qeReport(session, parts);
        return verdict == Verdict.Verified ? _qe(session) : verdict;
    }

    /// @dev The quote's module, signature and TCB; fills the report when nothing speaks against it.
    function _conclude(Report memory report, Session memory session, Parts memory parts) private view {
        Verdict verdict = _module(session, parts);
        if (verdict == Verdict.Verified) verdict = _signature(parts, session.host.keyHash);
        if (verdict == Verdict.Verified) verdict = _evaluate(report, session, parts);
        report.verdict = verdict;
        if (verdict == Verdict.Verified) _fill(report, session, parts);
    }

    /* PCK CERTIFICATE AND CRLS */

    function _pck(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        bool isKnown = parts.form == QuoteForm.KnownPck || parts.form == QuoteForm.KnownKey;
        verdict = isKnown ? _knownHost(session, parts) : _leaf(session, parts);
        if (verdict != Verdict.Verified) return verdict;

        Host memory host = session.host;
        if (host.notAfter < block.timestamp) return Verdict.LeafNotInForce;
        verdict = _crlsInForce(session.fresh, host.ca);
        if (verdict != Verdict.Verified) return verdict;
        // a record says that the leaf is not in the set, as long as the set is the same
        if (isKnown && host.setEpoch == session.fresh.setEpoch) return Verdict.Verified;
        CrlSlot memory list = _collateral.crls[host.ca];
        return Crl.contains(list.serials, list.count, host.serial) ? Verdict.LeafRevoked : Verdict.Verified;
    }

    function _crlsInForce(Freshness memory fresh, Issuer ca) private view returns (Verdict) {
        if (fresh.rootCrlUntil == 0) return Verdict.RootCrlMissing;
        if (fresh.rootCrlUntil < block.timestamp) return Verdict.RootCrlExpired;
        bool platform = ca == Issuer.PlatformCa;
        if ((fresh.revoked >> (platform ? 0 : 1)) & 1 == 1) return Verdict.CaRevoked;
        uint256 until = platform ? fresh.platformCrlUntil : fresh.processorCrlUntil;
        if (until == 0) return Verdict.PckCrlMissing;
        if (until < block.timestamp) return Verdict.PckCrlExpired;
        return Verdict.Verified;
    }

    /// @dev The host of a record that this contract wrote; the address proves it.
    function _knownHost(Session memory session, Parts memory parts) private view returns (Verdict) {
        bytes memory record = CodeStore.read(parts.record);
        // the record of a verdict that is no longer good, or may not answer, names the host's
        if (record.length != 0 && uint8(record[0]) == VerdictRecord.KIND) {
            if (CodeStore.nameOf(record) != parts.record) return Verdict.RecordUnknown;
            parts.record = VerdictRecord.host(record);
            record = CodeStore.read(parts.record);
        }
        if (record.length != HostRecord.LENGTH || CodeStore.nameOf(record) != parts.record) {
            return Verdict.RecordUnknown;
        }
        Host memory host = session.host;
        HostRecord.unpack(record, host);
        // another CA of that name may have signed the leaf
        if (host.caEpoch != session.fresh.caEpoch) return Verdict.RecordUnknown;
        return Verdict.Verified;
    }

    function _leaf(Session memory session, Parts memory parts) private view returns (Verdict) {
        bytes memory der;
        uint256 pos;
        if (parts.form == QuoteForm.Leaf) der = _slice(parts.data, parts.chainAt, parts.chainLength);
        else (der, pos) = Pem.decode(parts.data, parts.chainAt, parts.chainAt + parts.chainLength);
        Certificate memory leaf = X509.parse(der);
        Issuer ca = CollateralLib.caNamed(leaf.issuerCommonName);
        if (ca == Issuer.Root) return Verdict.LeafIssuer;
        IssuerRecord memory issuer = _collateral.issuer(ca);
        if (issuer.x == 0) return Verdict.ChainUnknown;
        if (parts.form == QuoteForm.Raw && !_isChain(parts, pos, issuer)) return Verdict.ChainUnknown;
        if (issuer.name != leaf.issuer) return Verdict.LeafIssuer;
        if (!Digest.isSigned(_P256, leaf.digest, leaf.r, leaf.s, issuer.x, issuer.y)) return Verdict.LeafSignature;
        if (leaf.commonName != "Intel SGX PCK Certificate") return Verdict.LeafName;
        if (leaf.isAuthority || leaf.sgxAt == 0 || leaf.keyUsage & X509.DIGITAL_SIGNATURE == 0) {
            return Verdict.LeafExtension;
        }
        if (block.timestamp < leaf.notBefore) return Verdict.LeafNotInForce;

        SgxExtension memory sgx = X509.sgxExtension(der, leaf);
        Host memory host = session.host;
        (host.x, host.y, host.serial, host.notAfter) = (
            leaf.x,
            leaf.y,
            leaf.serial,
            CollateralLib.min(leaf.notAfter, issuer.notAfter)
        );
        (host.ca, host.caEpoch) = (ca, session.fresh.caEpoch);
        (host.components, host.pceSvn) = (uint128(sgx.components), sgx.pceSvn);
        (host.pceId, host.fmspc) = (sgx.pceId, sgx.fmspc);
        (host.ppid, host.platformInstanceId) = (sgx.ppid, sgx.platformInstanceId);
        return Verdict.Verified;
    }

    /// @dev Whether what follows the leaf is the CA and the root as the store knows them, and then nothing.
    function _isChain(Parts memory parts, uint256 pos, IssuerRecord memory issuer) private pure returns (bool) {
        bytes memory data = parts.data;
        uint256 end = parts.chainAt + parts.chainLength;
        if (pos + 1 + issuer.chainLength > end || data[pos] != "\n") return false;
        if (Digest.keccakOf(data, pos + 1, issuer.chainLength) != issuer.chainHash) return false;
        for (pos += 1 + issuer.chainLength; pos < end; ++pos) {
            if (data[pos] != "\n" && data[pos] != 0) return false;
        }
        return true;
    }

    /* TCB INFO AND QE IDENTITY */

    function _tcbInfo(Session memory session) private view returns (Verdict) {
        DocumentSlot memory slot = _collateral.documentUnder(session.host.fmspc, session.cap);
        if (slot.blob == address(0)) return Verdict.TcbInfoMissing;
        if (slot.until < block.timestamp) return Verdict.TcbInfoExpired;
        if (_isRevoked(session.fresh, slot.signer)) return Verdict.TcbSigningRevoked;
        session.tcb = CodeStore.read(slot.blob);
        if (bytes2(uint16(TcbBlob.word(session.tcb, 0) >> 208)) != session.host.pceId) return Verdict.TcbInfoPceId;
        (session.tcbNumber, session.tcbSigner) = (slot.evaluationNumber, slot.signer);
        (session.tcbUntil, session.tcbIssuedAt) = (slot.until, slot.issuedAt);
        return Verdict.Verified;
    }

    function _qeIdentity(Session memory session) private view returns (Verdict) {
        DocumentSlot memory slot = _collateral.documentUnder("TD_QE", session.cap);
        if (slot.blob == address(0)) return Verdict.QeIdentityMissing;
        if (slot.until < block.timestamp) return Verdict.QeIdentityExpired;
        if (_isRevoked(session.fresh, slot.signer)) return Verdict.TcbSigningRevoked;
        session.qe = CodeStore.read(slot.blob);
        Host memory host = session.host;
        (host.setEpoch, host.cap) = (session.fresh.setEpoch, session.cap);
        (host.qeNumber, host.qeDocumentSigner) = (slot.evaluationNumber, slot.signer);
        (host.qeIssuedAt, host.qeUntil) = (slot.issuedAt, slot.until);
        return Verdict.Verified;
    }

    /// @dev Whether the record's word on the QE identity still holds; then it need not be read.
    function _isQeKnown(Session memory session) private view returns (bool) {
        Host memory host = session.host;
        if (host.qeStatus == TcbStatus.None || host.setEpoch != session.fresh.setEpoch) return false;
        if (host.cap != session.cap || host.qeUntil < block.timestamp) return false;
        if (_isRevoked(session.fresh, host.qeDocumentSigner)) return false;
        session.qeLevel = LevelLib.pack(host.qeStatus, host.qeDate, 0, 0);
        return true;
    }

    /* QE REPORT */

    function _qeReport(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        Host memory host = session.host;
        bytes memory data = parts.data;
        uint256 pos = parts.qeReportAt;
        bytes32 digest = Digest.sha256Of(data, pos, 384);
        (uint256 r, uint256 s) = (TcbBlob.word(data, pos + 384), TcbBlob.word(data, pos + 416));
        if (!Digest.isSigned(_P256, digest, r, s, host.x, host.y)) return Verdict.QeReportSignature;
        if (_bound(parts) != bytes32(TcbBlob.word(data, pos + 320))) return Verdict.QeReportData;

        host.keyHash = Digest.keccakOf(data, parts.signatureAt + 64, 64);
        host.miscSelect = bytes4(bytes32(TcbBlob.word(data, pos + 16)));
        host.attributes = bytes16(bytes32(TcbBlob.word(data, pos + 48)));
        host.signer = bytes32(TcbBlob.word(data, pos + 128));
        host.product = _u16(data, pos + 256);
        host.svn = _u16(data, pos + 258);
        return Verdict.Verified;
    }

    /// @dev SHA-256 of attestation key and QE authentication data, which the QE report has to carry.
    function _bound(Parts memory parts) private view returns (bytes32) {
        bytes memory data = parts.data;
        bytes memory bound = new bytes(64 + parts.qeAuthLength);
        (uint256 keyAt, uint256 authAt, uint256 authLength) = (
            parts.signatureAt + 64,
            parts.qeAuthAt,
            parts.qeAuthLength
        );
        assembly ("memory-safe") {
            mcopy(add(bound, 32), add(add(data, 32), keyAt), 64)
            mcopy(add(bound, 96), add(add(data, 32), authAt), authLength)
        }
        return Digest.sha256Of(bound, 0, bound.length);
    }

    /// @dev Whether the quoting enclave is Intel's, and its level.
    function _qe(Session memory session) private pure returns (Verdict) {
        Host memory host = session.host;
        bytes memory qe = session.qe;
        uint256 head = TcbBlob.word(qe, 0);
        uint256 masks = TcbBlob.word(qe, 6);
        uint256 miscSelect = uint256(uint32(host.miscSelect));
        // hexadecimal text of the number, whose octets the report has in reverse order
        miscSelect =
            (miscSelect >> 24) |
            ((miscSelect >> 8) & 0xff00) |
            ((miscSelect << 8) & 0xff0000) |
            (miscSelect << 24);
        uint256 miscMask = uint32(masks >> 192);
        if (uint32(miscSelect) & miscMask != uint32(masks >> 224) & miscMask) return Verdict.QeMiscSelect;
        bytes16 attributesMask = bytes16(bytes32(TcbBlob.word(qe, 30)));
        bytes16 expected = bytes16(bytes32(TcbBlob.word(qe, 14)));
        if (host.attributes & attributesMask != expected & attributesMask) return Verdict.QeAttributes;
        if (host.signer != bytes32(TcbBlob.word(qe, 46))) return Verdict.QeSigner;
        if (host.product != uint16(head >> 208)) return Verdict.QeProduct;
        bool found;
        (found, session.qeLevel) = TcbEvaluation.isvLevel(qe, TcbBlob.QE_LEVELS, head >> 248, host.svn);
        if (!found) return Verdict.QeUnsupported;
        // a level with advisories has to be read each time
        bool isPlain = session.qeLevel.advisoryCount() == 0;
        host.qeStatus = isPlain ? session.qeLevel.status() : TcbStatus.None;
        host.qeDate = session.qeLevel.date();
        return Verdict.Verified;
    }

    /* THE QUOTE ITSELF */

    /// @dev The module must be signed by whom the identity of its major version names, and have no attributes.
    function _module(Session memory session, Parts memory parts) private pure returns (Verdict) {
        bytes memory data = parts.data;
        uint256 pos = parts.bodyAt;
        uint256 expectedAt = 6;
        uint256 major = uint8(TcbBlob.word(data, pos) >> 240);
        if (major != 0) {
            expectedAt = TcbEvaluation.moduleAt(session.tcb, major);
            if (expectedAt == 0) return Verdict.ModuleUnknown;
            expectedAt += 2;
        }
        if (TcbBlob.word(data, pos + 112) >> 192 != 0) return Verdict.ModuleAttributes;
        if (_moduleHash(parts) != bytes32(TcbBlob.word(session.tcb, expectedAt))) return Verdict.ModuleSigner;
        return Verdict.Verified;
    }

    function _signature(Parts memory parts, bytes32 keyHash) private view returns (Verdict) {
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

    /// @dev Of a TD that outlived an update of the module, both TCBs must be known; the launch decides.
    function _evaluate(
        Report memory report,
        Session memory session,
        Parts memory parts
    ) private pure returns (Verdict verdict) {
        Host memory host = session.host;
        (uint256 svn, uint256 svn2) = _svns(parts);
        Evaluation memory launch;
        (verdict, launch) = TcbEvaluation.evaluate(session.tcb, session.qeLevel, host.components, host.pceSvn, svn);
        if (verdict != Verdict.Verified) return verdict;

        TcbStatus current = launch.status;
        if (svn2 != svn) {
            Evaluation memory running;
            (verdict, running) = TcbEvaluation.evaluate(
                session.tcb,
                session.qeLevel,
                host.components,
                host.pceSvn,
                svn2
            );
            if (verdict != Verdict.Verified) return verdict;
            current = running.status;
        }
        report.launchStatus = launch.status;
        report.currentStatus = current;
        report.status = TcbEvaluation.relaunch(launch.status, current);
        report.tcbDate = uint64(launch.date);
        report.advisories = _advisories(session, launch);
    }

    /// @dev TEE_TCB_SVN and TEE_TCB_SVN2 as numbers; a TD report 1.0 has the first only.
    function _svns(Parts memory parts) private pure returns (uint256 svn, uint256 svn2) {
        svn = TcbBlob.word(parts.data, parts.bodyAt) >> 128;
        svn2 = parts.bodyType == 2 ? svn : TcbBlob.word(parts.data, parts.bodyAt + 584) >> 128;
    }

    function _advisories(
        Session memory session,
        Evaluation memory evaluation
    ) private pure returns (bytes32[] memory list) {
        uint256 count =
            evaluation.platform.advisoryCount() + evaluation.qe.advisoryCount() + evaluation.module.advisoryCount();
        list = new bytes32[](count);
        if (count == 0) return list;
        uint256 filled = TcbBlob.advisories(session.tcb, evaluation.platform, list, 0);
        filled = TcbBlob.advisories(session.qe, evaluation.qe, list, filled);
        TcbBlob.advisories(session.tcb, evaluation.module, list, filled);
    }

    function _fill(Report memory report, Session memory session, Parts memory parts) private pure {
        Host memory host = session.host;
        report.tcbEvaluationNumber = uint32(session.tcbNumber);
        report.qeEvaluationNumber = uint32(host.qeNumber);
        report.fmspc = host.fmspc;
        report.deviceId = sha256(abi.encodePacked(host.ppid));
        report.platformInstanceId = host.platformInstanceId;
        report.collateralIssuedAt = uint64(CollateralLib.min(session.tcbIssuedAt, host.qeIssuedAt));
        report.expiresAt = uint64(CollateralLib.min(host.notAfter, CollateralLib.min(session.tcbUntil, host.qeUntil)));
        _fillTd(report, session.fresh, host.ca, parts);
    }

    /// @dev What the quote says itself, and the dates of the CRLs.
    function _fillTd(Report memory report, Freshness memory fresh, Issuer ca, Parts memory parts) private pure {
        (uint256 until, uint256 hour) = ca == Issuer.PlatformCa
            ? (fresh.platformCrlUntil, fresh.platformCrlHour)
            : (fresh.processorCrlUntil, fresh.processorCrlHour);
        until = CollateralLib.min(until, fresh.rootCrlUntil);
        report.expiresAt = uint64(CollateralLib.min(report.expiresAt, until));
        report.collateralIssuedAt = uint64(CollateralLib.min(report.collateralIssuedAt, hour * 3600));
        report.version = uint8(parts.version);
        report.bodyType = uint8(parts.bodyType);
        report.quoteId = Digest.keccakOf(parts.data, parts.signedAt, parts.signedLength);
        report.td = _slice(parts.data, parts.bodyAt, parts.bodyLength);
    }

    /* A VERDICT THAT WAS REMEMBERED */

    /// @dev Answers with a remembered verdict; false when it is no longer good, and all has to be judged anew.
    function _recall(
        Report memory report,
        Parts memory parts,
        bytes memory record,
        uint256 cap
    ) private view returns (bool) {
        if (CodeStore.nameOf(record) != parts.record) return false;
        Freshness memory fresh = _collateral.freshness;
        Judgement memory judgement = VerdictRecord.unpack(record);
        if (!_isGood(judgement, fresh, _cap(fresh, cap), parts)) return false;
        report.verdict = _crlsInForce(fresh, judgement.ca);
        if (report.verdict == Verdict.Verified) report.verdict = _signature(parts, judgement.keyHash);
        if (report.verdict != Verdict.Verified) return true;
        report.status = judgement.status;
        report.launchStatus = judgement.launchStatus;
        report.currentStatus = judgement.currentStatus;
        report.tcbEvaluationNumber = uint32(judgement.tcbNumber);
        report.qeEvaluationNumber = uint32(judgement.qeNumber);
        report.tcbDate = uint64(judgement.tcbDate);
        report.fmspc = judgement.fmspc;
        report.deviceId = judgement.deviceId;
        report.platformInstanceId = judgement.platformInstanceId;
        report.advisories = judgement.advisories;
        report.collateralIssuedAt = uint64(judgement.issuedAt);
        report.expiresAt = uint64(judgement.until);
        _fillTd(report, fresh, judgement.ca, parts);
        return true;
    }

    /// @dev Nothing that the judgement rests on has changed or ended, and the quote is of the same module.
    function _isGood(
        Judgement memory judgement,
        Freshness memory fresh,
        uint256 cap,
        Parts memory parts
    ) private view returns (bool) {
        if (judgement.until < block.timestamp || judgement.cap != cap) return false;
        if (judgement.setEpoch != fresh.setEpoch || judgement.tcbEpoch != fresh.tcbEpoch) return false;
        if (judgement.caEpoch != fresh.caEpoch || judgement.signers & fresh.revoked != 0) return false;
        (uint256 svn, uint256 svn2) = _svns(parts);
        if (judgement.svns != (svn << 128) | svn2) return false;
        return judgement.moduleHash == _moduleHash(parts);
    }

    function _judgement(
        Report memory report,
        Session memory session,
        Parts memory parts,
        address host
    ) private pure returns (Judgement memory judgement) {
        Host memory from = session.host;
        judgement.status = report.status;
        judgement.launchStatus = report.launchStatus;
        judgement.currentStatus = report.currentStatus;
        judgement.ca = from.ca;
        judgement.tcbNumber = session.tcbNumber;
        judgement.qeNumber = from.qeNumber;
        judgement.signers = (4 << session.tcbSigner) | (4 << from.qeDocumentSigner);
        judgement.tcbDate = report.tcbDate;
        judgement.until = CollateralLib.min(from.notAfter, CollateralLib.min(session.tcbUntil, from.qeUntil));
        judgement.issuedAt = CollateralLib.min(session.tcbIssuedAt, from.qeIssuedAt);
        judgement.fmspc = from.fmspc;
        judgement.deviceId = report.deviceId;
        judgement.platformInstanceId = from.platformInstanceId;
        judgement.advisories = report.advisories;
        judgement.cap = session.cap;
        judgement.setEpoch = session.fresh.setEpoch;
        judgement.tcbEpoch = session.fresh.tcbEpoch;
        judgement.caEpoch = session.fresh.caEpoch;
        (uint256 svn, uint256 svn2) = _svns(parts);
        judgement.svns = (svn << 128) | svn2;
        judgement.keyHash = from.keyHash;
        judgement.moduleHash = _moduleHash(parts);
        judgement.host = host;
    }

    /// @dev keccak-256 of MRSIGNERSEAM ‖ SEAMATTRIBUTES.
    function _moduleHash(Parts memory parts) private pure returns (bytes32) {
        return Digest.keccakOf(parts.data, parts.bodyAt + 64, 56);
    }

    /* SMALL RULES */

    function _isRevoked(Freshness memory fresh, uint256 signer) private pure returns (bool) {
        return (fresh.revoked >> (2 + signer)) & 1 == 1;
    }

    function _u16(bytes memory data, uint256 pos) private pure returns (uint256) {
        uint256 head = TcbBlob.word(data, pos);
        return (head >> 248) | ((head >> 232) & 0xff00);
    }

    function _slice(bytes memory data, uint256 pos, uint256 length) private pure returns (bytes memory slice) {
        slice = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(slice, 32), add(add(data, 32), pos), length)
        }
    }
}

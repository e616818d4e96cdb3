// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Policy, PolicyLib} from "../types/Policy.sol";
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
import {Certificate, SgxExtension, X509} from "./X509.sol";

/// @notice Format, signature chain, TCB level, in this order; the collateral store is part of it.
contract QuoteVerifier is CollateralStore, IQuoteVerifier {
    /// @dev Every number: no standard number is known, or the caller wants the newest.
    uint256 private constant NO_CAP = 255;

    /// @dev All that one host's quotes have in common, once it is judged.
    struct Session {
        Freshness fresh;
        uint256 cap;
        Host host;
        /// @dev The attestation key, x ‖ y.
        bytes key;
        bytes tcb;
        uint256 tcbNumber;
        uint256 tcbSigner;
        uint256 documentsUntil;
        uint256 documentsIssuedAt;
        bytes qe;
        Level qeLevel;
    }

    constructor(bytes memory root, address p256_) CollateralStore(root, p256_) {}

    /// @inheritdoc IQuoteVerifier
    function verify(bytes calldata quote) external view returns (Report memory report) {
        (report, ) = _judge(quote, _standardCap());
    }

    /// @inheritdoc IQuoteVerifier
    function verifyUnder(bytes calldata quote, uint32 evaluationNumber) external view returns (Report memory report) {
        (report, ) = _judge(quote, CollateralLib.min(evaluationNumber, NO_CAP));
    }

    /// @inheritdoc IQuoteVerifier
    function attest(bytes calldata quote) external view returns (Report memory report) {
        (report, ) = _judge(quote, _standardCap());
        require(report.isVerified(), QuoteRejected(report.verdict));
        PolicyLib.standard().enforce(report);
    }

    /// @inheritdoc IQuoteVerifier
    function attestUnder(bytes calldata quote, Policy calldata policy) external view returns (Report memory report) {
        (report, ) = _judge(quote, _standardCap());
        require(report.isVerified(), QuoteRejected(report.verdict));
        Policy memory rules = policy;
        rules.enforce(report);
    }

    /// @inheritdoc IQuoteVerifier
    function verifyBatch(bytes calldata head, bytes[] calldata others) external view returns (Report[] memory reports) {
        reports = new Report[](1 + others.length);
        Session memory session;
        (reports[0], session) = _judge(head, _standardCap());
        for (uint256 i = 0; i < others.length; ++i) {
            // no host, no further quotes of it
            if (!reports[0].isVerified()) reports[i + 1].verdict = reports[0].verdict;
            else reports[i + 1] = _conclude(session, QuoteParser.parseSigned(others[i], session.key));
        }
    }

    /// @inheritdoc IQuoteVerifier
    function register(bytes calldata quote) external returns (Report memory report, address record) {
        Session memory session;
        (report, session) = _judge(quote, _standardCap());
        require(report.isVerified(), QuoteRejected(report.verdict));
        record = CodeStore.writeNamed(HostRecord.pack(session.host));

        emit HostRegistered(report.deviceId, record);
    }

    /* A QUOTE */

    function _judge(
        bytes memory quote,
        uint256 cap
    ) private view returns (Report memory report, Session memory session) {
        Parts memory parts = QuoteParser.parse(quote);
        session.cap = cap;
        session.fresh = _collateral.freshness;
        session.key = _slice(parts.data, parts.signatureAt + 64, 64);
        report.verdict = _open(session, parts);
        if (report.verdict == Verdict.Verified) report = _conclude(session, parts);
    }

    /// @dev Everything but the quote's own signature and TCB.
    function _open(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        verdict = _pck(session, parts);
        if (verdict != Verdict.Verified) return verdict;
        verdict = _tcbInfo(session);
        if (verdict != Verdict.Verified) return verdict;
        verdict = _qeIdentity(session);
        if (verdict != Verdict.Verified) return verdict;
        return _qeReport(session, parts);
    }

    function _conclude(Session memory session, Parts memory parts) private view returns (Report memory report) {
        Verdict verdict = _module(session, parts);
        if (verdict == Verdict.Verified) verdict = _signature(session, parts);
        if (verdict == Verdict.Verified) (verdict, report) = _evaluate(session, parts);
        report.verdict = verdict;
        if (verdict == Verdict.Verified) _fill(report, session, parts);
    }

    /* PCK CERTIFICATE AND CRLS */

    function _pck(Session memory session, Parts memory parts) private view returns (Verdict verdict) {
        verdict = _leaf(session, parts);
        if (verdict != Verdict.Verified) return verdict;

        Freshness memory fresh = session.fresh;
        Host memory host = session.host;
        if (fresh.rootCrlUntil == 0) return Verdict.RootCrlMissing;
        if (fresh.rootCrlUntil < block.timestamp) return Verdict.RootCrlExpired;
        bool platform = host.ca == Issuer.PlatformCa;
        if ((fresh.revoked >> (platform ? 0 : 1)) & 1 == 1) return Verdict.CaRevoked;
        uint256 until = platform ? fresh.platformCrlUntil : fresh.processorCrlUntil;
        if (until == 0) return Verdict.PckCrlMissing;
        if (until < block.timestamp) return Verdict.PckCrlExpired;
        CrlSlot memory list = _collateral.crls[host.ca];
        if (Crl.contains(list.serials, list.count, host.serial)) return Verdict.LeafRevoked;
        return Verdict.Verified;
    }

    function _leaf(Session memory session, Parts memory parts) private view returns (Verdict) {
        bytes memory der;
        uint256 pos;
        if (parts.form == QuoteForm.Raw) {
            (der, pos) = Pem.decode(parts.data, parts.chainAt, parts.chainAt + parts.chainLength);
        }
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
        uint256 notAfter = CollateralLib.min(leaf.notAfter, issuer.notAfter);
        if (block.timestamp < leaf.notBefore || notAfter < block.timestamp) return Verdict.LeafNotInForce;

        SgxExtension memory sgx = X509.sgxExtension(der, leaf);
        Host memory host = session.host;
        (host.x, host.y, host.serial, host.notAfter) = (leaf.x, leaf.y, leaf.serial, notAfter);
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
        session.tcbNumber = slot.evaluationNumber;
        session.tcbSigner = slot.signer;
        session.documentsUntil = slot.until;
        session.documentsIssuedAt = slot.issuedAt;
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
        return _qe(session);
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
        (host.qeStatus, host.qeDate) = (session.qeLevel.status(), session.qeLevel.date());
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
        if (Digest.keccakOf(data, pos + 64, 56) != bytes32(TcbBlob.word(session.tcb, expectedAt)))
            return Verdict.ModuleSigner;
        return Verdict.Verified;
    }

    function _signature(Session memory session, Parts memory parts) private view returns (Verdict) {
        bytes memory data = parts.data;
        uint256 pos = parts.signatureAt;
        if (Digest.keccakOf(data, pos + 64, 64) != session.host.keyHash) return Verdict.RecordUnknown;
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
        Session memory session,
        Parts memory parts
    ) private pure returns (Verdict verdict, Report memory report) {
        Host memory host = session.host;
        uint256 svn = TcbBlob.word(parts.data, parts.bodyAt) >> 128;
        Evaluation memory launch;
        (verdict, launch) = TcbEvaluation.evaluate(session.tcb, session.qeLevel, host.components, host.pceSvn, svn);
        if (verdict != Verdict.Verified) return (verdict, report);

        TcbStatus current = launch.status;
        if (parts.bodyType != 2) {
            uint256 svn2 = TcbBlob.word(parts.data, parts.bodyAt + 584) >> 128;
            if (svn2 != svn) {
                Evaluation memory now_;
                (verdict, now_) = TcbEvaluation.evaluate(
                    session.tcb,
                    session.qeLevel,
                    host.components,
                    host.pceSvn,
                    svn2
                );
                if (verdict != Verdict.Verified) return (verdict, report);
                current = now_.status;
            }
        }
        report.launchStatus = launch.status;
        report.currentStatus = current;
        report.status = TcbEvaluation.relaunch(launch.status, current);
        report.tcbDate = uint64(launch.date);
        report.advisories = _advisories(session, launch);
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

    function _fill(Report memory report, Session memory session, Parts memory parts) private view {
        Host memory host = session.host;
        Freshness memory fresh = session.fresh;
        bool platform = host.ca == Issuer.PlatformCa;
        report.version = uint8(parts.version);
        report.bodyType = uint8(parts.bodyType);
        report.tcbEvaluationNumber = uint32(session.tcbNumber);
        report.qeEvaluationNumber = uint32(host.qeNumber);
        uint256 crlIssuedAt = uint256(platform ? fresh.platformCrlHour : fresh.processorCrlHour) * 3600;
        report.collateralIssuedAt = uint64(
            CollateralLib.min(CollateralLib.min(session.documentsIssuedAt, host.qeIssuedAt), crlIssuedAt)
        );
        uint256 crlUntil = CollateralLib.min(
            fresh.rootCrlUntil,
            platform ? fresh.platformCrlUntil : fresh.processorCrlUntil
        );
        report.expiresAt = uint64(
            CollateralLib.min(
                CollateralLib.min(crlUntil, host.notAfter),
                CollateralLib.min(session.documentsUntil, host.qeUntil)
            )
        );
        report.fmspc = host.fmspc;
        report.deviceId = sha256(abi.encodePacked(host.ppid));
        report.platformInstanceId = host.platformInstanceId;
        report.quoteId = Digest.keccakOf(parts.data, parts.signedAt, parts.signedLength);
        report.td = _slice(parts.data, parts.bodyAt, parts.bodyLength);
    }

    /* SMALL RULES */

    function _standardCap() private view returns (uint256) {
        return block.timestamp <= _collateral.freshness.standardUntil ? _collateral.freshness.standard : NO_CAP;
    }

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

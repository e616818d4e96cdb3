// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "../records/CodeStore.sol";
import {Collateral, CollateralLib, IssuerRecord, IssuerSlot, NumbersSlot, Trust} from "./Collateral.sol";
import {CollateralJson, Document} from "./CollateralJson.sol";
import {Digest} from "../cryptography/Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {FreshnessLib, FreshnessSlot} from "./StorageSlots.sol";
import {QeIdentityTemplate} from "../evaluation/QeIdentityTemplate.sol";

/// @notice Takes Intel's JSON documents into the store. Deployed apart and linked: one account cannot hold all code.
library DocumentUpload {
    /// @dev How long the number before a new standard number counts for `settledEvaluationNumber`.
    uint256 private constant SETTLING = CollateralLib.SETTLING;

    /// @notice `ICollateralStore.uploadTcbInfo`.
    /// @param json exactly the bytes that Intel signed.
    /// @param r signature, first half.
    /// @param s signature, second half.
    function uploadTcbInfo(
        Collateral storage self,
        Trust memory trust,
        bytes calldata json,
        bytes32 r,
        bytes32 s
    ) external {
        bytes memory text = json;
        (uint256 signer, uint256 until) = _signer(self, trust, text, r, s);
        Document memory doc = CollateralJson.tcbInfo(text);
        // an FMSPC with these bytes would be taken for the QE identity
        require(doc.family != "TD_QE", ICollateralStore.JsonMalformed(0));
        bool changed = _store(self, doc, signer, until);
        if (changed) ++self.freshness.tcbEpoch;
    }

    /// @notice `ICollateralStore.uploadQeIdentity`; parameters as in `uploadTcbInfo`.
    function uploadQeIdentity(
        Collateral storage self,
        Trust memory trust,
        bytes calldata json,
        bytes32 r,
        bytes32 s
    ) external {
        bytes memory text = json;
        (uint256 signer, uint256 until) = _signer(self, trust, text, r, s);
        bool changed = _store(self, CollateralJson.qeIdentity(text), signer, until);
        if (changed) ++self.freshness.setEpoch;
    }

    /// @notice `ICollateralStore.uploadEvaluationNumbers`; parameters as in `uploadTcbInfo`.
    function uploadEvaluationNumbers(
        Collateral storage self,
        Trust memory trust,
        bytes calldata json,
        bytes32 r,
        bytes32 s
    ) external {
        bytes memory text = json;
        (uint256 signer, uint256 signerUntil) = _signer(self, trust, text, r, s);
        (Document memory list, uint256[] memory standards) = CollateralJson.evaluationNumbers(text);
        require(
            list.issuedAt >= self.numbers.issuedAt,
            ICollateralStore.CollateralNotNewer(self.numbers.issuedAt, list.issuedAt)
        );
        CollateralLib.requireDates(list.issuedAt, list.nextUpdate);
        // a list of long ago would name a number whose documents nobody can get
        require(block.timestamp <= list.nextUpdate, ICollateralStore.CollateralDates(list.issuedAt, list.nextUpdate));

        uint256 end = CollateralLib.min(list.nextUpdate, signerUntil);
        (uint256 standard, uint256 until) = _keepNumbers(self, standards, list.issuedAt, end);
        self.numbers.signer = uint8(signer);

        ICollateralStore.Freshness memory fresh = self.freshness;
        if (fresh.standard != standard) {
            ++fresh.setEpoch;
            ++fresh.tcbEpoch;
        }
        fresh.standard = uint8(standard);
        fresh.standardUntil = uint32(until);
        self.freshness = fresh;

        emit ICollateralStore.StandardStored(standard, list.issuedAt, until);
    }

    /// @notice `IQuoteVerifier.settledEvaluationNumber`.
    function settledEvaluationNumber(Collateral storage self) external view returns (uint32) {
        return _settled(self);
    }

    /// @dev The number that this store used a week ago. Between two lists it follows from the announced next number.
    function _settled(Collateral storage self) private view returns (uint8) {
        NumbersSlot memory numbers = self.numbers;
        uint256 time = block.timestamp - SETTLING;
        if (time < numbers.since) return numbers.previous;
        return numbers.nextFrom != 0 && time >= numbers.nextFrom ? numbers.next : self.freshness.standard;
    }

    /// @dev The standard number of the lists so far, in force or not, and since when this store has used it.
    /// @return number the standard evaluation number; 0 = no list was stored.
    /// @return since unix seconds.
    function _standard(Collateral storage self) private view returns (uint256 number, uint256 since) {
        NumbersSlot memory numbers = self.numbers;
        bool isNext = numbers.nextFrom != 0 && block.timestamp >= numbers.nextFrom;
        return isNext ? (numbers.next, numbers.nextFrom) : (self.freshness.standard, numbers.since);
    }

    /// @dev Keeps what the list says of the numbers after the standard one. What was settled until now stays so for a week
    /// after another number comes, for any earlier dates in the list: a list can come late.
    /// @return standard the standard number.
    /// @return until when it is, by this list.
    function _keepNumbers(
        Collateral storage self,
        uint256[] memory standards,
        uint256 issuedAt,
        uint256 end
    ) private returns (uint256 standard, uint256 until) {
        NumbersSlot memory numbers;
        (uint256 known, uint256 since) = _standard(self);
        (standard, until) = CollateralJson.standardAt(standards, block.timestamp);
        (numbers.issuedAt, numbers.previous) = (uint32(issuedAt), _settled(self));
        numbers.since = uint32(standard == known ? since : block.timestamp);
        if (until <= end) {
            (uint256 next, uint256 nextUntil) = CollateralJson.standardAt(standards, until);
            (numbers.next, numbers.nextFrom) = (uint8(next), uint32(until));
            numbers.nextUntil = uint32(CollateralLib.min(end, nextUntil - 1));
        }
        self.numbers = numbers;
        until = CollateralLib.min(end, until - 1);
    }

    /* DOCUMENTS */

    /// @dev Finds the TCB signing key that signed `text`; of several certificates for the same key, the one that lasts
    /// longest.
    /// @return signer counted from 0.
    /// @return until end of its certificate, unix seconds.
    function _signer(
        Collateral storage self,
        Trust memory trust,
        bytes memory text,
        bytes32 r,
        bytes32 s
    ) private view returns (uint256 signer, uint256 until) {
        FreshnessSlot fresh = FreshnessLib.load(self.freshness);
        bytes32 digest = Digest.sha256Of(text, 0, text.length);
        uint256 number = uint256(Issuer.TcbSigning);
        require(self.issuers[number].record != address(0), ICollateralStore.IssuerMissing(Issuer.TcbSigning));
        bool isRevoked;
        bool isSigned;
        for (; number != 0; number = self.issuers[number].next) {
            IssuerSlot storage slot = self.issuers[number];
            if (!_hasSigned(trust, slot.record, digest, r, s)) continue;
            isSigned = true;
            if (fresh.isRevoked(number)) isRevoked = true;
            else if (slot.notAfter > until) (signer, until) = (number - uint256(Issuer.TcbSigning), slot.notAfter);
        }
        require(isSigned, ICollateralStore.SignatureInvalid(Issuer.TcbSigning));
        require(until != 0 || !isRevoked, ICollateralStore.IssuerRevoked(Issuer.TcbSigning));
        require(block.timestamp <= until, ICollateralStore.IssuerUnfit(Issuer.TcbSigning));
    }

    /// @dev Whether the issuer at `pointer` signed the digest.
    /// @param pointer account with the issuer's certificates and key.
    /// @param digest SHA-256 of the signed text.
    function _hasSigned(
        Trust memory trust,
        address pointer,
        bytes32 digest,
        bytes32 r,
        bytes32 s
    ) private view returns (bool) {
        IssuerRecord memory record = CollateralLib.recordOf(pointer);
        return Digest.isSigned(trust.p256, digest, uint256(r), uint256(s), record.x, record.y);
    }

    /// @dev Stores a document if it is newer than the one with the same evaluation number.
    /// @param until end of the signer's certificate, unix seconds.
    /// @return whether a verdict can be another one than before, so that records must not be used.
    function _store(
        Collateral storage self,
        Document memory doc,
        uint256 signer,
        uint256 until
    ) private returns (bool) {
        CollateralLib.requireDates(doc.issuedAt, doc.nextUpdate);
        ICollateralStore.DocumentSlot memory newest = self.newest[doc.family];
        ICollateralStore.DocumentSlot memory held =
            doc.evaluationNumber == newest.evaluationNumber ? newest : self.older[doc.family][doc.evaluationNumber];
        until = CollateralLib.min(doc.nextUpdate, until);
        _requireNewer(self, doc, until, held);

        ICollateralStore.DocumentSlot memory slot;
        bool changed;
        (slot.blob, slot.levels, changed) = _content(doc, held);
        (slot.issuedAt, slot.until) = (uint32(doc.issuedAt), uint32(until));
        (slot.evaluationNumber, slot.signer) = (uint8(doc.evaluationNumber), uint8(signer));
        bool wasUsed = newest.blob != address(0);
        if (doc.evaluationNumber >= newest.evaluationNumber) {
            if (wasUsed && newest.evaluationNumber != doc.evaluationNumber) _keep(self, doc.family, newest);
            self.newest[doc.family] = slot;
        } else {
            _keep(self, doc.family, slot);
        }

        emit ICollateralStore.DocumentStored(doc.family, doc.evaluationNumber, doc.issuedAt, doc.nextUpdate, changed);
        // no record can depend on a family that had no document
        return changed && wasUsed;
    }

    /// @dev A document is newer if it was issued later, or if it is the same and lasts longer because its signer's
    /// certificate does. Any document replaces one whose signer is revoked.
    function _requireNewer(
        Collateral storage self,
        Document memory doc,
        uint256 until,
        ICollateralStore.DocumentSlot memory held
    ) private view {
        bool isNewer = doc.issuedAt > held.issuedAt || (doc.issuedAt == held.issuedAt && until > held.until);
        isNewer = isNewer || FreshnessLib.load(self.freshness).isSignerRevoked(held.signer);
        require(isNewer, ICollateralStore.CollateralNotNewer(held.issuedAt, doc.issuedAt));
    }

    /// @dev Stores the document without its dates, unless the stored content is equal.
    /// @return blob account with the content, or the levels themselves for a usual QE identity.
    /// @return levels number of levels in `blob`; 0 if `blob` is an account.
    /// @return changed whether the content is another one.
    function _content(
        Document memory doc,
        ICollateralStore.DocumentSlot memory held
    ) private returns (address blob, uint8 levels, bool changed) {
        if (doc.family == "TD_QE") {
            uint256 count;
            (blob, count) = QeIdentityTemplate.levelsOf(doc.blob);
            levels = uint8(count);
            if (levels != 0) return (blob, levels, blob != held.blob || levels != held.levels);
        }
        bool isHeld = held.levels == 0 && held.blob != address(0) && held.blob.codehash == CodeStore.codeHash(doc.blob);
        return isHeld ? (held.blob, 0, false) : (CodeStore.write(doc.blob), 0, true);
    }

    /// @dev Stores a document that is not the newest of its family.
    function _keep(Collateral storage self, bytes32 family, ICollateralStore.DocumentSlot memory slot) private {
        self.older[family][slot.evaluationNumber] = slot;
        self.held[family] |= 1 << slot.evaluationNumber;
    }
}

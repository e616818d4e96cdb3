// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "./CodeStore.sol";
import {Collateral, CollateralLib, IssuerRecord, Trust} from "./Collateral.sol";
import {CollateralJson, Document} from "./CollateralJson.sol";
import {Digest} from "./Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {UsualQeIdentity} from "./UsualQeIdentity.sol";

/// @notice Takes Intel's JSON documents into the store. Deployed apart and linked: one account cannot hold all code.
library DocumentUpload {
    function putTcbInfo(
        Collateral storage self,
        Trust memory trust,
        bytes calldata json,
        bytes32 r,
        bytes32 s
    ) external {
        bytes memory text = json;
        IssuerRecord memory signer = _signer(self, trust, text, r, s);
        bool changed = _store(self, CollateralJson.tcbInfo(text), signer);
        if (changed) ++self.freshness.tcbEpoch;
    }

    function putQeIdentity(
        Collateral storage self,
        Trust memory trust,
        bytes calldata json,
        bytes32 r,
        bytes32 s
    ) external {
        bytes memory text = json;
        IssuerRecord memory signer = _signer(self, trust, text, r, s);
        bool changed = _store(self, CollateralJson.qeIdentity(text), signer);
        if (changed) ++self.freshness.setEpoch;
    }

    function putEvaluationNumbers(
        Collateral storage self,
        Trust memory trust,
        bytes calldata json,
        bytes32 r,
        bytes32 s
    ) external {
        bytes memory text = json;
        IssuerRecord memory signer = _signer(self, trust, text, r, s);
        (Document memory list, uint256 changesAt) = CollateralJson.evaluationNumbers(text, block.timestamp);
        require(
            list.issuedAt >= self.numbersIssuedAt,
            ICollateralStore.CollateralNotNewer(self.numbersIssuedAt, list.issuedAt)
        );
        CollateralLib.requireDates(list.issuedAt, list.nextUpdate);

        uint256 until = CollateralLib.min(CollateralLib.min(list.nextUpdate, signer.notAfter), changesAt - 1);
        self.numbersIssuedAt = list.issuedAt;
        ICollateralStore.Freshness memory fresh = self.freshness;
        if (fresh.standard != list.evaluationNumber) {
            ++fresh.setEpoch;
            ++fresh.tcbEpoch;
        }
        fresh.standard = uint8(list.evaluationNumber);
        fresh.standardUntil = uint32(until);
        self.freshness = fresh;

        emit ICollateralStore.StandardStored(list.evaluationNumber, list.issuedAt, until);
    }

    /* DOCUMENTS */

    /// @dev The TCB signing certificate, after checking that its key has signed `text`.
    function _signer(
        Collateral storage self,
        Trust memory trust,
        bytes memory text,
        bytes32 r,
        bytes32 s
    ) private view returns (IssuerRecord memory signer) {
        signer = self.issuer(Issuer.TcbSigning);
        require(signer.x != 0, ICollateralStore.IssuerMissing(Issuer.TcbSigning));
        require(
            (self.freshness.revoked >> (2 + signer.generation)) & 1 == 0,
            ICollateralStore.IssuerRevoked(Issuer.TcbSigning)
        );
        require(block.timestamp <= signer.notAfter, ICollateralStore.IssuerUnfit(Issuer.TcbSigning));
        bytes32 digest = Digest.sha256Of(text, 0, text.length);
        trust.requireSigned(digest, uint256(r), uint256(s), Issuer.TcbSigning, signer.x, signer.y);
    }

    /// @dev Only newer replaces older, number by number. Returns whether a verdict may now be another one.
    function _store(Collateral storage self, Document memory doc, IssuerRecord memory signer) private returns (bool) {
        CollateralLib.requireDates(doc.issuedAt, doc.nextUpdate);
        ICollateralStore.DocumentSlot memory newest = self.newest[doc.family];
        bool isNewest = doc.evaluationNumber >= newest.evaluationNumber;
        ICollateralStore.DocumentSlot memory held =
            doc.evaluationNumber == newest.evaluationNumber ? newest : self.older[doc.family][doc.evaluationNumber];
        require(doc.issuedAt > held.issuedAt, ICollateralStore.CollateralNotNewer(held.issuedAt, doc.issuedAt));

        (address blob, uint256 levels, bool changed) = _content(doc, held);
        ICollateralStore.DocumentSlot memory slot = ICollateralStore.DocumentSlot({
            blob: blob,
            levels: uint8(levels),
            issuedAt: uint32(doc.issuedAt),
            until: uint32(CollateralLib.min(doc.nextUpdate, signer.notAfter)),
            evaluationNumber: uint8(doc.evaluationNumber),
            signer: uint8(signer.generation)
        });
        bool wasUsed = newest.blob != address(0);
        if (isNewest) {
            if (wasUsed && newest.evaluationNumber != doc.evaluationNumber) _keep(self, doc.family, newest);
            self.newest[doc.family] = slot;
        } else {
            _keep(self, doc.family, slot);
        }

        emit ICollateralStore.DocumentStored(doc.family, doc.evaluationNumber, doc.issuedAt, doc.nextUpdate, changed);
        // nothing can rest on the first document of a family
        return changed && wasUsed;
    }

    /// @dev Where all of the document but its dates is kept, and whether it is not what is held already.
    function _content(
        Document memory doc,
        ICollateralStore.DocumentSlot memory held
    ) private returns (address blob, uint256 levels, bool changed) {
        if (doc.family == "TD_QE") {
            (blob, levels) = UsualQeIdentity.levelsOf(doc.blob);
            if (levels != 0) return (blob, levels, blob != held.blob || levels != held.levels);
        }
        bool isHeld = held.levels == 0 && held.blob != address(0) && held.blob.codehash == CodeStore.codeHash(doc.blob);
        return isHeld ? (held.blob, 0, false) : (CodeStore.write(doc.blob), 0, true);
    }

    /// @dev Beside the newest one.
    function _keep(Collateral storage self, bytes32 family, ICollateralStore.DocumentSlot memory slot) private {
        self.older[family][slot.evaluationNumber] = slot;
        self.held[family] |= 1 << slot.evaluationNumber;
    }
}

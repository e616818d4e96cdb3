// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "../records/CodeStore.sol";
import {
    CertificateSlot,
    Collateral,
    CollateralLib,
    IssuerRecord,
    IssuerSlot,
    NumbersSlot,
    Trust
} from "./Collateral.sol";
import {Crl, RevocationList} from "../certificates/Crl.sol";
import {Digest} from "../cryptography/Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {Pem} from "../parsing/Pem.sol";
import {FreshnessLib, FreshnessSlot} from "./StorageSlots.sol";
import {Certificate, X509} from "../certificates/X509.sol";

/// @notice Uploads of certificates and CRLs. A linked library, because the store would be too large for one contract.
library IssuerUpload {
    /// @dev Numbers of issuers in `Collateral.issuers`: 1 and 2 the first CAs, 3 to 8 TCB signing keys, 9 to 16 further
    /// CAs.
    uint256 private constant FIRST_SIGNER = uint256(Issuer.TcbSigning);
    /// @dev Lowest number of a further CA.
    uint256 private constant FIRST_FURTHER_CA = CollateralLib.FIRST_FURTHER_CA;
    /// @dev Highest number of an issuer.
    uint256 private constant LAST = 16;

    /// @notice `ICollateralStore.uploadIssuer`.
    /// @param chain PEM: the certificate, then the root.
    function uploadIssuer(Collateral storage self, Trust memory trust, bytes calldata chain) external {
        bytes memory text = chain;
        (Certificate memory certificate, uint256 notAfter, bytes32 textHash) = _underRoot(trust, text);
        Issuer task = _taskNamed(certificate.commonName);
        _requireFit(task, certificate, notAfter);

        uint256 number = _numberOf(self, task, certificate);
        CertificateSlot memory slot = CertificateSlot({
            serial: uint160(certificate.serial),
            notBefore: uint40(certificate.notBefore),
            notAfter: uint40(notAfter),
            issuer: uint8(number)
        });
        bool isKnown = self.chains[textHash].issuer != 0;
        require(!isKnown, ICollateralStore.CollateralNotNewer(slot.notBefore, slot.notBefore));
        self.chains[textHash] = slot;
        _addCertificate(self, number, slot);
        self.freshness.revoked = _settle(self);

        emit ICollateralStore.IssuerStored(task, certificate.serial, certificate.notBefore, notAfter);
    }

    /// @notice `ICollateralStore.uploadCrl`.
    /// @param der the CRL.
    function uploadCrl(Collateral storage self, Trust memory trust, bytes calldata der) external {
        RevocationList memory list = Crl.parse(der);
        (Issuer task, uint256 number) = _crlIssuer(self, trust, list);
        ICollateralStore.CrlSlot memory held = self.crls[number];
        uint256 until = CollateralLib.min(
            list.nextUpdate,
            number == 0 ? trust.notAfter : self.issuers[number].notAfter
        );
        // the same list lasts longer after its issuer got a longer certificate
        require(
            list.thisUpdate > held.thisUpdate || (list.thisUpdate == held.thisUpdate && until > held.until),
            ICollateralStore.CollateralNotNewer(held.thisUpdate, list.thisUpdate)
        );
        CollateralLib.requireDates(list.thisUpdate, list.nextUpdate);

        bytes32 listed = keccak256(list.serials);
        bool changed = held.thisUpdate == 0 || listed != self.listed[number];
        if (changed) {
            self.listed[number] = listed;
            held.serials = CodeStore.write(Crl.sorted(list.serials));
            held.count = uint16(list.serials.length / 20);
        }
        held.thisUpdate = uint40(list.thisUpdate);
        held.until = uint32(until);
        self.crls[number] = held;
        _freshenCrl(self, number, held, changed);

        emit ICollateralStore.CrlStored(task, list.thisUpdate, list.nextUpdate, held.count, changed);
    }

    /// @notice `ICollateralStore.issuerValidity`.
    /// @param number number of the issuer.
    /// @return notBefore unix seconds.
    /// @return notAfter unix seconds: the last valid second.
    function validity(
        Collateral storage self,
        uint256 number
    ) external view returns (uint256 notBefore, uint256 notAfter) {
        FreshnessSlot fresh = FreshnessLib.load(self.freshness);
        for (; number != 0; number = self.issuers[number].next) {
            IssuerSlot storage slot = self.issuers[number];
            if (slot.notAfter <= notAfter || fresh.isRevoked(number)) continue;
            (notBefore, notAfter) = (slot.notBefore, slot.notAfter);
        }
    }

    /* CERTIFICATES */

    /// @dev The task of an issuer, by its common name. Reverts with `IssuerUnexpected`.
    function _taskNamed(bytes32 commonName) private pure returns (Issuer task) {
        task = commonName == "Intel SGX TCB Signing" ? Issuer.TcbSigning : CollateralLib.caNamed(commonName);
        require(task != Issuer.Root, ICollateralStore.IssuerUnexpected(commonName));
    }

    /// @dev Parses certificate and root, and checks both signatures with the pinned key. A root certificate in the
    /// upload is never trusted by itself: name and key could be copied into another certificate.
    /// @return certificate the first certificate.
    /// @return notAfter the earlier end of both.
    /// @return textHash keccak-256 of the text up to the end of the root.
    function _underRoot(
        Trust memory trust,
        bytes memory text
    ) private view returns (Certificate memory certificate, uint256 notAfter, bytes32 textHash) {
        (bytes memory der, uint256 end) = Pem.decode(text, 0, text.length);
        certificate = X509.parse(der);
        require(end < text.length && text[end] == "\n", Pem.PemMalformed(end));
        (der, end) = Pem.decode(text, end + 1, text.length);
        for (uint256 i = end; i < text.length; ++i) {
            require(text[i] == "\n" || text[i] == 0, Pem.PemMalformed(i));
        }
        Certificate memory root = X509.parse(der);
        bool isRoot = root.x == trust.x && root.y == trust.y && root.subject == trust.name;
        isRoot = isRoot && root.issuer == trust.name && root.isAuthority && certificate.issuer == trust.name;
        require(isRoot, ICollateralStore.RootUntrusted());
        // anyone can put the root's name and key into another certificate, so its signature is checked too
        trust.requireSigned(root.digest, root.r, root.s, Issuer.Root, trust.x, trust.y);
        trust.requireSigned(certificate.digest, certificate.r, certificate.s, Issuer.Root, trust.x, trust.y);
        require(
            root.notBefore <= block.timestamp && block.timestamp <= root.notAfter,
            ICollateralStore.IssuerUnfit(Issuer.Root)
        );
        notAfter = CollateralLib.min(certificate.notAfter, root.notAfter);
        textHash = Digest.keccakOf(text, 0, end);
    }

    /// @dev A CA must be able to sign certificates and CRLs, a signer of documents must not be a CA, and either must be
    /// valid now (RFC 5280 §4.2.1.3, §4.2.1.9).
    function _requireFit(Issuer task, Certificate memory certificate, uint256 notAfter) private view {
        uint256 needed = task == Issuer.TcbSigning ? X509.DIGITAL_SIGNATURE : X509.KEY_CERT_SIGN | X509.CRL_SIGN;
        require(certificate.keyUsage & needed == needed, ICollateralStore.IssuerUnfit(task));
        require(certificate.isAuthority == (task != Issuer.TcbSigning), ICollateralStore.IssuerUnfit(task));
        require(
            certificate.notBefore <= block.timestamp && block.timestamp <= notAfter,
            ICollateralStore.IssuerUnfit(task)
        );
    }

    /// @dev The number of the issuer with this task, key and name; a new number for a new issuer. For signers of
    /// documents the serial number counts too, because a document ends with the certificate under which it came.
    function _numberOf(
        Collateral storage self,
        Issuer task,
        Certificate memory certificate
    ) private returns (uint256 number) {
        number = uint256(task);
        uint256 last;
        while (self.issuers[number].record != address(0)) {
            IssuerRecord memory record = CollateralLib.recordOf(self.issuers[number].record);
            bool isSame = record.x == certificate.x && record.y == certificate.y && record.name == certificate.subject;
            isSame = isSame && (task != Issuer.TcbSigning || _serialOf(self, number) == certificate.serial);
            if (isSame) return number;
            last = number;
            number = self.issuers[number].next;
            if (number == 0) number = _freeNumber(self, task);
        }
        if (last != 0) self.issuers[last].next = uint8(number);
        self.issuers[number].record = CodeStore.write(
            abi.encode(IssuerRecord(certificate.x, certificate.y, certificate.subject))
        );
    }

    /// @dev Serial number of the issuer's first certificate.
    function _serialOf(Collateral storage self, uint256 number) private view returns (uint256) {
        return self.certificates[number][0].serial;
    }

    /// @dev A number that no issuer has. Reverts with `TooManySigners`.
    function _freeNumber(Collateral storage self, Issuer task) private view returns (uint256 number) {
        bool isSigner = task == Issuer.TcbSigning;
        number = isSigner ? FIRST_SIGNER : FIRST_FURTHER_CA;
        uint256 last = isSigner ? FIRST_FURTHER_CA - 1 : LAST;
        while (number <= last && self.issuers[number].record != address(0)) ++number;
        require(number <= last, ICollateralStore.TooManySigners());
    }

    /// @dev Adds the certificate to its issuer, unless it is there already in another text form.
    function _addCertificate(Collateral storage self, uint256 number, CertificateSlot memory slot) private {
        CertificateSlot[] storage known = self.certificates[number];
        for (uint256 i = 0; i < known.length; ++i) {
            CertificateSlot memory other = known[i];
            bool isSame = other.serial == slot.serial;
            if (isSame && other.notBefore == slot.notBefore && other.notAfter == slot.notAfter) return;
        }
        known.push(slot);
    }

    /// @dev Finds for each issuer the certificate that counts under the stored root CRL.
    /// @return revoked bits of the issuers whose certificates are all revoked: `Freshness.revoked`.
    function _settle(Collateral storage self) private returns (uint16 revoked) {
        ICollateralStore.CrlSlot memory list = self.crls[0];
        for (uint256 task = 1; task <= FIRST_SIGNER; ++task) {
            for (uint256 number = task; number != 0; number = self.issuers[number].next) {
                if (_settleOne(self, number, list)) revoked |= uint16(1 << (number - 1));
            }
        }
    }

    /// @dev For one issuer: of the certificates that are not revoked, the one that lasts longest.
    /// @return isRevoked true if all are revoked.
    function _settleOne(
        Collateral storage self,
        uint256 number,
        ICollateralStore.CrlSlot memory list
    ) private returns (bool isRevoked) {
        CertificateSlot[] storage known = self.certificates[number];
        uint256 length = known.length;
        CertificateSlot memory best;
        for (uint256 i = 0; i < length; ++i) {
            CertificateSlot memory slot = known[i];
            bool isListed = list.count != 0 && Crl.contains(list.serials, list.count, slot.serial);
            if (!isListed && slot.notAfter > best.notAfter) best = slot;
        }
        if (best.notAfter == 0) return length != 0;
        IssuerSlot storage issuer = self.issuers[number];
        if (issuer.notAfter == best.notAfter && issuer.notBefore == best.notBefore) return false;
        (issuer.notBefore, issuer.notAfter) = (best.notBefore, best.notAfter);
    }

    /* CRLS */

    /// @dev Finds the issuer of a CRL by name and signature.
    function _crlIssuer(
        Collateral storage self,
        Trust memory trust,
        RevocationList memory list
    ) private view returns (Issuer task, uint256 number) {
        if (list.issuer == trust.name) {
            trust.requireSigned(list.digest, list.r, list.s, Issuer.Root, trust.x, trust.y);
            return (Issuer.Root, 0);
        }
        task = CollateralLib.caNamed(list.issuerCommonName);
        require(task != Issuer.Root, ICollateralStore.IssuerUnexpected(list.issuerCommonName));
        number = uint256(task);
        require(self.issuers[number].record != address(0), ICollateralStore.IssuerMissing(task));
        bool isNamed;
        for (; number != 0; number = self.issuers[number].next) {
            IssuerRecord memory ca = CollateralLib.recordOf(self.issuers[number].record);
            if (ca.name != list.issuer) continue;
            isNamed = true;
            if (Digest.isSigned(trust.p256, list.digest, list.r, list.s, ca.x, ca.y)) return (task, number);
        }
        require(isNamed, ICollateralStore.IssuerUnexpected(list.issuerCommonName));
        revert ICollateralStore.SignatureInvalid(task);
    }

    /// @dev Updates the slot that every verification reads. A changed set of serial numbers begins a new epoch, so that
    /// records do not hide a new revocation.
    function _freshenCrl(
        Collateral storage self,
        uint256 number,
        ICollateralStore.CrlSlot memory list,
        bool changed
    ) private {
        ICollateralStore.Freshness memory fresh = self.freshness;
        if (number == 0) {
            fresh.rootCrlUntil = list.until;
            fresh.revoked = _settle(self);
            if (_forgetNumbers(self, fresh.revoked)) fresh.standardUntil = 0;
        } else {
            uint24 hour = uint24(list.thisUpdate / 3600);
            if (number == uint256(Issuer.PlatformCa)) {
                (fresh.platformCrlUntil, fresh.platformCrlHour) = (list.until, hour);
            } else if (number == uint256(Issuer.ProcessorCa)) {
                (fresh.processorCrlUntil, fresh.processorCrlHour) = (list.until, hour);
            }
            if (changed) ++fresh.setEpoch;
        }
        self.freshness = fresh;
    }

    /// @dev Deletes the list of evaluation numbers if its signer is revoked.
    function _forgetNumbers(Collateral storage self, uint256 revoked) private returns (bool) {
        NumbersSlot storage numbers = self.numbers;
        bool isRevoked = numbers.issuedAt != 0 && (revoked >> (FIRST_SIGNER - 1 + numbers.signer)) & 1 == 1;
        if (isRevoked) delete self.numbers;
        return isRevoked;
    }
}

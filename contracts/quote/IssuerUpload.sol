// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CodeStore} from "./CodeStore.sol";
import {Collateral, CollateralLib, IssuerRecord, IssuerSlot, Trust} from "./Collateral.sol";
import {Crl, RevocationList} from "./Crl.sol";
import {Digest} from "./Digest.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {Pem} from "./Pem.sol";
import {Certificate, X509} from "./X509.sol";

/// @notice Takes certificates and CRLs into the store. Deployed apart and linked: one account cannot hold all code.
library IssuerUpload {
    /// @dev As many bits as `Freshness.revoked` has for them.
    uint256 private constant MAX_SIGNERS = 6;

    function putIssuer(Collateral storage self, Trust memory trust, bytes calldata chain) external {
        bytes memory text = chain;
        (bytes memory der, uint256 pos) = Pem.decode(text, 0, text.length);
        Certificate memory certificate = X509.parse(der);
        Issuer issuer = _issuerNamed(certificate.commonName);
        (IssuerRecord memory record, uint256 end) = _underRoot(trust, text, pos, certificate);
        _requireFit(issuer, certificate, record.notAfter);
        IssuerSlot memory held = self.issuers[issuer];
        require(
            certificate.notBefore > held.notBefore,
            ICollateralStore.CollateralNotNewer(held.notBefore, certificate.notBefore)
        );

        record.chainHash = Digest.keccakOf(text, 0, end);
        record.chainLength = end;
        _replaceIssuer(self, issuer, held, record);
        self.issuers[issuer].notBefore = uint40(certificate.notBefore);
        self.freshness.revoked = _revokedIssuers(self);

        emit ICollateralStore.IssuerStored(issuer, certificate.serial, certificate.notBefore, record.notAfter);
    }

    function putCrl(Collateral storage self, Trust memory trust, bytes calldata der) external {
        RevocationList memory list = Crl.parse(der);
        Issuer issuer = _crlIssuer(self, trust, list);
        ICollateralStore.CrlSlot memory held = self.crls[issuer];
        require(
            list.thisUpdate > held.thisUpdate,
            ICollateralStore.CollateralNotNewer(held.thisUpdate, list.thisUpdate)
        );
        CollateralLib.requireDates(list.thisUpdate, list.nextUpdate);

        bytes32 listed = keccak256(list.serials);
        bool changed = held.thisUpdate == 0 || listed != self.listed[issuer];
        if (changed) {
            self.listed[issuer] = listed;
            held.serials = CodeStore.write(Crl.sorted(list.serials));
            held.count = uint16(list.serials.length / 20);
        }
        held.thisUpdate = uint40(list.thisUpdate);
        self.crls[issuer] = held;
        _freshenCrl(self, trust, issuer, list, changed);

        emit ICollateralStore.CrlStored(issuer, list.thisUpdate, list.nextUpdate, held.count, changed);
    }

    /* CERTIFICATES */

    function _issuerNamed(bytes32 commonName) private pure returns (Issuer issuer) {
        issuer = commonName == "Intel SGX TCB Signing" ? Issuer.TcbSigning : CollateralLib.caNamed(commonName);
        require(issuer != Issuer.Root, ICollateralStore.IssuerUnexpected(commonName));
    }

    /// @dev The second certificate of the chain must have the pinned key, and must have signed the first.
    function _underRoot(
        Trust memory trust,
        bytes memory text,
        uint256 pos,
        Certificate memory certificate
    ) private view returns (IssuerRecord memory record, uint256 end) {
        require(pos < text.length && text[pos] == "\n", Pem.PemMalformed(pos));
        bytes memory der;
        (der, end) = Pem.decode(text, pos + 1, text.length);
        for (uint256 i = end; i < text.length; ++i) {
            require(text[i] == "\n" || text[i] == 0, Pem.PemMalformed(i));
        }
        Certificate memory root = X509.parse(der);
        require(root.x == trust.x && root.y == trust.y && root.subject == trust.name, ICollateralStore.RootUntrusted());
        require(certificate.issuer == trust.name, ICollateralStore.RootUntrusted());
        trust.requireSigned(certificate.digest, certificate.r, certificate.s, Issuer.Root, trust.x, trust.y);

        record.x = certificate.x;
        record.y = certificate.y;
        record.name = certificate.subject;
        record.serial = certificate.serial;
        record.notAfter = CollateralLib.min(certificate.notAfter, root.notAfter);
    }

    function _requireFit(Issuer issuer, Certificate memory certificate, uint256 notAfter) private view {
        uint256 needed = issuer == Issuer.TcbSigning ? X509.DIGITAL_SIGNATURE : X509.KEY_CERT_SIGN | X509.CRL_SIGN;
        require(certificate.keyUsage & needed == needed, ICollateralStore.IssuerUnfit(issuer));
        require(certificate.isAuthority == (issuer != Issuer.TcbSigning), ICollateralStore.IssuerUnfit(issuer));
        require(
            certificate.notBefore <= block.timestamp && block.timestamp <= notAfter,
            ICollateralStore.IssuerUnfit(issuer)
        );
    }

    function _replaceIssuer(
        Collateral storage self,
        Issuer issuer,
        IssuerSlot memory held,
        IssuerRecord memory record
    ) private {
        bool renewed = held.record != address(0) && self.issuer(issuer).serial == record.serial;
        if (issuer == Issuer.TcbSigning) {
            if (!renewed) {
                require(self.signerSerials.length < MAX_SIGNERS, ICollateralStore.TooManySigners());
                self.signerSerials.push(record.serial);
            }
            record.generation = self.signerSerials.length - 1;
        } else if (!renewed && held.record != address(0)) {
            ++self.freshness.caEpoch;
        }
        self.issuers[issuer].record = CodeStore.write(abi.encode(record));
        self.issuers[issuer].notAfter = uint40(record.notAfter);
    }

    /// @dev `Freshness.revoked`, from the root CRL that is held.
    function _revokedIssuers(Collateral storage self) private view returns (uint8) {
        ICollateralStore.CrlSlot memory root = self.crls[Issuer.Root];
        if (root.count == 0) return 0;
        uint256 revoked;
        for (uint256 i = 0; i < 2; ++i) {
            IssuerRecord memory ca = self.issuer(Issuer(uint8(Issuer.PlatformCa) + i));
            if (ca.serial != 0 && Crl.contains(root.serials, root.count, ca.serial)) revoked |= 1 << i;
        }
        for (uint256 i = 0; i < self.signerSerials.length; ++i) {
            if (Crl.contains(root.serials, root.count, self.signerSerials[i])) revoked |= 4 << i;
        }
        return uint8(revoked);
    }

    /* CRLS */

    /// @dev Finds by its name who has signed the list, and checks that he has.
    function _crlIssuer(
        Collateral storage self,
        Trust memory trust,
        RevocationList memory list
    ) private view returns (Issuer issuer) {
        if (list.issuer == trust.name) {
            trust.requireSigned(list.digest, list.r, list.s, Issuer.Root, trust.x, trust.y);
            return Issuer.Root;
        }
        issuer = CollateralLib.caNamed(list.issuerCommonName);
        require(issuer != Issuer.Root, ICollateralStore.IssuerUnexpected(list.issuerCommonName));
        IssuerRecord memory ca = self.issuer(issuer);
        require(ca.x != 0, ICollateralStore.IssuerMissing(issuer));
        require(ca.name == list.issuer, ICollateralStore.IssuerUnexpected(list.issuerCommonName));
        trust.requireSigned(list.digest, list.r, list.s, issuer, ca.x, ca.y);
    }

    function _freshenCrl(
        Collateral storage self,
        Trust memory trust,
        Issuer issuer,
        RevocationList memory list,
        bool changed
    ) private {
        ICollateralStore.Freshness memory fresh = self.freshness;
        if (issuer == Issuer.Root) {
            fresh.rootCrlUntil = uint32(CollateralLib.min(list.nextUpdate, trust.notAfter));
            fresh.revoked = _revokedIssuers(self);
        } else {
            uint256 until = CollateralLib.min(list.nextUpdate, self.issuers[issuer].notAfter);
            uint256 hour = list.thisUpdate / 3600;
            if (issuer == Issuer.PlatformCa) {
                (fresh.platformCrlUntil, fresh.platformCrlHour) = (uint32(until), uint24(hour));
            } else {
                (fresh.processorCrlUntil, fresh.processorCrlHour) = (uint32(until), uint24(hour));
            }
            if (changed) ++fresh.setEpoch;
        }
        self.freshness = fresh;
    }
}

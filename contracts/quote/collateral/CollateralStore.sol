// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CertificateSlot, Collateral, Trust} from "./Collateral.sol";
import {Digest} from "../cryptography/Digest.sol";
import {DocumentUpload} from "./DocumentUpload.sol";
import {ICollateralStore, Issuer} from "./ICollateralStore.sol";
import {IssuerUpload} from "./IssuerUpload.sol";
import {Certificate, X509} from "../certificates/X509.sol";

/// @notice Stores collateral that Intel signed. Anyone can upload it: only signatures under the pinned root key decide.
/// No account can remove or replace a document.
/// @dev The quote verifier derives from it, so that reading collateral needs no external call. The code of the uploads
/// is in two libraries that run in the storage of this contract, because one contract would exceed the size limit
/// (EIP-170).
abstract contract CollateralStore is ICollateralStore {
    /// @dev P-256 precompile or contract.
    address internal immutable _P256;
    /// @dev Public key of the root certificate, pinned at deployment.
    uint256 private immutable _ROOT_X;
    /// @dev Its second coordinate.
    uint256 private immutable _ROOT_Y;
    /// @dev keccak-256 of the root's name in DER.
    bytes32 private immutable _ROOT_NAME;
    /// @dev End of the root certificate, unix seconds.
    uint256 private immutable _ROOT_NOT_AFTER;

    /// @dev All state of the store.
    Collateral internal _collateral;

    /// @dev Reverts with `P256Unusable`, `IssuerUnfit`, `SignatureInvalid`.
    /// @param root the root certificate in DER. Its key is pinned for all collateral.
    /// @param p256_ 0x100 on chains with the precompile, else a contract with the same interface.
    constructor(bytes memory root, address p256_) {
        Digest.requireUsable(p256_);
        Certificate memory certificate = X509.parse(root);
        require(certificate.isAuthority && certificate.issuer == certificate.subject, IssuerUnfit(Issuer.Root));
        _P256 = p256_;
        _ROOT_X = certificate.x;
        _ROOT_Y = certificate.y;
        _ROOT_NAME = certificate.subject;
        _ROOT_NOT_AFTER = certificate.notAfter;
        _trust().requireSigned(
            certificate.digest,
            certificate.r,
            certificate.s,
            Issuer.Root,
            certificate.x,
            certificate.y
        );
    }

    /* UPLOADS */

    /// @inheritdoc ICollateralStore
    function uploadIssuer(bytes calldata chain) external {
        IssuerUpload.uploadIssuer(_collateral, _trust(), chain);
    }

    /// @inheritdoc ICollateralStore
    function uploadCrl(bytes calldata der) external {
        IssuerUpload.uploadCrl(_collateral, _trust(), der);
    }

    /// @inheritdoc ICollateralStore
    function uploadTcbInfo(bytes calldata json, bytes32 r, bytes32 s) external {
        DocumentUpload.uploadTcbInfo(_collateral, _trust(), json, r, s);
    }

    /// @inheritdoc ICollateralStore
    function uploadQeIdentity(bytes calldata json, bytes32 r, bytes32 s) external {
        DocumentUpload.uploadQeIdentity(_collateral, _trust(), json, r, s);
    }

    /// @inheritdoc ICollateralStore
    function uploadEvaluationNumbers(bytes calldata json, bytes32 r, bytes32 s) external {
        DocumentUpload.uploadEvaluationNumbers(_collateral, _trust(), json, r, s);
    }

    /* VIEWS */

    /// @inheritdoc ICollateralStore
    function rootKey() external view returns (uint256 x, uint256 y) {
        return (_ROOT_X, _ROOT_Y);
    }

    /// @inheritdoc ICollateralStore
    function p256() external view returns (address) {
        return _P256;
    }

    /// @inheritdoc ICollateralStore
    function freshness() external view returns (Freshness memory) {
        return _collateral.freshness;
    }

    /// @inheritdoc ICollateralStore
    function crl(uint8 issuer) external view returns (CrlSlot memory) {
        return _collateral.crls[issuer];
    }

    /// @inheritdoc ICollateralStore
    function listed(uint8 issuer) external view returns (bytes32) {
        return _collateral.listed[issuer];
    }

    /// @inheritdoc ICollateralStore
    function issuerValidity(uint8 issuer) external view returns (uint256 notBefore, uint256 notAfter) {
        return IssuerUpload.validity(_collateral, issuer);
    }

    /// @inheritdoc ICollateralStore
    function chainOf(
        bytes32 textHash
    ) external view returns (uint8 issuer, uint160 serial, uint40 notBefore, uint40 notAfter) {
        CertificateSlot storage slot = _collateral.chains[textHash];
        return (slot.issuer, slot.serial, slot.notBefore, slot.notAfter);
    }

    /// @inheritdoc ICollateralStore
    function document(bytes32 family, uint256 evaluationNumber) external view returns (DocumentSlot memory) {
        DocumentSlot memory newest = _collateral.newest[family];
        return newest.evaluationNumber == evaluationNumber ? newest : _collateral.older[family][evaluationNumber];
    }

    /// @inheritdoc ICollateralStore
    function heldNumbers(bytes32 family) external view returns (uint256) {
        DocumentSlot memory newest = _collateral.newest[family];
        if (newest.blob == address(0)) return 0;
        return _collateral.held[family] | (1 << newest.evaluationNumber);
    }

    /// @inheritdoc ICollateralStore
    function evaluationNumbersIssuedAt() external view returns (uint256) {
        return _collateral.numbers.issuedAt;
    }

    /// @dev The immutables in the form that the libraries take.
    function _trust() private view returns (Trust memory) {
        return Trust(_P256, _ROOT_X, _ROOT_Y, _ROOT_NAME, _ROOT_NOT_AFTER);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {IInstances} from "../../contracts/instances/IInstances.sol";
import {IBootLog, Instances} from "../../contracts/instances/Instances.sol";
import {BootLog} from "../../contracts/quote/eventlog/BootLog.sol";
import {RuntimeEvent} from "../../contracts/quote/eventlog/EventLog.sol";
import {IQuoteVerifier} from "../../contracts/quote/IQuoteVerifier.sol";
import {Hosts} from "../../contracts/registry/Hosts.sol";
import {IHosts} from "../../contracts/registry/IHosts.sol";
import {IImages} from "../../contracts/registry/IImages.sol";
import {Images} from "../../contracts/registry/Images.sol";
import {KmsMeasurement} from "../../contracts/registry/KmsMeasurement.sol";
import {RootKeys} from "../../contracts/registry/RootKeys.sol";
import {AcceptingVerifier} from "../../contracts/test/AcceptingVerifier.sol";
import {Bytes48} from "../../contracts/types/Bytes48.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {Report, TcbStatus, Verdict} from "../../contracts/types/Report.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {KmsAuthFixture} from "./KmsAuth.t.sol";

/// @notice Real registries, one host, one app with one release, one approved root key, and keys of instances.
abstract contract InstancesFixture is KmsAuthFixture {
    uint40 internal constant NEVER = type(uint40).max;
    /// @dev The private key 1: its public key is the generator, so that the test knows it without arithmetic.
    uint256 internal constant ROOT_KEY = 1;
    uint256 internal constant ROOT_X = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;
    uint256 internal constant ROOT_Y = 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8;
    /// @dev What the KMS derives for the app and its first epoch.
    uint256 internal constant SIGNER_KEY = 0x51;
    uint256 internal constant INSTANCE_KEY = 0xA1;
    uint256 internal constant OTHER_KEY = 0xA2;
    bytes32 internal constant DIGEST = keccak256("what an instance says");
    address internal constant INSTANCE_ID = address(0x1D);
    bytes internal ca = bytes.concat(hex"3059", new bytes(89));
    bytes internal k256 = abi.encodePacked(uint8(2), ROOT_X);

    AcceptingVerifier internal verifier = new AcceptingVerifier();
    IBootLog internal bootLog = IBootLog(address(new BootLog(IQuoteVerifier(address(verifier)))));
    Hosts internal hosts;
    Images internal images;
    RootKeys internal keys;
    Instances internal instances;
    bytes32 internal rootKey;
    uint256 internal number = 1_000;

    function setUp() public virtual override {
        super.setUp();
        vm.roll(number);
        IHosts.HostRules memory rules = IHosts.HostRules(0, 0, 45 days, 200, 17, false, 0);
        bytes memory init = abi.encodeCall(Hosts.initialize, (DAO, address(verifier), GUARDIAN, 7 days, rules));
        hosts = Hosts(address(new ERC1967Proxy(address(new Hosts()), init)));
        init = abi.encodeCall(Images.initialize, (DAO, GUARDIAN, 7 days));
        images = Images(address(new ERC1967Proxy(address(new Images()), init)));
        init = abi.encodeCall(RootKeys.initialize, (DAO, address(verifier), address(kms), GUARDIAN, 7 days));
        keys = RootKeys(address(new ERC1967Proxy(address(new RootKeys()), init)));
        instances = new Instances(address(kms), address(images), address(keys), bootLog, 30 days, 200);
        _approveAll();
        _pass(1);
    }

    function _approveAll() private {
        Report memory bootstrap = _report();
        bootstrap.td = _td(keys.commitmentTo(ca, k256), Bytes48(0, 0));
        bytes32 measurement = KmsMeasurement.aggregate(bootstrap.td);
        vm.startPrank(DAO);
        kms.addKmsAggregatedMr(measurement);
        rootKey = keys.prove(abi.encode(bootstrap), ca, k256);
        keys.approve(_terms(Kind.RootKey, rootKey), NEVER);
        hosts.approve(_terms(Kind.Host, DEVICE), NEVER);
        kms.setHosts(address(hosts), NEVER);
        IImages.MeasurementSetTerms[] memory sets = new IImages.MeasurementSetTerms[](1);
        sets[0] = IImages.MeasurementSetTerms(IMAGE, TeeVariant.Tdx, new bytes(192), 0, 0, "");
        images.approveMeasurementSets(sets, NEVER);
        vm.stopPrank();
        _proveHost();
        instances.addRootKey(ca, k256, ROOT_Y);
    }

    function _proveHost() internal {
        Report memory report = _report();
        report.expiresAt = uint64(vm.getBlockTimestamp() + 40 days);
        report.td = _td(hosts.reportDataFor(STRANGER, number - 1, blockhash(number - 1)), Bytes48(0, 0));
        vm.prank(STRANGER);
        hosts.register(abi.encode(report), number - 1);
    }

    function _pass(uint256 time) internal {
        vm.warp(vm.getBlockTimestamp() + time);
        number += 1;
        vm.roll(number);
    }

    /* PROOFS */

    function _report() internal view returns (Report memory report) {
        report.verdict = Verdict.Verified;
        report.status = TcbStatus.UpToDate;
        report.tcbEvaluationNumber = 18;
        report.qeEvaluationNumber = 18;
        report.expiresAt = uint64(vm.getBlockTimestamp() + 20 days);
        report.deviceId = DEVICE;
        report.quoteId = keccak256(abi.encode(number));
    }

    /// @dev A TD report 1.0: SEPT_VE_DISABLE alone, all registers zero but RTMR3.
    function _td(bytes32 reportData, Bytes48 memory rtmr3) internal pure returns (bytes memory) {
        return bytes.concat(new bytes(123), hex"10", new bytes(348), rtmr3.toBytes(), reportData, bytes32(0));
    }

    function _log(address forApp, bytes32 composeHash) internal view returns (RuntimeEvent[] memory events) {
        events = new RuntimeEvent[](8);
        events[0] = RuntimeEvent("system-preparing", "", 1);
        events[1] = RuntimeEvent("app-id", abi.encodePacked(forApp), 1);
        events[2] = RuntimeEvent("compose-hash", abi.encodePacked(composeHash), 1);
        events[3] = RuntimeEvent("instance-id", abi.encodePacked(INSTANCE_ID), 1);
        events[4] = RuntimeEvent("boot-mr-done", "", 1);
        events[5] = RuntimeEvent("os-image-hash", abi.encodePacked(IMAGE), 1);
        events[6] = RuntimeEvent("key-provider", _keyProvider(ca), 1);
        events[7] = RuntimeEvent("system-ready", "", 1);
    }

    function _keyProvider(bytes memory caKey) internal pure returns (bytes memory) {
        bytes memory digits = new bytes(2 * caKey.length);
        bytes16 alphabet = "0123456789abcdef";
        for (uint256 i = 0; i < caKey.length; i++) {
            digits[2 * i] = alphabet[uint8(caKey[i]) >> 4];
            digits[2 * i + 1] = alphabet[uint8(caKey[i]) & 15];
        }
        return bytes.concat('{"name":"kms","id":"', digits, '"}');
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _binding(uint256 key, uint256 atBlock) internal view returns (bytes32) {
        return instances.bindingOf(address(app), vm.addr(key), atBlock, blockhash(atBlock));
    }

    function _recordBoot() internal returns (Bytes48 memory rtmr3) {
        RuntimeEvent[] memory events = _log(address(app), COMPOSE);
        (rtmr3, ) = bootLog.replay(events);
        instances.recordBoot(events, IMAGE);
    }

    /// @dev A quote of this app over this key, made after block `atBlock`.
    function _quote(uint256 key, uint256 atBlock) internal returns (Report memory report) {
        report = _report();
        report.td = _td(_binding(key, atBlock), _recordBoot());
    }

    function _register(uint256 key) internal {
        _bring(_quote(key, number - 1), key, number - 1);
    }

    function _bring(Report memory report, uint256 key, uint256 atBlock) internal {
        instances.register(_quoteProof(report, key, atBlock));
    }

    function _quoteProof(
        Report memory report,
        uint256 key,
        uint256 atBlock
    ) internal view returns (IInstances.QuoteProof memory) {
        bytes memory possession = _sign(key, _binding(key, atBlock));
        return IInstances.QuoteProof(abi.encode(report), vm.addr(key), IMAGE, atBlock, possession);
    }

    function _registerIssued(uint256 key) internal {
        _registerIssued(key, COMPOSE, 1);
    }

    function _registerIssued(uint256 key, bytes32 composeHash, uint32 epoch) internal {
        instances.registerIssued(_chainProof(key, composeHash, epoch));
    }

    function _chainProof(
        uint256 key,
        bytes32 composeHash,
        uint32 epoch
    ) internal view returns (IInstances.ChainProof memory proof) {
        bytes32 binding = _binding(key, number - 1);
        proof.app = address(app);
        proof.key = vm.addr(key);
        proof.composeHash = composeHash;
        proof.epoch = epoch;
        proof.blockNumber = number - 1;
        proof.possession = _sign(key, binding);
        proof.statement = _sign(SIGNER_KEY, instances.statementOf(binding, composeHash));
        proof.link = _sign(ROOT_KEY, instances.signerDigest(address(app), epoch, vm.addr(SIGNER_KEY)));
    }

    /* WHAT HOLDS */

    function _assertStanding(uint256 key, IInstances.Standing expected, string memory what) internal view {
        assertEq(uint8(instances.standingOf(vm.addr(key))), uint8(expected), what);
        bool isFrom = instances.isFrom(address(app), DIGEST, _sign(key, DIGEST));
        assertTrue(isFrom == (expected == IInstances.Standing.Live), what);
    }
}

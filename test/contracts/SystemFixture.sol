// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {IKmsAuth} from "../../contracts/auth/IKmsAuth.sol";
import {KmsAuth} from "../../contracts/auth/KmsAuth.sol";
import {App} from "../../contracts/registry/App.sol";
import {HostBonds} from "../../contracts/registry/HostBonds.sol";
import {Hosts} from "../../contracts/registry/Hosts.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {IHosts} from "../../contracts/registry/IHosts.sol";
import {IImages} from "../../contracts/registry/IImages.sol";
import {Images} from "../../contracts/registry/Images.sol";
import {RootKeys} from "../../contracts/registry/RootKeys.sol";
import {Approval, State} from "../../contracts/types/Approval.sol";
import {AppBootInfo} from "../../contracts/types/BootInfo.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {Report, TcbStatus, Verdict} from "../../contracts/types/Report.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {EventReplay} from "./EventReplay.sol";
import {Log, Test} from "./Vm.sol";

contract BondCoin is ERC20 {
    constructor(address holder) ERC20("Bond", "BOND") {
        _mint(holder, type(uint96).max);
    }
}

/// @notice Judges quotes as their report says, or as dead, as it was told last.
contract ScriptedVerifier {
    Verdict public mood = Verdict.Verified;

    function feel(Verdict verdict) external {
        mood = verdict;
    }

    function verify(bytes calldata quote) public view returns (Report memory report) {
        if (mood != Verdict.Verified) report.verdict = mood;
        else report = abi.decode(quote, (Report));
    }

    function verifyUnder(bytes calldata quote, uint32) external view returns (Report memory) {
        return verify(quote);
    }

    function settledEvaluationNumber() external pure returns (uint32) {
        return 0;
    }
}

/// @notice All registries, everyone who acts on them, and what must be true of whatever they do. Few ids, so that
/// histories collide. `step` does one thing; which, and to what, the seed says.
contract System is Test {
    address public constant DAO = address(0xDA0);
    address public constant GUARDIAN = address(0x6A);
    address public constant OWNER = address(0x0123);
    address public constant STRANGER = address(0x57);
    uint256 public constant OPERATOR_KEY = 0xA11CE;
    uint40 private constant NEVER = type(uint40).max;
    uint256 public constant IDS = 4;

    KmsAuth public immutable kms;
    App public immutable app;
    Hosts public immutable hosts;
    HostBonds public immutable bonds;
    Images public immutable images;
    RootKeys public immutable keys;
    BondCoin public immutable coin;
    ScriptedVerifier public immutable verifier = new ScriptedVerifier();
    EventReplay public immutable replay;
    address public immutable operator = vm.addr(OPERATOR_KEY);

    /// @notice Highest id of a machine that was seen.
    uint256 public machines = IDS;
    /// @notice How often something was really done, and how often a call of this selector was really done.
    uint256 public operations;
    mapping(bytes4 selector => uint256) public done;
    /// @notice First rule that something broke, empty as long as none is.
    string public broken;

    mapping(uint256 id => bytes) private _quotes;
    mapping(uint256 id => bool) private _superseded;
    mapping(uint32 epoch => bytes32) private _keyOf;
    mapping(bytes32 key => bool) private _hasEpoch;
    uint32 private _highestNotice;
    uint32 private _highestEpoch;
    uint256 private _block = 1000;

    constructor() {
        vm.warp(1_750_000_000);
        vm.roll(_block);
        replay = new EventReplay();
        vm.recordLogs();
        bytes memory init = abi.encodeCall(KmsAuth.initializeGoverned, (DAO, address(new App()), GUARDIAN, 7 days));
        kms = KmsAuth(_proxy(address(new KmsAuth()), init));
        app = App(kms.deployAndRegisterApp(OWNER, false, false, false, bytes32(uint256(1)), bytes32(uint256(1))));
        IHosts.HostRules memory rules = _rules(0);
        init = abi.encodeCall(Hosts.initialize, (DAO, address(verifier), GUARDIAN, 7 days, rules));
        hosts = Hosts(_proxy(address(new Hosts()), init));
        coin = new BondCoin(operator);
        bonds = HostBonds(
            _proxy(address(new HostBonds()), abi.encodeCall(HostBonds.initialize, (DAO, coin, 50, 3 days)))
        );
        images = Images(_proxy(address(new Images()), abi.encodeCall(Images.initialize, (DAO, GUARDIAN, 7 days))));
        keys = RootKeys(
            _proxy(
                address(new RootKeys()),
                abi.encodeCall(RootKeys.initialize, (DAO, address(verifier), address(kms), GUARDIAN, 7 days))
            )
        );
        vm.prank(operator);
        coin.approve(address(bonds), type(uint256).max);
        vm.prank(OWNER);
        app.setGuardian(GUARDIAN, 5 days, NEVER);
        _remember();
    }

    function _proxy(address implementation, bytes memory init) private returns (address) {
        return address(new ERC1967Proxy(implementation, init));
    }

    function _remember() private {
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) replay.take(logs[i], vm.getBlockTimestamp());
    }

    /* WHAT HAPPENS */

    /// @notice One thing that a DAO, an owner, an operator, the guardian or anyone does, or time passing.
    function step(uint256 seed) external {
        uint256 which = seed % 8;
        seed >>= 8;
        if ((seed >> 128) % 8 == 7) _putInOrder(seed);
        else if (which == 0) _pass(seed);
        else if (which == 1) _daoDecides(seed);
        else if (which == 2) _daoRules(seed);
        else if (which <= 4) _ownerActs(seed);
        else if (which == 5) _operatorActs(seed);
        else if (which == 6) _guardianTries(seed);
        else _strangerTries(seed);
        _checkAfter();
    }

    /// @dev Everyone does what one boot lacks: by chance alone hardly any would ever be allowed.
    function _putInOrder(uint256 seed) private {
        if ((seed >> 140) % 4 == 0) return _putKeyInOrder(seed);
        AppBootInfo memory boot = bootAt(seed % (2 * IDS * IDS));
        _open(DAO, kms, Kind.App, bytes32(uint256(uint160(boot.appId))));
        _open(DAO, kms, Kind.OsImage, boot.osImageHash);
        _open(DAO, hosts, Kind.Host, boot.deviceId);
        _open(OWNER, app, Kind.Release, boot.composeHash);
        _open(OWNER, app, Kind.Device, boot.deviceId);
        _block += 4;
        vm.roll(_block);
        _prove(uint256(boot.deviceId), seed);
        _call(operator, address(bonds), abi.encodeCall(bonds.deposit, (boot.deviceId, 60)));
        if ((seed >> 150) % 16 != 0) return;
        _call(DAO, address(hosts), abi.encodeCall(hosts.setContinuityDelay, (1 days, NEVER)));
        _drift(uint256(boot.deviceId), seed | 1);
    }

    function _putKeyInOrder(uint256 seed) private {
        _open(DAO, kms, Kind.KmsMeasurement, sha256(new bytes(240)));
        _open(DAO, kms, Kind.KmsDevice, bytes32(uint256(1)));
        _call(operator, address(keys), abi.encodeCall(keys.prove, (_keyQuote(seed), _caKey(seed), new bytes(33))));
        _open(DAO, keys, Kind.RootKey, keys.idOf(_caKey(seed), new bytes(33)));
    }

    function _open(address owner, IApprovalRegistry registry, Kind kind, bytes32 id) private {
        if (!_isOpen(registry, kind, id)) _call(owner, address(registry), _opens(registry, kind, id));
    }

    /// @dev What would make it usable, if the caller may.
    function _opens(IApprovalRegistry registry, Kind kind, bytes32 id) private view returns (bytes memory) {
        if (registry.stateOf(kind, id) == State.Suspended)
            return abi.encodeCall(IApprovalRegistry.lift, (kind, _ids(id), NEVER));
        IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms(kind, id, 0, uint40(vm.getBlockTimestamp() + 30 days), "in order");
        return abi.encodeCall(IApprovalRegistry.approve, (terms, NEVER));
    }

    function _pass(uint256 seed) private {
        // mostly little, so that there is something to boot; now and then enough for everything to end
        uint256 most = (seed >> 200) % 16 == 0 ? 20 days : 12 hours;
        vm.warp(vm.getBlockTimestamp() + 1 + ((seed >> 8) % most));
        _block += seed % 3;
        vm.roll(_block);
    }

    function _id(uint256 seed) private pure returns (bytes32) {
        return bytes32(1 + ((seed >> 32) % IDS));
    }

    /// @dev The newest, and the next: superseded ones never come back, so that there must always be more.
    function _releaseAt(uint256 place) private view returns (bytes32) {
        uint256 known = app.count(Kind.Release);
        return bytes32((known < IDS ? 0 : known + 1 - IDS) + 1 + (place % IDS));
    }

    function _ids(bytes32 id) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = id;
    }

    function _end(uint256 seed) private view returns (uint40) {
        return seed % 3 == 0 ? 0 : uint40(vm.getBlockTimestamp() + 1 + ((seed >> 8) % 20 days));
    }

    /// @dev Approvals of any registry of the DAO's.
    function _daoDecides(uint256 seed) private {
        (IApprovalRegistry registry, Kind kind) = _registryAt(seed);
        bytes32 id = _idOf(kind, seed);
        _call(DAO, address(registry), _decision(seed >> 40, kind, id));
    }

    function _registryAt(uint256 seed) private view returns (IApprovalRegistry, Kind) {
        uint256 which = (seed >> 4) % 7;
        if (which < 4) return (kms, Kind(uint8(which)));
        if (which == 4) return (hosts, Kind.Host);
        if (which == 5) return (images, Kind.Measurements);
        return (keys, Kind.RootKey);
    }

    function _idOf(Kind kind, uint256 seed) private view returns (bytes32) {
        bytes32 id = _id(seed);
        if (kind == Kind.App && uint256(id) == 1) return bytes32(uint256(uint160(address(app))));
        // what a quote of all zeros measures, so that root keys can be proven
        if (kind == Kind.KmsMeasurement && uint256(id) == 1) return sha256(new bytes(240));
        if (kind == Kind.Measurements) return images.idOf(id, TeeVariant.Tdx, _mrSystem(seed));
        if (kind == Kind.RootKey) return keys.idOf(_caKey(seed), new bytes(33));
        return id;
    }

    function _decision(uint256 seed, Kind kind, bytes32 id) private view returns (bytes memory) {
        uint256 which = seed % 16;
        seed >>= 8;
        if (which < 8) {
            IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](1);
            uint40 from = seed % 2 == 0 ? 0 : uint40(vm.getBlockTimestamp() + ((seed >> 64) % 2 days));
            bytes memory evidence = seed % 5 == 0 ? bytes("") : abi.encode(seed);
            terms[0] = IApprovalRegistry.ApprovalTerms(kind, id, from, _end(seed), evidence);
            return abi.encodeCall(IApprovalRegistry.approve, (terms, NEVER));
        }
        if (which == 8) return abi.encodeCall(IApprovalRegistry.extend, (kind, _ids(id), _end(seed), NEVER));
        if (which == 9) return abi.encodeCall(IApprovalRegistry.shorten, (kind, _ids(id), _end(seed)));
        if (which <= 11) return abi.encodeCall(IApprovalRegistry.withdraw, (kind, _ids(id)));
        if (which == 12) return abi.encodeCall(IApprovalRegistry.suspend, (kind, _ids(id)));
        if (which <= 14) return abi.encodeCall(IApprovalRegistry.lift, (kind, _ids(id), NEVER));
        // rarely, else all is revoked soon
        if (seed % 32 != 0) return abi.encodeCall(IApprovalRegistry.markExpired, (kind, _ids(id)));
        return abi.encodeCall(IApprovalRegistry.revoke, (kind, _ids(id)));
    }

    /// @dev What boots do not depend on, and who owns.
    function _daoSettles(uint256 seed) private {
        uint256 which = seed % 12;
        bytes memory text = abi.encodePacked(seed >> 128);
        bool yes = (seed >> 16) % 2 == 0;
        if (which == 0) {
            IKmsAuth.KmsInfo memory info = IKmsAuth.KmsInfo(text, "ca", text, yes ? text : bytes(""));
            _call(DAO, address(kms), abi.encodeCall(kms.setKmsInfo, (info)));
        } else if (which == 1) _call(DAO, address(kms), abi.encodeCall(kms.setKmsQuote, (text)));
        else if (which == 2) _call(DAO, address(kms), abi.encodeCall(kms.setKmsEventlog, (text)));
        else if (which == 3) _call(DAO, address(kms), abi.encodeCall(kms.setGatewayAppId, (yes ? "gateway" : "")));
        else if (which == 4) {
            address next = yes ? kms.appImplementation() : address(new App());
            _call(DAO, address(kms), abi.encodeCall(kms.setAppImplementation, (next)));
        } else if (which == 5) {
            address next = yes ? address(verifier) : address(uint160(seed));
            // of root keys alone: without hosts nothing would happen any more
            _call(DAO, address(keys), abi.encodeCall(keys.setVerifier, (next, NEVER)));
        } else if (which == 6) {
            bytes memory terms = abi.encodeCall(bonds.setTerms, (yes ? 50 : 20, yes ? 3 days : 1 days, NEVER));
            _call(DAO, address(bonds), terms);
        } else if (which == 7) {
            _call(DAO, address(images), abi.encodeCall(images.setActivationDelay, (yes ? 1 days : 0, NEVER)));
        } else if (which == 8) {
            bytes memory guardianIs = abi.encodeCall(kms.setGuardian, (GUARDIAN, yes ? 7 days : 2 days, NEVER));
            (IApprovalRegistry registry, ) = _registryAt(seed >> 20);
            _call(DAO, address(registry), guardianIs);
        } else if (which == 9) {
            address next = yes ? DAO : STRANGER;
            _call(DAO, _ownedAt(seed), abi.encodeCall(kms.transferOwnership, (next)));
        } else if (which == 10) _call(DAO, _ownedAt(seed), abi.encodeCall(kms.acceptOwnership, ()));
        else if (seed >> 250 == 0) _call(DAO, address(bonds), abi.encodeCall(bonds.renounceUpgrades, ()));
    }

    function _ownedAt(uint256 seed) private view returns (address) {
        address[5] memory owned = [address(kms), address(hosts), address(bonds), address(images), address(keys)];
        return owned[(seed >> 24) % 5];
    }

    function _daoRules(uint256 seed) private {
        if ((seed >> 200) % 4 == 0) return _daoSettles(seed);
        uint256 which = seed % 16;
        bytes32 id = _id(seed);
        bool yes = (seed >> 16) % 2 == 0;
        if (which <= 2)
            _call(DAO, address(images), abi.encodeCall(images.approveMeasurementSets, (_sets(seed), NEVER)));
        else if (which == 3) _call(DAO, address(images), abi.encodeCall(images.closeImages, (_ids(id))));
        else if (which == 4) _call(DAO, address(images), abi.encodeCall(images.openImages, (_ids(id), NEVER)));
        else if (which == 5) _call(DAO, address(images), abi.encodeCall(images.setImageName, (id, yes ? "one" : "")));
        else if (which == 6) _call(DAO, address(hosts), abi.encodeCall(hosts.setRules, (_rules(seed), NEVER)));
        else if (which == 7) {
            TcbStatus status = TcbStatus(uint8(1 + ((seed >> 24) % 3)));
            bytes memory rule = abi.encodeCall(hosts.setStatusAcceptedUntil, (status, yes ? NEVER : _end(seed), NEVER));
            _call(DAO, address(hosts), rule);
        } else if (which == 8) {
            bytes memory rule = abi.encodeCall(hosts.setAdvisoriesDenied, (_ids(id), yes, NEVER));
            _call(DAO, address(hosts), rule);
        } else if (which == 9) {
            bytes memory rule = abi.encodeCall(hosts.setBonds, (yes ? address(bonds) : address(0), NEVER));
            _call(DAO, address(hosts), rule);
        } else if (which == 10) {
            bytes memory rule = abi.encodeCall(hosts.setContinuityDelay, (yes ? 1 days : 0, NEVER));
            _call(DAO, address(hosts), rule);
        } else if (which == 11) {
            bytes memory rule = abi.encodeCall(kms.setHosts, (yes ? address(hosts) : address(0), NEVER));
            _call(DAO, address(kms), rule);
        } else if (which == 12) {
            bytes memory rule = abi.encodeCall(kms.setImages, (yes ? address(images) : address(0), NEVER));
            _call(DAO, address(kms), rule);
        } else if (which == 13) {
            Kind kind = Kind(uint8((seed >> 24) % 4));
            _call(DAO, address(kms), abi.encodeCall(kms.setActivationDelay, (kind, yes ? 1 days : 0, NEVER)));
        } else if (which == 14) {
            uint96 amount = uint96(1 + ((seed >> 64) % 60));
            bytes memory slash = abi.encodeCall(bonds.slash, (id, operator, amount, STRANGER, abi.encode(seed), NEVER));
            _call(DAO, address(bonds), slash);
        } else {
            address named =
                yes
                    ? operator
                    : (seed >> 20) % 8 == 0
                        ? OWNER
                        : address(0);
            _call(DAO, address(hosts), abi.encodeCall(hosts.setOperator, (id, named, NEVER)));
        }
    }

    function _mrSystem(uint256 seed) private view returns (bytes32) {
        return images.mrSystemOf(TeeVariant.Tdx, _registers(seed));
    }

    function _registers(uint256 seed) private pure returns (bytes memory registers) {
        registers = new bytes(192);
        registers[0] = bytes1(uint8((seed >> 48) % 2));
    }

    function _sets(uint256 seed) private view returns (IImages.MeasurementSetTerms[] memory sets) {
        sets = new IImages.MeasurementSetTerms[](1);
        sets[0] = IImages.MeasurementSetTerms(
            _id(seed),
            TeeVariant.Tdx,
            _registers(seed),
            0,
            _end(seed >> 64),
            abi.encode(seed)
        );
    }

    function _rules(uint256 seed) private pure returns (IHosts.HostRules memory) {
        return
            IHosts.HostRules({
                attestedSince: 0,
                minLifetime: (seed >> 70) % 2 == 0 ? 0 : 2 days,
                maxLifetime: 30 days,
                window: 200,
                minEvaluationNumber: uint32((seed >> 72) % 3),
                isOpen: (seed >> 74) % 4 == 0,
                activationDelay: (seed >> 76) % 2 == 0 ? 0 : 1 days
            });
    }

    function _ownerActs(uint256 seed) private {
        uint256 which = seed % 12;
        bytes32 id = _id(seed);
        uint40 time = uint40(vm.getBlockTimestamp());
        bool yes = (seed >> 16) % 2 == 0;
        bytes memory call;
        if (which <= 1) {
            call =
                yes
                    ? _decision(seed >> 40, Kind.Release, _releaseAt(seed >> 32))
                    : _decision(seed >> 40, Kind.Device, id);
        } else if (which == 2) call = abi.encodeCall(app.addComposeHash, (_releaseAt(seed >> 32)));
        else if (which == 3) call = abi.encodeCall(app.removeComposeHash, (_releaseAt(seed >> 32)));
        else if (which == 4) call = abi.encodeCall(app.addDevice, (id));
        else if (which == 5) call = abi.encodeCall(app.removeDevice, (id));
        else if (which == 6)
            call = abi.encodeCall(
                app.supersede,
                (
                    uint32(uint256(_releaseAt(seed >> 24))),
                    time + uint40((seed >> 64) % 4 days) - 1 days,
                    (seed >> 80) % 4 == 0
                )
            );
        else if (which == 7) call = abi.encodeCall(app.setAllowAnyDevice, (yes));
        else if (which == 8) call = abi.encodeCall(app.setRequireTcbUpToDate, (yes));
        else if (which == 9)
            call = abi.encodeCall(app.setVariants, (uint8(seed >> 24) % 32));
            // a notice may only grow, and what waits for it is announced
        else if (which == 10 && (seed >> 90) % 8 == 0)
            call = abi.encodeCall(app.setNoticePeriod, (uint32((seed >> 64) % (uint256(app.noticePeriod()) + 1 days))));
        else {
            bytes memory later =
                yes
                    ? abi.encodeCall(app.setAllowAnyDevice, (true))
                    : abi.encodeCall(app.setRequireTcbUpToDate, (false));
            call = abi.encodeCall(app.announce, (keccak256(later)));
        }
        _call(OWNER, address(app), call);
    }

    function _operatorActs(uint256 seed) private {
        uint256 which = seed % 8;
        uint256 id = 1 + ((seed >> 32) % IDS);
        uint96 amount = uint96(1 + ((seed >> 64) % 60));
        if (which <= 2) _prove(id, seed);
        else if (which == 3) _call(operator, address(bonds), abi.encodeCall(bonds.deposit, (bytes32(id), amount)));
        else if (which == 4) _call(operator, address(bonds), abi.encodeCall(bonds.unbond, (bytes32(id), amount)));
        else if (which == 5) _call(operator, address(bonds), abi.encodeCall(bonds.withdraw, (bytes32(id))));
        else if (which == 6) _drift(id, seed);
        else _call(operator, address(keys), abi.encodeCall(keys.prove, (_keyQuote(seed), _caKey(seed), new bytes(33))));
    }

    function _prove(uint256 id, uint256 seed) private {
        uint256 number = _block - 1 - ((seed >> 16) % 3);
        Report memory report;
        report.verdict = Verdict.Verified;
        report.status = TcbStatus(uint8(1 + ((seed >> 80) % 3)));
        report.tcbEvaluationNumber = uint32((seed >> 84) % 4);
        report.qeEvaluationNumber = 3;
        report.expiresAt = uint64(vm.getBlockTimestamp() + ((seed >> 96) % 40 days));
        report.deviceId = bytes32(id);
        report.quoteId = keccak256(abi.encode(seed));
        report.advisories = _ids(_id(seed >> 64));
        bytes32 bound = hosts.reportDataFor(operator, number, blockhash(number));
        report.td = bytes.concat(new bytes(123), hex"10", new bytes(396), bound, bytes32(0));
        bytes memory quote = abi.encode(report);
        if (_call(operator, address(hosts), abi.encodeCall(hosts.register, (quote, number)))) _quotes[id] = quote;
    }

    function _caKey(uint256 seed) private pure returns (bytes memory key) {
        key = new bytes(91);
        key[0] = bytes1(uint8((seed >> 32) % 3));
    }

    function _keyQuote(uint256 seed) private view returns (bytes memory) {
        Report memory report;
        report.verdict = Verdict.Verified;
        report.status = TcbStatus.UpToDate;
        report.deviceId = bytes32(uint256(1));
        report.td = bytes.concat(
            new bytes(123),
            hex"10",
            new bytes(396),
            keys.commitmentTo(_caKey(seed), new bytes(33)),
            bytes32(0)
        );
        return abi.encode(report);
    }

    /// @dev A machine gets another id, mostly one that nobody saw before: only such can be continued as.
    function _drift(uint256 id, uint256 seed) private {
        if (seed % 4 == 0 || hosts.stateOf(Kind.Host, bytes32(id)) != State.Active) {
            _continue(id, 1 + ((seed >> 128) % IDS));
            return;
        }
        // a proof of the same machine must be of a later block
        _block += 4;
        vm.roll(_block);
        _prove(++machines, seed);
        _continue(id, machines);
    }

    function _continue(uint256 from, uint256 to) private {
        bytes32 typeHash = keccak256("HostContinuity(bytes32 from,bytes32 to,uint256 deadline)");
        bytes32 content = keccak256(abi.encode(typeHash, bytes32(from), bytes32(to), NEVER));
        uint256 before = _livingHosts();
        bytes memory call = abi.encodeCall(hosts.continueAs, (bytes32(from), bytes32(to), NEVER, _sign(content)));
        if (_call(STRANGER, address(hosts), call) && _livingHosts() > before) _break("continuity made machines more");
    }

    function _sign(bytes32 content) private view returns (bytes memory) {
        (, string memory name, string memory version, uint256 chainId, address contract_, , ) = hosts.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                contract_
            )
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, content));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OPERATOR_KEY, digest);
        return abi.encodePacked(r, s, v);
    }

    function _livingHosts() private view returns (uint256 living) {
        for (uint256 id = 1; id <= machines; id++) {
            if (_lives(hosts, Kind.Host, bytes32(id))) living++;
        }
    }

    function _lives(IApprovalRegistry registry, Kind kind, bytes32 id) private view returns (bool) {
        State state = registry.stateOf(kind, id);
        return state == State.Active || state == State.Pending || state == State.Suspended;
    }

    /// @dev Suspends, and tries what is not the guardian's.
    function _guardianTries(uint256 seed) private {
        (IApprovalRegistry registry, Kind kind) = _registryAt(seed);
        bytes32 id = _idOf(kind, seed);
        if ((seed >> 100) % 3 == 0) {
            bool release = (seed >> 102) % 2 == 0;
            (registry, kind) = (app, release ? Kind.Release : Kind.Device);
            id = release ? _releaseAt(seed >> 32) : _id(seed);
        }
        bool tries = (seed >> 110) % 2 == 0;
        bytes memory call =
            tries ? _attempt(seed, registry, kind, id) : abi.encodeCall(IApprovalRegistry.suspend, (kind, _ids(id)));
        _callWithoutOpening(GUARDIAN, registry, kind, id, call);
    }

    /// @dev What is not his: anything at all, or exactly what would open this one if it were allowed.
    function _attempt(
        uint256 seed,
        IApprovalRegistry registry,
        Kind kind,
        bytes32 id
    ) private view returns (bytes memory) {
        return (seed >> 112) % 2 == 0 ? _decision(seed >> 40, kind, id) : _opens(registry, kind, id);
    }

    /// @dev Tries what is not his, marks what is dead.
    function _strangerTries(uint256 seed) private {
        uint256 id = 1 + ((seed >> 32) % IDS);
        if (seed % 4 == 0) {
            // a revocation stops continuity of the machine for ever: the others must be able to continue
            Verdict dead = id == IDS ? Verdict.LeafRevoked : Verdict.TcbRevoked;
            verifier.feel((seed >> 16) % 2 == 0 ? dead : Verdict.PckCrlExpired);
            bytes memory call = abi.encodeCall(hosts.endProof, (bytes32(id), _quotes[id]));
            _callWithoutAllowing(STRANGER, address(hosts), call);
            verifier.feel(Verdict.Verified);
            return;
        }
        if ((seed >> 120) % 8 == 0) return _strangerRegisters(seed);
        (IApprovalRegistry registry, Kind kind) = _registryAt(seed);
        if (seed % 4 == 1) (registry, kind) = (app, (seed >> 90) % 2 == 0 ? Kind.Release : Kind.Device);
        bytes32 key = kind == Kind.Release ? _releaseAt(seed >> 32) : _idOf(kind, seed);
        bytes memory marks = abi.encodeCall(IApprovalRegistry.markExpired, (kind, _ids(key)));
        bytes memory tries = _attempt(seed, registry, kind, key);
        bool lived = _lives(registry, kind, key);
        _callWithoutOpening(STRANGER, registry, kind, key, seed % 4 == 3 ? tries : marks);
        if (lived && !_lives(registry, kind, key)) _break("a stranger ended what was alive");
    }

    /// @dev Apps are open to anyone, but not those about which somebody decided.
    function _strangerRegisters(uint256 seed) private {
        if ((seed >> 48) % 2 == 0) {
            bytes32 id = (seed >> 49) % 4 == 0 ? bytes32(uint256(uint160(seed))) : _idOf(Kind.App, seed);
            address any = address(uint160(uint256(id)));
            bytes memory call = abi.encodeCall(kms.registerApp, (any));
            if (kms.stateOf(Kind.App, id) == State.None) _callWithoutAllowing(STRANGER, address(kms), call);
            else _callWithoutOpening(STRANGER, kms, Kind.App, id, call);
            return;
        }
        bytes memory deploys = abi.encodeWithSignature(
            "deployAndRegisterApp(address,bool,bool,bytes32,bytes32)",
            (seed >> 40) % 4 == 0 ? address(0) : STRANGER,
            false,
            false,
            _id(seed),
            _id(seed)
        );
        _callWithoutAllowing(STRANGER, address(kms), deploys);
    }

    /* WHAT MUST BE TRUE OF IT */

    function _call(address sender, address target, bytes memory call) private returns (bool success) {
        vm.recordLogs();
        vm.prank(sender);
        (success, ) = target.call(call);
        if (!success) {
            // the recorder also keeps what a reverted call emitted; on a chain nobody sees that
            vm.getRecordedLogs();
            return false;
        }
        done[bytes4(call)]++;
        operations++;
        _remember();
    }

    /// @dev Boots are allowed by many decisions together; that not one of them is made is asked by itself.
    function _callWithoutOpening(
        address sender,
        IApprovalRegistry registry,
        Kind kind,
        bytes32 id,
        bytes memory call
    ) private {
        bool open = _isOpen(registry, kind, id);
        _callWithoutAllowing(sender, address(registry), call);
        if (!open && _isOpen(registry, kind, id)) _break("a guardian or stranger approved");
    }

    function _isOpen(IApprovalRegistry registry, Kind kind, bytes32 id) private view returns (bool) {
        State state = registry.stateOf(kind, id);
        return state == State.Active || state == State.Pending;
    }

    function _callWithoutAllowing(address sender, address target, bytes memory call) private {
        uint256 sample = uint256(keccak256(call));
        uint256 before = _allowed(sample);
        _call(sender, target, call);
        if (_allowed(sample) & ~before != 0) _break("a guardian or stranger allowed a boot");
    }

    /// @notice One bit for each of eight boots that is allowed now; all of them would be most of the work.
    function _allowed(uint256 sample) private view returns (uint256 bits) {
        for (uint256 i = 0; i < 8; i++) {
            (bool isAllowed, ) = kms.isAppAllowed(bootAt((sample >> (8 * i)) % (2 * IDS * IDS)));
            if (isAllowed) bits |= 1 << i;
        }
    }

    /// @notice Release and device of every pair, with either of two sets of registers.
    function bootAt(uint256 i) public view returns (AppBootInfo memory boot) {
        boot.appId = address(app);
        boot.composeHash = _releaseAt(i);
        boot.deviceId = bytes32(1 + ((i / IDS) % IDS));
        boot.osImageHash = bytes32(1 + ((i + i / IDS) % IDS));
        boot.mrSystem = _mrSystem((i / IDS / IDS) << 48);
        boot.tcbStatus = i % 3 == 0 ? "OutOfDate" : "UpToDate";
    }

    function _checkAfter() private {
        uint32 notice = app.noticePeriod();
        if (notice < _highestNotice) _break("a notice shrank");
        _highestNotice = notice;
        uint32 current = keys.currentEpoch();
        if (current < _highestEpoch) _break("a root epoch was taken back");
        _highestEpoch = current;
        for (uint32 epoch = 1; epoch <= current; epoch++) {
            if (_keyOf[epoch] == 0) _opened(epoch, keys.keyOf(epoch));
            else if (_keyOf[epoch] != keys.keyOf(epoch)) _break("an epoch changed its key");
        }
        _checkReleases();
    }

    function _opened(uint32 epoch, bytes32 key) private {
        _keyOf[epoch] = key;
        if (_hasEpoch[key]) _break("a key got a second epoch");
        _hasEpoch[key] = true;
    }

    function _checkReleases() private {
        uint256 last = app.count(Kind.Release);
        for (uint256 i = last <= 2 * IDS ? 1 : last - 2 * IDS; i <= last; i++) {
            bytes32 hash = bytes32(i);
            bool isAllowed = app.allowedComposeHashes(hash);
            (uint32 write, uint32 read) = app.epochsOf(hash);
            if (_superseded[i] && (isAllowed || write != 0)) _break("a superseded release came back");
            if (replay.isSuperseded(app.approvalOf(Kind.Release, hash).index(), vm.getBlockTimestamp())) {
                _superseded[i] = true;
            }
            if (read > write || write - read > 1) _break("more than one epoch is read back");
            if (isAllowed != (write != 0)) _break("an epoch for what may not boot, or none for what may");
        }
    }

    function _break(string memory rule) private {
        if (bytes(broken).length == 0) broken = rule;
    }
}

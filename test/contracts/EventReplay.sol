// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";

import {IKmsAuth} from "../../contracts/auth/IKmsAuth.sol";
import {IApp} from "../../contracts/registry/IApp.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {IHostBonds} from "../../contracts/registry/IHostBonds.sol";
import {IHosts} from "../../contracts/registry/IHosts.sol";
import {IImages} from "../../contracts/registry/IImages.sol";
import {IRootKeys} from "../../contracts/registry/IRootKeys.sol";
import {RenounceableUpgrades} from "../../contracts/registry/RenounceableUpgrades.sol";
import {TcbStatus} from "../../contracts/types/Report.sol";
import {TeeVariant} from "../../contracts/types/TeeVariant.sol";
import {Log} from "./Vm.sol";

/// @notice The state of all registries, rebuilt from their events alone: it never asks a registry anything.
contract EventReplay {
    mapping(address registry => mapping(uint256 kind => mapping(bytes32 id => uint256))) public word;
    mapping(address registry => mapping(uint256 kind => mapping(bytes32 id => bytes32))) public evidence;
    mapping(address registry => mapping(uint256 kind => mapping(uint256 position => bytes32))) public listed;
    mapping(address registry => address) public owner;
    mapping(address registry => address) public pendingOwner;
    mapping(address registry => bool) public upgradesEnded;
    mapping(address registry => address) public guardian;
    mapping(address registry => uint40) public suspension;
    mapping(address registry => mapping(uint256 kind => uint32)) public delay;

    bool public allowAnyDevice;
    bool public requireTcbUpToDate;
    uint8 public variants = 1;
    uint32 public noticePeriod;
    uint40 private _noticeSince;
    mapping(bytes32 digest => uint40) private _announcedAt;
    uint32 public oldest;
    uint32 public nextOldest;
    uint40 public supersededAt;
    uint32 public epoch = 1;
    bool public endOpenedEpoch;

    mapping(bytes32 deviceId => IHosts.Host) private _hosts;
    mapping(TcbStatus status => uint40) public statusUntil;
    mapping(bytes32 advisory => bool) public denied;
    IHosts.HostRules private _rules;
    mapping(address registry => address) public verifier;
    address public bondsOfHosts;
    uint32 public continuityDelay;

    mapping(bytes32 deviceId => mapping(address holder => IHostBonds.Bond)) private _bonds;

    uint96 public bondMinimum;
    uint32 public unbondingTime;
    address public bondToken;

    uint32 public delayOfSets;
    mapping(bytes32 image => bool) public isClosed;
    mapping(bytes32 image => string) public imageNameOf;
    mapping(bytes32 id => IImages.MeasurementSet) private _measurementSets;

    mapping(bytes32 id => IRootKeys.Proof) private _proofs;
    mapping(uint32 epoch => bytes32) public keyOf;
    uint32 public currentEpoch;

    address public kmsOfKeys;

    address public hostsOfKms;
    address public imagesOfKms;
    IKmsAuth.KmsInfo private _kmsInfo;
    string public gatewayAppId;
    address public appImplementation;

    mapping(bytes32 deviceId => address) public namedOperator;
    mapping(bytes32 deviceId => bytes32) private _firstId;
    mapping(bytes32 deviceId => bytes32) private _currentIds;

    function announced(bytes32 digest) external view returns (uint40) {
        uint40 at = _announcedAt[digest];
        return at == 0 || at < _noticeSince ? 0 : at + noticePeriod;
    }

    function currentId(bytes32 deviceId) external view returns (bytes32) {
        bytes32 first = _firstId[deviceId] == 0 ? deviceId : _firstId[deviceId];
        return _currentIds[first] == 0 ? deviceId : _currentIds[first];
    }

    function kmsInfo() external view returns (IKmsAuth.KmsInfo memory) {
        return _kmsInfo;
    }

    function host(bytes32 deviceId) external view returns (IHosts.Host memory) {
        return _hosts[deviceId];
    }

    function rules() external view returns (IHosts.HostRules memory) {
        return _rules;
    }

    function bond(bytes32 deviceId, address holder) external view returns (IHostBonds.Bond memory) {
        return _bonds[deviceId][holder];
    }

    function shown(bytes32 id) external view returns (IImages.MeasurementSet memory) {
        return _measurementSets[id];
    }

    function proof(bytes32 id) external view returns (IRootKeys.Proof memory) {
        return _proofs[id];
    }

    /// @notice Whether the release with this number has ended by supersession.
    function isSuperseded(uint32 number, uint256 time) external view returns (bool) {
        return number != 0 && number < (time < supersededAt ? oldest : nextOldest);
    }

    function take(Log calldata log, uint256 time) external {
        if (log.topics.length == 0) return;
        bytes32 topic = log.topics[0];
        if (topic == IApprovalRegistry.ApprovalGiven.selector) _given(log);
        else if (topic == IApprovalRegistry.ApprovalChanged.selector) _changed(log, abi.decode(log.data, (uint256)));
        else if (topic == IApprovalRegistry.GuardianSet.selector) {
            guardian[log.emitter] = _address(log.topics[1]);
            suspension[log.emitter] = abi.decode(log.data, (uint40));
        } else if (topic == IKmsAuth.ActivationDelaySet.selector) {
            delay[log.emitter][uint256(log.topics[1])] = abi.decode(log.data, (uint32));
        } else if (
            !_ofOwners(log, topic) && !_ofKms(log, topic) && !_ofApp(log, topic, time) && !_ofHosts(log, topic, time)
        ) _ofOthers(log, topic);
    }

    function _ofOwners(Log calldata log, bytes32 topic) private returns (bool) {
        if (topic == OwnableUpgradeable.OwnershipTransferred.selector) {
            (owner[log.emitter], pendingOwner[log.emitter]) = (_address(log.topics[2]), address(0));
        } else if (topic == Ownable2StepUpgradeable.OwnershipTransferStarted.selector) {
            pendingOwner[log.emitter] = _address(log.topics[2]);
        } else if (topic == RenounceableUpgrades.UpgradesRenounced.selector) upgradesEnded[log.emitter] = true;
        else return false;
        return true;
    }

    function _ofKms(Log calldata log, bytes32 topic) private returns (bool) {
        if (topic == IKmsAuth.HostsSet.selector) hostsOfKms = abi.decode(log.data, (address));
        else if (topic == IKmsAuth.ImagesSet.selector) imagesOfKms = abi.decode(log.data, (address));
        else if (topic == IKmsAuth.KmsInfoRecorded.selector) _kmsInfo = abi.decode(log.data, (IKmsAuth.KmsInfo));
        else if (topic == IKmsAuth.KmsQuoteSet.selector) _kmsInfo.quote = abi.decode(log.data, (bytes));
        else if (topic == IKmsAuth.KmsEventlogSet.selector) _kmsInfo.eventlog = abi.decode(log.data, (bytes));
        else if (topic == IKmsAuth.GatewayAppIdSet.selector) gatewayAppId = abi.decode(log.data, (string));
        else if (topic == IKmsAuth.AppImplementationSet.selector) appImplementation = abi.decode(log.data, (address));
        else return false;
        return true;
    }

    function _given(Log calldata log) private {
        (uint256 approval, bytes memory document) = abi.decode(log.data, (uint256, bytes));
        _changed(log, approval);
        bytes32 digest = document.length == 0 ? bytes32(0) : keccak256(document);
        evidence[log.emitter][uint256(log.topics[1])][log.topics[2]] = digest;
    }

    function _changed(Log calldata log, uint256 approval) private {
        uint256 kind = uint256(log.topics[1]);
        word[log.emitter][kind][log.topics[2]] = approval;
        listed[log.emitter][kind][uint32(approval >> 192)] = log.topics[2];
    }

    function _ofApp(Log calldata log, bytes32 topic, uint256 time) private returns (bool) {
        if (topic == IApp.AllowAnyDeviceSet.selector) allowAnyDevice = abi.decode(log.data, (bool));
        else if (topic == IApp.RequireTcbUpToDateSet.selector) requireTcbUpToDate = abi.decode(log.data, (bool));
        else if (topic == IApp.VariantsSet.selector) variants = abi.decode(log.data, (uint8));
        else if (topic == IApp.NoticePeriodSet.selector) _noticeSet(abi.decode(log.data, (uint32)), time);
        else if (topic == IApp.Announced.selector)
            _announcedAt[log.topics[1]] = abi.decode(log.data, (uint40)) - noticePeriod;
        else if (topic == IApp.AnnouncementUsed.selector) delete _announcedAt[log.topics[1]];
        else if (topic == IApp.ReleasesSuperseded.selector) _superseded(log, time);
        else return false;
        return true;
    }

    function _noticeSet(uint32 period, uint256 time) private {
        if (period != noticePeriod) _noticeSince = uint40(time);
        noticePeriod = period;
    }

    function _superseded(Log calldata log, uint256 time) private {
        (uint32 to, uint40 from, uint32 newEpoch) = abi.decode(log.data, (uint32, uint40, uint32));
        if (time >= supersededAt) (oldest, endOpenedEpoch) = (nextOldest, newEpoch != epoch);
        (nextOldest, supersededAt, epoch) = (to, from, newEpoch);
    }

    function _ofHosts(Log calldata log, bytes32 topic, uint256 time) private returns (bool) {
        if (topic == IHosts.HostProven.selector) {
            (IHosts.Host memory proven, ) = abi.decode(log.data, (IHosts.Host, bytes32[]));
            _hosts[log.topics[1]] = proven;
        } else if (topic == IHosts.HostProofEnded.selector) {
            // a revocation that is shown later does not move the end
            if (time < _hosts[log.topics[1]].expiresAt) _hosts[log.topics[1]].expiresAt = uint40(time);
        } else if (topic == IHosts.OperatorSet.selector) {
            _hosts[log.topics[1]].operator = _address(log.topics[2]);
            namedOperator[log.topics[1]] = _address(log.topics[2]);
        } else if (topic == IHosts.HostContinued.selector) {
            bytes32 known = _firstId[log.topics[1]];
            bytes32 first = known == 0 ? log.topics[1] : known;
            (_firstId[log.topics[2]], _currentIds[first]) = (first, log.topics[2]);
        } else if (topic == IHosts.RulesSet.selector) _rules = abi.decode(log.data, (IHosts.HostRules));
        else if (topic == IHosts.StatusAcceptedUntilSet.selector) {
            statusUntil[TcbStatus(uint8(uint256(log.topics[1])))] = abi.decode(log.data, (uint40));
        } else if (topic == IHosts.AdvisoryDenied.selector) denied[log.topics[1]] = abi.decode(log.data, (bool));
        else if (topic == IHosts.VerifierSet.selector) verifier[log.emitter] = abi.decode(log.data, (address));
        else if (topic == IHosts.BondsSet.selector) bondsOfHosts = abi.decode(log.data, (address));
        else if (topic == IHosts.ContinuityDelaySet.selector) continuityDelay = abi.decode(log.data, (uint32));
        else return false;
        return true;
    }

    function _ofOthers(Log calldata log, bytes32 topic) private {
        bool bonded =
            topic == IHostBonds.BondDeposited.selector ||
                topic == IHostBonds.UnbondingStarted.selector ||
                topic == IHostBonds.BondReturned.selector;
        if (bonded) {
            (, IHostBonds.Bond memory left) = abi.decode(log.data, (uint96, IHostBonds.Bond));
            _bonds[log.topics[1]][_address(log.topics[2])] = left;
        } else if (topic == IHostBonds.BondSlashed.selector) {
            (, , IHostBonds.Bond memory left, ) = abi.decode(log.data, (address, uint96, IHostBonds.Bond, bytes));
            _bonds[log.topics[1]][_address(log.topics[2])] = left;
        } else if (topic == IHostBonds.BondTermsSet.selector) {
            (bondMinimum, unbondingTime) = abi.decode(log.data, (uint96, uint32));
        } else if (topic == IHostBonds.BondTokenSet.selector) bondToken = abi.decode(log.data, (address));
        else if (topic == IImages.ActivationDelaySet.selector) delayOfSets = abi.decode(log.data, (uint32));
        else if (topic == IRootKeys.KmsAuthSet.selector) kmsOfKeys = abi.decode(log.data, (address));
        else if (topic == IImages.ImageClosed.selector) isClosed[log.topics[1]] = abi.decode(log.data, (bool));
        else if (topic == IImages.ImageNameSet.selector) imageNameOf[log.topics[1]] = abi.decode(log.data, (string));
        else if (topic == IImages.MeasurementSetDescribed.selector) {
            (TeeVariant variant, bytes32 mrSystem, ) = abi.decode(log.data, (TeeVariant, bytes32, bytes));
            _measurementSets[log.topics[1]] = IImages.MeasurementSet(log.topics[2], mrSystem, variant);
        } else if (topic == IRootKeys.RootKeyProven.selector) {
            (IRootKeys.Proof memory proven, , ) = abi.decode(log.data, (IRootKeys.Proof, bytes, bytes));
            _proofs[log.topics[1]] = proven;
        } else if (topic == IRootKeys.EpochOpened.selector) {
            currentEpoch = uint32(uint256(log.topics[1]));
            (keyOf[currentEpoch], _proofs[log.topics[2]].epoch) = (log.topics[2], currentEpoch);
        }
    }

    function _address(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}

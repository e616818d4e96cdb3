// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {BoundedAppCall} from "../auth/BoundedAppCall.sol";
import {IAppAuth} from "../auth/IAppAuth.sol";
import {IApprovalRegistry} from "../registry/IApprovalRegistry.sol";
import {IApp} from "../registry/IApp.sol";
import {
    Approval,
    ENDED_SHIFT,
    EXPIRES_SHIFT,
    NUMBER_MASK,
    REVOKED_BIT,
    SUSPENDED_SHIFT,
    TIME_MASK,
    VERSION_SHIFT
} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";
import {TcbStatus} from "../types/Report.sol";
import {IInstances} from "./IInstances.sol";

/// @notice The function of dstack's app contract that is asked here.
interface IAppDevices {
    /// @notice Whether the app may run on any host.
    function allowAnyDevice() external view returns (bool);
}

/// @notice The questions of `Instances`, with little gas: about approvals, and to app contracts that are not trusted.
/// @dev Calls to an app are bounded as in `BoundedAppCall`: an app can deny its own instances by failing, and nothing else.
library Questions {
    /// @notice The approval word of an id.
    /// @param gasLimit gas for the call.
    /// @return answered false if the call failed, or returned less than a word.
    /// @return word the approval.
    function approvalOf(
        address registry,
        Kind kind,
        bytes32 id,
        uint256 gasLimit
    ) internal view returns (bool answered, Approval word) {
        bytes4 selector = IApprovalRegistry.approvalOf.selector;
        assembly ("memory-safe") {
            let question := mload(0x40)
            mstore(question, selector)
            mstore(add(question, 4), and(kind, 0xff))
            mstore(add(question, 36), id)
            answered := staticcall(gasLimit, registry, question, 68, 0, 32)
            answered := and(answered, gt(returndatasize(), 31))
            word := mload(0)
        }
    }

    /// @notice Whether the approval is active now and began before `time`. As `Approval.isActiveAt`, in a third of the gas.
    /// @param time unix seconds, not after now: so the approval is not pending either.
    /// @return isActive whether it is.
    /// @return isFirst whether this is the first version: nothing was withdrawn before it.
    function isActiveBefore(Approval word, uint256 time) internal view returns (bool isActive, bool isFirst) {
        // constants that are expressions are not visible in assembly
        uint256 mask = TIME_MASK;
        uint256 numbers = NUMBER_MASK;
        uint256 revoked = REVOKED_BIT;
        assembly ("memory-safe") {
            let end := and(shr(EXPIRES_SHIFT, word), mask)
            let begun := lt(and(word, mask), time)
            let lasts := or(iszero(end), lt(timestamp(), end))
            let suspended := lt(timestamp(), and(shr(SUSPENDED_SHIFT, word), mask))
            let ended := or(and(shr(ENDED_SHIFT, word), mask), and(word, revoked))
            let version := and(shr(VERSION_SHIFT, word), numbers)
            isFirst := eq(version, 1)
            isActive := and(and(begun, lasts), and(iszero(iszero(version)), iszero(or(suspended, ended))))
        }
    }

    /// @notice Whether a proof is from after a later version of an approval was approved.
    /// @param provenAtBlock the block to which the proof commits.
    /// @param gasLimit gas for the call.
    /// @return answered false if the call failed, or returned less than a word.
    /// @return isProven whether the proof counts for this version.
    function isProvenUnder(
        address registry,
        Kind kind,
        bytes32 id,
        uint256 provenAtBlock,
        uint256 gasLimit
    ) internal view returns (bool answered, bool isProven) {
        bytes memory question = abi.encodeCall(IApprovalRegistry.approvedInBlock, (kind, id));
        assembly ("memory-safe") {
            answered := staticcall(gasLimit, registry, add(question, 32), mload(question), 0, 32)
            answered := and(answered, gt(returndatasize(), 31))
            isProven := and(answered, iszero(gt(mload(0), provenAtBlock)))
        }
    }

    /// @notice The approval of a release and its key epochs, from the app. The caller checks the gas before it denies.
    /// @return release the approval; empty if the app does not answer.
    /// @return write the epoch for new data; 0 if the release may not boot, or the app does not answer.
    /// @return read the oldest epoch that it may read.
    function releaseAndEpochs(
        address app,
        bytes32 composeHash
    ) internal view returns (Approval release, uint256 write, uint256 read) {
        bytes4 selector = IApp.releaseAndEpochs.selector;
        uint256 gasLimit = BoundedAppCall.DETAILS_GAS;
        bool answered;
        assembly ("memory-safe") {
            let question := mload(0x40)
            mstore(question, selector)
            mstore(add(question, 4), composeHash)
            answered := staticcall(gasLimit, app, question, 36, question, 96)
            answered := and(answered, eq(returndatasize(), 96))
            release := mul(answered, mload(question))
            write := mul(answered, mload(add(question, 32)))
            read := mul(answered, mload(add(question, 64)))
        }
    }

    /// @notice Whether the app answers `approvalOf` about its releases.
    function answersApprovals(address app, bytes32 composeHash) internal view returns (bool answered) {
        uint256 found = gasleft();
        (answered, ) = approvalOf(app, Kind.Release, composeHash, BoundedAppCall.DETAILS_GAS);
        if (!answered) BoundedAppCall.requireGas(found, BoundedAppCall.DETAILS_GAS);
    }

    /// @notice Whether an approval of the app is active, began before `time`, and is not younger than the proof.
    /// @dev Reverts with `GasTooLow` if not, and the caller gave less gas than the app may use for each answer.
    /// @param time unix seconds.
    /// @param provenAtBlock the block to which the proof commits.
    function approvedBefore(
        address app,
        Kind kind,
        bytes32 id,
        uint256 time,
        uint256 provenAtBlock
    ) internal view returns (bool isApproved) {
        uint256 found = gasleft();
        (bool answered, Approval word) = approvalOf(app, kind, id, BoundedAppCall.DETAILS_GAS);
        (bool isActive, bool isFirst) = isActiveBefore(word, time);
        isApproved = answered && isActive && (isFirst || isProvenForApp(app, kind, id, provenAtBlock));
        if (!isApproved) BoundedAppCall.requireGas(found, BoundedAppCall.DETAILS_GAS);
    }

    /// @notice As `isProvenUnder`, about an approval of the app: false too if the app does not answer.
    /// @dev Reverts with `GasTooLow` if false, and the caller gave less gas than the app may use.
    function isProvenForApp(
        address app,
        Kind kind,
        bytes32 id,
        uint256 provenAtBlock
    ) internal view returns (bool isProven) {
        uint256 found = gasleft();
        (, isProven) = isProvenUnder(app, kind, id, provenAtBlock, BoundedAppCall.DETAILS_GAS);
        if (!isProven) BoundedAppCall.requireGas(found, BoundedAppCall.DETAILS_GAS);
    }

    /// @notice Whether the app's approvals of hosts do not count: it allows any host, or does not say so.
    /// @dev Reverts with `GasTooLow` if the app did not say that it allows any, and the caller gave less gas than it may use.
    function allowsAnyDevice(address app) internal view returns (bool isAny) {
        bytes4 selector = IAppDevices.allowAnyDevice.selector;
        uint256 gasLimit = BoundedAppCall.DETAILS_GAS;
        uint256 found = gasleft();
        bool says;
        assembly ("memory-safe") {
            mstore(0, selector)
            let answered := staticcall(gasLimit, app, 0, 4, 0, 32)
            answered := and(answered, gt(returndatasize(), 31))
            says := and(answered, eq(mload(0), 1))
            isAny := or(says, iszero(answered))
        }
        if (!says) BoundedAppCall.requireGas(found, gasLimit);
    }

    /// @notice The app's own answer about a boot: dstack's `isAppAllowed`.
    /// @dev The question has no advisories, and zero as mr_aggregated. Reverts with `GasTooLow` if the app does not allow the boot
    /// and the caller gave less gas than the app may use.
    function allows(
        address app,
        IInstances.BootFacts memory boot,
        bytes32 deviceId,
        bytes32 mrSystem,
        TcbStatus status
    ) internal view returns (bool isAllowed) {
        uint256 length = _write(app, boot, deviceId, mrSystem, nameOf(status));
        uint256 gasLimit = BoundedAppCall.APP_GAS;
        uint256 longest = BoundedAppCall.MAX_ANSWER;
        uint256 found = gasleft();
        assembly ("memory-safe") {
            let question := mload(0x40)
            let answered := staticcall(gasLimit, app, question, length, question, 96)
            let size := returndatasize()
            // the answer: a flag, the offset 64, the length of a reason, the reason
            let fits := and(gt(size, 95), lt(size, add(longest, 1)))
            let formed := and(eq(mload(add(question, 32)), 64), iszero(gt(mload(add(question, 64)), sub(size, 96))))
            isAllowed := and(and(answered, eq(mload(question), 1)), and(fits, formed))
        }
        if (!isAllowed) BoundedAppCall.requireGas(found, gasLimit);
    }

    /// @dev Writes the question about a boot into free memory.
    /// @return length its bytes.
    function _write(
        address app,
        IInstances.BootFacts memory boot,
        bytes32 deviceId,
        bytes32 mrSystem,
        string memory status
    ) private pure returns (uint256 length) {
        bytes4 selector = IAppAuth.isAppAllowed.selector;
        assembly ("memory-safe") {
            let place := mload(0x40)
            mstore(place, selector)
            mstore(add(place, 4), 32)
            // the tuple: nine words, then the status, then no advisories
            place := add(place, 36)
            // the compiler may leave bits above an address
            mstore(place, shr(96, shl(96, app)))
            mstore(add(place, 32), mload(boot))
            mstore(add(place, 64), mload(add(boot, 128)))
            mstore(add(place, 96), deviceId)
            mstore(add(place, 128), 0)
            mstore(add(place, 160), mrSystem)
            mstore(add(place, 192), mload(add(boot, 32)))
            mstore(add(place, 224), 288)
            length := and(add(mload(status), 31), not(31))
            mstore(add(place, 256), add(320, length))
            mcopy(add(place, 288), status, add(32, length))
            mstore(add(add(place, 320), length), 0)
            length := add(388, length)
        }
    }

    /// @notice Intel's name of a TCB status; empty for `None`.
    function nameOf(TcbStatus status) internal pure returns (string memory) {
        if (status == TcbStatus.UpToDate) return "UpToDate";
        if (status == TcbStatus.SWHardeningNeeded) return "SWHardeningNeeded";
        if (status == TcbStatus.ConfigurationNeeded) return "ConfigurationNeeded";
        if (status == TcbStatus.ConfigurationAndSWHardeningNeeded) return "ConfigurationAndSWHardeningNeeded";
        if (status == TcbStatus.OutOfDate) return "OutOfDate";
        if (status == TcbStatus.OutOfDateConfigurationNeeded) return "OutOfDateConfigurationNeeded";
        if (status == TcbStatus.TDRelaunchAdvised) return "TDRelaunchAdvised";
        if (status == TcbStatus.TDRelaunchAdvisedConfigurationNeeded) return "TDRelaunchAdvisedConfigurationNeeded";
        return "";
    }
}

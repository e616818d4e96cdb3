// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AppBootInfo} from "../types/BootInfo.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {IAppTerms} from "./IAppDetails.sol";
import {DenialReasons, Refusal} from "./DenialReasons.sol";

/// @notice Asks an unknown contract a question without believing, waiting for or paying for more than an answer.
library BoundedAppCall {
    /// @notice What the app may burn.
    uint256 internal constant APP_GAS = 1_000_000;
    /// @notice What it may burn on a question that only Assent asks.
    uint256 internal constant TERMS_GAS = 100_000;
    /// @notice Longest reason that is passed on.
    uint256 internal constant MAX_REASON = 1024;
    uint256 internal constant MAX_ANSWER = 96 + MAX_REASON;
    uint256 internal constant TERMS_LENGTH = 128;
    /// @dev What a call costs beside the gas it hands over: the cold account and a rest to return with.
    uint256 internal constant CALL_COST = 10_000;

    /// @notice Thrown when the app failed with less gas than it is owed, so that its failure means nothing.
    error GasTooLow(uint256 found, uint256 needed);

    /// @notice None if the app allows the boot, else why not: its own reason, its failure or its nonsense.
    function ask(AppBootInfo calldata bootInfo) internal view returns (Refusal refusal, string memory reason) {
        bytes memory question = abi.encodeCall(IAppAuth.isAppAllowed, (bootInfo));
        (bool success, bytes memory answer) = _call(bootInfo.appId, question, APP_GAS, MAX_ANSWER);

        if (!success) return (Refusal.AppFailed, DenialReasons.say(Refusal.AppFailed));
        if (!_isValid(answer)) return (Refusal.AppAnswerInvalid, DenialReasons.say(Refusal.AppAnswerInvalid));
        bool isAllowed;
        (isAllowed, reason) = abi.decode(answer, (bool, string));
        refusal = isAllowed ? Refusal.None : Refusal.AppRefused;
    }

    /// @notice Whether the app accepts boots of this variant: always TDX, any other if it says so.
    function accepts(address app, TeeVariant variant) internal view returns (bool) {
        if (variant == TeeVariant.Tdx) return true;
        bytes memory question = abi.encodeCall(IAppTerms.acceptsVariant, (variant));
        (bool success, bytes memory answer) = _call(app, question, TERMS_GAS, 32);
        return success && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }

    /// @notice What the app tells of a boot; all zero if it does not answer as `IAppTerms` says.
    function terms(
        address app,
        bytes32 composeHash,
        bytes32 deviceId
    ) internal view returns (uint32 release, uint32 writeEpoch, uint32 readEpoch, uint40 holdsUntil) {
        bytes memory question = abi.encodeCall(IAppTerms.termsOf, (composeHash, deviceId));
        (bool success, bytes memory answer) = _call(app, question, TERMS_GAS, TERMS_LENGTH);
        if (!success || answer.length != TERMS_LENGTH) return (0, 0, 0, 0);
        (uint256 a, uint256 b, uint256 c, uint256 d) = abi.decode(answer, (uint256, uint256, uint256, uint256));
        bool fits = (a | b | c) <= type(uint32).max && d <= type(uint40).max && c <= b;
        if (fits) return (uint32(a), uint32(b), uint32(c), uint40(d));
    }

    /// @dev Copies at most one byte more than a valid answer can have, whatever comes back.
    function _call(
        address app,
        bytes memory question,
        uint256 gasLimit,
        uint256 longest
    ) private view returns (bool success, bytes memory answer) {
        uint256 needed = gasLimit + gasLimit / 63 + CALL_COST;
        uint256 found = gasleft();
        assembly ("memory-safe") {
            success := staticcall(gasLimit, app, add(question, 0x20), mload(question), 0, 0)
            let size := returndatasize()
            if gt(size, longest) {
                size := add(longest, 1)
            }
            answer := mload(0x40)
            mstore(answer, size)
            returndatacopy(add(answer, 0x20), 0, size)
            mstore(0x40, and(add(add(answer, size), 0x3f), not(0x1f)))
        }
        require(success || found >= needed, GasTooLow(found, needed));
    }

    /// @dev The canonical encoding of (bool, string), so that decoding it cannot revert.
    function _isValid(bytes memory answer) private pure returns (bool) {
        if (answer.length < 96 || answer.length > MAX_ANSWER) return false;
        (uint256 flag, uint256 offset, uint256 length) = abi.decode(answer, (uint256, uint256, uint256));
        return flag <= 1 && offset == 64 && length <= answer.length - 96;
    }
}

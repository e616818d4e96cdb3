// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AppBootInfo} from "../types/BootInfo.sol";
import {TeeVariant} from "../types/TeeVariant.sol";
import {IAppAuth} from "./IAppAuth.sol";
import {IAppDetails} from "./IAppDetails.sol";
import {DenialReasons, DenialCode} from "./DenialReasons.sol";

/// @notice Calls an untrusted app contract with bounded gas and bounded return data.
/// @dev An app can deny its own boots by failing. It cannot make the caller run out of gas or memory.
library BoundedAppCall {
    /// @notice Gas for `isAppAllowed`.
    uint256 internal constant APP_GAS = 1_000_000;
    /// @notice Gas for each function of `IAppDetails`.
    uint256 internal constant DETAILS_GAS = 100_000;
    /// @notice Maximum length of a reason, bytes.
    uint256 internal constant MAX_REASON = 1024;
    /// @dev Longest answer that is copied: two words, the length of the reason, and the reason.
    uint256 internal constant MAX_ANSWER = 96 + MAX_REASON;
    /// @dev Four words of `releaseDetails`.
    uint256 internal constant DETAILS_LENGTH = 128;
    /// @dev Gas that the caller needs besides: for the cold account and to return.
    uint256 internal constant CALL_COST = 10_000;

    /// @notice The app did not allow the boot, but the caller had too little gas to give it the promised amount. So this is no
    /// denial: an app can take the failure of a call of its own for a reason to deny.
    /// @param found gas that was left before the call.
    /// @param needed gas that the call needs.
    error GasTooLow(uint256 found, uint256 needed);

    /// @notice Asks the app whether it allows the boot.
    /// @dev Reverts with `GasTooLow`. Never reverts because of the app.
    /// @return denial `None` if it does; else `AppRefused`, `AppFailed` or `AppAnswerInvalid`.
    /// @return reason the app's own reason, or the reason string of the denial.
    function ask(AppBootInfo calldata bootInfo) internal view returns (DenialCode denial, string memory reason) {
        bytes memory question = abi.encodeCall(IAppAuth.isAppAllowed, (bootInfo));
        uint256 found = gasleft();
        (bool success, bytes memory answer) = _call(bootInfo.appId, question, APP_GAS, MAX_ANSWER);

        bool isValid = success && _isValid(answer);
        bool isAllowed;
        if (isValid) (isAllowed, reason) = abi.decode(answer, (bool, string));
        if (isAllowed) return (DenialCode.None, reason);
        requireGas(found, APP_GAS);
        if (isValid) return (DenialCode.AppRefused, reason);
        denial = success ? DenialCode.AppAnswerInvalid : DenialCode.AppFailed;
        reason = DenialReasons.textOf(denial);
    }

    /// @notice Whether the app accepts boots of this TEE variant: TDX always, another only if the app says so.
    /// @param app the app contract; it is not trusted.
    /// @return isAccepted false too if the call fails or the answer is malformed.
    function accepts(address app, TeeVariant variant) internal view returns (bool isAccepted) {
        if (variant == TeeVariant.Tdx) return true;
        bytes memory question = abi.encodeCall(IAppDetails.acceptsVariant, (variant));
        uint256 found = gasleft();
        (bool success, bytes memory answer) = _call(app, question, DETAILS_GAS, 32);
        isAccepted = success && answer.length == 32 && uint256(bytes32(answer)) == 1;
        if (!isAccepted) requireGas(found, DETAILS_GAS);
    }

    /// @notice The app's `releaseDetails`. All zero if the app does not have the function or gives impossible values.
    /// @return release number of the release.
    /// @return writeEpoch key epoch for new data.
    /// @return readEpoch oldest key epoch that the release may read.
    /// @return validUntil first second in which the answer ends by itself; 0 = no end is known.
    function details(
        address app,
        bytes32 composeHash,
        bytes32 deviceId
    ) internal view returns (uint32 release, uint32 writeEpoch, uint32 readEpoch, uint40 validUntil) {
        bytes memory question = abi.encodeCall(IAppDetails.releaseDetails, (composeHash, deviceId));
        requireGas(gasleft(), DETAILS_GAS);
        (bool success, bytes memory answer) = _call(app, question, DETAILS_GAS, DETAILS_LENGTH);
        if (!success || answer.length != DETAILS_LENGTH) return (0, 0, 0, 0);
        (uint256 a, uint256 b, uint256 c, uint256 d) = abi.decode(answer, (uint256, uint256, uint256, uint256));
        bool fits = (a | b | c) <= type(uint32).max && d <= type(uint40).max && c <= b;
        if (fits) return (uint32(a), uint32(b), uint32(c), uint40(d));
    }

    /// @dev Copies at most one byte more than the longest valid answer.
    /// @param gasLimit gas that the app gets.
    /// @param longest bytes of the longest valid answer.
    function _call(
        address app,
        bytes memory question,
        uint256 gasLimit,
        uint256 longest
    ) private view returns (bool success, bytes memory answer) {
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
    }

    /// @dev Whether a call with `found` gas gives the app `gasLimit`: a call gets at most 63 of 64 parts (EIP-150).
    function requireGas(uint256 found, uint256 gasLimit) internal pure {
        uint256 needed = gasLimit + gasLimit / 63 + CALL_COST;
        require(found >= needed, GasTooLow(found, needed));
    }

    /// @dev Whether `answer` is the canonical ABI encoding of (bool, string). Then decoding cannot revert.
    function _isValid(bytes memory answer) private pure returns (bool) {
        if (answer.length < 96 || answer.length > MAX_ANSWER) return false;
        (uint256 flag, uint256 offset, uint256 length) = abi.decode(answer, (uint256, uint256, uint256));
        return flag <= 1 && offset == 64 && length <= answer.length - 96;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IInstanceSignatures} from "../instances/IInstances.sol";

/// @notice For measurements: what `isFrom` costs a contract that calls it.
contract SignatureMeter {
    /// @notice Asks twice in one transaction: the first answer finds storage and accounts cold, the second warm.
    /// @return cold gas of the first call.
    /// @return warm gas of the second call.
    /// @return isFrom the second answer.
    function measure(
        IInstanceSignatures instances,
        address app,
        bytes32 digest,
        bytes calldata signature
    ) external view returns (uint256 cold, uint256 warm, bool isFrom) {
        uint256 before = gasleft();
        instances.isFrom(app, digest, signature);
        cold = before - gasleft();
        before = gasleft();
        isFrom = instances.isFrom(app, digest, signature);
        warm = before - gasleft();
    }
}

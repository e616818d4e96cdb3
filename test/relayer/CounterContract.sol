// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A contract for the relayer's tests: counts what reaches it, refuses and keeps silent on request.
contract Board {
    error Refused(bytes32 key, string why);

    event Recorded(bytes32 indexed key);

    /// How often each key was recorded: more than once is the mistake that the tests look for.
    mapping(bytes32 key => uint256) public effects;
    bool public isRefusing;
    bool public isSilent;

    function set(bool refusing, bool silent) external {
        isRefusing = refusing;
        isSilent = silent;
    }

    function record(bytes32 key, bytes calldata) external {
        require(!isRefusing, Refused(key, "closed"));
        if (isSilent) return;
        effects[key]++;
        emit Recorded(key);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ApprovalRegistry} from "../../contracts/registry/ApprovalRegistry.sol";
import {IApprovalRegistry} from "../../contracts/registry/IApprovalRegistry.sol";
import {Approval, State} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {SymbolicTest} from "./Symbolic.sol";

/// @notice The smallest registry: one kind, a symbolic activation delay.
contract ProofRegistry is ApprovalRegistry {
    uint32 private _delay;

    function initialize(address owner, address guardian, uint40 suspension, uint32 delay) external initializer {
        __Ownable_init(owner);
        _setGuardian(guardian, suspension);
        _delay = delay;
    }

    function activationDelay(Kind) public view override returns (uint256) {
        return _delay;
    }

    function _supports(Kind kind) internal pure override returns (bool) {
        return kind == Kind.OsImage;
    }

    function _afterDecision(Kind, bytes32, bool) internal override {}
}

/// @notice What the guardian can do, and for how long. The owner is this contract.
contract GuardianProof is SymbolicTest {
    address private constant GUARDIAN = address(0x6a);
    bytes32 private constant ID = bytes32(uint256(1));
    uint40 private constant START = 1_750_000_000;

    function _registry(uint40 suspension, uint32 delay) private returns (ProofRegistry registry) {
        vm.warp(START);
        registry = new ProofRegistry();
        registry.initialize(address(this), GUARDIAN, suspension, delay);
        IApprovalRegistry.ApprovalTerms[] memory terms = new IApprovalRegistry.ApprovalTerms[](1);
        terms[0] = IApprovalRegistry.ApprovalTerms(Kind.OsImage, ID, 0, 0, "");
        registry.approve(terms, type(uint40).max);
    }

    function _ids() private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = ID;
    }

    /// @notice An approval starts after the activation delay, whatever delay that is.
    function check_ApprovalsWait(uint32 delay, uint40 time) external {
        ProofRegistry registry = _registry(1 days, delay);
        if (time < START) return;
        vm.warp(time);

        bool isActive = registry.stateOf(Kind.OsImage, ID) == State.Active;
        assert(isActive == (time >= uint256(START) + delay));
    }

    /// @notice A suspension by the guardian lasts as long as the owner said, and never longer than 90 days.
    function check_SuspensionsAreBounded(uint40 suspension, uint40 time) external {
        if (time < START || time > START + 3650 days) return;
        ProofRegistry registry = _registry(suspension, 0);
        vm.warp(time);
        vm.prank(GUARDIAN);
        registry.suspend(Kind.OsImage, _ids());

        uint256 until = registry.approvalOf(Kind.OsImage, ID).suspendedUntil();
        assert(until == uint256(time) + suspension && suspension <= 90 days);
    }

    /// @notice The guardian denies an approval for at most half of the time: after each suspension it waits as long.
    function check_TheGuardianCoolsDown(uint40 suspension, uint40 first, uint40 second) external {
        if (first < START || second < first || second > START + 3650 days) return;
        ProofRegistry registry = _registry(suspension, 0);
        vm.warp(first);
        vm.prank(GUARDIAN);
        registry.suspend(Kind.OsImage, _ids());
        Approval before = registry.approvalOf(Kind.OsImage, ID);
        vm.warp(second);
        vm.prank(GUARDIAN);
        registry.suspend(Kind.OsImage, _ids());

        // a call that changes nothing is allowed at any time
        bool changed = Approval.unwrap(registry.approvalOf(Kind.OsImage, ID)) != Approval.unwrap(before);
        assert(!changed || second >= uint256(first) + 2 * uint256(suspension));
    }

    /// @notice No call of any function by any account but the owner makes the approval active at any later time.
    function check_OnlyTheOwnerAllows(address caller, uint40 time, uint40 later, bool suspended) external {
        if (caller == address(this) || time < START || time > START + 3650 days || later < time) return;
        ProofRegistry registry = _registry(1 days, 0);
        if (suspended) registry.suspend(Kind.OsImage, _ids());
        bool before = registry.approvalOf(Kind.OsImage, ID).isActiveAt(later);
        vm.warp(time);
        vm.prank(caller);
        (bool success, ) = address(registry).call(svm.createCalldata("ProofRegistry"));

        bool isActive = registry.approvalOf(Kind.OsImage, ID).isActiveAt(later);
        assert(!success || !isActive || before);
    }
}

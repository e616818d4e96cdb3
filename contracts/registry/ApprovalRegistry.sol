// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";

import {Approval, ApprovalStateInvalid, State} from "../types/Approval.sol";
import {Kind} from "../types/Kind.sol";
import {IApprovalRegistry} from "./IApprovalRegistry.sol";

/// @notice Implements approvals for all registries. A registry derives from it and says which kinds it keeps.
/// @dev Storage starts at slot 0 of every registry, at fixed slots: KMS nodes and the log verifier read it with storage
/// proofs. OpenZeppelin's parts use ERC-7201 namespaces and take no such slot.
abstract contract ApprovalRegistry is IApprovalRegistry, Ownable2StepUpgradeable {
    /// @dev A shorter suspension would end before anyone can react.
    uint40 internal constant MIN_SUSPENSION = 1 hours;
    /// @dev A longer suspension would be a revocation without a vote.
    uint40 internal constant MAX_SUSPENSION = 90 days;
    /// @dev Namespace of the blocks of `approvedInBlock`: keccak256(id . keccak256(kind . this)). They have no slot of their own,
    /// so that the slots of deployed registries stay.
    bytes32 private constant VERSION_BLOCKS = keccak256("assent.storage.VersionBlocks");

    /// @dev Slot 0: the approval words. KMS nodes read them with storage proofs.
    mapping(Kind kind => mapping(bytes32 id => Approval)) private _approvals;
    /// @dev Slot 1: keccak256 of the evidence of the current version.
    mapping(Kind kind => mapping(bytes32 id => bytes32)) private _evidence;
    /// @dev Slot 2: the list of ids of each kind. Positions count from 1.
    mapping(Kind kind => mapping(uint256 position => bytes32)) private _ids;
    /// @dev Slot 3, with `_suspension`. Zero = only the owner can suspend.
    address private _guardian;
    /// @dev Seconds.
    uint40 private _suspension;
    /// @dev Four counters of 32 bits; the kinds of one registry differ modulo 4. The first variable of the derived registry
    /// shares this slot.
    uint128 private _counts;

    /* ONLY OWNER FUNCTIONS */

    /// @inheritdoc IApprovalRegistry
    function approve(ApprovalTerms[] calldata terms, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        for (uint256 i = 0; i < terms.length; i++) {
            ApprovalTerms calldata each = terms[i];
            _approve(each.kind, each.id, each.activeFrom, each.expiresAt, each.evidence);
        }
    }

    /// @inheritdoc IApprovalRegistry
    function extend(Kind kind, bytes32[] calldata ids, uint40 expiresAt, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        for (uint256 i = 0; i < ids.length; i++) {
            Approval known = _known(kind, ids[i]);
            if (known.endedAt() != 0) continue;
            _change(kind, ids[i], known.extend(expiresAt, block.timestamp));
        }
    }

    /// @inheritdoc IApprovalRegistry
    function shorten(Kind kind, bytes32[] calldata ids, uint40 expiresAt) external onlyOwner {
        for (uint256 i = 0; i < ids.length; i++) {
            _shorten(kind, ids[i], expiresAt);
            bytes32 current = _currentId(kind, ids[i]);
            if (current != ids[i]) _shorten(kind, current, expiresAt);
        }
    }

    /// @inheritdoc IApprovalRegistry
    function withdraw(Kind kind, bytes32[] calldata ids) external onlyOwner {
        for (uint256 i = 0; i < ids.length; i++) {
            _withdraw(kind, ids[i]);
            bytes32 current = _currentId(kind, ids[i]);
            if (current != ids[i]) _withdraw(kind, current);
        }
    }

    /// @inheritdoc IApprovalRegistry
    function revoke(Kind kind, bytes32[] calldata ids) external onlyOwner {
        for (uint256 i = 0; i < ids.length; i++) {
            _revoke(kind, ids[i]);
            bytes32 current = _currentId(kind, ids[i]);
            if (current != ids[i]) _revoke(kind, current);
        }
    }

    /// @inheritdoc IApprovalRegistry
    function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);

        for (uint256 i = 0; i < ids.length; i++) {
            Approval known = _known(kind, ids[i]);
            if (known.stateAt(block.timestamp) != State.Suspended) continue;
            _change(kind, ids[i], known.lift(block.timestamp));
        }
    }

    /// @inheritdoc IApprovalRegistry
    function setGuardian(address newGuardian, uint40 newSuspension, uint40 notAfter) external onlyOwner {
        requireNotAfter(notAfter);
        _setGuardian(newGuardian, newSuspension);
    }

    /* FAST DENIAL */

    /// @inheritdoc IApprovalRegistry
    function suspend(Kind kind, bytes32[] calldata ids) external {
        bool byOwner = msg.sender == owner();
        require(byOwner || msg.sender == _guardian, GuardianUnauthorizedAccount(msg.sender));

        uint40 time = _suspension == 0 ? MAX_SUSPENSION : _suspension;
        for (uint256 i = 0; i < ids.length; i++) {
            _suspend(kind, ids[i], time, byOwner);
            bytes32 current = _currentId(kind, ids[i]);
            if (current != ids[i]) _suspend(kind, current, time, byOwner);
        }
    }

    /// @inheritdoc IApprovalRegistry
    function markExpired(Kind kind, bytes32[] calldata ids) external {
        for (uint256 i = 0; i < ids.length; i++) {
            Approval known = _known(kind, ids[i]);
            if (known.endedAt() != 0) continue;
            State found = known.stateAt(block.timestamp);
            require(found == State.Expired, ApprovalStateInvalid(found));
            _change(kind, ids[i], known.withdraw(block.timestamp));
            _afterDecision(kind, ids[i], false);
        }
    }

    /* VIEWS */

    /// @inheritdoc IApprovalRegistry
    function requireNotAfter(uint40 notAfter) public view {
        require(block.timestamp <= notAfter, ExecutionDeadlinePassed(block.timestamp, notAfter));
    }

    /// @inheritdoc IApprovalRegistry
    function guardian() external view returns (address) {
        return _guardian;
    }

    /// @inheritdoc IApprovalRegistry
    function suspension() external view returns (uint40) {
        return _suspension;
    }

    /// @inheritdoc IApprovalRegistry
    function approvalOf(Kind kind, bytes32 id) public view returns (Approval) {
        return _approvals[kind][id];
    }

    /// @inheritdoc IApprovalRegistry
    function stateOf(Kind kind, bytes32 id) public view returns (State) {
        return _approvals[kind][id].stateAt(block.timestamp);
    }

    /// @inheritdoc IApprovalRegistry
    function evidenceOf(Kind kind, bytes32 id) external view returns (bytes32) {
        return _evidence[kind][id];
    }

    /// @inheritdoc IApprovalRegistry
    function approvedInBlock(Kind kind, bytes32 id) public view returns (uint256) {
        return _versionBlocks()[kind][id];
    }

    /// @inheritdoc IApprovalRegistry
    function activationDelay(Kind kind) public view virtual returns (uint256);

    /// @inheritdoc IApprovalRegistry
    function count(Kind kind) public view returns (uint256) {
        return _supports(kind) ? uint32(_counts >> _countShift(kind)) : 0;
    }

    /// @inheritdoc IApprovalRegistry
    function page(
        Kind kind,
        uint256 offset,
        uint256 limit
    ) external view returns (bytes32[] memory ids, Approval[] memory approvals) {
        uint256 total = count(kind);
        uint256 left = offset < total ? total - offset : 0;
        uint256 length = limit < left ? limit : left;

        ids = new bytes32[](length);
        approvals = new Approval[](length);
        for (uint256 i = 0; i < length; i++) {
            ids[i] = _idAt(kind, offset + i + 1);
            approvals[i] = _approvals[kind][ids[i]];
        }
    }

    /* WHAT A REGISTRY DEFINES */

    /// @dev Whether this registry keeps approvals of `kind`.
    function _supports(Kind kind) internal pure virtual returns (bool);

    /// @dev Whether `id` is possible for `kind`. Zero never is.
    function _isValidId(Kind, bytes32 id) internal pure virtual returns (bool) {
        return id != bytes32(0);
    }

    /// @dev The id at a position, from 1. A registry can override this if it computes the id.
    function _idAt(Kind kind, uint256 position) internal view virtual returns (bytes32) {
        return _ids[kind][position];
    }

    /// @dev Whether `_idAt` computes the id at that position. Then the id is not stored.
    function _isImplied(Kind, bytes32, uint256) internal view virtual returns (bool) {
        return false;
    }

    /// @dev The current id of the host that had this id before (continuity); other registries return `id`. A decision that
    /// denies `id` also applies to it.
    function _currentId(Kind, bytes32 id) internal view virtual returns (bytes32) {
        return id;
    }

    /// @dev Called after an approval (`enabled`), a withdrawal or a revocation: for dstack's events, or a new epoch.
    function _afterDecision(Kind kind, bytes32 id, bool enabled) internal virtual;

    /* STEPS */

    /// @dev Whether the id has an active approval now.
    function _isActive(Kind kind, bytes32 id) internal view returns (bool) {
        return _approvals[kind][id].isActiveAt(block.timestamp);
    }

    /// @dev dstack's add: also emits its events if the id is approved already. A suspension stays. Reverts if it is revoked.
    function _add(Kind kind, bytes32 id) internal {
        State found = stateOf(kind, id);
        bool isApproved = found == State.Active || found == State.Pending || found == State.Suspended;
        if (isApproved) _afterDecision(kind, id, true);
        else _approve(kind, id, 0, 0, "");
    }

    /// @dev dstack's remove: never reverts and always emits its events.
    function _remove(Kind kind, bytes32 id) internal {
        Approval known = _approvals[kind][id];
        if (known.version() != 0 && known.endedAt() == 0) _change(kind, id, known.withdraw(block.timestamp));
        _afterDecision(kind, id, false);
    }

    /// @dev Every approval passes here. The start is the later of `activeFrom` and the end of the activation delay.
    function _approve(Kind kind, bytes32 id, uint40 activeFrom, uint40 expiresAt, bytes memory evidence) internal {
        require(_supports(kind), KindUnknown(kind));
        require(_isValidId(kind, id), IdInvalid(kind, id));
        Approval known = _approvals[kind][id];
        uint40 earliest = uint40(block.timestamp + activationDelay(kind));
        uint40 from = activeFrom > earliest ? activeFrom : earliest;

        Approval given = known.approve(from, expiresAt, uint32(count(kind) + 1), block.timestamp);
        _list(kind, id, known, given);
        bytes32 digest = evidence.length == 0 ? bytes32(0) : keccak256(evidence);
        if (digest != 0 || known.version() != 0) _evidence[kind][id] = digest;
        bool returned = known.version() != 0 && given.version() != known.version();
        if (returned) _versionBlocks()[kind][id] = block.number;

        emit ApprovalGiven(kind, id, given, evidence);
        _afterDecision(kind, id, true);
    }

    /// @dev Shortens one approval; skips one that has ended.
    function _shorten(Kind kind, bytes32 id, uint40 expiresAt) private {
        Approval known = _known(kind, id);
        if (known.endedAt() != 0) return;
        _change(kind, id, known.shorten(expiresAt, block.timestamp));
    }

    /// @dev Withdraws one approval; skips one that has ended.
    function _withdraw(Kind kind, bytes32 id) private {
        Approval known = _known(kind, id);
        if (known.endedAt() != 0) return;
        _change(kind, id, known.withdraw(block.timestamp));
        _afterDecision(kind, id, false);
    }

    /// @dev Revokes one id, approved or not; skips one that is revoked.
    function _revoke(Kind kind, bytes32 id) internal {
        require(_supports(kind), KindUnknown(kind));
        require(_isValidId(kind, id), IdInvalid(kind, id));
        Approval known = _approvals[kind][id];
        if (known.isRevoked()) return;

        Approval ended = known.revoke(uint32(count(kind) + 1), block.timestamp);
        _list(kind, id, known, ended);

        emit ApprovalChanged(kind, id, ended);
        _afterDecision(kind, id, false);
    }

    /// @dev Suspends one approval; skips one that is neither pending nor active.
    /// @param time how long, seconds.
    /// @param byOwner false if the guardian suspends.
    function _suspend(Kind kind, bytes32 id, uint40 time, bool byOwner) private {
        Approval known = _known(kind, id);
        State found = known.stateAt(block.timestamp);
        if (found != State.Pending && found != State.Active) return;
        uint256 cooldownUntil = uint256(known.suspendedUntil()) + time;
        // a suspension by the owner starts no cooldown: else the owner could disable the guardian with it
        bool inCooldown = known.isSuspendedByGuardian() && block.timestamp < cooldownUntil;
        require(byOwner || !inCooldown, GuardianCooldown(id, known.suspendedUntil(), cooldownUntil));

        uint40 until = uint40(block.timestamp) + time;
        Approval suspended =
            byOwner ? known.suspend(until, block.timestamp) : known.suspendAsGuardian(until, block.timestamp);
        _change(kind, id, suspended);
    }

    /// @dev Checks the bounds and emits `GuardianSet`.
    function _setGuardian(address newGuardian, uint40 newSuspension) internal {
        bool bounded = newSuspension >= MIN_SUSPENSION && newSuspension <= MAX_SUSPENSION;
        require(bounded, SuspensionOutOfBounds(newSuspension, MIN_SUSPENSION, MAX_SUSPENSION));

        _guardian = newGuardian;
        _suspension = newSuspension;

        emit GuardianSet(newGuardian, newSuspension);
    }

    /// @dev The word of an id that is in the list; else reverts with `ApprovalUnknown`.
    function _known(Kind kind, bytes32 id) private view returns (Approval known) {
        known = _approvals[kind][id];
        require(known.index() != 0, ApprovalUnknown(kind, id));
    }

    /// @dev Stores and announces a word of an id that is in the list.
    function _change(Kind kind, bytes32 id, Approval changed) private {
        _approvals[kind][id] = changed;

        emit ApprovalChanged(kind, id, changed);
    }

    /// @dev Stores a word, and puts the id into the list if it is not there.
    function _list(Kind kind, bytes32 id, Approval known, Approval changed) private {
        _approvals[kind][id] = changed;
        if (known.index() != 0) return;
        if (!_isImplied(kind, id, changed.index())) _ids[kind][changed.index()] = id;
        _counts += uint128(1) << _countShift(kind);
    }

    /// @dev Blocks in which later versions were approved.
    function _versionBlocks()
        private
        pure
        returns (mapping(Kind kind => mapping(bytes32 id => uint256)) storage blocks)
    {
        bytes32 slot = VERSION_BLOCKS;
        assembly ("memory-safe") {
            blocks.slot := slot
        }
    }

    /// @dev Position of a kind's counter in `_counts`, bits.
    function _countShift(Kind kind) private pure returns (uint8) {
        return 32 * (uint8(kind) % 4);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {DaoTerms, IDaoFactory} from "../registry/IDaoFactory.sol";
import {GovernorRules} from "./AssentGovernor.sol";

/// @notice Makes a DAO of the same three contracts that govern Assent itself, byte for byte.
/// @dev Together they are larger than one account's code may be, so their creation codes lie in accounts of their own
/// (CreationCode). Nothing is delegated to anyone: a DAO does not depend on its factory afterwards.
contract DaoFactory is IDaoFactory {
    bytes32 private constant ADMIN = bytes32(0);
    bytes32 private constant PROPOSER = keccak256("PROPOSER_ROLE");
    bytes32 private constant EXECUTOR = keccak256("EXECUTOR_ROLE");
    bytes32 private constant CANCELLER = keccak256("CANCELLER_ROLE");

    /// @notice Where the creation codes are; the governor's is in two parts.
    address public immutable governorHead;
    address public immutable governorTail;
    address public immutable timelockCode;
    address public immutable votesCode;
    address public immutable wrapperCode;

    /// @notice Thrown when a DAO would have no votes.
    error DaoWithoutVotes(address underlying, address holder, uint256 supply);
    /// @notice Thrown when a DAO would decide without a quorum: one unit of votes would be enough.
    error DaoWithoutQuorum(uint256 supply, uint256 quorumPercent);
    error DaoPartNotCreated();

    /// @dev The codes are believed: compare `EXTCODEHASH` with the artifacts before relying on a factory.
    constructor(address[2] memory governor, address timelock, address votes, address wrapper) {
        (governorHead, governorTail) = (governor[0], governor[1]);
        (timelockCode, votesCode, wrapperCode) = (timelock, votes, wrapper);
    }

    /// @inheritdoc IDaoFactory
    function create(DaoTerms calldata terms) external returns (address timelock) {
        address votes = _createVotes(terms);
        _requireQuorum(terms);
        address[] memory nobody = new address[](0);
        timelock = _create(_read(timelockCode), abi.encode(terms.timelockDelay, nobody, nobody, address(this)));
        address governor = _create(
            bytes.concat(_read(governorHead), _read(governorTail)),
            abi.encode(votes, timelock, _rulesOf(terms))
        );
        _handOver(IAccessControl(timelock), governor);

        emit DaoCreated(msg.sender, timelock, governor, votes);
    }

    function _createVotes(DaoTerms calldata terms) private returns (address) {
        bool wraps = terms.underlying != address(0);
        bool votable = wraps ? terms.underlying.code.length != 0 : terms.supply != 0 && terms.holder != address(0);
        require(votable, DaoWithoutVotes(terms.underlying, terms.holder, terms.supply));
        if (wraps) return _create(_read(wrapperCode), abi.encode(terms.underlying, terms.name, terms.symbol));
        return _create(_read(votesCode), abi.encode(terms.name, terms.symbol, terms.holder, terms.supply));
    }

    function _requireQuorum(DaoTerms calldata terms) private view {
        bool wraps = terms.underlying != address(0);
        uint256 supply = wraps ? IERC20(terms.underlying).totalSupply() : terms.supply;
        require(Math.mulDiv(supply, terms.quorumPercent, 100) != 0, DaoWithoutQuorum(supply, terms.quorumPercent));
    }

    function _rulesOf(DaoTerms calldata terms) private pure returns (GovernorRules memory) {
        return
            GovernorRules({
                votingDelay: terms.votingDelay,
                votingPeriod: terms.votingPeriod,
                proposalThreshold: terms.proposalThreshold,
                quorumPercent: terms.quorumPercent,
                lateQuorumExtension: terms.lateQuorumExtension,
                guardian: terms.guardian
            });
    }

    /// @dev The governor is the only one with a role besides the timelock itself.
    function _handOver(IAccessControl timelock, address governor) private {
        timelock.grantRole(PROPOSER, governor);
        timelock.grantRole(CANCELLER, governor);
        timelock.grantRole(EXECUTOR, governor);
        timelock.renounceRole(ADMIN, address(this));
    }

    function _read(address holder) private view returns (bytes memory code) {
        uint256 size = holder.code.length;
        code = new bytes(size == 0 ? 0 : size - 1);
        assembly ("memory-safe") {
            extcodecopy(holder, add(code, 0x20), 1, mload(code))
        }
    }

    function _create(bytes memory code, bytes memory arguments) private returns (address created) {
        bytes memory creation = bytes.concat(code, arguments);
        assembly ("memory-safe") {
            created := create(0, add(creation, 0x20), mload(creation))
        }
        if (created == address(0)) _bubble();
    }

    /// @dev A constructor's own words, if it had any.
    function _bubble() private pure {
        assembly ("memory-safe") {
            if returndatasize() {
                let reason := mload(0x40)
                returndatacopy(reason, 0, returndatasize())
                revert(reason, returndatasize())
            }
        }
        revert DaoPartNotCreated();
    }
}

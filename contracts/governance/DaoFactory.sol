// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {DaoParameters, IDaoFactory} from "../registry/IDaoFactory.sol";
import {GovernorRules} from "./AssentGovernor.sol";

/// @notice Creates DAOs from the same creation code as Assent's own DAO: a votes token, a governor and a timelock.
/// @dev The three creation codes together are larger than one contract may be (EIP-170), so they are stored in contracts of
/// their own (`CreationCode`). A DAO does not depend on its factory after creation.
contract DaoFactory is IDaoFactory {
    /// @dev Role that can grant roles of the timelock (OpenZeppelin's DEFAULT_ADMIN_ROLE).
    bytes32 private constant ADMIN = bytes32(0);
    /// @dev Role that can schedule operations.
    bytes32 private constant PROPOSER = keccak256("PROPOSER_ROLE");
    /// @dev Role that can execute operations after the delay.
    bytes32 private constant EXECUTOR = keccak256("EXECUTOR_ROLE");
    /// @dev Role that can cancel operations.
    bytes32 private constant CANCELLER = keccak256("CANCELLER_ROLE");

    /// @notice The `CreationCode` with the first part of the governor's creation code.
    address public immutable governorHead;
    /// @notice The `CreationCode` with the rest of it.
    address public immutable governorTail;
    /// @notice The `CreationCode` of the timelock.
    address public immutable timelockCode;
    /// @notice The `CreationCode` of the votes token.
    address public immutable votesCode;
    /// @notice The `CreationCode` of the wrapped votes token.
    address public immutable wrapperCode;

    /// @notice The DAO would have no votes: no supply, no holder, or no contract at the underlying token's address.
    /// @param underlying token to wrap; zero = a new votes token.
    /// @param holder account that would get all new votes.
    /// @param supply number of new votes.
    error DaoWithoutVotes(address underlying, address holder, uint256 supply);
    /// @notice The quorum would be less than two units, so one unit of votes could decide; or it is more than there are tokens
    /// to wrap, so nobody could.
    /// @param supply votes of which the quorum is a share.
    /// @param quorumPercent percent of the supply.
    error DaoWithoutQuorum(uint256 supply, uint256 quorumPercent);
    /// @notice A contract of the DAO could not be created, and its constructor gave no reason.
    error DaoPartNotCreated();

    /// @dev Does not check the codes: compare them with the artifacts before you rely on a factory (`assent deployment
    /// check` does).
    /// @param governor the two parts of the governor's creation code.
    constructor(address[2] memory governor, address timelock, address votes, address wrapper) {
        (governorHead, governorTail) = (governor[0], governor[1]);
        (timelockCode, votesCode, wrapperCode) = (timelock, votes, wrapper);
    }

    /// @inheritdoc IDaoFactory
    function create(DaoParameters calldata parameters) external returns (address timelock) {
        address votes = _createVotes(parameters);
        _requireQuorum(parameters);
        address[] memory nobody = new address[](0);
        timelock = _create(_read(timelockCode), abi.encode(parameters.timelockDelay, nobody, nobody, address(this)));
        address governor = _create(
            bytes.concat(_read(governorHead), _read(governorTail)),
            abi.encode(votes, timelock, _rulesOf(parameters))
        );
        _grantRoles(IAccessControl(timelock), governor);

        emit DaoCreated(msg.sender, timelock, governor, votes);
    }

    /// @dev A new votes token, or a wrapper around an existing token.
    function _createVotes(DaoParameters calldata parameters) private returns (address) {
        bool wraps = parameters.underlying != address(0);
        bool held = wraps ? parameters.underlying.code.length != 0 : parameters.holder != address(0);
        require(
            held && parameters.supply != 0,
            DaoWithoutVotes(parameters.underlying, parameters.holder, parameters.supply)
        );
        if (wraps)
            return
                _create(
                    _read(wrapperCode),
                    abi.encode(parameters.underlying, parameters.name, parameters.symbol, parameters.supply)
                );
        return
            _create(
                _read(votesCode),
                abi.encode(parameters.name, parameters.symbol, parameters.holder, parameters.supply)
            );
    }

    /// @dev Rounded down, as the governor does. The supply that is read here decides nothing else: it can be raised for a moment.
    function _requireQuorum(DaoParameters calldata parameters) private view {
        uint256 quorum = Math.mulDiv(parameters.supply, parameters.quorumPercent, 100);
        bool wraps = parameters.underlying != address(0);
        uint256 votes = wraps ? IERC20(parameters.underlying).totalSupply() : parameters.supply;
        require(quorum > 1 && quorum <= votes, DaoWithoutQuorum(parameters.supply, parameters.quorumPercent));
    }

    /// @dev The part of the parameters that the governor takes.
    function _rulesOf(DaoParameters calldata parameters) private pure returns (GovernorRules memory) {
        return
            GovernorRules({
                votingDelay: parameters.votingDelay,
                votingPeriod: parameters.votingPeriod,
                proposalThreshold: parameters.proposalThreshold,
                quorumPercent: parameters.quorumPercent,
                lateQuorumExtension: parameters.lateQuorumExtension,
                guardian: parameters.guardian
            });
    }

    /// @dev Afterwards the governor has the roles of proposer, canceller and executor, and only the timelock is its admin.
    function _grantRoles(IAccessControl timelock, address governor) private {
        timelock.grantRole(PROPOSER, governor);
        timelock.grantRole(CANCELLER, governor);
        timelock.grantRole(EXECUTOR, governor);
        timelock.renounceRole(ADMIN, address(this));
    }

    /// @dev The stored creation code, without the leading STOP.
    function _read(address holder) private view returns (bytes memory code) {
        uint256 size = holder.code.length;
        code = new bytes(size == 0 ? 0 : size - 1);
        assembly ("memory-safe") {
            extcodecopy(holder, add(code, 0x20), 1, mload(code))
        }
    }

    /// @dev Creates a contract. Reverts with the reason of its constructor, or with `DaoPartNotCreated`.
    function _create(bytes memory code, bytes memory arguments) private returns (address created) {
        bytes memory creation = bytes.concat(code, arguments);
        assembly ("memory-safe") {
            created := create(0, add(creation, 0x20), mload(creation))
        }
        if (created == address(0)) _bubble();
    }

    /// @dev Reverts with the return data of the constructor, if there is any.
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

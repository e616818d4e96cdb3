// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IInstances} from "./IInstances.sol";

/// @notice The functions of ERC-8004's validation registry that are called here.
/// @dev From the reference contracts at the commit that docs/use-from-contracts.md names. The ERC is a draft.
interface IValidationRegistry {
    /// @notice The registry of agents.
    function getIdentityRegistry() external view returns (address);

    /// @notice The validator's answer to a request: 0 to 100.
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external;

    /// @notice A request with its last response. Reverts for an unknown request.
    function getValidationStatus(
        bytes32 requestHash
    )
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        );
}

/// @notice The function of ERC-8004's identity registry that is called here.
interface IIdentityRegistry {
    /// @notice The wallet of an agent, which showed with a signature that it belongs to the agent; zero = none.
    function getAgentWallet(uint256 agentId) external view returns (address);
}

/// @notice A validator for ERC-8004 (trustless agents): 100 if the wallet of an agent is the key of a live instance of an app
/// now, else 0.
/// @dev The agent's owner names this contract as the validator of a request whose hash is `requestHashOf`. Then anyone calls
/// `respond`, again and again: the answer follows the registries, also downwards after a withdrawal. A stored response is as old as
/// its last update; `isValid` is the answer now.
/// Anyone may call. It has no owner and keeps nothing.
contract AssentValidator {
    /// @notice The registry of instances.
    IInstances public immutable instances;
    /// @notice ERC-8004's validation registry.
    IValidationRegistry public immutable registry;

    /// @notice The tag of all responses.
    string public constant TAG = "assent-instance";
    /// @dev Separates request hashes from those of other validators.
    bytes32 private constant DOMAIN = keccak256("assent-validation-v1");

    /// @notice The request names another validator or agent.
    error RequestMismatch(bytes32 requestHash, address validator, uint256 agentId);

    /// @param instances_ the registry of instances.
    /// @param registry_ ERC-8004's validation registry.
    constructor(IInstances instances_, IValidationRegistry registry_) {
        (instances, registry) = (instances_, registry_);
    }

    /// @notice Writes the present answer into the validation registry, as the response to the request about this agent and app.
    /// @dev Reverts with `RequestMismatch`, and as the registry does for an unknown request.
    /// @param agentId id of the agent in the identity registry.
    /// @param app the app whose instance the agent claims to be.
    /// @return response 100 or 0.
    function respond(uint256 agentId, address app) external returns (uint8 response) {
        bytes32 requestHash = requestHashOf(agentId, app);
        (address validator, uint256 found, , , , ) = registry.getValidationStatus(requestHash);
        require(validator == address(this) && found == agentId, RequestMismatch(requestHash, validator, found));
        address wallet = walletOf(agentId);
        response = _speaksFor(wallet, app) ? 100 : 0;

        registry.validationResponse(requestHash, response, "", keccak256(abi.encode(wallet, app)), TAG);
    }

    /// @notice Whether the agent's wallet is the key of a live instance of the app now.
    function isValid(uint256 agentId, address app) external view returns (bool) {
        return _speaksFor(walletOf(agentId), app);
    }

    /// @notice The wallet of an agent now, from the identity registry.
    function walletOf(uint256 agentId) public view returns (address) {
        return IIdentityRegistry(registry.getIdentityRegistry()).getAgentWallet(agentId);
    }

    /// @notice The hash of the request about this agent and app: chain, this contract and registry are part of it.
    function requestHashOf(uint256 agentId, address app) public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, block.chainid, address(this), address(registry), agentId, app));
    }

    /// @dev Whether a key speaks for an app now.
    function _speaksFor(address key, address app) private view returns (bool) {
        (IInstances.Record memory record, IInstances.Standing standing) = instances.instanceOf(key);
        return record.app == app && standing == IInstances.Standing.Live;
    }
}

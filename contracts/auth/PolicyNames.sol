// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A rule or an approval changed (dstack's event). Emitted after each specific event of KmsAuth, App and
/// RenounceableUpgrades, so that one topic finds every change.
/// @param actor the caller.
/// @param policy what changed: keccak256 of a name, see `PolicyNames`.
/// @param value the id or value that changed: an id of 32 bytes, an address, or keccak256 of bytes.
/// @param enabled true if something was allowed or set; false if it was removed.
event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled);

/// @notice The values of `PolicyChanged.policy`: keccak256 of names that dstack defines.
library PolicyNames {
    /// @notice The subjects of `PolicyChanged`, as dstack's contracts hash them.
    bytes32 internal constant APP_IMPLEMENTATION = keccak256("app-implementation");
    bytes32 internal constant IMPLEMENTATION_UPGRADE = keccak256("implementation-upgrade");
    /// @dev Texts and bytes of the KMS; the value is keccak256 of the public key, the quote, the log or the id.
    bytes32 internal constant KMS_INFO = keccak256("kms-info");
    bytes32 internal constant KMS_QUOTE = keccak256("kms-quote");
    bytes32 internal constant KMS_EVENTLOG = keccak256("kms-eventlog");
    bytes32 internal constant GATEWAY_APP_ID = keccak256("gateway-app-id");
    /// @dev Approvals of `KmsAuth`; the value is the id.
    bytes32 internal constant REGISTERED_APP = keccak256("registered-app");
    bytes32 internal constant KMS_AGGREGATED_MR = keccak256("kms-aggregated-mr");
    bytes32 internal constant KMS_DEVICE = keccak256("kms-device");
    bytes32 internal constant OS_IMAGE = keccak256("os-image");
    /// @dev Approvals and rules of an app; the value is the id, or zero for a rule.
    bytes32 internal constant DEVICE = keccak256("device");
    bytes32 internal constant COMPOSE_HASH = keccak256("compose-hash");
    bytes32 internal constant ALLOW_ANY_DEVICE = keccak256("allow-any-device");
    bytes32 internal constant REQUIRE_TCB_UP_TO_DATE = keccak256("require-tcb-up-to-date");
    bytes32 internal constant UPGRADES_DISABLED = keccak256("upgrades-disabled");
    /// @notice The subjects that only Assent has.
    bytes32 internal constant ACTIVATION_DELAY = keccak256("activation-delay");
    bytes32 internal constant HOSTS = keccak256("hosts");
    bytes32 internal constant IMAGES = keccak256("images");
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {AssentValidator, IValidationRegistry} from "../../contracts/instances/AssentValidator.sol";
import {IInstances} from "../../contracts/instances/IInstances.sol";
import {Instances} from "../../contracts/instances/Instances.sol";
import {Questions} from "../../contracts/instances/Questions.sol";
import {Approval} from "../../contracts/types/Approval.sol";
import {Kind} from "../../contracts/types/Kind.sol";
import {TcbStatus} from "../../contracts/types/Report.sol";
import {InstancesFixture} from "./InstancesFixture.sol";

/// @notice Both registries of ERC-8004, as far as a validator uses them.
contract AgentRegistries is IValidationRegistry {
    mapping(uint256 agentId => address) public getAgentWallet;
    mapping(bytes32 requestHash => address) private _validators;
    mapping(bytes32 requestHash => uint256) private _agents;
    mapping(bytes32 requestHash => uint8) public responseOf;

    function setAgentWallet(uint256 agentId, address wallet) external {
        getAgentWallet[agentId] = wallet;
    }

    function validationRequest(address validator, uint256 agentId, bytes32 requestHash) external {
        (_validators[requestHash], _agents[requestHash]) = (validator, agentId);
    }

    function getIdentityRegistry() external view returns (address) {
        return address(this);
    }

    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata,
        bytes32,
        string calldata
    ) external {
        require(msg.sender == _validators[requestHash], "not validator");
        responseOf[requestHash] = response;
    }

    function getValidationStatus(
        bytes32 requestHash
    ) external view returns (address, uint256, uint8, bytes32, string memory, uint256) {
        require(_validators[requestHash] != address(0), "unknown");
        return (_validators[requestHash], _agents[requestHash], responseOf[requestHash], 0, "", 0);
    }
}

/// @notice Registration, and what a record depends on.
contract InstancesTest is InstancesFixture {
    function test_QuoteMakesAKeySpeakForItsApp() public {
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Unknown, "before");
        _register(INSTANCE_KEY);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "after");

        (IInstances.Record memory record, ) = instances.instanceOf(vm.addr(INSTANCE_KEY));
        assertEq(record.app, address(app), "app");
        assertEq(record.expiresAt, vm.getBlockTimestamp() + 20 days, "ends with the collateral");
        assertEq(record.provenAt, vm.getBlockTimestamp(), "time");
        assertEq(record.provenAtBlock, number - 1, "block");
        assertEq(uint8(record.way), uint8(IInstances.Way.Quote), "way");
        assertEq(uint8(record.status), uint8(TcbStatus.UpToDate), "status");
        assertTrue(record.hasApprovals, "approvals");
        assertEq(record.subject, DEVICE, "host");
        assertTrue(!instances.isFrom(STRANGER, DIGEST, _sign(INSTANCE_KEY, DIGEST)), "another app");
        assertTrue(!instances.isFrom(address(app), DIGEST, _sign(OTHER_KEY, DIGEST)), "another key");
    }

    function test_KeyChainMakesAKeySpeakForItsApp() public {
        _registerIssued(INSTANCE_KEY);
        _assertStanding(INSTANCE_KEY, IInstances.Standing.Live, "after");

        (IInstances.Record memory record, ) = instances.instanceOf(vm.addr(INSTANCE_KEY));
        assertEq(record.app, address(app), "app");
        assertEq(record.expiresAt, vm.getBlockTimestamp() + 30 days, "ends with the rules");
        assertEq(uint8(record.way), uint8(IInstances.Way.KeyChain), "way");
        assertEq(record.epoch, 1, "epoch");
        assertEq(record.source, vm.addr(ROOT_KEY), "root key");
        assertEq(record.subject, COMPOSE, "release");
    }

    function test_BootIsRecordedOnce() public {
        _recordBoot();
        _recordBoot();
        bytes32 id = instances.recordBoot(_log(address(app), COMPOSE), IMAGE);
        IInstances.BootFacts memory boot = instances.bootOf(id);
        assertEq(boot.app, address(app), "app");
        assertEq(boot.composeHash, COMPOSE, "release");
        assertEq(boot.osImageHash, IMAGE, "image");
        assertEq(boot.instanceId, INSTANCE_ID, "instance");
        assertEq(boot.keyProvider, keccak256(_keyProvider(ca)), "key provider");
        assertEq(instances.bootOf("unknown").app, address(0), "unknown");
    }

    function test_RulesOutOfBoundsAreRefused() public {
        uint256[2][4] memory rules = [[uint256(0), 200], [uint256(366 days), 200], [uint256(1), 0], [uint256(1), 8192]];
        for (uint256 i = 0; i < rules.length; i++) {
            vm.expectRevert(IInstances.InstanceRulesInvalid.selector);
            new Instances(address(kms), address(images), address(keys), bootLog, rules[i][0], rules[i][1]);
        }
    }

    /// @dev The compact form of the rule must be the rule.
    function testFuzz_AnApprovalCountsIfItIsActiveAndOlder(uint256 word, uint40 time, uint8 shape) public {
        // words of random bits are nearly always revoked or ended
        if (shape & 1 != 0) word &= ~(uint256(type(uint40).max) << 120);
        if (shape & 2 != 0) word &= ~(uint256(1) << 224);
        if (shape & 4 != 0) word &= ~(uint256(type(uint40).max) << 40);
        if (shape & 8 != 0) word &= ~(uint256(type(uint40).max) << 80);
        if (shape & 16 != 0) word &= ~uint256(type(uint40).max);
        Approval approval = Approval.wrap(word);
        vm.warp(uint256(time) + 1);
        uint256 since = shape & 32 != 0 ? uint256(time) + 1 : approval.activeFrom();
        if (since > uint256(time) + 1) since = uint256(time) + 1;
        bool expected = approval.isActiveAt(uint256(time) + 1) && approval.activeFrom() < since;
        (bool isActive, bool isFirst) = Questions.isActiveBefore(approval, since);
        assertTrue(isActive == expected, "differs");
        assertTrue(isFirst == (approval.version() == 1), "another version");
    }

    function test_ValidatorFollowsTheRegistriesUpAndDown() public {
        AgentRegistries registries = new AgentRegistries();
        AssentValidator validator = new AssentValidator(instances, registries);
        bytes32 request = validator.requestHashOf(5, address(app));
        vm.expectRevert("unknown");
        validator.respond(5, address(app));
        registries.validationRequest(address(validator), 5, request);
        registries.setAgentWallet(5, vm.addr(INSTANCE_KEY));
        assertEq(validator.respond(5, address(app)), 0, "not registered");

        _register(INSTANCE_KEY);
        vm.prank(STRANGER);
        assertEq(validator.respond(5, address(app)), 100, "live");
        assertEq(registries.responseOf(request), 100, "stored");
        assertTrue(validator.isValid(5, address(app)), "valid");
        assertTrue(!validator.isValid(5, STRANGER), "another app");

        vm.prank(DAO);
        kms.removeOsImageHash(IMAGE);
        assertTrue(!validator.isValid(5, address(app)), "withdrawn");
        vm.prank(STRANGER);
        assertEq(validator.respond(5, address(app)), 0, "refreshed downwards");
        assertEq(registries.responseOf(request), 0, "stored after the withdrawal");
    }

    function test_ValidatorRefusesTheRequestOfAnotherValidatorOrAgent() public {
        AgentRegistries registries = new AgentRegistries();
        AssentValidator validator = new AssentValidator(instances, registries);
        bytes32 request = validator.requestHashOf(5, address(app));
        registries.validationRequest(STRANGER, 5, request);
        vm.expectRevert(abi.encodeWithSelector(AssentValidator.RequestMismatch.selector, request, STRANGER, 5));
        validator.respond(5, address(app));
        registries.validationRequest(address(validator), 6, request);
        vm.expectRevert(
            abi.encodeWithSelector(AssentValidator.RequestMismatch.selector, request, address(validator), 6)
        );
        validator.respond(5, address(app));
    }
}

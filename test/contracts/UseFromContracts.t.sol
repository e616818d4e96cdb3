// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {IInstanceSignatures} from "../../contracts/instances/IInstances.sol";
import {InstancesFixture} from "./InstancesFixture.sol";

// prettier-ignore
contract Price {
    IInstanceSignatures public immutable instances;
    address public immutable app;
    uint256 public price;
    uint256 public round;

    constructor(IInstanceSignatures instances_, address app_) {
        (instances, app) = (instances_, app_);
    }

    function report(uint256 newPrice, bytes calldata signature) external {
        bytes32 digest = keccak256(abi.encode("price-v1", block.chainid, address(this), round, newPrice));
        require(instances.isFrom(app, digest, signature), "not signed by the app");
        (price, round) = (newPrice, round + 1);
    }
}

/// @notice The contract of docs/use-from-contracts.md, which test/docs/use-from-contracts.test.ts compares with this one.
contract UseFromContractsTest is InstancesFixture {
    function test_AContractTakesWhatTheAppSigned() public {
        _register(INSTANCE_KEY);
        Price price = new Price(instances, address(app));
        bytes32 digest = keccak256(abi.encode("price-v1", block.chainid, address(price), uint256(0), uint256(7)));
        bytes memory signature = _sign(INSTANCE_KEY, digest);
        price.report(7, signature);
        assertEq(price.price(), 7, "price");

        vm.expectRevert("not signed by the app");
        price.report(7, signature);
        vm.expectRevert("not signed by the app");
        price.report(8, signature);
        digest = keccak256(abi.encode("price-v1", block.chainid, address(price), uint256(1), uint256(9)));
        signature = _sign(INSTANCE_KEY, digest);
        vm.prank(DAO);
        kms.removeOsImageHash(IMAGE);
        vm.expectRevert("not signed by the app");
        price.report(9, signature);
    }
}

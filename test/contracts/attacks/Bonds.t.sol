// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {HostBonds} from "../../../contracts/registry/HostBonds.sol";
import {IHostBonds} from "../../../contracts/registry/IHostBonds.sol";
import {Coin, TaxedCoin} from "../HostBonds.t.sol";
import {Test} from "../Vm.sol";

/// @notice Takes a hundredth more from the sender than it moves.
contract SenderPaysCoin is Coin {
    constructor(address holder) Coin(holder) {}

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(from, address(0xdead), value / 100);
    }
}

/// @notice Somebody tries to break each promise about bonds (docs/contracts.md, numbers with B).
contract BondAttacks is Test {
    address private constant DAO = address(0xDA0);
    address private constant OPERATOR = address(0x09);
    address private constant STRANGER = address(0x57);
    bytes32 private constant DEVICE = "device";
    uint40 private constant NEVER = type(uint40).max;

    Coin private coin = new Coin(OPERATOR);
    HostBonds private bonds;

    function setUp() public {
        vm.warp(1_750_000_000);
        bonds = _bondsIn(address(coin));
        vm.startPrank(OPERATOR);
        coin.approve(address(bonds), type(uint256).max);
        bonds.deposit(DEVICE, 1_001);
        vm.stopPrank();
    }

    function _bondsIn(address token) private returns (HostBonds) {
        bytes memory init = abi.encodeCall(HostBonds.initialize, (DAO, Coin(token), 100, 14 days));
        return HostBonds(address(new ERC1967Proxy(address(new HostBonds()), init)));
    }

    function _slash(uint96 amount) private returns (bool done) {
        vm.prank(DAO);
        (done, ) = address(bonds).call(abi.encodeCall(bonds.slash, (DEVICE, OPERATOR, amount, DAO, "evidence", NEVER)));
    }

    function test_B1_OnlyTheDaoSlashes() public {
        bytes[2] memory calls = [
            abi.encodeCall(bonds.slash, (DEVICE, OPERATOR, 1, STRANGER, "", NEVER)),
            abi.encodeCall(bonds.setTerms, (0, 1 days, NEVER))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            vm.prank(STRANGER);
            (bool done, ) = address(bonds).call(calls[i]);
            assertTrue(!done, "a stranger took");
        }
        vm.prank(STRANGER);
        (bool returned, ) = address(bonds).call(abi.encodeCall(bonds.withdraw, (DEVICE)));
        assertTrue(!returned, "a stranger got another's bond");
    }

    function test_B1_NamedContractTakesUpToItsLimitAndOnlyForTheDao() public {
        bytes memory unknown = abi.encodeWithSelector(IHostBonds.SlashLimitExceeded.selector, STRANGER, 1, 0);
        vm.expectRevert(unknown);
        vm.prank(STRANGER);
        bonds.slashFault(DEVICE, OPERATOR, 1, "");
        (bool done, ) = address(bonds).call(abi.encodeCall(bonds.setSlashLimit, (STRANGER, 100, NEVER)));
        assertTrue(!done, "a stranger named a contract");
        vm.prank(DAO);
        bonds.setSlashLimit(STRANGER, 100, NEVER);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.SlashLimitExceeded.selector, STRANGER, 101, 100));
        vm.prank(STRANGER);
        bonds.slashFault(DEVICE, OPERATOR, 101, "");
        vm.prank(STRANGER);
        bonds.slashFault(DEVICE, OPERATOR, 100, "");
        assertEq(coin.balanceOf(DAO), 100, "for the DAO");
        vm.prank(DAO);
        bonds.setSlashLimit(STRANGER, 0, NEVER);
        vm.expectRevert(unknown);
        vm.prank(STRANGER);
        bonds.slashFault(DEVICE, OPERATOR, 1, "");
    }

    /// @dev He keeps one unit ready to leave, or all of it, and takes it out just before.
    function test_B2_HolderCannotMakeASlashFail() public {
        vm.prank(OPERATOR);
        bonds.unbond(DEVICE, 1);
        vm.warp(block.timestamp + 14 days);
        vm.prank(OPERATOR);
        bonds.withdraw(DEVICE);
        assertTrue(_slash(1_001), "it failed");
        assertEq(coin.balanceOf(DAO), 1_000, "taken");
        assertTrue(!bonds.isBonded(DEVICE, OPERATOR), "still in good standing");
        assertTrue(_slash(1_001), "it failed when nothing was left");
        assertEq(coin.balanceOf(DAO), 1_000, "taken from others");
    }

    function test_B3_UnbondingAmountCanBeSlashedUntilThePayout() public {
        uint256 start = block.timestamp;
        vm.startPrank(OPERATOR);
        bonds.unbond(DEVICE, 1_001);
        vm.warp(start + 14 days - 1);
        (bool early, ) = address(bonds).call(abi.encodeCall(bonds.withdraw, (DEVICE)));
        vm.stopPrank();
        assertTrue(!early, "paid out early");
        assertTrue(_slash(1_001), "not taken");
        assertEq(coin.balanceOf(DAO), 1_001, "taken");
    }

    function test_B4_BondIsNeverPaidOutImmediately() public {
        vm.startPrank(DAO);
        for (uint32 time = 0; time < 1 hours; time += 1199) {
            (bool set, ) = address(bonds).call(abi.encodeCall(bonds.setTerms, (100, time, NEVER)));
            assertTrue(!set, "a bond could leave at once");
        }
        bonds.setTerms(100, 1 hours, NEVER);
        vm.stopPrank();
        vm.startPrank(OPERATOR);
        bonds.unbond(DEVICE, 1_001);
        (bool done, ) = address(bonds).call(abi.encodeCall(bonds.withdraw, (DEVICE)));
        vm.stopPrank();
        assertTrue(!done, "it left at once");
    }

    /// @dev A later unbonding under shorter terms takes nothing of an earlier one with it.
    function test_B4_ShorterUnbondingTimeDoesNotShortenRunningOnes() public {
        uint256 start = block.timestamp;
        vm.prank(OPERATOR);
        bonds.unbond(DEVICE, 1_000);
        vm.prank(DAO);
        bonds.setTerms(100, 1 hours, NEVER);
        vm.startPrank(OPERATOR);
        bonds.unbond(DEVICE, 1);
        vm.warp(start + 14 days - 1);
        (bool early, ) = address(bonds).call(abi.encodeCall(bonds.withdraw, (DEVICE)));
        assertTrue(!early, "brought forward");
        vm.warp(start + 14 days);
        bonds.withdraw(DEVICE);
        vm.stopPrank();
        assertEq(bonds.bondOf(DEVICE, OPERATOR).unbonding, 0, "not paid out");
    }

    function test_B5_BondCountsForOneHostAndHolder() public {
        assertTrue(bonds.isBonded(DEVICE, OPERATOR), "not bonded");
        assertTrue(!bonds.isBonded(DEVICE, STRANGER), "for another holder");
        assertTrue(!bonds.isBonded("other", OPERATOR), "for another machine");
        vm.prank(OPERATOR);
        bonds.unbond(DEVICE, 902);
        assertTrue(!bonds.isBonded(DEVICE, OPERATOR), "what leaves still counts");
    }

    function test_B6_TokenThatMovesAnotherAmountIsRefused() public {
        TaxedCoin taxed = new TaxedCoin(OPERATOR);
        HostBonds others = _bondsIn(address(taxed));
        vm.startPrank(OPERATOR);
        taxed.approve(address(others), 100);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondTransferMismatch.selector, 99, 100));
        others.deposit(DEVICE, 100);
        vm.stopPrank();
    }

    /// @dev What the token takes on top would be another holder's.
    function test_B6_TokenThatTakesMoreFromTheContractPaysNobody() public {
        SenderPaysCoin greedy = new SenderPaysCoin(OPERATOR);
        HostBonds others = _bondsIn(address(greedy));
        vm.startPrank(OPERATOR);
        greedy.approve(address(others), type(uint256).max);
        others.deposit(DEVICE, 1_000);
        others.deposit("of another", 1_000);
        others.unbond(DEVICE, 1_000);
        vm.warp(block.timestamp + 14 days);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondTransferMismatch.selector, 1_010, 1_000));
        others.withdraw(DEVICE);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondTransferMismatch.selector, 1_010, 1_000));
        vm.prank(DAO);
        others.slash(DEVICE, OPERATOR, 1_000, DAO, "", NEVER);
        assertEq(greedy.balanceOf(address(others)), 2_000, "taken from another");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import {HostBonds} from "../../contracts/registry/HostBonds.sol";
import {IHostBonds} from "../../contracts/registry/IHostBonds.sol";
import {IExecutionDeadline} from "../../contracts/registry/IExecutionDeadline.sol";
import {Test} from "./Vm.sol";

contract Coin is ERC20 {
    constructor(address holder) ERC20("Coin", "COIN") {
        _mint(holder, 1_000_000);
    }
}

/// @notice Keeps one percent of each transfer.
contract TaxedCoin is ERC20 {
    constructor(address holder) ERC20("Taxed", "TAX") {
        _mint(holder, 1_000_000);
    }

    function _update(address from, address to, uint256 value) internal override {
        bool taxed = from != address(0) && to != address(0);
        super._update(from, to, taxed ? value - value / 100 : value);
        if (taxed) super._update(from, address(0xdead), value / 100);
    }
}

/// @notice Deposits again while it is asked to move a deposit, to be counted twice.
contract ReentrantCoin is ERC20 {
    HostBonds private _bonds;
    bool private _busy;

    constructor() ERC20("Reentrant", "RE") {}

    function attack(HostBonds bonds) external {
        _bonds = bonds;
        _mint(address(this), 100);
        _approve(address(this), address(bonds), 100);
        bonds.deposit("device", 10);
    }

    function transferFrom(address from, address to, uint256 value) public override returns (bool) {
        if (!_busy) {
            _busy = true;
            _bonds.deposit("device", 10);
        }
        return super.transferFrom(from, to, value);
    }
}

contract HostBondsTest is Test {
    address private constant DAO = address(0xDA0);
    address private constant OPERATOR = address(0x09);
    address private constant STRANGER = address(0x57);
    bytes32 private constant DEVICE = "device";
    uint40 private constant NEVER = type(uint40).max;

    Coin private coin = new Coin(OPERATOR);
    HostBonds private bonds;

    function setUp() public {
        vm.warp(1_750_000_000);
        bonds = _deploy(coin);
        vm.prank(OPERATOR);
        coin.approve(address(bonds), type(uint256).max);
    }

    function _deploy(ERC20 token) private returns (HostBonds) {
        bytes memory init = abi.encodeCall(HostBonds.initialize, (DAO, token, 100, 14 days));
        return HostBonds(address(new ERC1967Proxy(address(new HostBonds()), init)));
    }

    function _deposit(uint96 amount) private {
        vm.prank(OPERATOR);
        bonds.deposit(DEVICE, amount);
    }

    function _slash(uint96 amount) private {
        vm.prank(DAO);
        bonds.slash(DEVICE, OPERATOR, amount, STRANGER, "two quotes of one machine in two cities", NEVER);
    }

    function test_DepositCountsFromTheMinimum() public {
        _deposit(99);
        assertTrue(!bonds.isBonded(DEVICE, OPERATOR), "below the minimum");
        _deposit(1);

        assertTrue(bonds.isBonded(DEVICE, OPERATOR), "at the minimum");
        assertTrue(!bonds.isBonded(DEVICE, STRANGER), "for somebody else");
        assertTrue(!bonds.isBonded("other", OPERATOR), "for another machine");
        assertEq(coin.balanceOf(address(bonds)), 100, "balance");
    }

    function test_DepositOfAnotherAccountDoesNotBlockTheOperator() public {
        vm.prank(OPERATOR);
        coin.transfer(STRANGER, 1);
        vm.startPrank(STRANGER);
        coin.approve(address(bonds), 1);
        bonds.deposit(DEVICE, 1);
        vm.stopPrank();

        _deposit(100);
        assertTrue(bonds.isBonded(DEVICE, OPERATOR), "kept out");
    }

    function test_UnbondingAmountCountsNoMoreAndIsPaidAfterTheUnbondingTime() public {
        _deposit(150);
        uint256 start = block.timestamp;
        vm.startPrank(OPERATOR);
        bonds.unbond(DEVICE, 51);
        assertTrue(!bonds.isBonded(DEVICE, OPERATOR), "what leaves still counts");
        vm.warp(start + 14 days - 1);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondNotReturnable.selector, 51, start + 14 days));
        bonds.withdraw(DEVICE);
        vm.warp(start + 14 days);
        bonds.withdraw(DEVICE);
        assertEq(coin.balanceOf(OPERATOR), 1_000_000 - 99, "returned");
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondNotReturnable.selector, 0, 0));
        bonds.withdraw(DEVICE);
        vm.stopPrank();
    }

    function test_SecondUnbondingWaitsForTheLaterEnd() public {
        _deposit(100);
        uint256 start = block.timestamp;
        vm.startPrank(OPERATOR);
        bonds.unbond(DEVICE, 50);
        vm.warp(start + 13 days);
        bonds.unbond(DEVICE, 50);
        vm.warp(start + 14 days);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondNotReturnable.selector, 100, start + 27 days));
        bonds.withdraw(DEVICE);
        vm.stopPrank();
    }

    function test_SlashTakesFromTheUnbondingAmountFirst() public {
        _deposit(150);
        vm.prank(OPERATOR);
        bonds.unbond(DEVICE, 40);
        _slash(30);
        IHostBonds.Bond memory bond = bonds.bondOf(DEVICE, OPERATOR);
        assertEq(bond.unbonding, 10, "unbonding");
        assertEq(bond.bonded, 110, "bonded");

        _slash(20);
        bond = bonds.bondOf(DEVICE, OPERATOR);
        assertEq(bond.unbonding, 0, "unbonding");
        assertEq(bond.bonded, 100, "bonded");
        assertEq(coin.balanceOf(STRANGER), 50, "slashed");
        vm.expectRevert(IHostBonds.BondTermsInvalid.selector);
        _slash(0);
        _slash(101);
        assertEq(bonds.bondOf(DEVICE, OPERATOR).bonded, 0, "all that was left");
        assertEq(coin.balanceOf(STRANGER), 150, "slashed");
        _slash(1);
        assertEq(coin.balanceOf(STRANGER), 150, "nothing was left");
    }

    function test_ShorterUnbondingTimeDoesNotShortenRunningOnes() public {
        _deposit(100);
        uint256 start = block.timestamp;
        vm.prank(OPERATOR);
        bonds.unbond(DEVICE, 100);
        vm.prank(DAO);
        bonds.setTerms(0, 1 days, NEVER);

        assertTrue(bonds.isBonded(DEVICE, OPERATOR), "the minimum is zero");
        vm.warp(start + 13 days);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondNotReturnable.selector, 100, start + 14 days));
        vm.prank(OPERATOR);
        bonds.withdraw(DEVICE);
    }

    function test_ZeroAmountsAndInvalidTermsAreRefused() public {
        vm.startPrank(OPERATOR);
        vm.expectRevert(IHostBonds.BondTermsInvalid.selector);
        bonds.deposit(DEVICE, 0);
        vm.expectRevert(IHostBonds.BondTermsInvalid.selector);
        bonds.unbond(DEVICE, 0);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondTooSmall.selector, 0, 1));
        bonds.unbond(DEVICE, 1);
        vm.stopPrank();
        vm.expectRevert(IHostBonds.BondTermsInvalid.selector);
        vm.prank(DAO);
        bonds.setTerms(0, 365 days + 1, NEVER);
        vm.expectRevert(IHostBonds.BondTermsInvalid.selector);
        vm.prank(DAO);
        bonds.setTerms(0, 1 hours - 1, NEVER);
    }

    function test_DecisionsRevertAfterTheirExecutionDeadline() public {
        uint40 past = uint40(block.timestamp - 1);
        bytes memory late = abi.encodeWithSelector(
            IExecutionDeadline.ExecutionDeadlinePassed.selector,
            block.timestamp,
            past
        );
        vm.startPrank(DAO);
        vm.expectRevert(late);
        bonds.setTerms(0, 0, past);
        vm.expectRevert(late);
        bonds.setSlashLimit(STRANGER, 1, past);
        vm.expectRevert(late);
        bonds.slash(DEVICE, OPERATOR, 1, STRANGER, "", past);
        // in its last second
        bonds.setTerms(0, 1 days, past + 1);
        bonds.setSlashLimit(STRANGER, 1, past + 1);
        bonds.slash(DEVICE, OPERATOR, 1, STRANGER, "", past + 1);
        vm.stopPrank();
    }

    function test_OnlyTheDaoSlashes() public {
        _deposit(100);
        vm.startPrank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, STRANGER));
        bonds.slash(DEVICE, OPERATOR, 1, STRANGER, "", NEVER);
        vm.expectRevert(abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, STRANGER));
        bonds.setTerms(0, 0, NEVER);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondNotReturnable.selector, 0, 0));
        bonds.withdraw(DEVICE);
        vm.stopPrank();
    }

    /* TOKENS THAT ARE NOT WHAT THEY SEEM */

    function test_TokenThatTakesAFeeIsRefused() public {
        TaxedCoin taxed = new TaxedCoin(OPERATOR);
        HostBonds others = _deploy(taxed);
        vm.startPrank(OPERATOR);
        taxed.approve(address(others), 100);
        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondTransferMismatch.selector, 99, 100));
        others.deposit(DEVICE, 100);
        vm.stopPrank();
    }

    function test_TokenThatReentersIsRefused() public {
        ReentrantCoin coming = new ReentrantCoin();
        HostBonds others = _deploy(coming);

        vm.expectRevert(abi.encodeWithSelector(IHostBonds.BondTransferMismatch.selector, 20, 10));
        coming.attack(others);
    }

    function testFuzz_BalanceEqualsTheSumOfBonds(uint256 seed) public {
        for (uint256 i = 0; i < 24; i++) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint96 amount = uint96(1 + ((seed >> 8) % 200));
            vm.warp(block.timestamp + ((seed >> 32) % 10 days));
            bool byDao = seed % 4 == 3;
            bytes[4] memory calls = [
                abi.encodeCall(bonds.deposit, (DEVICE, amount)),
                abi.encodeCall(bonds.unbond, (DEVICE, amount)),
                abi.encodeCall(bonds.withdraw, (DEVICE)),
                abi.encodeCall(bonds.slash, (DEVICE, OPERATOR, amount, STRANGER, "", NEVER))
            ];
            vm.prank(byDao ? DAO : OPERATOR);
            (bool done, ) = address(bonds).call(calls[seed % 4]);
            done;

            IHostBonds.Bond memory bond = bonds.bondOf(DEVICE, OPERATOR);
            assertEq(coin.balanceOf(address(bonds)), uint256(bond.bonded) + bond.unbonding, "owed");
        }
    }
}

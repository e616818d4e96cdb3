// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {App} from "../../contracts/registry/App.sol";
import {SymbolicTest} from "./Symbolic.sol";

/// @notice Which key epochs a release gets, after any two supersessions at any times. The owner is this contract.
contract EpochsProof is SymbolicTest {
    uint40 private constant START = 1_750_000_000;
    uint40 private constant END = START + 3650 days;

    App private _app;

    function setUp() public {
        vm.warp(START);
        bytes memory initialize = abi.encodeWithSignature(
            "initialize(address,bool,bool,bytes32,bytes32)",
            address(this),
            false,
            true,
            0,
            _hash(1)
        );
        _app = App(address(new ERC1967Proxy(address(new App()), initialize)));
        _app.addComposeHash(_hash(2));
        _app.addComposeHash(_hash(3));
    }

    function _hash(uint256 number) private pure returns (bytes32) {
        return bytes32(number);
    }

    /// @notice A release reads its own epoch and at most the one before it.
    function check_AReleaseReadsOneEpochBack(
        uint32 oldest,
        uint40 from,
        bool next,
        uint40 later,
        uint8 number
    ) external {
        if (later < START || later > END || from > END || number == 0 || number > 3) return;
        _app.supersede(oldest, from, next);
        vm.warp(later);
        (uint32 write, uint32 read) = _app.epochsOf(_hash(number));

        assert(read <= write && write - read <= 1);
        assert((write == 0) == (read == 0));
    }

    /// @notice After the end, a superseded release gets no epoch, and nobody gets the previous one.
    function check_TheOldEpochEnds(uint32 oldest, uint40 from, uint40 later, uint8 number) external {
        if (from > END || later < START || later < from || later > END || number == 0 || number > 3) return;
        _app.supersede(oldest, from, true);
        vm.warp(later);
        (uint32 write, uint32 read) = _app.epochsOf(_hash(number));

        if (number < oldest) assert(write == 0 && read == 0);
        else assert(write == 2 && read == 2);
    }

    /// @notice A migration lasts 90 days at most: then the old epoch has ended.
    function check_MigrationsAreShort(uint32 oldest, uint40 from) external {
        if (from > END) return;
        _app.supersede(oldest, from, true);
        vm.warp(uint256(START) + 90 days);
        (uint32 write, uint32 read) = _app.epochsOf(_hash(3));

        assert(write == 2 && read == 2);
    }

    /// @notice During a migration no second epoch opens, and the end only comes nearer.
    function check_OneMigrationAtATime(
        uint32 oldest,
        uint40 from,
        uint40 time,
        uint32 again,
        uint40 end,
        bool next
    ) external {
        if (from > END || time < START || time >= from || end > END) return;
        _app.supersede(oldest, from, true);
        vm.warp(time);
        _app.supersede(again, end, next);

        assert(again == oldest && !next && end <= from);
    }
}

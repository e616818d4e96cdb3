// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "../../../contracts/quote/collateral/ICollateralStore.sol";
import {Json} from "../../../contracts/quote/parsing/Json.sol";
import {Test} from "../Vm.sol";

/// @notice Values of JSON (RFC 8259) that the verifier does not know and has to skip.
contract JsonTest is Test {
    function skip(bytes memory json) external pure returns (uint256 next) {
        return Json.skip(bytes.concat(json, ","), 0, 0);
    }

    function number(bytes memory json) external pure returns (uint256 value, uint256 next) {
        return Json.number(bytes.concat(json, ","), 0);
    }

    function _assertSkipped(string memory json) private view {
        assertEq(this.skip(bytes(json)), bytes(json).length, json);
    }

    /// @param place position that the error names.
    function _assertRefused(string memory json, uint256 place) private {
        vm.expectRevert(abi.encodeWithSelector(ICollateralStore.JsonMalformed.selector, place));
        this.skip(bytes(json));
    }

    function test_SkipsEveryKindOfValue() public view {
        string[14] memory values = [
            "true",
            "false",
            "null",
            "0",
            "-0",
            "-12.5",
            "3e8",
            "3E+8",
            "3.25e-10",
            '""',
            "[]",
            "{}",
            '[1,{"a":[null],"b":{}},"c"]',
            '"longer than the 32 characters that are read at once: \\u00e9"'
        ];
        for (uint256 i = 0; i < values.length; i++) _assertSkipped(values[i]);
    }

    function test_SkipsEveryEscape() public view {
        string[9] memory escapes = ['\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u20aC"];
        for (uint256 i = 0; i < escapes.length; i++) _assertSkipped(string.concat('"', escapes[i], '"'));
    }

    function test_RefusesInvalidJson() public {
        _assertRefused('"\\x"', 2);
        _assertRefused('"\\U0000"', 2);
        _assertRefused('"\t"', 1);
        _assertRefused("[1}", 2);
        _assertRefused('{"a":1]', 6);
        _assertRefused('{"a"1}', 4);
        _assertRefused("[,]", 1);
        _assertRefused("-", 1);
        _assertRefused("1.", 2);
        _assertRefused("1e", 2);
        _assertRefused("1e-", 3);
        _assertRefused("True", 0);
    }

    function test_SkipsNoMoreThan32Levels() public {
        bytes memory open;
        bytes memory close;
        for (uint256 i = 0; i < 32; i++) (open, close) = (bytes.concat(open, "["), bytes.concat(close, "]"));
        _assertSkipped(string(bytes.concat(open, close)));
        _assertRefused(string(bytes.concat("[", open, close, "]")), 32);
    }

    function test_NumberHasOneToTenDigitsAndNoLeadingZero() public {
        (uint256 value, uint256 next) = this.number("4294967295");
        assertEq(value, 4_294_967_295, "ten digits");
        assertEq(next, 10, "end");
        (value, ) = this.number("0");
        assertEq(value, 0, "zero");

        string[4] memory refused = ["", "01", "12345678901", "x"];
        for (uint256 i = 0; i < refused.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(ICollateralStore.JsonMalformed.selector, 0));
            this.number(bytes(refused[i]));
        }
    }
}

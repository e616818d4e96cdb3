// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CollateralJson, Document} from "../../../contracts/quote/collateral/CollateralJson.sol";
import {ICollateralStore} from "../../../contracts/quote/collateral/ICollateralStore.sol";
import {QeIdentityTemplate} from "../../../contracts/quote/evaluation/QeIdentityTemplate.sol";
import {Test} from "../Vm.sol";

/// @notice The QE identity: read from its JSON, kept as levels where only they differ from Intel's usual one.
contract QeIdentityTest is Test {
    string private constant SIGNER = "DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5";
    string private constant ONE = '{"tcb":{"isvsvn":4},"tcbDate":"2024-03-13T00:00:00Z","tcbStatus":"UpToDate"}';
    string private constant OTHER = '{"tcb":{"isvsvn":2},"tcbDate":"2019-05-15T00:00:00Z","tcbStatus":"OutOfDate"}';

    function read(bytes calldata json) external pure returns (Document memory) {
        return CollateralJson.qeIdentity(json);
    }

    function test_UsualIdentityIsStoredAsItsLevels() public view {
        _isKept(_json(SIGNER, ONE), 1);
        _isKept(_json(SIGNER, string.concat(ONE, ",", OTHER)), 2);
        // in any order
        _isKept(_json(SIGNER, string.concat(OTHER, ",", ONE)), 2);
    }

    function test_OtherIdentitiesAreNotStoredAsLevels() public view {
        string memory third = '{"tcb":{"isvsvn":1},"tcbDate":"2018-05-15T00:00:00Z","tcbStatus":"Revoked"}';
        _isNotKept(_json(SIGNER, string.concat(ONE, ",", OTHER, ",", third)));
        string memory advised =
            '{"tcb":{"isvsvn":4},"tcbDate":"2024-03-13T00:00:00Z","tcbStatus":"OutOfDate","advisoryIDs":["INTEL-SA-00001"]}';
        _isNotKept(_json(SIGNER, advised));
        _isNotKept(_json("DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C4", ONE));
    }

    /// @dev Whatever octet of a blob is another, it is not a usual one, or these are its levels.
    function testFuzz_OtherBlobIsNotReadAsAUsualIdentity(uint256 place, bytes1 octet, bool two) public view {
        string memory levels = two ? string.concat(ONE, ",", OTHER) : ONE;
        bytes memory blob = this.read(_json(SIGNER, levels)).blob;
        blob[place % blob.length] = octet;
        (address kept, uint256 count) = QeIdentityTemplate.levelsOf(blob);
        if (count != 0) assertEq(keccak256(QeIdentityTemplate.blobOf(kept, count)), keccak256(blob), "another blob");
    }

    /// @dev One character changed: read to the letter, or refused by name.
    function testFuzz_ChangedTextIsReadOrRefusedWithATypedError(uint256 place, bytes1 char) public view {
        bytes memory json = _json(SIGNER, ONE);
        json[place % json.length] = char;
        try this.read(json) returns (Document memory document) {
            assertTrue(document.blob.length == 88, "length of the blob");
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            bool isStatus = selector == ICollateralStore.StatusUnknown.selector;
            assertTrue(isStatus || selector == ICollateralStore.JsonMalformed.selector, "error");
        }
    }

    function testFuzz_CutTextIsRefused(uint256 length) public view {
        bytes memory json = _json(SIGNER, ONE);
        length = bound(length, 0, json.length - 1);
        assembly ("memory-safe") {
            mstore(json, length)
        }
        try this.read(json) {
            assertTrue(false, "accepted what is cut off");
        } catch (bytes memory reason) {
            assertEq(bytes32(bytes4(reason)), bytes32(ICollateralStore.JsonMalformed.selector), "error");
        }
    }

    function _isKept(bytes memory json, uint256 levels) private view {
        bytes memory blob = this.read(json).blob;
        (address kept, uint256 count) = QeIdentityTemplate.levelsOf(blob);
        assertEq(count, levels, "levels");
        assertEq(keccak256(QeIdentityTemplate.blobOf(kept, count)), keccak256(blob), "blob");
    }

    function _isNotKept(bytes memory json) private view {
        (address kept, uint256 count) = QeIdentityTemplate.levelsOf(this.read(json).blob);
        assertTrue(count == 0 && kept == address(0), "kept as a usual one");
    }

    function _json(string memory signer, string memory levels) private pure returns (bytes memory) {
        string memory head = string.concat(
            '{"id":"TD_QE","version":2,"issueDate":"2025-06-04T09:51:38Z","nextUpdate":"2025-07-04T09:51:38Z",',
            '"tcbEvaluationDataNumber":17,"miscselect":"00000000","miscselectMask":"FFFFFFFF",'
        );
        string memory body = string.concat(
            '"attributes":"11000000000000000000000000000000","attributesMask":"FBFFFFFFFFFFFFFF0000000000000000",',
            '"mrsigner":"',
            signer,
            '","isvprodid":2,"tcbLevels":['
        );
        return bytes(string.concat(head, body, levels, "]}"));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {CollateralJson, Document} from "../../../contracts/quote/collateral/CollateralJson.sol";
import {ICollateralStore} from "../../../contracts/quote/collateral/ICollateralStore.sol";
import {Level, TcbBlob} from "../../../contracts/quote/evaluation/TcbBlob.sol";
import {TcbEvaluation} from "../../../contracts/quote/evaluation/TcbEvaluation.sol";
import {TcbStatus} from "../../../contracts/types/Report.sol";
import {Test} from "../Vm.sol";

/// @notice TCB infos and lists of numbers that are built here: the values that are read, and the refused documents.
contract DocumentsTest is Test {
    string private constant DATES = '"issueDate":"2026-01-01T00:00:00Z","nextUpdate":"2026-01-31T00:00:00Z"';
    string private constant STATUS = '"tcbDate":"2025-08-13T00:00:00Z","tcbStatus":"UpToDate"';
    string private constant ISV = '{"tcb":{"isvsvn":1},"tcbDate":"2025-08-13T00:00:00Z","tcbStatus":"UpToDate"}';
    /// @dev Three levels that differ in the first part, in the last and in the number between.
    uint256[3][3] private _svns = [[uint256(4), 5, 2], [uint256(4), 5, 1], [uint256(3), 9, 9]];

    function tcbInfo(bytes calldata json) external pure returns (Document memory) {
        return CollateralJson.tcbInfo(json);
    }

    function numbers(bytes calldata json, uint256 time) external pure returns (uint256 standard, uint256 changesAt) {
        (, uint256[] memory standards) = CollateralJson.evaluationNumbers(json);
        return CollateralJson.standardAt(standards, time);
    }

    /* MODULES */

    function test_ReadsATcbInfoWithoutModules() public view {
        bytes memory blob = this.tcbInfo(_info("", _level("0", 1, "0", ""))).blob;
        assertEq(TcbEvaluation.moduleAt(blob, 1), 0, "a module");
        assertEq(blob.length, TcbBlob.TCB_LEVELS + TcbBlob.TCB_LEVEL, "length");
    }

    function test_FindsModulesByTheirMajorVersion() public view {
        string memory two = string.concat(_module("tdx_03", ISV), ",", _module("TDX_01", ISV));
        bytes memory blob = this.tcbInfo(_info(two, _level("0", 1, "0", ""))).blob;
        uint256 first = TcbBlob.TCB_LEVELS + TcbBlob.TCB_LEVEL;
        assertEq(TcbEvaluation.moduleAt(blob, 3), first, "in small letters");
        assertEq(TcbEvaluation.moduleAt(blob, 1), first + TcbBlob.MODULE + TcbBlob.ISV_LEVEL, "the second");
        assertEq(TcbEvaluation.moduleAt(blob, 2), 0, "none");
        (bool found, ) = TcbEvaluation.isvLevel(blob, first + TcbBlob.MODULE, 1, 1);
        assertTrue(found, "reaches its level");
        (found, ) = TcbEvaluation.isvLevel(blob, first + TcbBlob.MODULE, 1, 0);
        assertTrue(!found, "reaches no level");
    }

    function test_RefusesInvalidOrDuplicateModules() public view {
        _malformed(_module("TDY_01", ISV), _level("0", 1, "0", ""));
        // a version twice
        _malformed(string.concat(_module("TDX_01", ISV), ",", _module("TDX_01", ISV)), _level("0", 1, "0", ""));
        // a level twice
        _malformed(_module("TDX_01", string.concat(ISV, ",", ISV)), _level("0", 1, "0", ""));
        _malformed(_module("TDX_01", _isv(4294967296, "")), _level("0", 1, "0", ""));
        // reached by nobody, and not kept
        bytes memory blob = this.tcbInfo(_info(_module("TDX_01", _isv(65536, "")), _level("0", 1, "0", ""))).blob;
        assertEq(blob.length, TcbBlob.TCB_LEVELS + TcbBlob.TCB_LEVEL + TcbBlob.MODULE, "without its level");
    }

    /* LEVELS */

    /// @dev Greatest first, whatever the order of the document.
    function test_SortsLevels() public view {
        string[3] memory levels;
        for (uint256 i = 0; i < 3; ++i) {
            levels[i] = _level(vm.toString(_svns[i][0]), _svns[i][1], vm.toString(_svns[i][2]), "");
        }
        bytes32 expected = keccak256(this.tcbInfo(_info("", _joined(levels[0], levels[1], levels[2]))).blob);
        bytes32 found = keccak256(this.tcbInfo(_info("", _joined(levels[2], levels[1], levels[0]))).blob);
        assertEq(found, expected, "the other way round");
        found = keccak256(this.tcbInfo(_info("", _joined(levels[1], levels[2], levels[0]))).blob);
        assertEq(found, expected, "turned");

        _malformed("", _joined(levels[0], levels[1], levels[0]));
    }

    function test_ReadsComponentsInEveryForm() public view {
        string[6] memory forms = [
            '{"svn":255}',
            '{"svn":255,"category":"BIOS"}',
            '{"svn":255,"category":"OS/VMM"}',
            '{"svn":255,"category":"Firmware"}',
            '{"svn":255,"category":"Firmware","type":"Microcode"}',
            '{"svn":255,"type":"Microcode"}'
        ];
        bytes32 expected = keccak256(this.tcbInfo(_info("", _level("255", 1, "0", ""))).blob);
        for (uint256 i = 0; i < forms.length; ++i) {
            bytes32 found = keccak256(this.tcbInfo(_info("", _levelOf(forms[i], 1, "0", ""))).blob);
            assertEq(found, expected, forms[i]);
        }
        // of more than one word, and of more than two
        string memory long = '{"svn":255,"category":"BIOS","type":"a type that is longer than thirty-two letters"}';
        assertEq(keccak256(this.tcbInfo(_info("", _levelOf(long, 1, "0", ""))).blob), expected, "long");
    }

    function test_RefusesMalformedComponents() public view {
        string[11] memory wrong = [
            "{}",
            '{"type":"Microcode"}',
            '{"svn":1,"category":"Firm\\n"}',
            '{"svn":x}',
            '{"svm":1}',
            '{"svn":256}',
            '{"svn":00}',
            '{"svn":1000000000}',
            '{"svn":1,"type":"a\\n"}',
            '{"svn":1,"type":"a type of more than thirty-two letters,\\t"}',
            '{"svn":}'
        ];
        for (uint256 i = 0; i < wrong.length; ++i) _malformed("", _levelOf(wrong[i], 1, "0", ""));
    }

    function test_RefusesDatesOutOfTheirRange() public view {
        bytes memory json = _info("", _level("0", 1, "0", ""));
        string[3] memory wrong = ["2107-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-0x-30T00:00:00Z"];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory changed = bytes.concat(json);
            bytes memory date = bytes(wrong[i]);
            // behind {"id":"TDX","version":3,"issueDate":"
            for (uint256 j = 0; j < date.length; ++j) changed[37 + j] = date[j];
            _refused(changed, ICollateralStore.JsonMalformed.selector);
        }
    }

    function test_KnowsEveryStatusByItsName() public view {
        string[6] memory names = [
            "UpToDate",
            "SWHardeningNeeded",
            "ConfigurationNeeded",
            "ConfigurationAndSWHardeningNeeded",
            "OutOfDate",
            "OutOfDateConfigurationNeeded"
        ];
        string memory head = _tcb(_sixteen('{"svn":0}'), 1, _sixteen('{"svn":0}'));
        head = string.concat(head, '"tcbDate":"2025-08-13T00:00:00Z","tcbStatus":"');
        for (uint256 i = 0; i < 6; ++i) {
            bytes memory blob = this.tcbInfo(_info("", string.concat(head, names[i], '"}'))).blob;
            assertEq(uint8(blob[TcbBlob.TCB_LEVELS + 34]), i + 1, names[i]);
        }
        bytes memory revoked = this.tcbInfo(_info("", string.concat(head, 'Revoked"}'))).blob;
        assertEq(uint8(revoked[TcbBlob.TCB_LEVELS + 34]), uint256(TcbStatus.Revoked), "Revoked");
        string[5] memory others = [
            "",
            "Unheard",
            "ConfigurationAndSWHardeningNeedex",
            "AnotherStatusOfThirtyThreeLetters",
            "A status of more than one word of text"
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            _refused(_info("", string.concat(head, others[i], '"}')), ICollateralStore.StatusUnknown.selector);
        }
        // a module's counts when it is reached
        string memory unheard = '{"tcb":{"isvsvn":1},"tcbDate":"2025-08-13T00:00:00Z","tcbStatus":"Unheard"}';
        this.tcbInfo(_info(_module("TDX_01", unheard), _level("0", 1, "0", "")));
    }

    /* ADVISORIES */

    function test_ReadsAdvisoriesOfAnyKind() public view {
        string[5] memory ids = ["INTEL-SA-00837", "INTEL-SA-0083x", "INTEL-TA-00837", "SHORT", "SHORT"];
        string memory list = '"INTEL-SA-00837","INTEL-SA-0083x","INTEL-TA-00837","SHORT","SHORT"';
        bytes memory blob = this.tcbInfo(_info("", _level("0", 1, "0", list))).blob;
        uint256 place = blob.length - 3 * 32 - 5 * 3;
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 found = TcbBlob.advisory(blob, TcbBlob.word(blob, place + 3 * i) >> 232);
            assertEq(found, bytes32(bytes(ids[i])), ids[i]);
        }
    }

    function test_ReadsAnEmptyListOfAdvisories() public view {
        string memory head = string.concat(_tcb(_sixteen('{"svn":0}'), 1, _sixteen('{"svn":0}')), STATUS);
        bytes memory empty = _info("", string.concat(head, ',"advisoryIDs":[]}'));
        bytes32 none = keccak256(this.tcbInfo(_info("", _level("0", 1, "0", ""))).blob);
        assertEq(keccak256(this.tcbInfo(empty).blob), none, "as if there were none");
    }

    function test_RefusesAdvisoriesWithoutAName() public view {
        _malformed("", _level("0", 1, "0", '""'));
    }

    function test_KeepsLongAdvisoriesAsTheirHash() public view {
        string memory list = '"an advisory of thirty-two letters","an advisory of thirty-1 letters"';
        bytes memory blob = this.tcbInfo(_info("", _level("0", 1, "0", list))).blob;
        uint256 place = blob.length - 2 * 32 - 2 * 3;
        bytes32 found = TcbBlob.advisory(blob, TcbBlob.word(blob, place) >> 232);
        assertEq(found, keccak256("an advisory of thirty-two letters"), "the hash");
        found = TcbBlob.advisory(blob, TcbBlob.word(blob, place + 3) >> 232);
        assertEq(found, bytes32("an advisory of thirty-1 letters"), "itself");
    }

    /* HOW MUCH */

    function test_RefusesDocumentsThatMakeVerificationExpensive() public view {
        string memory many;
        string memory modules;
        string memory levels;
        for (uint256 i = 0; i < 128; ++i) {
            string memory comma = i == 0 ? "" : ",";
            many = string.concat(many, comma, _isv(i, ""));
            modules = string.concat(modules, comma, _module(_id(i), ISV));
            levels = string.concat(levels, comma, _level(vm.toString(i), 1, "0", ""));
        }
        string memory one = _level("199", 1, "0", "");
        this.tcbInfo(_info(_module("TDX_01", many), one));
        _tooLarge(_module("TDX_01", string.concat(many, ",", _isv(128, ""))), one);
        this.tcbInfo(_info(modules, one));
        _tooLarge(string.concat(modules, ",", _module(_id(128), ISV)), one);
        this.tcbInfo(_info("", levels));
        _tooLarge("", string.concat(levels, ",", one));
    }

    function test_RefusesMoreTextsAndAdvisoriesThanItCanCount() public view {
        string memory first = _level("0", 1, "0", _texts(0, 128));
        this.tcbInfo(_info("", string.concat(first, ",", _level("1", 1, "0", _texts(128, 256)))));
        _tooLarge("", string.concat(first, ",", _level("1", 1, "0", _texts(128, 257))));

        string memory ids = '"A"';
        for (uint256 i = 0; i < 8; ++i) ids = string.concat(ids, ",", ids);
        _tooLarge("", _level("0", 1, "0", ids));
    }

    function _texts(uint256 from, uint256 to) private pure returns (string memory texts) {
        for (uint256 i = from; i < to; ++i) {
            texts = string.concat(texts, i == from ? '"text ' : ',"text ', vm.toString(i), '"');
        }
    }

    function test_RefusesObjectsOfMoreThan64Members() public view {
        // two of the level are known
        this.tcbInfo(_info("", _levelOf(_withMembers(63), 1, "0", "")));
        _tooLarge("", _levelOf(_withMembers(64), 1, "0", ""));
    }

    /// @dev A component with its SVN behind unknown members.
    function _withMembers(uint256 count) private pure returns (string memory component) {
        component = "{";
        for (uint256 i = 0; i < count; ++i) component = string.concat(component, '"new', vm.toString(i), '":null,');
        return string.concat(component, '"svn":1}');
    }

    /// @dev Two bytes say where the advisories begin. 50 modules of 128 levels need more.
    function test_RefusesMoreLevelsThanTwoBytesCanPlace() public view {
        string memory levels = _isv(127, "");
        for (uint256 i = 127; i > 0; --i) levels = string.concat(levels, ",", _isv(i - 1, ""));
        string memory one = _level("0", 1, "0", "");
        this.tcbInfo(_info(_modules(levels, 49), one));
        _tooLarge(_modules(levels, 50), one);
    }

    /// @dev Copies of one module with ids of their own, which are written into the copies.
    function _modules(string memory levels, uint256 count) private pure returns (string memory) {
        bytes memory module = bytes(string.concat(_module("TDX_00", levels), ","));
        bytes memory modules = new bytes(count * module.length - 1);
        for (uint256 i = 0; i < count; ++i) {
            uint256 place = i * module.length;
            uint256 length = i + 1 == count ? module.length - 1 : module.length;
            assembly ("memory-safe") {
                mcopy(add(add(modules, 32), place), add(module, 32), length)
            }
            bytes memory id = bytes(_id(i));
            // behind {"id":"TDX_
            (modules[place + 11], modules[place + 12]) = (id[4], id[5]);
        }
        return string(modules);
    }

    /// @dev Two bytes say where the advisories of a level begin.
    function test_RefusesLevelsAfterMoreAdvisoriesThanTwoBytesCount() public view {
        string memory ids = '"A"';
        for (uint256 i = 1; i < 255; ++i) ids = string.concat(ids, ',"A"');
        string memory levels;
        for (uint256 i = 0; i < 40; ++i) levels = string.concat(levels, i == 0 ? "" : ",", _isv(i, ids));
        string memory modules = _module(_id(0), levels);
        for (uint256 i = 1; i < 6; ++i) modules = string.concat(modules, ",", _module(_id(i), levels));
        string memory one = _level("0", 1, "0", "");
        this.tcbInfo(_info(modules, one));
        _tooLarge(string.concat(modules, ",", _module(_id(6), levels)), one);
    }

    /* EVALUATION NUMBERS */

    function test_ChoosesTheHighestNumberThatIsAYearOld() public view {
        uint256 year = 31_557_600;
        // 2024-01-01, 2025-01-01, 2025-07-01
        string memory one = _number(17, "2024-01-01");
        string memory other = _number(18, "2025-01-01");
        string memory last = _number(19, "2025-07-01");
        bytes memory json = _numbers(_joined(one, last, other));
        (uint256 standard, uint256 changesAt) = this.numbers(json, 1_735_689_600 + year);
        assertEq(standard, 18, "a year to the second");
        assertEq(changesAt, 1_751_328_000 + year, "the next");
        (standard, changesAt) = this.numbers(json, 1_735_689_600 + year - 1);
        assertEq(standard, 17, "a second before");
        assertEq(changesAt, 1_735_689_600 + year, "the earlier of two");
        (, changesAt) = this.numbers(_numbers(_joined(one, other, last)), 1_735_689_600 + year - 1);
        assertEq(changesAt, 1_735_689_600 + year, "the earlier of two, in their order");
        json = _numbers(string.concat(other, ",", one));
        (standard, changesAt) = this.numbers(json, 1_735_689_600 + year);
        assertEq(standard, 18, "the higher, in any order");
        assertEq(changesAt, type(uint256).max, "none announced");
    }

    function test_RefusesListsOfTooManyNumbers() public view {
        string memory list = _number(17, "2024-01-01");
        for (uint256 i = 1; i < 128; ++i) list = string.concat(list, ",", _number(17, "2024-01-01"));
        this.numbers(_numbers(list), 0);
        try this.numbers(_numbers(string.concat(list, ",", _number(18, "2024-01-01"))), 0) {
            assertTrue(false, "a number too many");
        } catch (bytes memory reason) {
            assertEq(bytes32(bytes4(reason)), bytes32(ICollateralStore.DocumentTooLarge.selector), "error");
        }
    }

    /* PUTTING DOCUMENTS TOGETHER */

    function _info(string memory modules, string memory levels) private pure returns (bytes memory) {
        string memory head = string.concat(
            '{"id":"TDX","version":3,',
            DATES,
            ',"fmspc":"00906ed50000","pceId":"0000","tcbType":0,"tcbEvaluationDataNumber":20,"tdxModule":{',
            _signer(),
            "}"
        );
        if (bytes(modules).length != 0) head = string.concat(head, ',"tdxModuleIdentities":[', modules, "]");
        return bytes(string.concat(head, ',"tcbLevels":[', levels, "]}"));
    }

    function _signer() private pure returns (string memory) {
        return
            string.concat(
                '"mrsigner":"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"',
                ',"attributes":"0000000000000000","attributesMask":"FFFFFFFFFFFFFFFF"'
            );
    }

    function _module(string memory id, string memory levels) private pure returns (string memory) {
        return string.concat('{"id":"', id, '",', _signer(), ',"tcbLevels":[', levels, "]}");
    }

    function _id(uint256 version) private pure returns (string memory) {
        bytes memory digits = "0123456789ABCDEF";
        return string(bytes.concat("TDX_", digits[version >> 4], digits[version & 15]));
    }

    function _isv(uint256 svn, string memory ids) private pure returns (string memory) {
        return string.concat('{"tcb":{"isvsvn":', vm.toString(svn), "},", STATUS, _advisories(ids), "}");
    }

    function _level(
        string memory sgx,
        uint256 pceSvn,
        string memory tdx,
        string memory ids
    ) private pure returns (string memory) {
        return _levelOf(string.concat('{"svn":', sgx, "}"), pceSvn, tdx, ids);
    }

    /// @dev The first SGX component as given, the last TDX component of that SVN, the others zero.
    function _levelOf(
        string memory sgx,
        uint256 pceSvn,
        string memory tdx,
        string memory ids
    ) private pure returns (string memory) {
        string memory zeros = _fifteen('{"svn":0}');
        string memory last = string.concat(zeros, ',{"svn":', tdx, "}");
        return string.concat(_tcb(string.concat(sgx, ",", zeros), pceSvn, last), STATUS, _advisories(ids), "}");
    }

    function _tcb(string memory sgx, uint256 pceSvn, string memory tdx) private pure returns (string memory) {
        string memory middle = string.concat('],"pcesvn":', vm.toString(pceSvn), ',"tdxtcbcomponents":[');
        return string.concat('{"tcb":{"sgxtcbcomponents":[', sgx, middle, tdx, "]},");
    }

    function _advisories(string memory ids) private pure returns (string memory) {
        return bytes(ids).length == 0 ? "" : string.concat(',"advisoryIDs":[', ids, "]");
    }

    function _fifteen(string memory one) private pure returns (string memory list) {
        list = one;
        for (uint256 i = 1; i < 15; ++i) list = string.concat(list, ",", one);
    }

    function _sixteen(string memory one) private pure returns (string memory) {
        return string.concat(_fifteen(one), ",", one);
    }

    function _joined(string memory a, string memory b, string memory c) private pure returns (string memory) {
        return string.concat(a, ",", b, ",", c);
    }

    function _numbers(string memory list) private pure returns (bytes memory) {
        return bytes(string.concat('{"id":"TDX","version":1,', DATES, ',"tcbEvalNumbers":[', list, "]}"));
    }

    function _number(uint256 number, string memory date) private pure returns (string memory) {
        string memory head = string.concat('{"tcbEvaluationDataNumber":', vm.toString(number));
        string memory event_ = string.concat(',"tcbRecoveryEventDate":"', date, "T00:00:00Z");
        return string.concat(head, event_, '","tcbDate":"', date, 'T00:00:00Z"}');
    }

    function _malformed(string memory modules, string memory levels) private view {
        _refused(_info(modules, levels), ICollateralStore.JsonMalformed.selector);
    }

    function _tooLarge(string memory modules, string memory levels) private view {
        _refused(_info(modules, levels), ICollateralStore.DocumentTooLarge.selector);
    }

    function _refused(bytes memory json, bytes4 expected) private view {
        string memory begin = string(json.length < 2000 ? json : bytes("a long document"));
        try this.tcbInfo(json) {
            assertTrue(false, begin);
        } catch (bytes memory reason) {
            assertEq(bytes32(bytes4(reason)), bytes32(expected), begin);
        }
    }
}

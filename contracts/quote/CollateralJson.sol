// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "./ICollateralStore.sol";
import {TcbStatus} from "../types/Report.sol";
import {Json} from "./Json.sol";
import {Level, LevelLib, TcbBlob} from "./TcbBlob.sol";

/// @notice What a signed document says.
struct Document {
    /// @notice FMSPC of a TCB info, "TD_QE" for a QE identity: of which only one per evaluation number counts.
    bytes32 family;
    uint256 issuedAt;
    uint256 nextUpdate;
    uint256 evaluationNumber;
    /// @notice Everything but the dates (`TcbBlob`).
    bytes blob;
}

/// @notice Reads Intel's signed documents for TDX: TCB info v3, QE identity v2, evaluation numbers v1.
library CollateralJson {
    /// @notice More levels or modules would make each use of the document dear.
    uint256 internal constant MAX_LEVELS = 40;
    uint256 internal constant MAX_TEXTS = 16;

    /// @dev Where in the text, what was packed so far, and the advisories met so far.
    struct Cursor {
        bytes json;
        uint256 pos;
        bytes out;
        uint256 end;
        bytes codes;
        uint256 codeCount;
        bytes32[] texts;
        uint256 textCount;
    }

    function tcbInfo(bytes memory json) internal pure returns (Document memory document) {
        Cursor memory cursor = _cursor(json);
        _expect(cursor, '{"id":"TDX","version":3,', 24);
        _dates(cursor, document);
        _expect(cursor, ',"fmspc":"', 10);
        document.family = _hex(cursor, 6);
        _expect(cursor, '","pceId":"', 11);
        uint256 pceId = uint256(_hex(cursor, 2)) >> 240;
        _expect(cursor, '","tcbType":0,', 14);
        document.evaluationNumber = _evaluationNumber(cursor);
        _expect(cursor, ',"tdxModule":{', 14);
        bytes32 tdxModule = _moduleHash(cursor);
        _expect(cursor, "}", 1);

        bytes memory modules;
        uint256 moduleCount;
        if (_skip(cursor, ',"tdxModuleIdentities":[', 24)) {
            moduleCount = _modules(cursor);
            modules = _taken(cursor);
        }
        _expect(cursor, ',"tcbLevels":[', 14);
        cursor.end = TcbBlob.TCB_LEVELS;
        uint256 levels = _tcbLevels(cursor);
        _expect(cursor, "}", 1);

        uint256 advisoriesAt = cursor.end + modules.length;
        uint256 head = (levels << 248) | (moduleCount << 240) | (advisoriesAt << 224) | (pceId << 208);
        TcbBlob.put(cursor.out, 6, uint256(tdxModule), 32);
        _putHead(cursor, head, 6);
        document.blob = _finish(cursor, modules);
    }

    function qeIdentity(bytes memory json) internal pure returns (Document memory document) {
        Cursor memory cursor = _cursor(json);
        _expect(cursor, '{"id":"TD_QE","version":2,', 26);
        _dates(cursor, document);
        _expect(cursor, ",", 1);
        document.family = "TD_QE";
        document.evaluationNumber = _evaluationNumber(cursor);
        bytes memory out = cursor.out;
        _expect(cursor, ',"miscselect":"', 15);
        TcbBlob.put(out, 6, uint256(_hex(cursor, 4)), 4);
        _expect(cursor, '","miscselectMask":"', 20);
        TcbBlob.put(out, 10, uint256(_hex(cursor, 4)), 4);
        _expect(cursor, '","attributes":"', 16);
        TcbBlob.put(out, 14, uint256(_hex(cursor, 16)), 16);
        _expect(cursor, '","attributesMask":"', 20);
        TcbBlob.put(out, 30, uint256(_hex(cursor, 16)), 16);
        _expect(cursor, '","mrsigner":"', 14);
        TcbBlob.put(out, 46, uint256(_hex(cursor, 16)), 16);
        TcbBlob.put(out, 62, uint256(_hex(cursor, 16)), 16);
        _expect(cursor, '","isvprodid":', 14);
        uint256 product = _number(cursor, 0xffff);
        _expect(cursor, ',"tcbLevels":[', 14);
        cursor.end = TcbBlob.QE_LEVELS;
        uint256 levels = _isvLevels(cursor);
        _expect(cursor, "}", 1);
        _putHead(cursor, (levels << 248) | (cursor.end << 224) | (product << 208), 6);
        document.blob = _finish(cursor, "");
    }

    /// @notice Which number is the standard one at `time`: the highest whose recovery event is a year old.
    /// @return document its `evaluationNumber` is that number.
    /// @return changesAt when another becomes the standard; the greatest value when none is announced.
    function evaluationNumbers(
        bytes memory json,
        uint256 time
    ) internal pure returns (Document memory document, uint256 changesAt) {
        Cursor memory cursor = _cursor(json);
        _expect(cursor, '{"id":"TDX","version":1,', 24);
        _dates(cursor, document);
        _expect(cursor, ',"tcbEvalNumbers":[', 19);
        changesAt = type(uint256).max;
        do {
            _expect(cursor, "{", 1);
            uint256 number = _evaluationNumber(cursor);
            _expect(cursor, ',"tcbRecoveryEventDate":', 24);
            // Intel promotes a number about twelve months after its recovery event
            uint256 standardAt = _date(cursor) + 31_557_600;
            _expect(cursor, ',"tcbDate":', 11);
            _date(cursor);
            _expect(cursor, "}", 1);
            if (standardAt > time) {
                if (standardAt < changesAt) changesAt = standardAt;
            } else if (number > document.evaluationNumber) {
                document.evaluationNumber = number;
            }
        } while (_skip(cursor, ",", 1));
        _expect(cursor, "]}", 2);
        _requireEnd(cursor);
    }

    /* PARTS OF DOCUMENTS */

    function _dates(Cursor memory cursor, Document memory document) private pure {
        _expect(cursor, '"issueDate":', 12);
        document.issuedAt = _date(cursor);
        _expect(cursor, ',"nextUpdate":', 14);
        document.nextUpdate = _date(cursor);
    }

    function _evaluationNumber(Cursor memory cursor) private pure returns (uint256) {
        _expect(cursor, '"tcbEvaluationDataNumber":', 26);
        return _number(cursor, 0xff);
    }

    /// @dev The mask is read and not used: Intel's library wants every SEAM attribute to be zero.
    function _moduleHash(Cursor memory cursor) private pure returns (bytes32) {
        _expect(cursor, '"mrsigner":"', 12);
        bytes16 first = bytes16(_hex(cursor, 16));
        bytes16 second = bytes16(_hex(cursor, 16));
        bytes16 third = bytes16(_hex(cursor, 16));
        _expect(cursor, '","attributes":"', 16);
        bytes8 attributes = bytes8(_hex(cursor, 8));
        _expect(cursor, '","attributesMask":"', 20);
        _hex(cursor, 8);
        _expect(cursor, '"', 1);
        return keccak256(abi.encodePacked(first, second, third, attributes));
    }

    function _modules(Cursor memory cursor) private pure returns (uint256 count) {
        bytes memory out = cursor.out;
        uint256 seen;
        do {
            _expect(cursor, '{"id":"', 7);
            // "TDX_01" in either case, as Intel's library compares it
            uint256 id = Json.word(cursor.json, cursor.pos) & ~uint256(0x202020 << 232);
            require(id >> 224 == 0x5444585f, ICollateralStore.JsonMalformed(cursor.pos));
            cursor.pos += 4;
            uint256 version = uint256(_hex(cursor, 1)) >> 248;
            require((seen >> version) & 1 == 0, ICollateralStore.JsonMalformed(cursor.pos));
            seen |= 1 << version;
            _expect(cursor, '",', 2);
            uint256 start = cursor.end;
            TcbBlob.put(out, start + 2, uint256(_moduleHash(cursor)), 32);
            cursor.end = start + TcbBlob.MODULE;
            _expect(cursor, ',"tcbLevels":[', 14);
            uint256 levels = _isvLevels(cursor);
            out[start] = bytes1(uint8(version));
            out[start + 1] = bytes1(uint8(levels));
            _expect(cursor, "}", 1);
            require(++count <= MAX_LEVELS, ICollateralStore.DocumentTooLarge(cursor.pos));
        } while (_skip(cursor, ",", 1));
        _expect(cursor, "]", 1);
    }

    /// @dev Levels of an enclave or a module: greatest ISVSVN first, whatever the order of the document.
    function _isvLevels(Cursor memory cursor) private pure returns (uint256 count) {
        uint256 first = cursor.end;
        do {
            _expect(cursor, '{"tcb":{"isvsvn":', 17);
            uint256 svn = _number(cursor, 0xffff);
            _expect(cursor, "},", 2);
            Level level = _level(cursor);
            uint256 packed = (svn << 64) | Level.unwrap(level);
            uint256 pos = cursor.end;
            cursor.end = TcbBlob.put(cursor.out, pos, packed << 176, TcbBlob.ISV_LEVEL);
            for (; pos > first; pos -= TcbBlob.ISV_LEVEL) {
                uint256 word = TcbBlob.word(cursor.out, pos - TcbBlob.ISV_LEVEL);
                uint256 above = word >> 176;
                // Intel's library refuses equal levels
                require(above >> 64 != svn, ICollateralStore.JsonMalformed(cursor.pos));
                if (above >> 64 > svn) break;
                word = (packed << 176) | (above << 96) | uint96(word);
                TcbBlob.put(cursor.out, pos - TcbBlob.ISV_LEVEL, word, 20);
            }
            require(++count <= MAX_LEVELS, ICollateralStore.DocumentTooLarge(cursor.pos));
        } while (_skip(cursor, ",", 1));
        _expect(cursor, "]", 1);
    }

    /// @dev Levels of the platform, greatest first, whatever the order of the document.
    function _tcbLevels(Cursor memory cursor) private pure returns (uint256 count) {
        do {
            _expect(cursor, '{"tcb":{"sgxtcbcomponents":', 27);
            uint256 sgx = _components(cursor);
            _expect(cursor, ',"pcesvn":', 10);
            uint256 pceSvn = _number(cursor, 0xffff);
            _expect(cursor, ',"tdxtcbcomponents":', 20);
            uint256 tdx = _components(cursor);
            _expect(cursor, "},", 2);
            uint256 tail = ((tdx & 0xffff) << 64) | Level.unwrap(_level(cursor));
            uint256 pos = cursor.end;
            TcbBlob.put(cursor.out, pos, (sgx << 128) | (pceSvn << 112) | (tdx >> 16), 32);
            TcbBlob.put(cursor.out, pos + 32, tail << 176, 10);
            _sortIn(cursor, pos);
            cursor.end = pos + TcbBlob.TCB_LEVEL;
            require(++count <= MAX_LEVELS, ICollateralStore.DocumentTooLarge(cursor.pos));
        } while (_skip(cursor, ",", 1));
        _expect(cursor, "]", 1);
    }

    /// @dev Moves the level at `pos` up to its place.
    function _sortIn(Cursor memory cursor, uint256 pos) private pure {
        bytes memory out = cursor.out;
        for (; pos > TcbBlob.TCB_LEVELS; pos -= TcbBlob.TCB_LEVEL) {
            uint256 above = pos - TcbBlob.TCB_LEVEL;
            int256 order = _compare(out, above, pos);
            // Intel's library refuses equal levels
            require(order != 0, ICollateralStore.JsonMalformed(cursor.pos));
            if (order > 0) break;
            (uint256 a, uint256 aTail) = (TcbBlob.word(out, above), TcbBlob.word(out, above + 10));
            (uint256 b, uint256 bTail) = (TcbBlob.word(out, pos), TcbBlob.word(out, pos + 10));
            TcbBlob.put(out, above, b, 32);
            TcbBlob.put(out, above + 10, bTail, 32);
            TcbBlob.put(out, pos, a, 32);
            TcbBlob.put(out, pos + 10, aTail, 32);
        }
    }

    /// @dev By SGX components, then PCESVN, then TDX components: 34 bytes in a row.
    function _compare(bytes memory out, uint256 a, uint256 b) private pure returns (int256) {
        uint256 wordA = TcbBlob.word(out, a);
        uint256 wordB = TcbBlob.word(out, b);
        if (wordA == wordB) {
            wordA = TcbBlob.word(out, a + 32) >> 240;
            wordB = TcbBlob.word(out, b + 32) >> 240;
        }
        return
            wordA > wordB
                ? int256(1)
                : wordA == wordB
                    ? int256(0)
                    : int256(-1);
    }

    /// @dev Sixteen of `{"svn":4,"category":"BIOS","type":"Early Microcode Update"}`, the strings optional.
    function _components(Cursor memory cursor) private pure returns (uint256 components) {
        unchecked {
            bytes memory json = cursor.json;
            uint256 pos = Json.expect(json, cursor.pos, "[", 1);
            for (uint256 i = 0; i < 16; ++i) {
                if (i != 0) pos = Json.expect(json, pos, ",", 1);
                uint256 svn;
                uint256 head = Json.word(json, pos);
                // one digit and nothing else: most components
                if (head >> 200 == 0x7b2273766e223a && uint8(head >> 184) == 0x7d) {
                    svn = uint8(head >> 192) - 0x30;
                    if (svn > 9) revert ICollateralStore.JsonMalformed(pos);
                    pos += 9;
                } else {
                    (svn, pos) = _component(json, pos);
                }
                components = (components << 8) | svn;
            }
            cursor.pos = Json.expect(json, pos, "]", 1);
        }
    }

    function _component(bytes memory json, uint256 pos) private pure returns (uint256 svn, uint256 next) {
        unchecked {
            pos = Json.expect(json, pos, '{"svn":', 7);
            (svn, pos) = Json.number(json, pos);
            if (svn > 255) revert ICollateralStore.JsonMalformed(pos);
            if (Json.isAt(json, pos, ',"category":"', 13)) pos = Json.text(json, pos + 13) + 1;
            if (Json.isAt(json, pos, ',"type":"', 9)) pos = Json.text(json, pos + 9) + 1;
            next = Json.expect(json, pos, "}", 1);
        }
    }

    /// @dev `"tcbDate":…,"tcbStatus":…[,"advisoryIDs":[…]]}`
    function _level(Cursor memory cursor) private pure returns (Level) {
        _expect(cursor, '"tcbDate":', 10);
        uint256 date = _date(cursor);
        _expect(cursor, ',"tcbStatus":"', 14);
        TcbStatus status = _status(cursor);
        uint256 first = cursor.codeCount;
        if (_skip(cursor, ',"advisoryIDs":[', 16) && !_skip(cursor, "]", 1)) {
            do {
                _expect(cursor, '"', 1);
                _advisory(cursor);
            } while (_skip(cursor, ",", 1));
            _expect(cursor, "]", 1);
        }
        _expect(cursor, "}", 1);
        uint256 count = cursor.codeCount - first;
        require(count < 256 && first < 65536, ICollateralStore.DocumentTooLarge(cursor.pos));
        return LevelLib.pack(uint256(status), date, first, count);
    }

    /// @dev `INTEL-SA-` and five digits as their number; any other text as itself, with an index.
    function _advisory(Cursor memory cursor) private pure {
        uint256 pos = cursor.pos;
        bytes32 id = _text(cursor);
        uint256 code;
        if (cursor.pos - pos == 15 && bytes9(id) == "INTEL-SA-") {
            (uint256 value, uint256 end) = _digits(uint256(id << 72));
            if (end == 5) {
                _putCode(cursor, value);
                return;
            }
        }
        for (; code < cursor.textCount && cursor.texts[code] != id; ++code) {}
        if (code == cursor.textCount) {
            require(code < MAX_TEXTS, ICollateralStore.DocumentTooLarge(pos));
            cursor.texts[cursor.textCount++] = id;
        }
        _putCode(cursor, TcbBlob.TEXT_CODE + code);
    }

    /// @dev The digits that the five highest bytes write, four bits each, and how many there are.
    function _digits(uint256 text) private pure returns (uint256 value, uint256 count) {
        unchecked {
            for (; count < 5; ++count) {
                uint256 digit = (text >> 248) - 0x30;
                if (digit > 9) break;
                value = (value << 4) | digit;
                text <<= 8;
            }
        }
    }

    function _putCode(Cursor memory cursor, uint256 code) private pure {
        TcbBlob.put(cursor.codes, 3 * cursor.codeCount, code << 232, 3);
        ++cursor.codeCount;
    }

    /// @dev `None` for a string that is none of Intel's: refused when the level is used, not before.
    function _status(Cursor memory cursor) private pure returns (TcbStatus) {
        // the one that does not fit into a word
        if (_skip(cursor, "ConfigurationAndSWHardeningNeede", 32)) {
            _expect(cursor, 'd"', 2);
            return TcbStatus.ConfigurationAndSWHardeningNeeded;
        }
        bytes32 text = _text(cursor);
        if (text == "UpToDate") return TcbStatus.UpToDate;
        if (text == "OutOfDate") return TcbStatus.OutOfDate;
        if (text == "SWHardeningNeeded") return TcbStatus.SWHardeningNeeded;
        if (text == "ConfigurationNeeded") return TcbStatus.ConfigurationNeeded;
        if (text == "OutOfDateConfigurationNeeded") return TcbStatus.OutOfDateConfigurationNeeded;
        if (text == "Revoked") return TcbStatus.Revoked;
        return TcbStatus.None;
    }

    /* THE CURSOR */

    function _cursor(bytes memory json) private pure returns (Cursor memory cursor) {
        cursor.json = json;
        // whatever is packed is shorter than the text it was read from
        cursor.out = new bytes(json.length + 128);
        cursor.codes = new bytes(json.length + 32);
        cursor.texts = new bytes32[](MAX_TEXTS);
    }

    /// @dev What was packed so far, as bytes of their own; the cursor starts again.
    function _taken(Cursor memory cursor) private pure returns (bytes memory taken) {
        taken = cursor.out;
        uint256 length = cursor.end;
        cursor.out = new bytes(cursor.json.length + 128);
        cursor.end = 0;
        assembly ("memory-safe") {
            mstore(taken, length)
        }
    }

    /// @dev Only the `length` highest bytes of the first word are written.
    function _putHead(Cursor memory cursor, uint256 head, uint256 length) private pure {
        uint256 rest = (TcbBlob.word(cursor.out, 0) << (8 * length)) >> (8 * length);
        TcbBlob.put(cursor.out, 0, head | rest, 32);
    }

    /// @dev What was packed, then `middle`, the advisories and the texts. The text must end here.
    function _finish(Cursor memory cursor, bytes memory middle) private pure returns (bytes memory) {
        _requireEnd(cursor);
        bytes memory out = cursor.out;
        bytes memory codes = cursor.codes;
        (uint256 outLength, uint256 codesLength) = (cursor.end, 3 * cursor.codeCount);
        assembly ("memory-safe") {
            mstore(out, outLength)
            mstore(codes, codesLength)
        }
        bytes memory texts;
        for (uint256 i = cursor.textCount; i > 0; --i) texts = bytes.concat(texts, cursor.texts[i - 1]);
        return bytes.concat(out, middle, codes, texts);
    }

    function _requireEnd(Cursor memory cursor) private pure {
        require(cursor.pos == cursor.json.length, ICollateralStore.JsonMalformed(cursor.pos));
    }

    function _expect(Cursor memory cursor, bytes32 literal, uint256 length) private pure {
        cursor.pos = Json.expect(cursor.json, cursor.pos, literal, length);
    }

    function _skip(Cursor memory cursor, bytes32 literal, uint256 length) private pure returns (bool there) {
        there = Json.isAt(cursor.json, cursor.pos, literal, length);
        if (there) cursor.pos += length;
    }

    function _number(Cursor memory cursor, uint256 max) private pure returns (uint256 value) {
        uint256 pos = cursor.pos;
        (value, cursor.pos) = Json.number(cursor.json, pos);
        require(value <= max, ICollateralStore.JsonMalformed(pos));
    }

    function _date(Cursor memory cursor) private pure returns (uint256 seconds_) {
        (seconds_, cursor.pos) = Json.date(cursor.json, cursor.pos);
    }

    function _hex(Cursor memory cursor, uint256 length) private pure returns (bytes32 value) {
        value = Json.hexBytes(cursor.json, cursor.pos, length);
        cursor.pos += 2 * length;
    }

    function _text(Cursor memory cursor) private pure returns (bytes32 value) {
        (value, cursor.pos) = Json.shortText(cursor.json, cursor.pos);
    }
}

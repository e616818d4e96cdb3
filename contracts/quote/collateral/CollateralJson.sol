// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {ICollateralStore} from "./ICollateralStore.sol";
import {TcbStatus} from "../../types/Report.sol";
import {Digest} from "../cryptography/Digest.sol";
import {Json} from "../parsing/Json.sol";
import {Level, LevelLib, TcbBlob} from "../evaluation/TcbBlob.sol";

/// @notice A parsed document. Its signature is checked by the caller.
struct Document {
    /// @notice FMSPC of a TCB info, left-aligned, or "TD_QE" for a QE identity.
    bytes32 family;
    /// @notice Issue time, unix seconds.
    uint256 issuedAt;
    /// @notice End, unix seconds.
    uint256 nextUpdate;
    /// @notice TCB evaluation number, at most 255.
    uint256 evaluationNumber;
    /// @notice Everything else in packed form; see `TcbBlob`.
    bytes blob;
}

/// @notice Parses Intel's signed documents for TDX: TCB info version 3, QE identity version 2, evaluation numbers
/// version 1.
/// @dev Members are found by name in any order, and unknown members are ignored, as in Intel's library. In the order in
/// which Intel writes them, each member is found where the previous one ends, without a search.
/// All counts are bounded, so that no document makes each verification expensive.
library CollateralJson {
    /// @notice Most levels or modules of a document: each verification walks over them.
    uint256 internal constant MAX_LEVELS = 128;
    /// @notice Most advisory ids in another form than INTEL-SA-00000.
    uint256 internal constant MAX_TEXTS = 256;
    /// @notice Most members of an object with unknown members.
    uint256 internal constant MAX_MEMBERS = 64;
    /// @notice Most numbers in a list of evaluation numbers.
    uint256 internal constant MAX_NUMBERS = 128;
    /// @dev Intel's library reads an ISVSVN of 32 bits. An enclave has 16 bits, so it never reaches a level with more.
    uint256 private constant MAX_ISVSVN = 0xffffffff;
    /// @dev "INTEL-SA-"
    uint256 private constant INTEL_SA = 0x494e54454c2d53412d;
    /// @dev Marks, beside the position of an object, that the object around it is odd (`Cursor.isOdd`).
    uint256 private constant ODD = 1 << 128;

    /// @dev Position in the text, packed output, and advisories so far.
    struct Cursor {
        /// @dev The text.
        bytes json;
        /// @dev Next position to read. In an object: its opening brace, or the position after the last member.
        uint256 pos;
        /// @dev Packed output.
        bytes out;
        /// @dev Length of the output so far.
        uint256 end;
        /// @dev Advisory codes, three bytes each.
        bytes codes;
        /// @dev Number of codes.
        uint256 codeCount;
        /// @dev Advisory ids that are kept as text.
        bytes32[] texts;
        /// @dev Number of texts.
        uint256 textCount;
        /// @dev Number of open objects and lists.
        uint256 depth;
        /// @dev Whether the current object has unknown members, or its members in another order than Intel's.
        bool isOdd;
    }

    /// @dev The owner of a list of levels. Intel's library rejects a document if a platform or an enclave has a status
    /// that is not possible for it, and a module's status only when the level is used.
    enum Rated {
        Platform,
        Module,
        Enclave
    }

    /// @notice Parses a TCB info. Reverts with `JsonMalformed`, `DocumentTooLarge` and `StatusUnknown`.
    /// @param json the text as Intel signed it.
    /// @return document the packed document; `TcbBlob` has its layout.
    function tcbInfo(bytes memory json) internal pure returns (Document memory document) {
        Cursor memory cursor = _cursor(json);
        uint256 start = _enter(cursor);
        _identified(cursor, start, '"TDX"', 5, 3);
        _dates(cursor, start, document);
        document.family = _hexMember(cursor, start, '"fmspc":', 8, 6);
        uint256 pceId = uint256(_hexMember(cursor, start, '"pceId":', 8, 2)) >> 240;
        _member(cursor, start, '"tcbType":', 10);
        _expect(cursor, "0", 1);
        document.evaluationNumber = _evaluationNumber(cursor, start);
        _member(cursor, start, '"tdxModule":', 12);
        bytes32 tdxModule = _tdxModule(cursor);

        (bytes memory modules, uint256 moduleCount) = ("", 0);
        bool isRead = _isNext(cursor, start, '"tdxModuleIdentities":', 22);
        if (isRead) (modules, moduleCount) = _modules(cursor);
        cursor.end = TcbBlob.TCB_LEVELS;
        _member(cursor, start, '"tcbLevels":', 12);
        uint256 levels = _tcbLevels(cursor);
        if (!isRead && _has(cursor, start, '"tdxModuleIdentities":', 22)) {
            (bytes memory out, uint256 end) = (cursor.out, cursor.end);
            cursor.out = _room(cursor);
            (modules, moduleCount) = _modules(cursor);
            (cursor.out, cursor.end) = (out, end);
        }
        _leave(cursor, start);

        uint256 advisoriesAt = cursor.end + modules.length;
        require(advisoriesAt >> 16 == 0, ICollateralStore.DocumentTooLarge(cursor.pos));
        uint256 head = (levels << 248) | (moduleCount << 240) | (advisoriesAt << 224) | (pceId << 208);
        TcbBlob.put(cursor.out, 6, uint256(tdxModule), 32);
        _putHead(cursor, head, 6);
        document.blob = _finish(cursor, modules);
    }

    /// @notice Parses a QE identity. Reverts as `tcbInfo`.
    /// @param json the text as Intel signed it.
    /// @return document the packed document; `TcbBlob` has its layout.
    function qeIdentity(bytes memory json) internal pure returns (Document memory document) {
        Cursor memory cursor = _cursor(json);
        uint256 start = _enter(cursor);
        _identified(cursor, start, '"TD_QE"', 7, 2);
        _dates(cursor, start, document);
        document.family = "TD_QE";
        document.evaluationNumber = _evaluationNumber(cursor, start);
        bytes memory out = cursor.out;
        TcbBlob.put(out, 6, uint256(_hexMember(cursor, start, '"miscselect":', 13, 4)), 4);
        TcbBlob.put(out, 10, uint256(_hexMember(cursor, start, '"miscselectMask":', 17, 4)), 4);
        TcbBlob.put(out, 14, uint256(_hexMember(cursor, start, '"attributes":', 13, 16)), 16);
        TcbBlob.put(out, 30, uint256(_hexMember(cursor, start, '"attributesMask":', 17, 16)), 16);
        _member(cursor, start, '"mrsigner":', 11);
        _expect(cursor, '"', 1);
        TcbBlob.put(out, 46, uint256(_hex(cursor, 16)), 16);
        TcbBlob.put(out, 62, uint256(_hex(cursor, 16)), 16);
        _expect(cursor, '"', 1);
        _member(cursor, start, '"isvprodid":', 12);
        uint256 product = _number(cursor, 0xffff);
        _member(cursor, start, '"tcbLevels":', 12);
        cursor.end = TcbBlob.QE_LEVELS;
        uint256 levels = _isvLevels(cursor, Rated.Enclave);
        _leave(cursor, start);
        require(cursor.end >> 16 == 0, ICollateralStore.DocumentTooLarge(cursor.pos));
        _putHead(cursor, (levels << 248) | (cursor.end << 224) | (product << 208), 6);
        document.blob = _finish(cursor, "");
    }

    /// @notice Parses a list of evaluation numbers.
    /// @return document its dates.
    /// @return standards per number: (time from which it can be the standard one, unix seconds) << 8 | number.
    function evaluationNumbers(
        bytes memory json
    ) internal pure returns (Document memory document, uint256[] memory standards) {
        Cursor memory cursor = _cursor(json);
        uint256 start = _enter(cursor);
        _identified(cursor, start, '"TDX"', 5, 1);
        _dates(cursor, start, document);
        _member(cursor, start, '"tcbEvalNumbers":', 17);
        standards = new uint256[](MAX_NUMBERS);
        uint256 count;
        _open(cursor);
        do {
            require(count < MAX_NUMBERS, ICollateralStore.DocumentTooLarge(cursor.pos));
            uint256 item = _enter(cursor);
            uint256 number = _evaluationNumber(cursor, item);
            _member(cursor, item, '"tcbRecoveryEventDate":', 23);
            // Intel promotes a number about twelve months after its recovery event
            standards[count++] = ((_date(cursor) + 31_557_600) << 8) | number;
            _member(cursor, item, '"tcbDate":', 10);
            _date(cursor);
            _leave(cursor, item);
        } while (_skip(cursor, ",", 1));
        _close(cursor);
        _leave(cursor, start);
        _requireEnd(cursor);
        assembly ("memory-safe") {
            mstore(standards, count)
        }
    }

    /// @notice The standard evaluation number at a time: the highest whose time has come.
    /// @param standards from `evaluationNumbers`.
    /// @return number 0 if no number's time has come.
    /// @return until time of the next change; the largest value if the list announces none.
    function standardAt(
        uint256[] memory standards,
        uint256 time
    ) internal pure returns (uint256 number, uint256 until) {
        until = type(uint256).max;
        for (uint256 i = 0; i < standards.length; ++i) {
            (uint256 from, uint256 candidate) = (standards[i] >> 8, uint8(standards[i]));
            if (from > time) {
                if (from < until) until = from;
            } else if (candidate > number) {
                number = candidate;
            }
        }
    }

    /* PARTS OF DOCUMENTS */

    /// @dev Requires the members `id` and `version`.
    /// @param start position of the first member of the object.
    /// @param id the expected value of `id`, with its quotation marks.
    /// @param version the expected value of `version`.
    function _identified(
        Cursor memory cursor,
        uint256 start,
        bytes32 id,
        uint256 length,
        uint256 version
    ) private pure {
        _member(cursor, start, '"id":', 5);
        _expect(cursor, id, length);
        _member(cursor, start, '"version":', 10);
        uint256 pos = cursor.pos;
        require(_number(cursor, 0xff) == version, ICollateralStore.JsonMalformed(pos));
    }

    /// @dev Reads `issueDate` and `nextUpdate`.
    function _dates(Cursor memory cursor, uint256 start, Document memory document) private pure {
        _member(cursor, start, '"issueDate":', 12);
        document.issuedAt = _date(cursor);
        _member(cursor, start, '"nextUpdate":', 13);
        document.nextUpdate = _date(cursor);
    }

    /// @dev Reads `tcbEvaluationDataNumber`.
    function _evaluationNumber(Cursor memory cursor, uint256 start) private pure returns (uint256) {
        _member(cursor, start, '"tcbEvaluationDataNumber":', 26);
        return _number(cursor, 0xff);
    }

    /// @dev Reads `tdxModule`, for TDX modules of major version 0.
    function _tdxModule(Cursor memory cursor) private pure returns (bytes32 hash) {
        uint256 start = _enter(cursor);
        hash = _moduleHash(cursor, start);
        _leave(cursor, start);
    }

    /// @dev keccak-256 of MRSIGNERSEAM ‖ SEAMATTRIBUTES. The mask is parsed and not used, because Intel's library
    /// requires all SEAM attributes to be zero.
    function _moduleHash(Cursor memory cursor, uint256 start) private pure returns (bytes32) {
        _member(cursor, start, '"mrsigner":', 11);
        _expect(cursor, '"', 1);
        bytes16 first = bytes16(_hex(cursor, 16));
        bytes16 second = bytes16(_hex(cursor, 16));
        bytes16 third = bytes16(_hex(cursor, 16));
        _expect(cursor, '"', 1);
        bytes8 attributes = bytes8(_hexMember(cursor, start, '"attributes":', 13, 8));
        _hexMember(cursor, start, '"attributesMask":', 17, 8);
        return keccak256(abi.encodePacked(first, second, third, attributes));
    }

    /// @dev Reads `tdxModuleIdentities`, each with its levels. A major version may occur once.
    /// @return packed the module identities, one after the other.
    /// @return count number of module identities.
    function _modules(Cursor memory cursor) private pure returns (bytes memory packed, uint256 count) {
        bytes memory out = cursor.out;
        uint256 seen;
        cursor.end = 0;
        _open(cursor);
        do {
            uint256 item = _enter(cursor);
            _member(cursor, item, '"id":', 5);
            _expect(cursor, '"', 1);
            // "TDX_01" in either case, as Intel's library compares it
            uint256 id = Json.word(cursor.json, cursor.pos) & ~uint256(0x202020 << 232);
            require(id >> 224 == 0x5444585f, ICollateralStore.JsonMalformed(cursor.pos));
            cursor.pos += 4;
            uint256 version = uint256(_hex(cursor, 1)) >> 248;
            require((seen >> version) & 1 == 0, ICollateralStore.JsonMalformed(cursor.pos));
            seen |= 1 << version;
            _expect(cursor, '"', 1);
            uint256 first = cursor.end;
            TcbBlob.put(out, first + 2, uint256(_moduleHash(cursor, item)), 32);
            cursor.end = first + TcbBlob.MODULE;
            _member(cursor, item, '"tcbLevels":', 12);
            uint256 levels = _isvLevels(cursor, Rated.Module);
            out[first] = bytes1(uint8(version));
            out[first + 1] = bytes1(uint8(levels));
            _leave(cursor, item);
            require(++count <= MAX_LEVELS, ICollateralStore.DocumentTooLarge(cursor.pos));
        } while (_skip(cursor, ",", 1));
        _close(cursor);
        packed = _taken(cursor);
    }

    /// @dev Reads levels of an enclave or a module and sorts them: highest ISVSVN first.
    /// @param rated what the levels rate: the quoting enclave or a TDX module.
    /// @return count number of levels.
    function _isvLevels(Cursor memory cursor, Rated rated) private pure returns (uint256 count) {
        uint256 first = cursor.end;
        _open(cursor);
        do {
            uint256 item = _enter(cursor);
            _member(cursor, item, '"tcb":', 6);
            uint256 tcb = _enter(cursor);
            _member(cursor, tcb, '"isvsvn":', 9);
            uint256 svn = _number(cursor, MAX_ISVSVN);
            _leave(cursor, tcb);
            Level level = _level(cursor, item, rated);
            _leave(cursor, item);
            if (svn >> 16 != 0) continue;
            _sortIsvLevelIn(cursor, first, (svn << 64) | Level.unwrap(level));
            require(++count <= MAX_LEVELS, ICollateralStore.DocumentTooLarge(cursor.pos));
        } while (_skip(cursor, ",", 1));
        _close(cursor);
    }

    /// @dev Inserts a level into its place among those from `first` on. Two levels with the same ISVSVN are refused, as
    /// in Intel's library.
    function _sortIsvLevelIn(Cursor memory cursor, uint256 first, uint256 packed) private pure {
        uint256 pos = cursor.end;
        cursor.end = TcbBlob.put(cursor.out, pos, packed << 176, TcbBlob.ISV_LEVEL);
        for (; pos > first; pos -= TcbBlob.ISV_LEVEL) {
            uint256 word = TcbBlob.word(cursor.out, pos - TcbBlob.ISV_LEVEL);
            uint256 above = word >> 176;
            // Intel's library refuses equal levels
            require(above >> 64 != packed >> 64, ICollateralStore.JsonMalformed(cursor.pos));
            if (above >> 64 > packed >> 64) break;
            word = (packed << 176) | (above << 96) | uint96(word);
            TcbBlob.put(cursor.out, pos - TcbBlob.ISV_LEVEL, word, 20);
        }
    }

    /// @dev Reads the platform's levels and sorts them, highest first.
    /// @return count number of levels.
    function _tcbLevels(Cursor memory cursor) private pure returns (uint256 count) {
        _open(cursor);
        do {
            uint256 item = _enter(cursor);
            _member(cursor, item, '"tcb":', 6);
            uint256 tcb = _enter(cursor);
            _member(cursor, tcb, '"sgxtcbcomponents":', 19);
            uint256 sgx = _components(cursor);
            _member(cursor, tcb, '"pcesvn":', 9);
            uint256 pceSvn = _number(cursor, 0xffff);
            _member(cursor, tcb, '"tdxtcbcomponents":', 19);
            uint256 tdx = _components(cursor);
            _leave(cursor, tcb);
            uint256 tail = ((tdx & 0xffff) << 64) | Level.unwrap(_level(cursor, item, Rated.Platform));
            _leave(cursor, item);
            uint256 pos = cursor.end;
            TcbBlob.put(cursor.out, pos, (sgx << 128) | (pceSvn << 112) | (tdx >> 16), 32);
            TcbBlob.put(cursor.out, pos + 32, tail << 176, 10);
            _sortIn(cursor, pos);
            cursor.end = pos + TcbBlob.TCB_LEVEL;
            require(++count <= MAX_LEVELS, ICollateralStore.DocumentTooLarge(cursor.pos));
        } while (_skip(cursor, ",", 1));
        _close(cursor);
    }

    /// @dev Moves the level at `pos` up to its place. Equal levels are refused, as in Intel's library.
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

    /// @dev Order of two levels: SGX components, then PCESVN, then TDX components. They are 34 bytes in a row.
    /// @return 1 if `a` is higher, 0 if both are equal, -1 if `b` is higher.
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

    /// @dev Reads 16 components such as `{"svn":4,"category":"BIOS","type":"Early Microcode Update"}`. The strings are
    /// optional.
    /// @return components 16 SVNs of one byte each, the first in the highest byte.
    function _components(Cursor memory cursor) private pure returns (uint256 components) {
        unchecked {
            bytes memory json = cursor.json;
            uint256 pos = cursor.pos;
            // "[" before the first, a comma before each other one
            uint256 before = 0x5b;
            for (uint256 i = 0; i < 16; ++i) {
                uint256 svn;
                uint256 head = Json.word(json, pos);
                if (head >> 248 != before) revert ICollateralStore.JsonMalformed(pos);
                before = 0x2c;
                // one digit and nothing else: most components
                if (uint56(head >> 192) == 0x7b2273766e223a && uint8(head >> 176) == 0x7d) {
                    svn = uint8(head >> 184) - 0x30;
                    if (svn > 9) revert ICollateralStore.JsonMalformed(pos);
                    pos += 10;
                } else {
                    (svn, pos) = _component(cursor, pos + 1);
                }
                components = (components << 8) | svn;
            }
            cursor.pos = Json.expect(json, pos, "]", 1);
        }
    }

    /// @dev Reads one component in any form.
    function _component(Cursor memory cursor, uint256 pos) private pure returns (uint256 svn, uint256 next) {
        unchecked {
            bytes memory json = cursor.json;
            if (Json.isAt(json, pos, '{"svn":', 7)) {
                (svn, next) = Json.number(json, pos + 7);
                if (svn > 255) revert ICollateralStore.JsonMalformed(next);
                // the two categories that Intel uses
                if (Json.isAt(json, next, ',"category":"BIOS"', 18)) next += 18;
                else if (Json.isAt(json, next, ',"category":"OS/VMM"', 20)) next += 20;
                else if (Json.isAt(json, next, ',"category":"', 13)) next = Json.text(json, next + 13) + 1;
                if (Json.isAt(json, next, ',"type":"', 9)) next = Json.text(json, next + 9) + 1;
                if (Json.isAt(json, next, "}", 1)) return (svn, next + 1);
            }
            cursor.pos = pos;
            // the list around it
            ++cursor.depth;
            uint256 start = _enter(cursor);
            _member(cursor, start, '"svn":', 6);
            svn = _number(cursor, 0xff);
            if (_has(cursor, start, '"category":', 11)) _string(cursor);
            if (_has(cursor, start, '"type":', 7)) _string(cursor);
            _leave(cursor, start);
            --cursor.depth;
            next = cursor.pos;
        }
    }

    /// @dev Reads `tcbDate`, `tcbStatus` and the optional `advisoryIDs`.
    function _level(Cursor memory cursor, uint256 start, Rated rated) private pure returns (Level) {
        _member(cursor, start, '"tcbDate":', 10);
        uint256 date = _date(cursor);
        _member(cursor, start, '"tcbStatus":', 12);
        _expect(cursor, '"', 1);
        TcbStatus status = _status(cursor, rated);
        uint256 first = cursor.codeCount;
        if (_has(cursor, start, '"advisoryIDs":', 14)) {
            _open(cursor);
            if (!_skip(cursor, "]", 1)) {
                do {
                    _expect(cursor, '"', 1);
                    _advisory(cursor);
                } while (_skip(cursor, ",", 1));
                _expect(cursor, "]", 1);
            }
            --cursor.depth;
        }
        uint256 count = cursor.codeCount - first;
        require(count < 256 && first < 65536, ICollateralStore.DocumentTooLarge(cursor.pos));
        return LevelLib.pack(uint256(status), date, first, count);
    }

    /// @dev Stores an advisory: `INTEL-SA-` and five digits as their number, any other text as itself with an index.
    function _advisory(Cursor memory cursor) private pure {
        uint256 pos = cursor.pos;
        uint256 head = Json.word(cursor.json, pos);
        if (head >> 184 == INTEL_SA && uint8(head >> 136) == 0x22) {
            (uint256 value, uint256 end) = _digits(head << 72);
            if (end == 5) {
                cursor.pos = pos + 15;
                _putCode(cursor, value);
                return;
            }
        }
        bytes32 id;
        (id, cursor.pos) = Json.name(cursor.json, pos);
        if (cursor.textCount == 0) cursor.texts = new bytes32[](MAX_TEXTS);
        uint256 code;
        for (; code < cursor.textCount && cursor.texts[code] != id; ++code) {}
        if (code == cursor.textCount) {
            require(code < MAX_TEXTS, ICollateralStore.DocumentTooLarge(pos));
            cursor.texts[cursor.textCount++] = id;
        }
        _putCode(cursor, TcbBlob.TEXT_CODE + code);
    }

    /// @dev Reads up to five decimal digits from the highest bytes, four bits each.
    /// @param text characters, left-aligned.
    /// @return value the digits, four bits each.
    /// @return count number of digits.
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

    /// @dev Appends an advisory code of three bytes.
    function _putCode(Cursor memory cursor, uint256 code) private pure {
        unchecked {
            TcbBlob.put(cursor.codes, 3 * cursor.codeCount, code << 232, 3);
            ++cursor.codeCount;
        }
    }

    /// @dev Reads a status. Returns `None` for an unknown status of a module: it rejects a quote only if that level is
    /// reached.
    function _status(Cursor memory cursor, Rated rated) private pure returns (TcbStatus status) {
        uint256 pos = cursor.pos;
        status = _statusNamed(cursor);
        bool isOfComponents =
            status == TcbStatus.UpToDate || status == TcbStatus.OutOfDate || status == TcbStatus.Revoked;
        bool isPossible = rated == Rated.Module || (rated == Rated.Enclave ? isOfComponents : status != TcbStatus.None);
        require(isPossible, ICollateralStore.StatusUnknown(pos));
    }

    /// @dev The status with this name; `None` for any other text.
    function _statusNamed(Cursor memory cursor) private pure returns (TcbStatus) {
        unchecked {
            uint256 pos = cursor.pos;
            uint256 length = Json.text(cursor.json, pos) - pos;
            cursor.pos = pos + length + 1;
            uint256 word = Json.word(cursor.json, pos);
            // the one that does not fit into a word
            if (length == 33 && word == uint256(bytes32("ConfigurationAndSWHardeningNeede"))) {
                bool isWhole = Json.isAt(cursor.json, pos + 32, "d", 1);
                return isWhole ? TcbStatus.ConfigurationAndSWHardeningNeeded : TcbStatus.None;
            }
            if (length == 0 || length > 31) return TcbStatus.None;
            uint256 unused = 256 - 8 * length;
            bytes32 text = bytes32((word >> unused) << unused);
            if (text == "UpToDate") return TcbStatus.UpToDate;
            if (text == "OutOfDate") return TcbStatus.OutOfDate;
            if (text == "SWHardeningNeeded") return TcbStatus.SWHardeningNeeded;
            if (text == "ConfigurationNeeded") return TcbStatus.ConfigurationNeeded;
            if (text == "OutOfDateConfigurationNeeded") return TcbStatus.OutOfDateConfigurationNeeded;
            if (text == "Revoked") return TcbStatus.Revoked;
            return TcbStatus.None;
        }
    }

    /* MEMBERS OF OBJECTS */

    /// @dev Enters the object at the cursor.
    /// @return start position of the object with the mark `ODD`, for the functions below.
    function _enter(Cursor memory cursor) private pure returns (uint256 start) {
        unchecked {
            start = cursor.pos;
            if (Json.octet(cursor.json, start) != 0x7b) revert ICollateralStore.JsonMalformed(start);
            ++cursor.depth;
            if (cursor.isOdd) {
                start |= ODD;
                cursor.isOdd = false;
            }
        }
    }

    /// @dev Goes to the value of a member that must be there. `key` contains its quotation marks and colon.
    /// @param start position of the first member of the object.
    /// @param key the name, left-aligned.
    /// @param length characters of `key`.
    function _member(Cursor memory cursor, uint256 start, bytes32 key, uint256 length) private pure {
        if (_isNext(cursor, start, key, length)) return;
        require(_find(cursor, start, key, length), ICollateralStore.JsonMalformed(cursor.pos));
    }

    /// @dev Goes to the value of a member, if the object has it.
    function _has(Cursor memory cursor, uint256 start, bytes32 key, uint256 length) private pure returns (bool) {
        if (_isNext(cursor, start, key, length)) return true;
        // the object ends here, and all its members were read
        if (!cursor.isOdd && Json.octet(cursor.json, cursor.pos) == 0x7d) return false;
        return _find(cursor, start, key, length);
    }

    /// @dev Goes to the value of a member, if it is the next one.
    function _isNext(Cursor memory cursor, uint256 start, bytes32 key, uint256 length) private pure returns (bool) {
        unchecked {
            uint256 pos = cursor.pos;
            // the character before the name, and the name
            uint256 head = Json.word(cursor.json, pos);
            if (((head << 8) ^ uint256(key)) >> (256 - 8 * length) != 0) return false;
            if (head >> 248 != 0x2c && pos != uint128(start)) return false;
            cursor.pos = pos + 1 + length;
            return true;
        }
    }

    /// @dev Goes to the value of a member at any position of the object.
    function _find(Cursor memory cursor, uint256 start, bytes32 key, uint256 length) private pure returns (bool) {
        unchecked {
            bytes memory json = cursor.json;
            _requireBehindMember(cursor, start);
            cursor.isOdd = true;
            uint256 pos = uint128(start);
            if (Json.octet(json, pos + 1) == 0x7d) return false;
            while (true) {
                if (Json.isAt(json, pos + 1, key, length)) {
                    cursor.pos = pos + 1 + length;
                    return true;
                }
                pos = Json.skip(json, Json.key(json, pos + 1), cursor.depth);
                if (_isLast(json, pos)) return false;
            }
            return false;
        }
    }

    /// @dev Leaves the object. If it was not in Intel's order, all its members are read again to refuse a name that
    /// occurs twice (RFC 8259 §4).
    function _leave(Cursor memory cursor, uint256 start) private pure {
        unchecked {
            uint256 pos = cursor.pos;
            if (cursor.isOdd || Json.octet(cursor.json, pos) != 0x7d) {
                _requireBehindMember(cursor, start);
                pos = _ends(cursor, uint128(start));
            }
            cursor.pos = pos + 1;
            --cursor.depth;
            cursor.isOdd = start & ODD != 0;
        }
    }

    /// @dev Reads all members of the object at `pos`. Returns the position of its closing brace.
    function _ends(Cursor memory cursor, uint256 pos) private pure returns (uint256) {
        unchecked {
            bytes memory json = cursor.json;
            bytes32[] memory keys = new bytes32[](MAX_MEMBERS);
            for (uint256 count = 0; ; ++count) {
                if (count == MAX_MEMBERS) revert ICollateralStore.DocumentTooLarge(pos);
                uint256 value = Json.key(json, pos + 1);
                bytes32 key = Digest.keccakOf(json, pos + 1, value - pos - 1);
                for (uint256 i = 0; i < count; ++i) {
                    if (keys[i] == key) revert ICollateralStore.JsonMalformed(pos);
                }
                keys[count] = key;
                pos = Json.skip(json, value, cursor.depth);
                if (_isLast(json, pos)) return pos;
            }
            return pos;
        }
    }

    /// @dev Whether the object ends here. After a member only a comma or a closing brace may follow.
    function _isLast(bytes memory json, uint256 pos) private pure returns (bool) {
        uint256 c = Json.octet(json, pos);
        require(c == 0x2c || c == 0x7d, ICollateralStore.JsonMalformed(pos));
        return c == 0x7d;
    }

    /// @dev Requires that the last value that was read was the whole value of its member.
    function _requireBehindMember(Cursor memory cursor, uint256 start) private pure {
        if (cursor.pos != uint128(start)) _isLast(cursor.json, cursor.pos);
    }

    /// @dev Reads a member that is a string of hexadecimal digits.
    /// @param octets length of the value in bytes.
    /// @return value left-aligned.
    function _hexMember(
        Cursor memory cursor,
        uint256 start,
        bytes32 key,
        uint256 length,
        uint256 octets
    ) private pure returns (bytes32 value) {
        _member(cursor, start, key, length);
        _expect(cursor, '"', 1);
        value = _hex(cursor, octets);
        _expect(cursor, '"', 1);
    }

    /// @dev Enters a list.
    function _open(Cursor memory cursor) private pure {
        _expect(cursor, "[", 1);
        unchecked {
            ++cursor.depth;
        }
    }

    /// @dev Leaves a list.
    function _close(Cursor memory cursor) private pure {
        _expect(cursor, "]", 1);
        unchecked {
            --cursor.depth;
        }
    }

    /// @dev Skips a string.
    function _string(Cursor memory cursor) private pure {
        _expect(cursor, '"', 1);
        cursor.pos = Json.text(cursor.json, cursor.pos) + 1;
    }

    /* THE CURSOR */

    /// @dev A cursor at the start of the text. The packed form of a document is always shorter than its text.
    function _cursor(bytes memory json) private pure returns (Cursor memory cursor) {
        cursor.json = json;
        // packed values are shorter than their text
        cursor.out = _room(cursor);
        cursor.codes = new bytes(json.length + 32);
    }

    /// @dev A buffer that is large enough for any packed form of the text.
    function _room(Cursor memory cursor) private pure returns (bytes memory) {
        return new bytes(cursor.json.length + 128);
    }

    /// @dev Returns the output so far and starts with an empty buffer.
    function _taken(Cursor memory cursor) private pure returns (bytes memory taken) {
        taken = cursor.out;
        uint256 length = cursor.end;
        cursor.out = _room(cursor);
        cursor.end = 0;
        assembly ("memory-safe") {
            mstore(taken, length)
        }
    }

    /// @dev Overwrites the first `length` bytes of the output.
    function _putHead(Cursor memory cursor, uint256 head, uint256 length) private pure {
        uint256 rest = (TcbBlob.word(cursor.out, 0) << (8 * length)) >> (8 * length);
        TcbBlob.put(cursor.out, 0, head | rest, 32);
    }

    /// @dev The packed document: output, `middle`, advisory codes, texts. The text must end at the cursor.
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

    /// @dev Requires that nothing follows the document.
    function _requireEnd(Cursor memory cursor) private pure {
        require(cursor.pos == cursor.json.length, ICollateralStore.JsonMalformed(cursor.pos));
    }

    /// @dev Requires a literal at the cursor and goes past it.
    function _expect(Cursor memory cursor, bytes32 literal, uint256 length) private pure {
        cursor.pos = Json.expect(cursor.json, cursor.pos, literal, length);
    }

    /// @dev Goes past a literal, if it is at the cursor.
    function _skip(Cursor memory cursor, bytes32 literal, uint256 length) private pure returns (bool there) {
        unchecked {
            there = Json.isAt(cursor.json, cursor.pos, literal, length);
            if (there) cursor.pos += length;
        }
    }

    /// @dev Reads a number up to `max`.
    function _number(Cursor memory cursor, uint256 max) private pure returns (uint256 value) {
        uint256 pos = cursor.pos;
        (value, cursor.pos) = Json.number(cursor.json, pos);
        require(value <= max, ICollateralStore.JsonMalformed(pos));
    }

    /// @dev Reads a time, unix seconds.
    /// @return seconds_ unix seconds.
    function _date(Cursor memory cursor) private pure returns (uint256 seconds_) {
        (seconds_, cursor.pos) = Json.date(cursor.json, cursor.pos);
    }

    /// @dev Reads `length` bytes in hexadecimal digits.
    /// @return value left-aligned.
    function _hex(Cursor memory cursor, uint256 length) private pure returns (bytes32 value) {
        unchecked {
            value = Json.hexBytes(cursor.json, cursor.pos, length);
            cursor.pos += 2 * length;
        }
    }
}

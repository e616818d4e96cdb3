// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "../../types/Bytes48.sol";
import {Report} from "../../types/Report.sol";
import {Sha384} from "../cryptography/Sha384.sol";

/// @notice One runtime event of a dstack guest, as it was extended into RTMR3.
struct RuntimeEvent {
    string name;
    bytes payload;
    /// @notice 1, or 2 for the JSON preimage.
    uint8 version;
}

/// @notice What a guest measured while it booted. Empty where the log has no such event.
struct Boot {
    bytes20 appId;
    bytes32 composeHash;
    /// @notice Zero when the app has none.
    bytes20 instanceId;
    bytes32 osImageHash;
    /// @notice JSON `{"name":"kms","id":"…"}` as measured.
    bytes keyProvider;
    /// @notice Whether the log goes on to `system-ready`; from there on the app writes events itself.
    bool isReady;
}

/// @notice Replays RTMR3: a log that leads to the quote's register is the log of that boot.
/// @dev Of each name the first event counts, and only before `system-ready`: later ones are the app's words.
library EventLog {
    /// @dev Little-endian event type 0x08000001 and a colon.
    bytes5 private constant TYPE = 0x010000083a;
    uint256 private constant MAX_EVENTS = 256;
    /// @dev Bytes of a digest.
    uint256 private constant DIGEST = 48;
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;
    uint256 private constant COLONS = 0x3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a;

    /// @notice Thrown when the log leads to another RTMR3 than the quote has.
    error EventLogMismatch(Bytes48 replayed, Bytes48 quoted);
    /// @notice Thrown when the event at `index` has a payload, a version or a name that it cannot have.
    error EventMalformed(uint256 index);

    /// @notice What `events` say of the boot, if they lead to RTMR3 of `report`; reverts otherwise.
    function prove(Report memory report, RuntimeEvent[] calldata events) internal pure returns (Boot memory boot) {
        Bytes48 memory replayed;
        (replayed, boot) = replay(events);
        Bytes48 memory quoted = report.rtmr(3);
        require(replayed.equals(quoted), EventLogMismatch(replayed, quoted));
    }

    /// @notice Where `events` lead from an empty register, and what they say.
    /// @dev While one event is extended into the register, the digest of a later one is computed beside it.
    function replay(RuntimeEvent[] calldata events) internal pure returns (Bytes48 memory rtmr, Boot memory boot) {
        Digests memory digests;
        bytes memory space = Sha384.workspace();
        digests.space = space;
        bytes[] memory items = _read(boot, events);
        digests.items = items;
        unchecked {
            _next(digests, 0);
            for (uint256 i = 0; i < items.length; ++i) {
                while (digests.ready <= i) {
                    Sha384.take(space, digests.place, digests.begins);
                    _taken(digests);
                }
                Sha384.extend(space, Sha384.placeOf(items[i]), digests.place, digests.begins);
                if (digests.ready < items.length) _taken(digests);
            }
            if (items.length != 0) (rtmr.hi, rtmr.lo) = Sha384.upper(space);
        }
    }

    /* DIGESTS OF EVENTS */

    /// @dev The digests of all events, in order, and how far they are computed.
    struct Digests {
        /// @dev Of each event its digest, or what that is computed from: padded, so that it has another length.
        bytes[] items;
        /// @dev Of so many events the digests are known.
        uint256 ready;
        /// @dev The block of the next item that is taken in next, whether it is the first, and where the last one ends.
        uint256 place;
        bool begins;
        uint256 end;
        bytes space;
    }

    /// @dev Reads every event once: what it says of the boot, and what it is in `Digests.items`.
    function _read(Boot memory boot, RuntimeEvent[] calldata events) private pure returns (bytes[] memory items) {
        uint256 count = events.length;
        require(count <= MAX_EVENTS, EventMalformed(MAX_EVENTS));
        items = new bytes[](count);
        uint256 seen;
        unchecked {
            for (uint256 i = 0; i < count; ++i) {
                RuntimeEvent calldata item = events[i];
                bytes calldata name = bytes(item.name);
                bytes calldata payload = item.payload;
                bytes32 nameHash = keccak256(name);
                if (!boot.isReady) seen = _note(boot, name, nameHash, payload, i, seen);
                uint256 version;
                assembly ("memory-safe") {
                    // the third word of the struct; `_item` looks at all of it
                    version := calldataload(add(item, 64))
                }
                items[i] = _item(name, nameHash, payload, version, i);
            }
        }
    }

    function _item(
        bytes calldata name,
        bytes32 nameHash,
        bytes calldata payload,
        uint256 version,
        uint256 index
    ) private pure returns (bytes memory item) {
        if (version == 2) return Sha384.padded(_preimage2(name, payload, index));
        require(version == 1, EventMalformed(index));
        if (payload.length == 0) item = _marker(nameHash);
        if (item.length == 0) item = _preimage(name, payload);
    }

    /// @dev In version 1 a colon ends the name: with one in it, the same digest is that of another name and payload too,
    /// and one event could hide behind another. Returns 0 if there is none.
    function _colons(bytes calldata name) private pure returns (uint256 found) {
        assembly ("memory-safe") {
            let place := name.offset
            let left := name.length
            for {} gt(left, 32) {} {
                let word := xor(calldataload(place), COLONS)
                // bit 7 of some octet, if one is zero
                found := or(found, and(and(sub(word, ONES), not(word)), HIGH))
                place := add(place, 32)
                left := sub(left, 32)
            }
            let word := xor(shr(sub(256, shl(3, left)), calldataload(place)), COLONS)
            found := or(found, and(and(sub(word, ONES), not(word)), HIGH))
        }
    }

    /// @dev A block of item `ready` is taken in; after the last one, its digest takes its place.
    function _taken(Digests memory digests) private pure {
        unchecked {
            uint256 place = digests.place + 128;
            if (place == digests.end) {
                uint256 ready = digests.ready;
                _know(digests.items[ready], digests.space);
                _next(digests, ready + 1);
            } else {
                digests.place = place;
                digests.begins = false;
            }
        }
    }

    /// @dev Goes on to the next item to be hashed, at `index` or behind it.
    function _next(Digests memory digests, uint256 index) private pure {
        unchecked {
            // behind the last one, whatever is taken in begins something that nobody asks for
            digests.begins = true;
            bytes[] memory items = digests.items;
            for (; index < items.length; ++index) {
                bytes memory item = items[index];
                if (item.length == DIGEST) continue;
                uint256 place = Sha384.placeOf(item);
                digests.place = place;
                digests.end = place + item.length;
                break;
            }
            digests.ready = index;
        }
    }

    function _know(bytes memory item, bytes memory space) private pure {
        (bytes32 hi, bytes16 lo) = Sha384.lower(space);
        assembly ("memory-safe") {
            mstore(item, DIGEST)
            mstore(add(item, 32), hi)
            mstore(add(item, 64), lo)
        }
    }

    /// @dev Digests of the markers of every boot, computed once; empty for any other event without a payload.
    function _marker(bytes32 name) private pure returns (bytes memory) {
        if (name == keccak256("system-preparing")) {
            return
                hex"f9974020ef507068183313d0ca808e0d1ca9b2d1ad0c61f5784e7157c362c06536f5ddacdad4451693f48fcc72fff624";
        }
        if (name == keccak256("boot-mr-done")) {
            return
                hex"98bd7e6bd3952720b65027fd494834045d06b4a714bf737a06b874638b3ea00ff402f7f583e3e3b05e921c8570433ac6";
        }
        if (name == keccak256("system-ready")) {
            return
                hex"1a76b2a80a0be71eae59f80945d876351a7a3fb8e9fd1ff1cede5734aa84ea11fd72b4edfbb6f04e5a85edd114c751bd";
        }
        return "";
    }

    /// @dev Type, name, a colon, payload, written where they are hashed.
    function _preimage(bytes calldata name, bytes calldata payload) private pure returns (bytes memory message) {
        unchecked {
            message = Sha384.padding(TYPE.length + name.length + 1 + payload.length);
        }
        assembly ("memory-safe") {
            let place := add(message, 32)
            mstore(place, or(mload(place), TYPE))
            place := add(place, 5)
            calldatacopy(place, name.offset, name.length)
            place := add(place, name.length)
            mstore8(place, 0x3a)
            calldatacopy(add(place, 1), payload.offset, payload.length)
        }
    }

    /// @dev RFC 8785 JSON; a name that would have to be escaped is refused.
    function _preimage2(
        bytes calldata name,
        bytes calldata payload,
        uint256 index
    ) private pure returns (bytes memory) {
        for (uint256 i = 0; i < name.length; ++i) {
            uint8 char = uint8(name[i]);
            require(char >= 0x20 && char < 0x7f && char != 0x22 && char != 0x5c, EventMalformed(index));
        }
        return bytes.concat('{"name":"', name, '","payload":"', _hex(payload), '","type":134217729}');
    }

    function _hex(bytes calldata data) private pure returns (bytes memory text) {
        bytes16 digits = "0123456789abcdef";
        text = new bytes(2 * data.length);
        for (uint256 i = 0; i < data.length; ++i) {
            text[2 * i] = digits[uint8(data[i]) >> 4];
            text[2 * i + 1] = digits[uint8(data[i]) & 15];
        }
    }

    /* WHAT THEY SAY */

    /// @dev Takes what the event says, unless one of that name came before. `name` is the hash of `text`.
    function _note(
        Boot memory boot,
        bytes calldata text,
        bytes32 name,
        bytes calldata payload,
        uint256 index,
        uint256 seen
    ) private pure returns (uint256) {
        uint256 bit;
        if (name == keccak256("app-id")) {
            bit = 1;
            require(payload.length == 20, EventMalformed(index));
            if (seen & bit == 0) boot.appId = bytes20(payload);
        } else if (name == keccak256("compose-hash")) {
            bit = 2;
            require(payload.length == 32, EventMalformed(index));
            if (seen & bit == 0) boot.composeHash = bytes32(payload);
        } else if (name == keccak256("instance-id")) {
            bit = 4;
            require(payload.length == 20 || payload.length == 0, EventMalformed(index));
            if (seen & bit == 0) boot.instanceId = bytes20(payload);
        } else if (name == keccak256("os-image-hash")) {
            bit = 8;
            require(payload.length == 32, EventMalformed(index));
            if (seen & bit == 0) boot.osImageHash = bytes32(payload);
        } else if (name == keccak256("key-provider")) {
            bit = 16;
            if (seen & bit == 0) boot.keyProvider = payload;
        } else if (name == keccak256("system-ready")) {
            boot.isReady = true;
        } else if (name != keccak256("system-preparing") && name != keccak256("boot-mr-done")) {
            // every other name here is one that was just compared, and has none
            if (_colons(text) != 0) revert EventMalformed(index);
        }
        return seen | bit;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "../../types/Bytes48.sol";
import {Report} from "../../types/Report.sol";
import {Sha384} from "../cryptography/Sha384.sol";

/// @notice One runtime event of a dstack guest, as it was measured into RTMR3.
struct RuntimeEvent {
    /// @notice Such as `compose-hash`. It must not contain a colon.
    string name;
    /// @notice Raw bytes of the event.
    bytes payload;
    /// @notice Form of the digest: 1 = type, name and payload concatenated; 2 = JSON (RFC 8785).
    uint8 version;
}

/// @notice Facts that a guest measured while it booted. A field is empty if the log has no such event.
struct Boot {
    /// @notice App id.
    bytes20 appId;
    /// @notice Compose hash of the release.
    bytes32 composeHash;
    /// @notice Instance id; zero for an app without instance ids.
    bytes20 instanceId;
    /// @notice Base image, as the guest measured it. It is not verified against MRTD and RTMR0 to RTMR2.
    bytes32 osImageHash;
    /// @notice JSON `{"name":"kms","id":"…"}` as measured.
    bytes keyProvider;
    /// @notice Whether the log reaches `system-ready`. After it the app itself can measure events, so later events
    /// prove nothing about the boot.
    bool isReady;
}

/// @notice Replays RTMR3: if a log leads to the register in a quote, it is the log of that boot.
/// @dev Of events with the same name the first counts, and only before `system-ready`.
library EventLog {
    /// @dev Event type 0x08000001, little-endian, and a colon.
    bytes5 private constant TYPE = 0x010000083a;
    /// @dev Bound for the gas of a replay.
    uint256 private constant MAX_EVENTS = 256;
    /// @dev Bytes of a digest.
    uint256 private constant DIGEST = 48;
    /// @dev Bit 0 of each octet.
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;
    /// @dev Bit 7 of each octet.
    uint256 private constant HIGH = 0x8080808080808080808080808080808080808080808080808080808080808080;
    /// @dev A colon in each octet.
    uint256 private constant COLONS = 0x3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a;

    /// @notice The log leads to another value of RTMR3 than the quote contains.
    error EventLogMismatch(Bytes48 replayed, Bytes48 quoted);
    /// @notice An event has a payload, version or name that is not possible.
    /// @param index position of the event in the log.
    error EventMalformed(uint256 index);

    /// @notice The facts of the boot, if `events` lead to RTMR3 of `report`. Reverts with `EventLogMismatch` and
    /// `EventMalformed`.
    /// @dev Does not check that the report is verified: the caller must.
    /// @param report a verified report.
    /// @param events runtime events in the order of the log.
    /// @return boot app id, compose hash, instance id and key provider.
    function prove(Report memory report, RuntimeEvent[] calldata events) internal pure returns (Boot memory boot) {
        Bytes48 memory replayed;
        (replayed, boot) = replay(events);
        Bytes48 memory quoted = report.rtmr(3);
        require(replayed.equals(quoted), EventLogMismatch(replayed, quoted));
    }

    /// @notice The value of RTMR3 after `events`, starting from zero, and the facts in them.
    /// @dev SHA-384 of two messages is computed at the same time: one event is extended into the register while the
    /// digest of a later event is computed.
    /// @param events runtime events in the order of the log.
    /// @return rtmr value of RTMR3.
    /// @return boot the facts in the events; nothing proves them yet.
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

    /// @dev The digests of all events, in order, and how many of them are computed.
    struct Digests {
        /// @dev For each event its digest, or the padded message from which it is computed. The length says which.
        bytes[] items;
        /// @dev Number of events whose digests are known.
        uint256 ready;
        /// @dev Next block of the message that is being hashed.
        uint256 place;
        /// @dev Whether that block is the first of its message.
        bool begins;
        /// @dev End of the message.
        uint256 end;
        /// @dev Working memory of `Sha384`.
        bytes space;
    }

    /// @dev Reads every event once: the fact in it, and its digest or message.
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

    /// @dev The digest of an event if it is a known marker, else its padded message.
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

    /// @dev Not 0 if the name contains a colon. In version 1 a colon ends the name, so a name with a colon would have
    /// the digest of another name and payload, and one event could be shown as another.
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

    /// @dev A block of the message at `ready` was hashed. After the last block, the digest replaces the message.
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

    /// @dev Continues with the next message, at `index` or after it.
    function _next(Digests memory digests, uint256 index) private pure {
        unchecked {
            // after the last message, blocks begin a new hash that is not used
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

    /// @dev Replaces a message by its digest.
    function _know(bytes memory item, bytes memory space) private pure {
        (bytes32 hi, bytes16 lo) = Sha384.lower(space);
        assembly ("memory-safe") {
            mstore(item, DIGEST)
            mstore(add(item, 32), hi)
            mstore(add(item, 64), lo)
        }
    }

    /// @dev Digests of the three markers that every boot has; empty for any other event without a payload.
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

    /// @dev Message of version 1: type, name, colon, payload, written into a padded buffer.
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

    /// @dev Message of version 2: JSON in the form of RFC 8785. A name that JSON would have to escape is refused.
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

    /// @dev Lower-case hexadecimal digits.
    function _hex(bytes calldata data) private pure returns (bytes memory text) {
        bytes16 digits = "0123456789abcdef";
        text = new bytes(2 * data.length);
        for (uint256 i = 0; i < data.length; ++i) {
            text[2 * i] = digits[uint8(data[i]) >> 4];
            text[2 * i + 1] = digits[uint8(data[i]) & 15];
        }
    }

    /* WHAT THEY SAY */

    /// @dev Takes the fact from an event, unless an event of the same name came before.
    /// @param name keccak-256 of `text`.
    /// @param seen names that came before, as bits.
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
            // the names compared above contain no colon
            if (_colons(text) != 0) revert EventMalformed(index);
        }
        return seen | bit;
    }
}

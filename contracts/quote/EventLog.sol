// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

import {Bytes48} from "../types/Bytes48.sol";
import {Report} from "../types/Report.sol";
import {Sha384} from "./Sha384.sol";

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
        uint256 count = events.length;
        require(count <= MAX_EVENTS, EventMalformed(MAX_EVENTS));
        Digests memory digests = _start(events);
        // the register and the digest that extends it: one block
        bytes memory extended = Sha384.padded(new bytes(96));
        uint256 place = Sha384.at(extended, 0);
        uint256 seen;
        for (uint256 i = 0; i < count; ++i) {
            if (!boot.isReady) seen = _note(boot, events[i], i, seen);
            while (digests.ready <= i) _advance(digests, events, 0);
            _put(extended, 48, digests.hi[i], bytes16(digests.lo[i]));
            Sha384.beginUpper(digests.state);
            _advance(digests, events, place);
            (bytes32 hi, bytes16 lo) = Sha384.upper(digests.state);
            _put(extended, 0, hi, lo);
            if (i + 1 == count) rtmr = Bytes48(hi, lo);
        }
    }

    /* DIGESTS OF EVENTS */

    /// @dev The digests of all events, in order, and how far they are computed.
    struct Digests {
        bytes32[] hi;
        bytes32[] lo;
        /// @dev Of so many events they are known.
        uint256 ready;
        /// @dev Padded preimage of the next event, empty behind the last one, and how much of it is taken in.
        bytes message;
        uint256 taken;
        uint256[8] state;
        bytes space;
    }

    function _start(RuntimeEvent[] calldata events) private pure returns (Digests memory digests) {
        digests.hi = new bytes32[](events.length);
        digests.lo = new bytes32[](events.length);
        digests.space = Sha384.workspace();
        _next(digests, events);
    }

    /// @dev One block of the next digest, beside the block of another hash at `place`; 0: there is none.
    function _advance(Digests memory digests, RuntimeEvent[] calldata events, uint256 place) private pure {
        unchecked {
            bytes memory message = digests.message;
            if (message.length == 0) return Sha384.compress(digests.state, digests.space, place, place);

            uint256 from = Sha384.at(message, digests.taken);
            Sha384.compress(digests.state, digests.space, place == 0 ? from : place, from);
            digests.taken += 128;
            if (digests.taken != message.length) return;
            (bytes32 hi, bytes16 lo) = Sha384.lower(digests.state);
            _known(digests, hi, lo);
            _next(digests, events);
        }
    }

    /// @dev Prepares the digest of the next event that is not known already.
    function _next(Digests memory digests, RuntimeEvent[] calldata events) private pure {
        digests.message = "";
        while (digests.ready < events.length) {
            RuntimeEvent calldata item = events[digests.ready];
            (bytes32 hi, bytes16 lo) = _marker(item);
            if (hi == 0) {
                digests.message = Sha384.padded(_preimage(item, digests.ready));
                digests.taken = 0;
                return Sha384.beginLower(digests.state);
            }
            _known(digests, hi, lo);
        }
    }

    function _known(Digests memory digests, bytes32 hi, bytes16 lo) private pure {
        digests.hi[digests.ready] = hi;
        digests.lo[digests.ready] = lo;
        ++digests.ready;
    }

    /// @dev Digests of the markers of every boot, computed once; zero for any other event.
    function _marker(RuntimeEvent calldata item) private pure returns (bytes32 hi, bytes16 lo) {
        if (item.version != 1 || item.payload.length != 0) return (0, 0);
        bytes32 name = keccak256(bytes(item.name));
        if (name == keccak256("system-preparing")) {
            return (
                0xf9974020ef507068183313d0ca808e0d1ca9b2d1ad0c61f5784e7157c362c065,
                0x36f5ddacdad4451693f48fcc72fff624
            );
        }
        if (name == keccak256("boot-mr-done")) {
            return (
                0x98bd7e6bd3952720b65027fd494834045d06b4a714bf737a06b874638b3ea00f,
                0xf402f7f583e3e3b05e921c8570433ac6
            );
        }
        if (name == keccak256("system-ready")) {
            return (
                0x1a76b2a80a0be71eae59f80945d876351a7a3fb8e9fd1ff1cede5734aa84ea11,
                0xfd72b4edfbb6f04e5a85edd114c751bd
            );
        }
    }

    function _preimage(RuntimeEvent calldata item, uint256 index) private pure returns (bytes memory) {
        if (item.version == 2) return _preimage2(item, index);
        require(item.version == 1, EventMalformed(index));
        return bytes.concat(TYPE, bytes(item.name), ":", item.payload);
    }

    /* WHAT THEY SAY */

    /// @dev Takes what the event says, unless one of that name came before.
    function _note(
        Boot memory boot,
        RuntimeEvent calldata item,
        uint256 index,
        uint256 seen
    ) private pure returns (uint256) {
        bytes32 name = keccak256(bytes(item.name));
        bytes calldata payload = item.payload;
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
        }
        return seen | bit;
    }

    /// @dev RFC 8785 JSON; a name that would have to be escaped is refused.
    function _preimage2(RuntimeEvent calldata item, uint256 index) private pure returns (bytes memory) {
        bytes calldata name = bytes(item.name);
        for (uint256 i = 0; i < name.length; ++i) {
            uint8 char = uint8(name[i]);
            require(char >= 0x20 && char < 0x7f && char != 0x22 && char != 0x5c, EventMalformed(index));
        }
        return bytes.concat('{"name":"', name, '","payload":"', _hex(item.payload), '","type":134217729}');
    }

    function _hex(bytes calldata data) private pure returns (bytes memory text) {
        bytes16 digits = "0123456789abcdef";
        text = new bytes(2 * data.length);
        for (uint256 i = 0; i < data.length; ++i) {
            text[2 * i] = digits[uint8(data[i]) >> 4];
            text[2 * i + 1] = digits[uint8(data[i]) & 15];
        }
    }

    function _put(bytes memory target, uint256 offset, bytes32 hi, bytes16 lo) private pure {
        assembly ("memory-safe") {
            let place := add(add(target, 32), offset)
            mstore(place, hi)
            // only 16 bytes: the word behind may be another's
            let rest := and(mload(add(place, 32)), 0xffffffffffffffffffffffffffffffff)
            mstore(add(place, 32), or(lo, rest))
        }
    }
}

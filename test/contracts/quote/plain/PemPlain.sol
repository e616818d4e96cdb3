// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.35;

/// @notice PEM, one character at a time: the reference for `Pem`.
library PemPlain {
    bytes private constant ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes private constant BEGIN = "-----BEGIN CERTIFICATE-----\n";
    bytes private constant END = "-----END CERTIFICATE-----";

    function encode(bytes memory der) internal pure returns (bytes memory text) {
        text = BEGIN;
        uint256 column;
        for (uint256 i = 0; i < der.length; i += 3) {
            uint256 left = der.length - i;
            uint256 group = uint256(uint8(der[i])) << 16;
            if (left > 1) group |= uint256(uint8(der[i + 1])) << 8;
            if (left > 2) group |= uint8(der[i + 2]);
            text = bytes.concat(
                text,
                ALPHABET[group >> 18],
                ALPHABET[(group >> 12) & 63],
                left > 1 ? ALPHABET[(group >> 6) & 63] : bytes1("="),
                left > 2 ? ALPHABET[group & 63] : bytes1("=")
            );
            column += 4;
            if (column == 64 || left <= 3) {
                text = bytes.concat(text, "\n");
                column = 0;
            }
        }
        return bytes.concat(text, END);
    }

    /// @return valid whether `text` is what `encode` writes for `der`, with anything behind it.
    function decode(bytes memory text) internal pure returns (bool valid, bytes memory der) {
        if (text.length < BEGIN.length) return (false, "");
        for (uint256 pos = BEGIN.length; pos < text.length && text[pos] != "-"; ++pos) {
            if (text[pos] == "\n") continue;
            uint256 group;
            uint256 octets = 3;
            for (uint256 i = 0; i < 4; ++i) {
                if (pos + i >= text.length) return (false, "");
                bool isPadding = i > 1 && text[pos + i] == "=";
                uint256 value = isPadding ? 0 : _value(text[pos + i]);
                if (value == 64) return (false, "");
                if (isPadding) --octets;
                group = (group << 6) | value;
            }
            for (uint256 i = 0; i < octets; ++i) der = bytes.concat(der, bytes1(uint8(group >> (16 - 8 * i))));
            pos += 3;
        }
        bytes memory again = encode(der);
        if (again.length > text.length) return (false, "");
        for (uint256 i = 0; i < again.length; ++i) if (again[i] != text[i]) return (false, "");
        return (true, der);
    }

    function _value(bytes1 char) private pure returns (uint256 value) {
        while (value < 64 && ALPHABET[value] != char) ++value;
    }
}

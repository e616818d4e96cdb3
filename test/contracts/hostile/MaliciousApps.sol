// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAppAuth} from "../../../contracts/auth/IAppAuth.sol";
import {AppBootInfo} from "../../../contracts/types/BootInfo.sol";
import {Kind} from "../../../contracts/types/Kind.sol";

/// @notice Says yes to everything, whoever is meant.
contract YesApp is IAppAuth {
    function isAppAllowed(AppBootInfo calldata) external pure returns (bool, string memory) {
        return (true, "");
    }
}

/// @notice Needs some gas for an answer.
contract Backend {
    uint256 private _seed;

    function ask() external view returns (uint256 sum) {
        sum = _seed;
        for (uint256 i = 0; i < 300; i++) sum = uint256(keccak256(abi.encode(sum)));
    }
}

/// @notice Asks another contract first, and takes a failure of that for a reason to deny.
contract CatchingApp is IAppAuth {
    Backend private immutable _backend = new Backend();
    uint256 private immutable _approval;

    /// @param version number of its approvals, which are active since second 1.
    constructor(uint32 version) {
        _approval = 1 | (uint256(version) << 160) | (1 << 192);
    }

    function isAppAllowed(AppBootInfo calldata) external pure returns (bool, string memory) {
        return (true, "");
    }

    function approvalOf(Kind, bytes32) external view returns (uint256) {
        return _answers() ? _approval : 0;
    }

    function approvedInBlock(Kind, bytes32) external view returns (uint256) {
        return _answers() ? 0 : type(uint256).max;
    }

    function allowAnyDevice() external view returns (bool) {
        return _answers();
    }

    function releaseAndEpochs(bytes32) external view returns (uint256, uint256, uint256) {
        return _answers() ? (_approval, 1, 1) : (0, 0, 0);
    }

    /// @dev Keeps enough gas to answer itself.
    function _answers() private view returns (bool) {
        try _backend.ask{gas: gasleft() - gasleft() / 32}() returns (uint256) {
            return true;
        } catch {
            return false;
        }
    }
}

/// @notice Says no in its own words.
contract NoApp is IAppAuth {
    string private _words;

    constructor(string memory words) {
        _words = words;
    }

    function isAppAllowed(AppBootInfo calldata) external view returns (bool, string memory) {
        return (false, _words);
    }
}

contract RevertingApp is IAppAuth {
    function isAppAllowed(AppBootInfo calldata) external pure returns (bool, string memory) {
        revert("I am not in the mood");
    }
}

contract GasBombApp is IAppAuth {
    uint256 private _sink;

    function isAppAllowed(AppBootInfo calldata) external view returns (bool, string memory) {
        uint256 sum = _sink;
        while (gasleft() > 0) {
            sum = uint256(keccak256(abi.encode(sum)));
        }
        return (sum != 0, "");
    }
}

/// @notice Returns a megabyte, and reverts with one if asked to.
contract ReturnBombApp {
    bool private immutable _reverts;

    constructor(bool reverts) {
        _reverts = reverts;
    }

    fallback() external {
        bool reverts = _reverts;
        assembly {
            mstore(0, 1)
            mstore(0x20, 0x40)
            if reverts {
                revert(0, 150000)
            }
            return(0, 150000)
        }
    }
}

/// @notice Answers every call with exactly these bytes.
contract EchoApp {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    fallback() external {
        bytes memory answer = _answer;
        assembly {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @notice Asks back the one who asks, until the gas ends.
contract RecursiveApp is IAppAuth {
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool, string memory) {
        return IAppAuth(msg.sender).isAppAllowed(bootInfo);
    }
}

/// @notice Allows everything, and answers what only Assent asks with exactly these bytes.
contract TellingApp is IAppAuth {
    bytes private _terms;

    constructor(bytes memory terms) {
        _terms = terms;
    }

    function isAppAllowed(AppBootInfo calldata) external pure returns (bool, string memory) {
        return (true, "");
    }

    fallback() external {
        bytes memory terms = _terms;
        assembly {
            return(add(terms, 0x20), mload(terms))
        }
    }
}

/// @notice Allows everything, and burns all gas when it is asked more.
contract BurningDetailsApp is IAppAuth {
    function isAppAllowed(AppBootInfo calldata) external pure returns (bool, string memory) {
        return (true, "");
    }

    fallback() external {
        assembly {
            invalid()
        }
    }
}

/** Mutants that are compiled together and switched on one at a time. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/**
 * `Mutant.on(7)` is true while `ASSENT_MUTANT=7`: the length of the code at one address, which the base of all tests sets
 * when it is created. Asking is cheap and allowed in a pure function.
 */
export const mutantSwitch: string = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

interface Environment {
    function envOr(string calldata name, uint256 value) external view returns (uint256);

    function etch(address place, bytes calldata code) external;
}

library Mutant {
    Environment private constant VM = Environment(address(uint160(uint256(keccak256("hevm cheat code")))));
    address private constant PLACE = address(0x4d757461);

    function wake() internal {
        VM.etch(PLACE, new bytes(VM.envOr("ASSENT_MUTANT", 0)));
    }

    function on(uint256 number) internal pure returns (bool) {
        return _pure(_on)(number);
    }

    function _on(uint256 number) private view returns (bool) {
        return PLACE.code.length == number;
    }

    function _pure(
        function(uint256) view returns (bool) asks
    ) private pure returns (function(uint256) pure returns (bool) same) {
        assembly {
            same := asks
        }
    }
}
`

/** Adds the switch to a copy of the contracts, and sets it before each test. */
export function plantSwitch(place: string): void {
  writeFileSync(path.join(place, 'contracts', 'test', 'Mutant.sol'), mutantSwitch)
  const base = path.join(place, 'test', 'contracts', 'Vm.sol')
  const text = readFileSync(base, 'utf8')
  const changed = text
    .replace(';\n', ';\nimport {Mutant} from "../../contracts/test/Mutant.sol";\n')
    .replace(
      'abstract contract Test {',
      'abstract contract Test {\n    constructor() {\n        Mutant.wake();\n    }\n',
    )
  if (changed === text) throw new Error('The base of all tests is not where it was.')
  writeFileSync(base, changed)
}

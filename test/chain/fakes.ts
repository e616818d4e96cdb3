/** Small contracts for tests, compiled on the spot. */
import solc from 'solc'
import type { Abi } from 'viem'

import type { Hex } from '../../src/lib/bytes.ts'

interface Compiled {
  readonly abi: Abi
  readonly bytecode: Hex
}

/** Compiles one source and returns its contracts by name. */
export function compile(source: string): Record<string, Compiled> {
  const input = {
    language: 'Solidity',
    sources: {
      'Fake.sol': {
        content: `// SPDX-License-Identifier: Apache-2.0\npragma solidity ^0.8.28;\n${source}`,
      },
    },
    settings: {
      evmVersion: 'osaka',
      optimizer: { enabled: true },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
    },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  const errors = (output.errors ?? []).filter((e: { severity: string }) => e.severity === 'error')
  if (errors.length > 0)
    throw new Error(errors.map((e: { formattedMessage: string }) => e.formattedMessage).join('\n'))
  return Object.fromEntries(
    Object.entries(
      output.contracts['Fake.sol'] as Record<
        string,
        { abi: Abi; evm: { bytecode: { object: string } } }
      >,
    ).map(([name, { abi, evm }]) => [name, { abi, bytecode: `0x${evm.bytecode.object}` as Hex }]),
  )
}

/** A KmsAuth whose answer a test sets: the whole range of what an app contract can do to its caller. */
export const fakeKmsSource = `
struct AppBootInfo { address appId; bytes32 composeHash; address instanceId; bytes32 deviceId; bytes32 mrAggregated; bytes32 mrSystem; bytes32 osImageHash; string tcbStatus; string[] advisoryIds; }
contract FakeKms {
    string public behaviour = "allow";
    string public gatewayAppId = "gateway";
    address public appImplementation = address(0x1234);
    bytes32 public allowedComposeHash;
    function setBehaviour(string calldata value) external { behaviour = value; }
    function setAllowedComposeHash(bytes32 value) external { allowedComposeHash = value; behaviour = "compose"; }
    function setGateway(string calldata value) external { gatewayAppId = value; }
    function isKmsAllowed(AppBootInfo calldata) external view returns (bool, string memory) {
        if (keccak256(bytes(behaviour)) == keccak256("self-deny")) return (false, "Aggregated MR not allowed");
        return (true, "");
    }
    function isAppAllowed(AppBootInfo calldata boot) external view returns (bool, string memory) {
        bytes32 what = keccak256(bytes(behaviour));
        if (what == keccak256("allow")) return (true, "");
        if (what == keccak256("deny")) return (false, "Device not allowed");
        if (what == keccak256("revert")) revert("no");
        if (what == keccak256("panic")) assert(false);
        if (what == keccak256("burn")) while (true) {}
        if (what == keccak256("short")) assembly { mstore(0, 1) return(0, 32) }
        if (what == keccak256("empty")) assembly { return(0, 0) }
        if (what == keccak256("long")) assembly { return(0, 100000) }
        if (what == keccak256("two")) assembly { mstore(0, 2) mstore(32, 64) mstore(64, 0) return(0, 96) }
        if (what == keccak256("invalid")) assembly { invalid() }
        if (what == keccak256("compose")) return boot.composeHash == allowedComposeHash ? (true, "") : (false, "Compose hash not allowed");
        return (false, "?");
    }
}
contract Empty {}
`

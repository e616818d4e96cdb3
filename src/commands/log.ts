/** The group `log`: the release logs of KMS nodes, for auditors. */
import { defineCommand } from './command.ts'

export const verify = defineCommand({
  path: ['log', 'verify'],
  summary: 'Verify a release log offline: chain, signatures, proofs',
  help: `Needs no network and none of the KMS's own code: the files, and the root key that the chain knows
(assent log root-key prints it). Files are read once, in little memory.

It checks the hash chain over all entries, each seal, that the root key vouches for the log's key, and that
the files follow each other. For each decision it checks the block header and the storage proofs, and
evaluates the rules of the contracts over the proven words again. Chain, KmsAuth and code of the proofs are
compared only if they are given (--chain-id, --kms-contract, --pinned-code); the answer lists all that was
not checked. Only others can tell whether the log is complete: pass heads that somebody saw (--head, an
answer of /log/head) or the log of another node (--witness). Each head must be a part of the log.

Exit codes: 0 it holds, 1 it does not hold, 2 wrong usage, 3 everything that was checked holds, but not
everything was checked (0 with --accept-unchecked).`,
  examples: [
    'log verify ./log --root-key 02ab… --chain-id 1 --kms-contract 0x… --pinned-code pins.json --agreement 2',
    'log verify ./kms-1 --root-key 02ab… --witness ./kms-2 --accept-unchecked --json',
  ],
  arguments: { folder: { description: 'folder with the files 00000000.log and so on' } },
  options: {
    rootKey: {
      value: 'HEX',
      description: 'secp256k1 root key of the KMS, compressed',
      isRequired: true,
    },
    node: { value: 'NAME', description: 'expected name of the node' },
    chainId: { value: 'N', description: 'expected chain of each proof' },
    kmsContract: { value: 'ADDRESS', description: 'expected KmsAuth of each proof' },
    pinnedCode: {
      value: 'FILE',
      description: 'code of the contracts: the output of assent kms pinned-code',
    },
    agreement: { value: 'N', description: 'number of endpoints that must have agreed on a block' },
    maxBlockAge: { value: 'SECONDS', description: 'maximum age of a block' },
    acceptUnproven: { description: 'accept decisions that rest on the word of an endpoint' },
    fromCheckpoint: { description: 'begin with the first file in the folder' },
    acceptUnchecked: { description: 'exit code 0 although not everything was checked' },
    head: { value: 'FILE', description: 'a head that was seen of this log', isRepeatable: true },
    witness: {
      value: 'FOLDER',
      description: 'log of a node that watched this one',
      isRepeatable: true,
    },
  },
  needs: 'nothing',
  reads: 'the files of the log, heads, and logs of witnesses',
  load: () => import('./log/verify.ts'),
})

export const rootKey = defineCommand({
  path: ['log', 'root-key'],
  summary: 'Print the root key on the chain, for log verify',
  examples: ['log root-key', 'log root-key --rpc-url http://127.0.0.1:8545 --kms-contract 0x…'],
  options: {
    kmsContract: {
      value: 'ADDRESS',
      description: 'the KmsAuth contract (default: of the deployment record)',
    },
  },
  needs: 'chain',
  reads: 'kmsInfo of KmsAuth; it believes the endpoint',
  load: () => import('./log/root-key.ts'),
})

export const logCommands = [verify, rootKey]

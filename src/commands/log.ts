/** The group `log`: the release logs of KMS nodes, for auditors. */
import { defineCommand } from './command.ts'

const rootKeyOption = {
  value: 'HEX',
  description: 'root key of the KMS, compressed (default: as the chain stores it)',
} as const

const source = 'folder with the files 00000000.log and so on, or https://host:port of a node'

export const fetch = defineCommand({
  path: ['log', 'fetch'],
  summary: 'Copy the release log of a node, and continue the copy later',
  help: `The node signs its head over a nonce; the root key must vouch for it. Segments are copied until the copy has this head. Lines are written when a seal over them is verified, and never changed then: lines that the node did not sign end the run as an invalid answer (KMS_ANSWER_INVALID), and nothing of them is kept. The whole copy must contain the signed head, and the head of the last run. Decisions are not checked: log verify does.
The folder gets the files of the log, and head.json for log verify --head.
Exit codes: 0 the copy continues the log, 1 it does not, or the node signed a shorter log than before, 2 wrong usage, 3 an outage or an invalid answer.`,
  examples: [
    'log fetch --out kms-1',
    'log fetch https://kms.example:8000 --out kms-1 --root-key 02ab…',
  ],
  arguments: {
    node: {
      description: 'https://host:port of the node (default: from the profile)',
      isOptional: true,
    },
  },
  options: {
    out: { value: 'FOLDER', description: 'folder of the copy', isRequired: true },
    rootKey: rootKeyOption,
    fromSegment: {
      value: 'N',
      description: 'first segment of a new copy, if the node has deleted older ones',
      default: '0',
    },
    maxMib: {
      value: 'N',
      description: 'MiB that this run may receive; a segment counts as at least 4 KiB',
      default: '10240',
    },
  },
  needs: 'on-demand',
  reads: 'the log of the node, and the root key on the chain',
  load: () => import('./log/fetch.ts'),
})

export const list = defineCommand({
  path: ['log', 'list'],
  summary: 'List the entries of a release log: time, decision, app, device, release',
  help: `Nothing is verified: log verify does. Without a filter, all entries about a boot are listed.
Exit codes: 0 listed, 2 wrong usage or a file with other lines, 3 an outage or a node that sends other lines.`,
  examples: [
    'log list ./kms-1 --app 0x5fbdb2 --since 2027-01-31T12:00:00Z',
    'log list https://kms.example:8000 --kind denial --json',
  ],
  arguments: {
    log: { description: `${source} (default: the node of the profile)`, isOptional: true },
  },
  options: {
    app: { value: 'DIGITS', description: 'only this app: its id or first digits' },
    device: { value: 'DIGITS', description: 'only this device' },
    release: { value: 'DIGITS', description: 'only this compose hash' },
    kind: {
      value: 'KIND',
      description:
        'only entries of this kind, for example release, denial, peer; "all" for every entry',
    },
    since: { value: 'TIME', description: 'only entries from this time on' },
    until: { value: 'TIME', description: 'only entries before this time' },
    limit: { value: 'N', description: 'only the newest ones', default: '1000' },
    fromSegment: { value: 'N', description: 'first segment to read from a node', default: '0' },
  },
  needs: 'nothing',
  reads: 'the files, or the log of the node',
  hasLines: true,
  load: () => import('./log/list.ts'),
})

export const verify = defineCommand({
  path: ['log', 'verify'],
  summary: 'Verify a release log: hash chain, signatures, proofs',
  help: `Uses none of the KMS's own code: the files, and the root key that the chain knows. Files are read once, in little memory.

Root key, chain, KmsAuth and code of the contracts come from the chain and the deployment record of the profile. With --root-key nothing is read from the chain; then what is not given is not checked.

It checks the hash chain over all entries, each seal, that the root key vouches for the log's key, and that the files follow each other. For each decision it checks the block header and the storage proofs, and evaluates the rules of the contracts over the proven words again. Only others can tell whether the log is complete: pass heads that somebody saw (--head, an answer of /log/head, or head.json of log fetch) or the log of another node (--witness). Each head must be a part of the log. If the node had a light client, the signatures of the validators are checked from a trusted block root on (--trusted-block-root); without it from the root with which the log begins, which is the node's own claim. On an OP Stack chain, the dispute game on L1 that proves each block is checked with --op-stack. The answer lists all that was not checked, and what no log can show.

Exit codes: 0 the log is valid, 1 it is not, 2 wrong usage, 3 everything that was checked is valid, but not everything was checked (0 with --accept-unchecked).`,
  examples: [
    'log verify ./kms-1 --quorum 2 --max-block-age 3600 --head ./kms-1/head.json',
    'log verify ./log --root-key 02ab… --chain-id 1 --kms-contract 0x… --pinned-code pins.json',
    'log verify ./kms-1 --root-key 02ab… --witness ./kms-2 --accept-unchecked --json',
  ],
  arguments: { folder: { description: 'folder with the files 00000000.log and so on' } },
  options: {
    rootKey: {
      value: 'HEX',
      description: 'k256 root key of the KMS, compressed; then no chain is asked',
    },
    node: { value: 'NAME', description: 'expected name of the node' },
    chainId: { value: 'N', description: 'expected chain of each proof' },
    kmsContract: { value: 'ADDRESS', description: 'expected KmsAuth of each proof' },
    pinnedCode: {
      value: 'FILE',
      description: 'code of the contracts: the output of assent kms pinned-code',
    },
    beaconNetwork: {
      value: 'NAME',
      description:
        'beacon network whose validators signed: mainnet, sepolia, hoodi, gnosis, or a file that describes another network (default: the network of --chain-id)',
    },
    trustedBlockRoot: {
      value: 'ROOT',
      description:
        'root of a finalized beacon block with which the signatures begin; then each release needs signatures',
      isRepeatable: true,
    },
    opStack: {
      value: 'FILE',
      description:
        'on an OP Stack chain: the setting chainView.opStack of the node, as JSON; then each release needs a dispute game that counts by it',
    },
    quorum: {
      value: 'N',
      description: 'RPC quorum: number of endpoints that must have agreed on a block',
    },
    maxBlockAge: { value: 'SECONDS', description: 'maximum age of a block' },
    acceptUnproven: { description: 'accept decisions for which only one endpoint answered' },
    fromFirstFile: {
      description: 'begin with the first file in the folder, although older ones are missing',
    },
    acceptUnchecked: { description: 'exit code 0 although not everything was checked' },
    head: { value: 'FILE', description: 'a head that was seen of this log', isRepeatable: true },
    witness: {
      value: 'FOLDER',
      description: 'log of a node that watched this one',
      isRepeatable: true,
    },
  },
  needs: 'on-demand',
  reads: 'the files of the log, heads, logs of witnesses, and the root key on the chain',
  load: () => import('./log/verify.ts'),
})

export const rootKey = defineCommand({
  path: ['log', 'root-key'],
  summary: 'Print the root key on the chain, for log verify',
  examples: ['log root-key', 'log root-key --rpc-url http://127.0.0.1:8545 --kms-contract 0x…'],
  options: {
    kmsContract: {
      value: 'ADDRESS',
      description: 'the KmsAuth contract (default: from the deployment record)',
    },
  },
  needs: 'chain',
  reads: 'kmsInfo of KmsAuth; it trusts the endpoint',
  load: () => import('./log/root-key.ts'),
})

export const logCommands = [fetch, list, verify, rootKey]

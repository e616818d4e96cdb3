/** Writes `docs/commands.md` from the tables of commands, or checks with `--check` that the page is current. */
import { readFile, writeFile } from 'node:fs/promises'

import { z } from 'zod'
import { callResultOf, sentSchema, submissionSchema } from '../../src/commands/calls/submission.ts'
import {
  type Command,
  hasValue,
  kebabCase,
  nameOfCommand,
  type OptionTable,
} from '../../src/commands/command.ts'
import { browserOption, commandLineOptions } from '../../src/commands/front-door-options.ts'
import { groups, singleCommands } from '../../src/commands/groups.ts'
import {
  ownerOptions,
  chainOptions as recordOptions,
  signerOptions,
} from '../../src/commands/options.ts'
import type { CommandModule } from '../../src/commands/session/run-command.ts'

const file = new URL('../../docs/commands.md', import.meta.url)

const chainOptions = { ...commandLineOptions, ...recordOptions }

const ownerOptionTable: OptionTable = ownerOptions

function tableOf(options: OptionTable): string {
  return ['| | |', '| --- | --- |', ...optionRows(options)].join('\n')
}

const intro = `# Commands

All commands of \`assent\`, for everyone who types them. \`npm run generate -- --only commands\` writes this page from \`src/commands\`.
[Governance](governance.md) and the pages of the services show how the commands are used together.

\`npx assent …\` runs them from the npm package; in a clone it is \`node bin/assent.js …\`. \`assent <group>\` lists the commands of a
group, and \`--help\` explains each. Commands that need a chain are also Hardhat tasks: \`npx hardhat assent <group> <verb> --network
<name>\`.

## Settings

A setting comes from an option, or else from a variable, or else from a profile of the project file. \`assent config show\` prints each
setting and where it comes from.

The project file is \`assent.toml\` in this folder or in the nearest folder above it. The profile is the one of \`--profile\`, or of the
variable \`ASSENT_PROFILE\`, or of \`profile\` in the file, or the only one. Paths are relative to the file. An unknown name is an
error. The file must belong to you or to root; in the current folder it can also belong to the owner of the folder.

\`\`\`toml
profile = "local"

[profiles.local]
rpcUrls = ["http://127.0.0.1:8545"]
deployments = ".assent/demo"
app = "hello"

[profiles.local.names]
hello = "0x5FbDB2315678afecb367f032d93F642f64180aa3"

[profiles.mainnet]
rpcUrls = ["https://rpc-1.example.org", "https://rpc-2.example.org"]
chainId = 1

[profiles.mainnet.account]
keystore = "voter.json"
passwordFile = "/run/secrets/voter-password"
\`\`\`

| setting | option | variable | meaning |
| --- | --- | --- | --- |
| \`rpcUrls\` | \`--rpc-url\`, several times | \`ASSENT_RPC_URL\`, separated by commas | JSON-RPC endpoints. All that answer must serve the same chain. Requests go to the first that answers, and its answers are trusted |
| \`chainId\` | | | the only accepted chain |
| \`deployments\` | \`--deployments\` | \`ASSENT_DEPLOYMENTS\` | folder of the deployment records, \`<chainId>.json\` |
| \`account\` | \`--browser\`; \`--from\` selects one | \`ASSENT_KEYSTORE\`, \`ASSENT_SIGNER\` | see below |
| \`governor\` | \`--governor\` | | governor of another DAO than the deployment's |
| \`app\` | \`--app\` | | the app of commands of the group \`app\` |
| \`kms\`, \`relayer\`, \`indexer\`, \`pccs\` | | | URLs of these services |
| \`simulatedHost\` | | | folder of the simulated host on which \`simulate boot\` boots a CVM |
| \`names\` | | | names of apps, proposals, hosts and images |

| account | signs with |
| --- | --- |
| \`keystore = "file"\` | an encrypted key file (Web3 Secret Storage, version 3). The password comes from \`passwordFile\` (\`ASSENT_KEYSTORE_PASSWORD_FILE\`), from \`ASSENT_KEYSTORE_PASSWORD\`, or from the terminal |
| \`signer = "url"\`, \`address\` | an external signer over JSON-RPC (\`eth_accounts\`, \`eth_sendTransaction\`, \`eth_signTypedData_v4\`), for example a wallet that asks on a hardware device |
| \`web3signer = "url"\`, \`address\` | a web3signer in mode \`eth1\` |
| \`browser = true\`, \`address\` | a wallet in your browser; \`--browser\` does the same for one command |
| \`node = "address"\` | an account of the node, on development chains. This is the default |

A key is never an argument.

### A wallet in the browser

With \`--browser\` the command serves a page on 127.0.0.1, prints its address on standard error, and opens it if there is a desktop.
The page finds your wallets (EIP-6963), shows in words what the command will do, with chain and account, lets the wallet change to the
chain, and asks it to send or to sign. The address works once, and only while the command runs. The
command hands each transaction out to one wallet once: a page that was loaded again, or a copy of its tab, does not ask a second time,
and takes the hash of a transaction that the wallet sent. Wallets are shown with their names and ids as they announce themselves.

The command trusts neither the page nor the wallet. It reads the transaction from its own endpoint and compares sender, contract, value,
calldata and chain with what it prepared (\`WALLET_TRANSACTION_DIFFERENT\`). The transaction must be newer than the question, and has no
authorizations (EIP-7702) or blobs. A signature must be of the account, in the form that contracts accept. A smart account sends other
transactions: export the calls for it with \`--via safe\` or \`--via calldata\`. A wallet has ten minutes for each question. A wallet
that puts its code into pages as an inline script is blocked by the policy of the page.

## Names

Where an id is expected, \`0x\` can be left out. An app, proposal, host, image or other approved id can also be given by

- a name in \`names\` of the profile; for an image also its name on the chain;
- the first digits of the id, at least six. If they fit several ids, the command lists them and does nothing.

## Options of many commands

Commands that send or sign take:

${tableOf({ ...signerOptions, ...browserOption })}

Commands that need a chain take:

${tableOf(chainOptions)}

Commands whose calls only an owner can make take in addition:

${tableOf(ownerOptions)}

## Output and exit codes

Text is for people: colours and wrapped lines on a terminal, plain lines in a pipe. \`--json\` prints one JSON value instead, exactly as its
schema says; with an error \`{"error": {"code", "message", "facts", "hint"}}\`. Numbers that do not fit into 53 bits are decimal text.
Commands that cannot be undone ask for confirmation. Without a terminal they need \`--yes\`.

| exit code | meaning |
| --- | --- |
| 0 | done, or yes: verified, valid, fit |
| 1 | no, or it failed: rejected, denied, refused, reverted |
| 2 | wrong usage, input or configuration. Nothing was sent |
| 3 | no complete answer: an outage, an invalid answer, a fault of Assent itself, or something could not be checked |
| 141 | the reader of the output stopped before there was an answer, for example \`head\` |

An RPC endpoint has 10 seconds for its first answer. Each later request is sent twice at most and has 20 seconds each time. Redirects are
not followed, and an answer that cannot be a result of the method is an outage.
`

/** The usage line: `assent dao vote [options] <proposal> <support>`. */
function usageOf(command: Command): string {
  const words = Object.entries(command.arguments).map(([name, { isOptional, isVariadic }]) => {
    const label = `${kebabCase(name)}${isVariadic ? '...' : ''}`
    return isOptional ? `[${label}]` : `<${label}>`
  })
  return [nameOfCommand(command), '[options]', ...words].join(' ')
}

function optionRows(options: OptionTable): string[] {
  return Object.entries(options).map(([name, option]) => {
    const flag = `--${kebabCase(name)}`
    const label = hasValue(option) ? `${flag} <${option.value.toLowerCase()}>` : flag
    return `| \`${label}\` | ${cell(option.description)}${defaultOf(option)} |`
  })
}

function defaultOf(option: OptionTable[string]): string {
  if (!hasValue(option)) return ''
  if (option.isRequired) return ' (required)'
  return option.default === undefined ? '' : ` (default: ${option.default})`
}

/** Escapes the character that separates table cells. */
function cell(text: string): string {
  return text.replaceAll('|', '\\\\|')
}

async function sectionOf(command: Command): Promise<string> {
  const { summary, help, sends, reads, examples } = command
  const args = Object.entries(command.arguments).map(
    ([name, { description }]) => `| \`${kebabCase(name)}\` | ${cell(description)} |`,
  )
  const own = Object.entries(command.options).filter(
    ([name, option]) => !Object.hasOwn(ownerOptions, name) || option !== ownerOptionTable[name],
  )
  const isOwners = own.length < Object.keys(command.options).length && 'via' in command.options
  const rows = [...args, ...optionRows(isOwners ? Object.fromEntries(own) : command.options)]
  const table = rows.length === 0 ? [] : ['', '| | |', '| --- | --- |', ...rows]
  return [
    `### ${nameOfCommand(command)}`,
    '',
    `${summary}.`,
    ...(help === undefined ? [] : ['', help]),
    '',
    `Usage: \`${usageOf(command)}\``,
    '',
    '```console',
    ...examples.map((example) => `$ assent ${example}`),
    '```',
    ...table,
    '',
    `Reads: ${reads}. Sends: ${sends ?? 'nothing'}.`,
    ...(isOwners ? ['It also takes the [options of owners](#options-of-many-commands).'] : []),
    ...(await schemaOf(command)),
    '',
  ].join('\n')
}

/** The JSON schema of the value, folded away. */
async function schemaOf(command: Command): Promise<string[]> {
  const { schema } = (await command.load()) as CommandModule
  if (schema === undefined) return []
  const result = callResultOf(schema)
  if (result === undefined) {
    return fold(`JSON schema of ${command.hasLines ? 'each line' : 'the value'}`, schema)
  }
  const link = `JSON: [${result.name}](#json-of-commands-that-make-calls)`
  if (Object.keys(result.more).length === 0) return ['', `${link}.`]
  return ['', `${link}, with these members:`, ...fold('JSON schema', z.strictObject(result.more))]
}

function fold(title: string, schema: z.ZodType): string[] {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { unrepresentable: 'any', reused: 'ref' })
  return [
    '',
    `<details><summary>${title}</summary>`,
    '',
    '```json',
    JSON.stringify(json, null, 1).replace(/\n\s*/g, ' '),
    '```',
    '</details>',
  ]
}

const results = `## JSON of commands that make calls

*sent*: the calls were sent by the account itself.
${fold('JSON schema', sentSchema()).join('\n')}

*submission*: the calls were sent, proposed, added to a draft, exported, or (with \`--dry-run\`) only simulated; \`outcome\` tells which.
${fold('JSON schema', submissionSchema()).join('\n')}
`

async function writePage(): Promise<string> {
  const parts = [intro, results]
  for (const group of groups) {
    const commands = await group.load()
    parts.push(`## ${group.name}\n\n${group.summary}.\n`)
    for (const command of commands) parts.push(await sectionOf(command))
  }
  parts.push('## completion\n')
  for (const command of singleCommands) parts.push(await sectionOf(command))
  return `${parts.join('\n').trimEnd()}\n`
}

const page = await writePage()
if (process.argv.includes('--check')) {
  const current = await readFile(file, 'utf8').catch(() => '')
  if (current !== page) {
    console.error('docs/commands.md is out of date: run npm run generate -- --only commands')
    process.exit(1)
  }
} else await writeFile(file, page)

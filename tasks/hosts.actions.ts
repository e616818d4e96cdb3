import { writeFile } from 'node:fs/promises'

import { type Address, isHex } from 'viem'
import { z } from 'zod'

import { depositBond, unbond, withdrawBond } from '../src/chain/bonds.ts'
import {
  bindToHead,
  continueAs,
  endProof,
  hostReportData,
  registerHost,
  registerHostFor,
  signContinuity,
} from '../src/chain/hosts.ts'
import { proveRootKey, rootKeyId } from '../src/chain/root-keys.ts'
import { callsOf, examineCollateral, type PartState } from '../src/chain/verifier/collateral.ts'
import { AssentError } from '../src/errors/index.ts'
import { toHex } from '../src/lib/bytes.ts'
import { describeIssues } from '../src/lib/config.ts'
import { addressSchema, bytes32Schema } from '../src/lib/schema.ts'
import { parseCollateral } from '../src/quote/collateral/collateral.ts'
import { action } from './action.ts'
import { requireOption } from './approvals.actions.ts'
import {
  readAddress,
  readBytes,
  readCount,
  readId,
  readJson,
  readTime,
  readUnits,
} from './arguments.ts'
import { readBootstrap } from './bootstrap.ts'
import { sendCalls } from './execute-plan.ts'
import {
  type CommonArguments,
  confirm,
  type Session,
  signerOf,
  type TransactionArguments,
} from './session.ts'

function requireDeployed(
  { addresses }: Session,
  name: 'hosts' | 'rootKeys' | 'hostBonds' | 'quoteVerifier',
): Address {
  const address = addresses[name]
  if (address !== undefined) return address
  throw new AssentError('INPUT_INVALID', `This deployment has no ${name}.`)
}

/** What the quote verifier has for each part of the collateral. */
const collateralStates: Readonly<Record<PartState, string>> = {
  missing: 'the verifier has none',
  older: 'the verifier has an older one',
  shorter: 'the verifier has it, to an earlier end than it could have now',
  same: 'the verifier has it',
  newer: 'the verifier has a newer one',
  other: 'the verifier has another of the same date, which this one cannot replace',
  revoked: 'the root CRL lists its certificate, or that of its signer',
}

export const uploadCollateral = action<TransactionArguments & { file: string }>(
  async (args, session) => {
    const verifier = requireDeployed(session, 'quoteVerifier')
    const collateral = parseCollateral(await readJson(args.file))
    const examined = await examineCollateral(session.publicClient, verifier, collateral)
    for (const { part, state } of examined) {
      const what = part.call.summary.replace('store the ', '')
      session.output.line(`${what}: ${collateralStates[state]}`)
    }
    const calls = callsOf(examined)
    if (calls.length > 0) return sendCalls(session, calls, args)
    session.output.line('The quote verifier already has all of it. Nothing was sent.')
    return { done: false, descriptions: [] }
  },
)

export const printHostReportData = action<CommonArguments & { operator: string }>(
  async (args, session) => {
    const operator = readAddress(args.operator, 'operator')
    const binding = await bindToHead(
      session.publicClient,
      requireDeployed(session, 'hosts'),
      operator,
    )
    const reportData = toHex(hostReportData(binding))
    session.output.line(`report data  ${reportData}`)
    session.output.line(`block        ${binding.block.number}`)
    return { reportData, block: binding.block.number, blockHash: binding.block.hash, operator }
  },
)

interface Registering extends TransactionArguments {
  readonly quote: string
  readonly block?: string
  readonly operator?: string
  readonly permit?: string
  readonly deadline?: string
}

export const registerHostByQuote = action<Registering>(async (args, session) => {
  const hosts = requireDeployed(session, 'hosts')
  const quote = await readBytes(args.quote)
  const block = BigInt(readCount(requireOption(args.block, '--block'), '--block'))
  if (args.operator === undefined)
    return sendCalls(session, [registerHost(hosts, quote, block)], args)
  const signature = requireOption(args.permit, '--permit')
  if (!isHex(signature, { strict: true })) {
    throw new AssentError('USAGE_INVALID', '--permit: a signature in hexadecimal digits.')
  }
  const operator = readAddress(args.operator, '--operator')
  const deadline = readTime(requireOption(args.deadline, '--deadline'), '--deadline')
  return sendCalls(
    session,
    [registerHostFor(hosts, quote, block, { operator, deadline, signature })],
    args,
  )
})

export const endHostProof = action<TransactionArguments & { device: string; quote: string }>(
  async (args, session) => {
    const hosts = requireDeployed(session, 'hosts')
    const call = endProof(hosts, readId(args.device, 'device'), await readBytes(args.quote))
    return sendCalls(session, [call], args)
  },
)

/* ANOTHER ID */

const continuitySchema = z.strictObject({
  chainId: z.int().positive(),
  hosts: addressSchema,
  from: bytes32Schema,
  to: bytes32Schema,
  deadline: z.int().positive(),
  signature: z.templateLiteral(['0x', z.string().regex(/^(?:[0-9a-fA-F]{2})+$/)]),
})

interface Signing extends TransactionArguments {
  readonly old: string
  readonly next: string
  readonly deadline?: string
  readonly out?: string
}

export const signHostContinuity = action<Signing>(async (args, session) => {
  const { chainId, output } = session
  const hosts = requireDeployed(session, 'hosts')
  const from = readId(args.old, 'old')
  const to = readId(args.next, 'next')
  const deadline = readTime(requireOption(args.deadline, '--deadline'), '--deadline')
  const { walletClient } = await signerOf(session, args.from)
  output.line(`Signs without a transaction: host ${from} continues as ${to}.`)
  output.warning(
    'Anyone who has the signed statement can submit it; the old device id is withdrawn then.',
  )
  await confirm(args, args.json)
  const signature = await signContinuity(
    walletClient,
    { chainId, registry: hosts },
    { from, to, deadline },
  )
  const signed = { chainId, hosts, from, to, deadline, signature }
  if (args.out === undefined) output.line(JSON.stringify(signed, null, 2))
  else {
    await writeFile(args.out, `${JSON.stringify(signed, null, 2)}\n`)
    output.line(`Written to ${args.out}`)
  }
  return signed
})

export const continueHost = action<TransactionArguments & { file: string }>(
  async (args, session) => {
    const hosts = requireDeployed(session, 'hosts')
    const parsed = continuitySchema.safeParse(await readJson(args.file))
    if (!parsed.success) {
      throw new AssentError('SIGNATURE_INVALID', `${args.file}: ${describeIssues(parsed.error)}`)
    }
    const { chainId, hosts: signedFor, signature, ...continuity } = parsed.data
    if (chainId !== session.chainId || signedFor !== hosts.toLowerCase()) {
      throw new AssentError(
        'SIGNATURE_INVALID',
        'The statement was signed for another chain or host registry.',
        {
          facts: { chainId, hosts: signedFor },
        },
      )
    }
    return sendCalls(session, [continueAs(hosts, continuity, signature)], args)
  },
)

/* BONDS */

export function requireBonds(session: Session): Address {
  return requireDeployed(session, 'hostBonds')
}

export const depositHostBond = action<TransactionArguments & { device: string; amount: string }>(
  async (args, session) => {
    const holder = (await signerOf(session, args.from)).walletClient.account.address
    const deposit = {
      deviceId: readId(args.device, 'device'),
      amount: readUnits(args.amount, 'amount'),
    }
    const bonds = requireBonds(session)
    return sendCalls(session, await depositBond(session.publicClient, bonds, holder, deposit), args)
  },
)

export const unbondHost = action<TransactionArguments & { device: string; amount: string }>(
  (args, session) => {
    const amount = readUnits(args.amount, 'amount')
    const call = unbond(requireBonds(session), readId(args.device, 'device'), amount)
    return sendCalls(session, [call], args)
  },
)

export const withdrawHostBond = action<TransactionArguments & { device: string }>((args, session) =>
  sendCalls(session, [withdrawBond(requireBonds(session), readId(args.device, 'device'))], args),
)

/* ROOT KEYS */

export const registerRootKey = action<TransactionArguments & { file: string }>(
  async (args, session) => {
    const rootKeys = requireDeployed(session, 'rootKeys')
    const { caPublicKey, k256PublicKey, quote } = await readBootstrap(args.file)
    const keys = { caPublicKey, k256PublicKey }
    const done = await sendCalls(session, [proveRootKey(rootKeys, quote, keys)], args)
    session.output.line(`Root key id, for the DAO to approve: ${rootKeyId(keys)}`)
    return { id: rootKeyId(keys), ...done }
  },
)

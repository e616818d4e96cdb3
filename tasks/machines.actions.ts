import { type Address, isHex } from 'viem'

import { bindToHead, hostReportData, registerHost, registerHostFor } from '../src/chain/hosts.ts'
import { proveRootKey, rootKeyId } from '../src/chain/root-keys.ts'
import { AssentError } from '../src/errors/index.ts'
import { toHex } from '../src/lib/bytes.ts'
import { action } from './action.ts'
import { requireOption } from './approvals.actions.ts'
import { readAddress, readBytes, readCount, readTime } from './arguments.ts'
import { readBootstrap } from './bootstrap.ts'
import { sendOwn } from './carry-out.ts'
import type { CommonArguments, Session, SigningArguments } from './session.ts'

function requireDeployed({ addresses }: Session, name: 'hosts' | 'rootKeys'): Address {
  const address = addresses[name]
  if (address !== undefined) return address
  throw new AssentError('INPUT_INVALID', `This deployment has no ${name}.`)
}

export const bindHost = action<CommonArguments & { operator: string }>(async (args, session) => {
  const operator = readAddress(args.operator, 'operator')
  const binding = await bindToHead(
    session.publicClient,
    requireDeployed(session, 'hosts'),
    operator,
  )
  const reportData = toHex(hostReportData(binding))
  session.say.line(`report data  ${reportData}`)
  session.say.line(`block        ${binding.block.number}`)
  return { reportData, block: binding.block.number, blockHash: binding.block.hash, operator }
})

interface Registering extends SigningArguments {
  readonly quote: string
  readonly block?: string
  readonly operator?: string
  readonly permit?: string
  readonly deadline?: string
}

export const registerMachine = action<Registering>(async (args, session) => {
  const hosts = requireDeployed(session, 'hosts')
  const quote = await readBytes(args.quote)
  const block = BigInt(readCount(requireOption(args.block, '--block'), '--block'))
  if (args.operator === undefined) return sendOwn(session, registerHost(hosts, quote, block), args)
  const signature = requireOption(args.permit, '--permit')
  if (!isHex(signature, { strict: true })) {
    throw new AssentError('USAGE_INVALID', '--permit: a signature in hexadecimal digits.')
  }
  const operator = readAddress(args.operator, '--operator')
  const deadline = readTime(requireOption(args.deadline, '--deadline'), '--deadline')
  return sendOwn(
    session,
    registerHostFor(hosts, quote, block, { operator, deadline, signature }),
    args,
  )
})

export const proveRoot = action<SigningArguments & { file: string }>(async (args, session) => {
  const rootKeys = requireDeployed(session, 'rootKeys')
  const { caPublicKey, k256PublicKey, quote } = await readBootstrap(args.file)
  const keys = { caPublicKey, k256PublicKey }
  const done = await sendOwn(session, proveRootKey(rootKeys, quote, keys), args)
  session.say.line(`Their id, for the DAO to approve: ${rootKeyId(keys)}`)
  return { id: rootKeyId(keys), ...done }
})

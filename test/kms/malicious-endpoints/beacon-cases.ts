/** Lies of beacon APIs. Each tries to make a block final that the validators did not finalize. */
import type { ServerResponse } from 'node:http'
import { asAnswer } from '../../../src/chain/consensus/simulator/beacon-api.ts'
import type {
  BeaconChain,
  UpdateOptions,
} from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import type { ErrorCode } from '../../../src/errors/index.ts'
import { sendJson } from '../../chain/consensus/beacon-server.ts'

/** What a liar knows. */
export interface World {
  /** The chain of the validators. */
  readonly honest: BeaconChain
  /** The same validators, but each block contains the execution block that the RPC endpoints invent. */
  readonly invented: BeaconChain
  /** Other validators that sign the invented block. */
  readonly strangers: BeaconChain
}

/** Newest slot that the honest chain attested. */
export const head = 110
/** Slot that is final at that time. */
const finalized = 88

export interface BeaconLie {
  readonly name: string
  /** Why the light client refuses it. `nothing new`: it is valid, but makes nothing final. */
  readonly code: ErrorCode | 'nothing new'
  /** Answers a question for an update of this kind. */
  readonly tell: (world: World, kind: Kind, response: ServerResponse) => void
}

type Kind = 'finalityUpdate' | 'optimisticUpdate' | 'update'
type Chosen = keyof World

/** An update that differs from what an honest API would send. */
function update(chosen: Chosen, options: UpdateOptions, slot = head): BeaconLie['tell'] {
  return (world, kind, response) => sendMessage(kind, world[chosen][kind](slot, options), response)
}

/** An update for which the invented chain is needed. */
function spliced(
  optionsOf: (world: World) => UpdateOptions,
  chosen: Chosen = 'honest',
): BeaconLie['tell'] {
  return (world, kind, response) =>
    sendMessage(kind, world[chosen][kind](head, optionsOf(world)), response)
}

/** An honest answer with another text. */
function rewritten(change: (json: Record<string, unknown>) => void): BeaconLie['tell'] {
  return ({ invented }, kind, response) => {
    const json = structuredClone(asAnswer(invented[kind](head))) as Record<string, unknown>
    change(json)
    sendJson(response, kind === 'update' ? [json] : json)
  }
}

function sendMessage(
  kind: Kind,
  message: Parameters<typeof asAnswer>[0],
  response: ServerResponse,
) {
  sendJson(response, kind === 'update' ? [asAnswer(message)] : asAnswer(message))
}

function raw(write: (response: ServerResponse) => void): BeaconLie['tell'] {
  return (_world, _kind, response) => write(response)
}

const proof = 'CONSENSUS_PROOF_INVALID'
const signature = 'CONSENSUS_SIGNATURE_INVALID'
const slots = 'CONSENSUS_SLOT_INVALID'

export const beaconLies: readonly BeaconLie[] = [
  /* SIGNERS */
  {
    name: 'nobody signed',
    code: 'CONSENSUS_SIGNERS_TOO_FEW',
    tell: update('invented', { signers: 0 }),
  },
  {
    name: 'one signer less than two thirds',
    code: 'nothing new',
    tell: update('invented', { signers: 21 }),
  },
  {
    name: 'a bit for a member that did not sign',
    code: signature,
    tell: update('invented', {
      signers: 30,
      after: (u) => u.syncAggregate.syncCommitteeBits.set(31, true),
    }),
  },
  {
    name: 'no bit for a member that signed',
    code: signature,
    tell: update('invented', { after: (u) => u.syncAggregate.syncCommitteeBits.set(0, false) }),
  },
  {
    name: 'the next committee',
    code: signature,
    tell: update('invented', { signFor: { period: 2 } }),
  },
  {
    name: 'the previous committee',
    code: signature,
    tell: update('invented', { signFor: { period: 0 } }),
  },
  { name: 'validators of another chain', code: signature, tell: update('strangers', {}) },
  {
    name: 'the signature of another header',
    code: signature,
    tell: (world, kind, response) => {
      const { data } = world.honest.finalityUpdate(head)
      const { sync_aggregate: signed } = (data as { json: { sync_aggregate: unknown } }).json
      const message = world.invented[kind](head)
      const lie = asAnswer(message) as { data: Record<string, unknown> }
      const json = { ...lie, data: { ...lie.data, sync_aggregate: signed } }
      sendJson(response, kind === 'update' ? [json] : json)
    },
  },
  {
    name: 'the identity as signature',
    code: signature,
    tell: update('invented', {
      after: (u) => {
        u.syncAggregate.syncCommitteeSignature.fill(0)
        u.syncAggregate.syncCommitteeSignature[0] = 0xc0
      },
    }),
  },

  /* DOMAIN */
  {
    name: 'a signature for another network',
    code: signature,
    tell: spliced(
      ({ honest: { network } }) => ({
        signFor: { network: { ...network, genesisValidatorsRoot: `0x${'01'.repeat(32)}` } },
      }),
      'invented',
    ),
  },
  {
    name: 'a signature under another fork version',
    code: signature,
    tell: spliced(({ honest: { network } }) => {
      const forks = network.forks.map((fork) => ({ ...fork, version: '0x99000001' as const }))
      return { signFor: { network: { ...network, forks } } }
    }, 'invented'),
  },
  {
    name: 'a signature of a later fork',
    code: signature,
    tell: update('invented', { signFor: { slot: 1_000, period: 1 } }),
  },
  {
    name: 'a fork that nobody knows',
    code: 'CONSENSUS_FORK_UNKNOWN',
    tell: rewritten((json) => Object.assign(json, { version: 'heze' })),
  },
  {
    name: 'a fork without light clients',
    code: 'CONSENSUS_FORK_UNKNOWN',
    tell: rewritten((json) => Object.assign(json, { version: 'phase0' })),
  },
  {
    name: 'the form of an older fork',
    code: 'CONSENSUS_MESSAGE_INVALID',
    tell: rewritten((json) => Object.assign(json, { version: 'deneb' })),
  },

  /* BRANCHES AND HEADERS */
  {
    name: 'an invented finalized header under an honest signature',
    code: proof,
    tell: spliced(({ invented }) => ({
      after: (u) => Object.assign(u, { finalizedHeader: invented.header(finalized) }),
    })),
  },
  {
    name: 'another execution block hash',
    code: proof,
    tell: spliced(({ invented }) => ({
      after: (u) =>
        void u.finalizedHeader.execution?.blockHash.set(invented.execution(finalized).hash),
    })),
  },
  {
    name: 'another execution state root',
    code: proof,
    tell: spliced(({ invented }) => ({
      after: (u) =>
        void u.finalizedHeader.execution?.stateRoot.set(invented.execution(finalized).stateRoot),
    })),
  },
  {
    name: 'swapped branches of execution blocks',
    code: proof,
    tell: update('invented', {
      after: (u) => {
        const [a, b] = [u.attestedHeader.executionBranch, u.finalizedHeader.executionBranch]
        Object.assign(u.attestedHeader, { executionBranch: b })
        Object.assign(u.finalizedHeader, { executionBranch: a })
      },
    }),
  },
  {
    name: 'a finality branch in the wrong order',
    code: proof,
    tell: update('invented', { after: (u) => void u.finalityBranch.reverse() }),
  },
  {
    name: 'the finality branch of another state',
    code: proof,
    tell: spliced(
      ({ honest }) => ({
        after: (u) => {
          const { json } = honest.update(head - 8).data as { json: { finality_branch: string[] } }
          const bytes = json.finality_branch.map((node) => Buffer.from(node.slice(2), 'hex'))
          Object.assign(u, { finalityBranch: bytes })
        },
      }),
      'invented',
    ),
  },
  {
    name: 'the signed header as the finalized one',
    code: proof,
    tell: update('invented', {
      after: (u) => Object.assign(u, { finalizedHeader: u.attestedHeader }),
    }),
  },
  {
    name: 'another state root in the signed header',
    code: proof,
    tell: update('honest', { after: (u) => void u.attestedHeader.beacon.stateRoot.fill(1) }),
  },
  {
    name: 'another body root in the signed header',
    code: proof,
    tell: update('honest', { after: (u) => void u.attestedHeader.beacon.bodyRoot.fill(1) }),
  },
  {
    name: 'no proof of the execution block',
    code: proof,
    tell: update('invented', {
      after: (u) => u.finalizedHeader.executionBranch?.forEach((node) => void node.fill(0)),
    }),
  },

  /* SLOTS */
  { name: 'a header of the future', code: slots, tell: update('invented', {}, head + 40) },
  {
    name: 'a signature of the future',
    code: slots,
    tell: update('invented', { signatureSlot: head + 5 }),
  },
  {
    name: 'a signature before its header',
    code: slots,
    tell: update('invented', { signatureSlot: head }),
  },
  {
    name: 'a finalized header after the signed one',
    code: slots,
    tell: update('invented', { finalizedSlot: head + 2 }),
  },
  {
    name: 'finality from before the trusted header, again',
    code: 'nothing new',
    tell: update('honest', {}, 70),
  },
  {
    name: 'the finality that is known, again',
    code: 'nothing new',
    tell: update('honest', {}, 90),
  },

  /* ANSWERS */
  {
    name: 'an update without a signature',
    code: 'CONSENSUS_MESSAGE_INVALID',
    tell: rewritten((json) => delete (json.data as Record<string, unknown>).sync_aggregate),
  },
  {
    name: 'bits of a larger committee',
    code: 'CONSENSUS_MESSAGE_INVALID',
    tell: rewritten((json) => {
      const { sync_aggregate: signed } = json.data as { sync_aggregate: Record<string, string> }
      signed.sync_committee_bits = `${signed.sync_committee_bits}ffffffff`
    }),
  },
  {
    name: 'a negative slot',
    code: 'CONSENSUS_MESSAGE_INVALID',
    tell: rewritten((json) => Object.assign(json.data as object, { signature_slot: '-1' })),
  },
  {
    name: 'text that is not JSON',
    code: 'CHAIN_ANSWER_INVALID',
    tell: raw((response) => response.end('<html>')),
  },
  {
    name: 'more than a message can have',
    code: 'CHAIN_ANSWER_INVALID',
    tell: raw((response) => response.end(' '.repeat(5_000_000))),
  },
  {
    name: 'an error',
    code: 'CHAIN_UNREACHABLE',
    tell: raw((response) => response.writeHead(500).end()),
  },
  {
    name: 'a redirect',
    code: 'CHAIN_UNREACHABLE',
    tell: raw((response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()),
  },
  { name: 'nothing at all', code: 'CHAIN_TIMEOUT', tell: raw(() => {}) },
]

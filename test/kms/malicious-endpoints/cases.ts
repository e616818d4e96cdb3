/** The lies, each about one CVM that must not have keys. */
import { approvalSlot } from '../../../src/chain/approval.ts'
import { implementationSlot } from '../../../src/chain/proven/slots.ts'
import { type Hex, to0x } from '../../../src/lib/bytes.ts'
import type { Lie } from '../../chain/malicious-endpoint.ts'
import { type Guest, stage } from './fixture.ts'
import {
  aboutFinal,
  aboutProofs,
  aboutSlot,
  anotherBlock,
  before,
  blockAt,
  body,
  bomb,
  eachItsOwn,
  emptySlot,
  entryOf,
  flapping,
  flood,
  fork,
  hex,
  hostsSlot,
  longAgo,
  mix,
  oldProofs,
  oneForksOneIsDown,
  otherChain,
  type Proof,
  raw,
  replayedFinality,
  showOld,
  strictDevice,
  twice,
  withdrawnRelease,
} from './modify-response.ts'

export interface Case {
  readonly name: string
  /** Whose keys it is told for. */
  readonly cvm: Guest
  readonly lie: Lie
  /** A node that starts with no memory. */
  readonly fresh?: true
  /** An endpoint that is asked alone can say this and is believed: what `insecure-single-endpoint` stands for. */
  readonly trustedAlone?: true
  /** Not even a reader who checks nothing takes it for a yes; it must do no harm to one who does. */
  readonly harmless?: true | 'sometimes'
  /** Some readers ask nothing: what they have proven of other slots proves this one too. */
  readonly mayBeKnown?: true
}

const hour = 3600

export const lies: readonly Case[] = [
  /* BLOCKS */
  { name: 'an older block as final', cvm: 'withdrawn', lie: showOld(before) },
  {
    name: 'an older block as final, to a node without memory',
    cvm: 'withdrawn',
    fresh: true,
    lie: showOld(before),
    trustedAlone: true,
  },
  {
    name: 'a block from long ago, to a node without memory',
    cvm: 'withdrawn',
    fresh: true,
    lie: showOld(longAgo),
  },
  {
    name: 'an older block under the newest number',
    cvm: 'withdrawn',
    lie: mix(
      oldProofs(),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, before())),
        number: hex(stage.final.number),
      })),
    ),
  },
  {
    name: 'an older block under the newest hash',
    cvm: 'withdrawn',
    lie: mix(
      showOld(before),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, before())),
        number: hex(stage.final.number),
        hash: stage.final.hash,
      })),
    ),
  },
  {
    name: 'the newest block with an older state root',
    cvm: 'withdrawn',
    lie: mix(
      oldProofs(),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, 'finalized')),
        stateRoot: (await blockAt(real, before())).stateRoot,
      })),
    ),
  },
  {
    name: 'a block from long ago with a younger time',
    cvm: 'withdrawn',
    fresh: true,
    lie: mix(
      showOld(longAgo),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, longAgo())),
        timestamp: hex(BigInt(stage.final.timestamp)),
      })),
    ),
  },
  {
    name: 'a header without the fields of its fork',
    cvm: 'withdrawn',
    lie: mix(
      oldProofs(),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, 'finalized')),
        requestsHash: null,
      })),
    ),
  },
  {
    name: 'a header that lacks a field in the middle',
    cvm: 'withdrawn',
    lie: mix(
      oldProofs(),
      aboutFinal(async (real) => ({
        ...(await blockAt(real, 'finalized')),
        blobGasUsed: undefined,
      })),
    ),
  },
  {
    name: 'an invented chain of well-formed headers',
    cvm: 'withdrawn',
    lie: fork(() => stage.final.number),
  },
  {
    name: 'such a chain, for a node without memory',
    cvm: 'withdrawn',
    fresh: true,
    lie: fork(() => stage.final.number),
    trustedAlone: true,
  },
  {
    name: 'an invented next block after the one this node has seen',
    cvm: 'withdrawn',
    lie: fork(() => stage.final.number + 1n),
    trustedAlone: true,
  },
  {
    name: 'an invented block far beyond anyone’s head',
    cvm: 'withdrawn',
    lie: fork(
      () => stage.final.number + 1_000_000n,
      () => stage.now + 14,
    ),
    trustedAlone: true,
  },
  {
    name: 'an invented chain while another endpoint is silent',
    cvm: 'withdrawn',
    fresh: true,
    lie: oneForksOneIsDown(),
    trustedAlone: true,
  },
  {
    name: 'invented chains that differ',
    cvm: 'withdrawn',
    fresh: true,
    lie: eachItsOwn(),
    trustedAlone: true,
  },
  {
    name: 'another block in place of the one that this node has seen',
    cvm: 'withdrawn',
    lie: fork(() => stage.final.number - 1n),
  },
  {
    name: 'an invented next block, on another past than this node has seen',
    cvm: 'withdrawn',
    lie: replayedFinality(),
  },
  {
    name: 'an invented block of the future, for a node without memory',
    cvm: 'withdrawn',
    fresh: true,
    lie: fork(
      () => stage.final.number,
      () => stage.now + hour,
    ),
  },
  { name: 'another chain', cvm: 'withdrawn', fresh: true, lie: otherChain() },
  { name: 'no final block', harmless: true, cvm: 'withdrawn', lie: aboutFinal(async () => null) },
  {
    name: 'another block than the one that was asked for',
    harmless: true,
    cvm: 'withdrawn',
    lie: anotherBlock(),
  },
  {
    name: 'numbers with leading zeros',
    cvm: 'withdrawn',
    lie: aboutFinal(async (real) => ({ ...(await blockAt(real, before())), gasUsed: '0x00' })),
  },
  {
    name: 'flapping between now and before',
    harmless: 'sometimes',
    cvm: 'withdrawn',
    lie: flapping(),
  },

  /* PROOFS */
  { name: 'proofs of an older state', cvm: 'withdrawn', lie: oldProofs() },
  {
    name: 'an older storage proof under the current account',
    cvm: 'withdrawn',
    lie: aboutSlot(
      () => stage.withdrawnApp,
      withdrawnRelease,
      (_, __, ___, real) => entryOf(real, stage.withdrawnApp, withdrawnRelease(), hex(before())),
    ),
  },
  {
    name: 'an older storage proof and a storage root to match',
    cvm: 'withdrawn',
    lie: aboutProofs(
      () => stage.withdrawnApp,
      async (proof, [address, slots], real) => {
        const old = (await real('eth_getProof', [address, slots, hex(before())])) as Proof
        return { ...proof, storageHash: old.storageHash, storageProof: old.storageProof }
      },
    ),
  },
  {
    name: 'an older account proof with older storage',
    cvm: 'withdrawn',
    lie: aboutProofs(
      () => stage.withdrawnApp,
      (_, [address, slots], real) => real('eth_getProof', [address, slots, hex(before())]),
    ),
  },
  {
    name: 'another value beside the true proof',
    cvm: 'withdrawn',
    lie: aboutSlot(
      () => stage.withdrawnApp,
      withdrawnRelease,
      async (_, __, ___, real) => ({
        value: (await entryOf(real, stage.withdrawnApp, withdrawnRelease(), hex(before()))).value,
      }),
    ),
  },
  {
    name: 'a storage proof without its end',
    cvm: 'withdrawn',
    lie: aboutSlot(
      () => stage.withdrawnApp,
      withdrawnRelease,
      async (entry, _, __, real) => ({
        value: (await entryOf(real, stage.withdrawnApp, withdrawnRelease(), hex(before()))).value,
        proof: entry.proof.slice(0, -1),
      }),
    ),
  },
  {
    name: 'an account proof without its end',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(
      () => stage.withdrawnApp,
      (proof) => ({ ...proof, accountProof: proof.accountProof.slice(0, -1) }),
    ),
  },
  {
    name: 'an account proof without its beginning',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(
      () => stage.withdrawnApp,
      (proof) => ({ ...proof, accountProof: proof.accountProof.slice(1) }),
    ),
  },
  {
    name: 'nodes in another order',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: [...proof.accountProof].reverse(),
    })),
  },
  {
    name: 'an older leaf spliced into the current path',
    cvm: 'withdrawn',
    lie: aboutSlot(
      () => stage.withdrawnApp,
      withdrawnRelease,
      async (entry, _, __, real) => {
        const old = await entryOf(real, stage.withdrawnApp, withdrawnRelease(), hex(before()))
        return { value: old.value, proof: [...entry.proof.slice(0, -1), ...old.proof.slice(-1)] }
      },
    ),
  },
  {
    name: 'a node that belongs nowhere',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: [...proof.accountProof, '0xc22080'],
    })),
  },
  {
    name: 'the proof of another slot under the name of the one asked for',
    cvm: 'otherDevice',
    lie: aboutSlot(
      () => stage.strictApp,
      strictDevice,
      async (entry, _, [, , block], real) => ({
        ...(await entryOf(
          real,
          stage.strictApp,
          approvalSlot('release', to0x(stage.otherDevice.composeHash)),
          block,
        )),
        key: entry.key,
      }),
    ),
  },
  {
    name: 'the proof of another slot under its own name',
    cvm: 'otherDevice',
    lie: aboutSlot(
      () => stage.strictApp,
      strictDevice,
      (_, __, [, , block], real) =>
        entryOf(
          real,
          stage.strictApp,
          approvalSlot('release', to0x(stage.otherDevice.composeHash)),
          block,
        ),
    ),
  },
  {
    name: 'the same slot of another app',
    cvm: 'otherDevice',
    lie: aboutSlot(
      () => stage.strictApp,
      strictDevice,
      (_, __, [, , block], real) => entryOf(real, stage.lenient, strictDevice(), block),
    ),
  },
  {
    name: 'another app under the name of the one asked for',
    cvm: 'otherDevice',
    lie: aboutProofs(
      () => stage.strictApp,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [stage.lenient, slots, block])) as Proof),
        address: stage.strictApp,
      }),
    ),
  },
  {
    name: 'another app under its own name',
    cvm: 'withdrawn',
    lie: aboutProofs(
      () => stage.withdrawnApp,
      (_, [, slots, block], real) => real('eth_getProof', [stage.lenient, slots, block]),
    ),
  },
  {
    name: 'one of our apps in place of a foreign one',
    cvm: 'foreign',
    lie: aboutProofs(
      () => stage.foreignApp,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [stage.lenient, slots, block])) as Proof),
        address: stage.foreignApp,
      }),
    ),
  },
  {
    name: 'our implementation claimed for an app that has another',
    cvm: 'upgraded',
    lie: aboutSlot(
      () => stage.upgradedApp,
      () => implementationSlot,
      () => ({ value: hex(BigInt(stage.chain.appImplementation)) }),
    ),
  },
  {
    name: 'the implementation slot of another app',
    cvm: 'upgraded',
    lie: aboutSlot(
      () => stage.upgradedApp,
      () => implementationSlot,
      (_, __, [, , block], real) => entryOf(real, stage.lenient, implementationSlot, block),
    ),
  },
  {
    name: 'the implementation slot from before an upgrade',
    cvm: 'upgraded',
    lie: aboutSlot(
      () => stage.upgradedApp,
      () => implementationSlot,
      (_, __, ___, real) =>
        entryOf(real, stage.upgradedApp, implementationSlot, hex(stage.longAgo)),
    ),
  },
  {
    name: 'our code in place of a foreign implementation’s',
    cvm: 'upgraded',
    lie: aboutProofs(
      () => stage.otherImplementation,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [stage.chain.appImplementation, slots, block])) as Proof),
        address: stage.otherImplementation,
      }),
    ),
  },
  {
    name: 'the hash of our code claimed for a foreign implementation',
    cvm: 'upgraded',
    lie: aboutProofs(
      () => stage.otherImplementation,
      (proof) => ({ ...proof, codeHash: stage.chain.pinned.app[0] }),
    ),
  },
  {
    name: 'our code hash claimed for a foreign app',
    harmless: true,
    cvm: 'foreign',
    lie: aboutProofs(
      () => stage.foreignApp,
      (proof) => ({ ...proof, codeHash: stage.chain.pinned.proxy[1] }),
    ),
  },
  {
    name: 'a rule that is there, proven absent by the proof of an empty slot',
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.kmsAuth,
      hostsSlot,
      async (entry, _, [, , block], real) => ({
        ...(await entryOf(real, stage.chain.kmsAuth, emptySlot, block)),
        key: entry.key,
      }),
    ),
  },
  {
    name: 'a rule that is there, with a value of zero',
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x0' }),
    ),
  },
  {
    name: 'a rule that is there, with no proof at all',
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x0', proof: [] }),
    ),
  },
  {
    name: 'a rule that is there, in a trie said to be empty',
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x0', proof: ['0x80'] }),
    ),
  },
  {
    name: 'a value of no length',
    harmless: true,
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.kmsAuth,
      hostsSlot,
      () => ({ value: '0x' as Hex }),
    ),
  },
  {
    name: 'a proof that ends above the rule',
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.kmsAuth,
      hostsSlot,
      (entry) => ({ value: '0x0', proof: entry.proof.slice(0, 1) }),
    ),
  },
  {
    name: 'an account said to be absent',
    harmless: true,
    cvm: 'unproven',
    lie: aboutProofs(
      () => stage.chain.hosts,
      async (_, [, slots, block], real) => ({
        ...((await real('eth_getProof', [
          '0x00000000000000000000000000000000000000f1',
          slots,
          block,
        ])) as Proof),
        address: stage.chain.hosts,
      }),
    ),
  },
  {
    name: 'what is absent, proven by something else',
    harmless: true,
    mayBeKnown: true,
    cvm: 'unproven',
    lie: aboutSlot(
      () => stage.chain.hosts,
      () => approvalSlot('host', to0x(stage.node.stranger.deviceId)),
      async (entry, _, [, , block], real) => ({
        ...(await entryOf(
          real,
          stage.chain.hosts,
          approvalSlot('host', to0x(stage.node.host.deviceId)),
          block,
        )),
        key: entry.key,
      }),
    ),
  },
  {
    name: 'fewer slots than were asked for',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      storageProof: proof.storageProof.slice(1),
    })),
  },
  {
    name: 'a slot told twice, another not at all',
    cvm: 'otherDevice',
    lie: aboutProofs(
      () => stage.strictApp,
      (proof) => ({
        ...proof,
        storageProof: [...proof.storageProof.slice(0, -1), proof.storageProof.at(-2)],
      }),
    ),
  },
  {
    name: 'another nonce beside the true proof',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({ ...proof, nonce: hex(BigInt(proof.nonce) + 1n) })),
  },
  {
    name: 'another balance beside the true proof',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({ ...proof, balance: '0xde0b6b3a7640000' })),
  },
  {
    name: 'another storage root beside the true proof',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({ ...proof, storageHash: `0x${'11'.repeat(32)}` })),
  },
  {
    name: 'an account that is there, proven by the nodes of an empty trie',
    harmless: true,
    cvm: 'unproven',
    lie: aboutProofs(
      () => stage.chain.hosts,
      (proof) => ({ ...proof, accountProof: ['0x80'] }),
    ),
  },
  {
    name: 'a value beyond a word',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      storageProof: proof.storageProof.map((entry) => ({
        ...entry,
        value: `0x1${'0'.repeat(64)}`,
      })),
    })),
  },
  {
    name: 'slots in another order',
    harmless: true,
    cvm: 'otherDevice',
    lie: aboutProofs(
      () => stage.strictApp,
      (proof) => {
        const [release, device] = proof.storageProof.slice(-2)
        return {
          ...proof,
          storageProof: [
            ...proof.storageProof.slice(0, -2),
            { ...device, key: release?.key },
            { ...release, key: device?.key },
          ],
        }
      },
    ),
  },

  /* ANSWERS */
  { name: 'slow', harmless: true, cvm: 'withdrawn', lie: raw(() => {}) },
  {
    name: 'an answer that never ends',
    harmless: true,
    cvm: 'withdrawn',
    lie: raw((response) => void response.writeHead(200).write('{"jsonrpc":"2.0",')),
  },
  {
    name: 'an oversized answer',
    harmless: true,
    cvm: 'withdrawn',
    lie: body(`{"jsonrpc":"2.0","id":1,"result":"${'0'.repeat(300_000)}"}`),
  },
  { name: 'chunks without end', harmless: true, cvm: 'withdrawn', lie: flood },
  { name: 'a small body that unpacks to a large one', harmless: true, cvm: 'withdrawn', lie: bomb },
  {
    name: 'two results in one answer, the old one last',
    cvm: 'withdrawn',
    lie: twice(oldProofs()),
  },
  {
    name: 'two final blocks in one answer, the old one last',
    cvm: 'withdrawn',
    lie: twice(showOld(before)),
  },
  {
    name: 'status 200 with an error',
    harmless: true,
    cvm: 'withdrawn',
    lie: body('{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"isAllowed: true"}}'),
  },
  {
    name: 'a result and an error',
    harmless: true,
    cvm: 'withdrawn',
    lie: body('{"jsonrpc":"2.0","id":1,"result":"0x7a69","error":{"code":1,"message":""}}'),
  },
  { name: 'JSON that is no object', harmless: true, cvm: 'withdrawn', lie: body('[true]') },
  { name: 'nothing', harmless: true, cvm: 'withdrawn', lie: body('') },
  { name: 'deeply nested JSON', harmless: true, cvm: 'withdrawn', lie: body('['.repeat(90_000)) },
  {
    name: 'malformed JSON',
    harmless: true,
    cvm: 'withdrawn',
    lie: body('{"jsonrpc":"2.0","id":1,"result":'),
  },
  {
    name: 'an answer to another question',
    harmless: true,
    cvm: 'withdrawn',
    lie: body('{"jsonrpc":"2.0","id":2,"result":"0x1"}'),
  },
  {
    name: 'neither result nor error',
    harmless: true,
    cvm: 'withdrawn',
    lie: body('{"jsonrpc":"2.0","id":1}'),
  },
  {
    name: 'malformed hex in a proof',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({ ...proof, accountProof: ['0xzz'] })),
  },
  {
    name: 'half a byte in a proof',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({ ...proof, accountProof: ['0xabc'] })),
  },
  {
    name: 'a node of a proof that is too large',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: [`0x${'ab'.repeat(5000)}`],
    })),
  },
  {
    name: 'a proof of too many nodes',
    harmless: true,
    cvm: 'withdrawn',
    lie: aboutProofs(undefined, (proof) => ({
      ...proof,
      accountProof: Array(200).fill(proof.accountProof[0]),
    })),
  },
  {
    name: 'a page for people',
    harmless: true,
    cvm: 'withdrawn',
    lie: body('<html>welcome</html>', { 'content-type': 'text/html' }),
  },
  {
    name: 'a redirect to somebody else',
    harmless: true,
    cvm: 'withdrawn',
    lie: raw((response) => response.writeHead(307, { location: stage.honest.url }).end()),
  },
  {
    name: 'an error of the server',
    harmless: true,
    cvm: 'withdrawn',
    lie: raw((response) => response.writeHead(500).end('{"jsonrpc":"2.0","id":1,"result":"0x1"}')),
  },
  {
    name: 'a connection that breaks',
    harmless: true,
    cvm: 'withdrawn',
    lie: raw((response) => response.destroy()),
  },
]

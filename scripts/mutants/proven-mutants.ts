/**
 * Breaks the proofs, the light client, the agreement, the memory, the epochs or the check of the log in one place at a time and demands
 * that a test notices: `node scripts/mutants/proven-mutants.ts [--only NAME] [--check]`.
 */
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot } from '../run-tool.ts'
import { keepFailure, seed } from '../test-effort.ts'
import { checkAnchors, type Edit, findMissed, passes, withEdits } from './mutate.ts'

interface Mutant extends Edit {
  readonly name: string
  /** Below `src`. */
  readonly file: string
  /** What else has to go, where two checks guard the same. */
  readonly also?: Edit
  /** Below `test`: what has to notice. */
  readonly test: string
}

const lies = 'kms/malicious-endpoints.test.ts'
const view = 'chain/proven/view.test.ts'
const memory = 'chain/proven/checkpoint.test.ts'
const grants = 'log-verify/grants.test.ts'
const lightStore = 'chain/consensus/store.test.ts'
const lightClient = 'chain/consensus/light-client.test.ts'
const signedHeaders = 'chain/consensus/signed-headers.test.ts'
const logFinality = 'log-verify/finality.test.ts'
const opStack = 'chain/op-stack/op-stack-headers.test.ts'
const opStackSettings = 'chain/op-stack/settings.test.ts'
const rollupLies = 'kms/malicious-rollup.test.ts'
const logRollup = 'log-verify/rollup.test.ts'
const heartbeat = 'chain/heartbeat/heartbeat.test.ts'
const heartbeatTree = 'chain/heartbeat/tree.test.ts'

const mutants: readonly Mutant[] = [
  {
    name: 'a value is believed beside its proof',
    file: 'chain/proven/proof.ts',
    from: "if (word !== value) throw refused('its value is not the proven value', { slot: key })\n    slots.set(key, word)",
    to: 'slots.set(key, value)',
    test: lies,
  },
  {
    name: 'storage is proven under the root that is claimed',
    file: 'chain/proven/proof.ts',
    from: "prove(account?.storageRoot ?? emptyRoot, key, proof, 'slot')",
    to: "prove(answer.storageHash, key, proof, 'slot')",
    also: { from: 'answer.storageHash === account.storageRoot &&', to: '' },
    test: lies,
  },
  {
    name: 'any implementation behind a known proxy is known',
    file: 'chain/proven/read-boot-facts.ts',
    from: 'code !== undefined && pinned[kind].includes(code.codeHash)',
    to: 'code !== undefined',
    test: lies,
  },
  {
    name: 'one endpoint is enough',
    file: 'chain/proven/header-quorum.ts',
    from: 'names.length >= required)',
    to: 'names.length >= 1)',
    test: lies,
  },
  {
    name: 'another chain will do',
    file: 'chain/proven/header-quorum.ts',
    from: 'if (found === BigInt(chainId)) return',
    to: 'if (found !== undefined) return',
    test: lies,
  },
  {
    name: 'a chain need not contain what was seen',
    file: 'chain/proven/header-quorum.ts',
    from: 'if (same.hash === known.hash && header.timestamp >= known.timestamp) return',
    to: 'if (same.hash !== undefined) return',
    test: lies,
  },
  {
    name: 'a chain may be behind what was seen',
    file: 'chain/proven/header-quorum.ts',
    from: 'if (header.number < known.number) {',
    to: 'if (header.number < 0n) {',
    test: view,
  },
  {
    name: 'heads below a final block are not heard, however recent',
    file: 'chain/proven/snapshot.ts',
    from: 'return head.number >= final.number || isRecent',
    to: 'return head.number >= final.number && isRecent',
    test: lies,
  },
  {
    name: 'a withdrawal waits until it is final',
    file: 'chain/proven/decide.ts',
    from: 'if (withdrawn !== undefined) return withdrawn',
    to: 'void withdrawn',
    test: view,
  },
  {
    name: 'age does not matter',
    file: 'chain/proven/view-context.ts',
    from: 'if (age > maxBlockAgeSeconds) {',
    to: 'if (age > Number.POSITIVE_INFINITY) {',
    test: view,
  },
  {
    name: 'the block’s time is the present',
    file: 'chain/proven/decide.ts',
    from: 'evaluation.denialReason(boot.tcbStatus, now)',
    to: 'undefined',
    test: view,
  },
  {
    name: 'what is seen is not written down',
    file: 'chain/proven/snapshot.ts',
    from: 'if (isNewer) await options.checkpoint.write(agreed.header)',
    to: 'void isNewer',
    test: view,
  },
  {
    name: 'the lowest block seen counts',
    file: 'chain/record/record-folder.ts',
    from: '      .reverse()\n',
    to: '',
    test: memory,
  },
  {
    name: 'a changed memory is believed',
    file: 'chain/proven/checkpoint.ts',
    from: "if (!timingSafeEqual(fromHex(seal, 'seal', 32), macOf(fields, options))) {",
    to: "if (fromHex(seal, 'seal', 32).length !== 32) {",
    test: memory,
  },
  {
    name: 'a legacy image of an open image needs no set',
    file: 'chain/proven/read-boot-facts.ts',
    from: 'const isOpen = requiredMrSystem === undefined && closed % 256n === 0n',
    to: 'const isOpen = closed % 256n === 0n',
    test: 'kms/images.test.ts',
  },
  {
    name: 'every release gets the epoch before',
    file: 'kms/rpc/routes.ts',
    from: 'read < write ? [write - 1, write] : [write]',
    to: 'write > 1 ? [write - 1, write] : [write]',
    test: 'kms/epochs.test.ts',
  },
  {
    name: 'a closed window stays open for the block’s time',
    file: 'chain/proven/decide.ts',
    from: 'read: Math.max(then.read, today.read)',
    to: 'read: then.read',
    test: 'kms/epochs.test.ts',
  },
  {
    name: 'epochs follow each other by dstack’s salt',
    file: 'kms/keys/derive.ts',
    from: "utf8ToBytes('ASSENT-EPOCH')",
    to: "utf8ToBytes('RATLS')",
    test: 'kms/epochs.test.ts',
  },
  {
    name: 'a log may name any epoch',
    file: 'log-verify/evaluate-entry.ts',
    from: 'write === then.write &&',
    to: '',
    test: grants,
  },
  {
    name: 'a log may give keys on a host that nobody approved',
    file: 'log-verify/evaluate-entry.ts',
    from: '    isActive(approval, at) &&\n',
    to: '',
    test: grants,
  },
  {
    name: 'a log may give keys on a host without its bond',
    file: 'log-verify/evaluate-entry.ts',
    from: 'return bonded >= wide(',
    to: 'return bonded >= 0n * wide(',
    test: grants,
  },
  {
    name: 'a log may give keys to an unmeasured image',
    file: 'log-verify/evaluate-entry.ts',
    from: 'if (required === undefined && closed === 0) return true',
    to: 'if (closed === 0) return true',
    test: grants,
  },
  {
    name: 'a log may give keys on any device',
    file: 'log-verify/evaluate-entry.ts',
    from: 'if (!anyDevice && !app',
    to: 'if (anyDevice && !app',
    test: grants,
  },
  {
    name: 'a log may give what ended since the block',
    file: 'log-verify/evaluate-entry.ts',
    from: 'Math.max(state.blockTime, writtenAt - toleranceSeconds)]',
    to: 'state.blockTime]',
    test: grants,
  },
  {
    name: 'a log may read contracts of any code',
    file: 'log-verify/contract-storage.ts',
    from: 'pins[role].includes(code)',
    to: "code !== ''",
    test: grants,
  },
  {
    name: 'a log may be of a node that was not allowed',
    file: 'log-verify/verify.ts',
    from: 'if (this.#selfAuthorizedBlocks.has(block) ||',
    to: 'if (block.length > 0 || this.#selfAuthorizedBlocks.has(block) ||',
    test: grants,
  },
  {
    name: 'a log may deny for any reason',
    file: 'log-verify/evaluate-entry.ts',
    from: 'if (found.includes(String(reason))) return undefined',
    to: 'if (found.some((each) => each !== undefined)) return undefined',
    test: grants,
  },
  {
    name: 'a believed endpoint is not asked for epochs',
    file: 'chain/boot/ask-contracts.ts',
    from: "if (question === 'isAppAllowed') calls.push",
    to: 'if (question !== question) calls.push',
    test: 'kms/epochs.test.ts',
  },
  {
    name: 'a node does not write down that it was allowed',
    file: 'kms/log/record-decision.ts',
    from: '      const written = sink.append(entry, evidence && storedEvidence(evidence))',
    to: '      const written = Promise.resolve(void [entry, evidence])',
    test: 'kms/log/service.test.ts',
  },
  {
    name: 'a signature is not checked',
    file: 'chain/consensus/store.ts',
    from: 'if (isSignedBy(committee.keys, update.bits, root, update.signature)) return known',
    to: 'if (root.length === 32) return known',
    test: lightStore,
  },
  {
    name: 'half of a committee finalizes',
    file: 'chain/consensus/store.ts',
    from: 'return signers * 3 >= bits.length * 2',
    to: 'return signers * 2 >= bits.length',
    test: lightStore,
  },
  {
    name: 'updates of the future count',
    file: 'chain/consensus/store.ts',
    from: 'if (signatureSlot > currentSlot)',
    to: 'if (signatureSlot > currentSlot + 8)',
    test: lightStore,
  },
  {
    name: 'old updates count',
    file: 'chain/consensus/store.ts',
    from: 'if (attested.slot > store.finalized.slot || bringsNextCommittee(network, store, update)) return',
    to: 'if (attested.slot > 0 || bringsNextCommittee(network, store, update)) return',
    test: lightStore,
  },
  {
    name: 'a second next committee replaces the first',
    file: 'chain/consensus/store.ts',
    from: 'if (next === undefined || equalBytes(next.root, committee.root)) return',
    to: 'if (next !== undefined) return',
    test: lightStore,
  },
  {
    name: 'any root begins a store',
    file: 'chain/consensus/store.ts',
    from: 'if (!equalBytes(header.root, trustedRoot))',
    to: 'if (header.root.length !== trustedRoot.length)',
    test: lightStore,
  },
  {
    name: 'the weak subjectivity period never ends',
    file: 'chain/consensus/store.ts',
    from: 'if (age <= network.weakSubjectivityEpochs) return',
    to: 'if (age >= 0) return',
    test: lightStore,
  },
  {
    name: 'an unknown period is signed by the current committee',
    file: 'chain/consensus/store.ts',
    from: 'if (signed === period) return current',
    to: 'if (signed === period || next === undefined) return current',
    test: lightStore,
  },
  {
    name: 'the finalized header is not proven',
    file: 'chain/consensus/store.ts',
    from: "requireBranch(root, finality.branch, finalizedRoot, attested, 'finalized block')",
    to: 'void root',
    test: lightStore,
  },
  {
    name: 'the execution payload is not proven',
    file: 'chain/consensus/execution.ts',
    from: "if (!isValidBranch(root, branch, payloadIndex, beacon.bodyRoot)) return 'unproven'",
    to: '',
    test: lightStore,
  },
  {
    name: 'signatures count on every network',
    file: 'chain/consensus/forks.ts',
    from: "genesisValidatorsRoot: fromHex(network.genesisValidatorsRoot, 'genesis validators root', 32),",
    to: 'genesisValidatorsRoot: new Uint8Array(32),',
    test: lightStore,
  },
  {
    name: 'a branch may have anything in front',
    file: 'chain/consensus/merkle.ts',
    from: 'if (extra < 0 || !branch.slice(0, extra).every(isZero)) return false',
    to: 'if (extra < 0) return false',
    test: lightStore,
  },
  {
    name: 'the seal of the store is not checked',
    file: 'chain/consensus/store-folder.ts',
    from: "if (!timingSafeEqual(fromHex(seal, 'seal', 32), macOf(fields, options))) {",
    to: 'if (seal.length !== 64) {',
    test: lightClient,
  },
  {
    name: 'the store on the disk goes back',
    file: 'chain/consensus/store-folder.ts',
    from: 'if (newest !== undefined && newest >= path) return',
    to: 'if (newest === path) return',
    test: lightClient,
  },
  {
    name: 'endpoints choose the final block themselves',
    file: 'chain/consensus/signed-headers.ts',
    from: 'agreedHeaders({ ...rules, finality })',
    to: "agreedHeaders({ ...rules, finality: finality.hash === '0x' ? finality : 'finalized' })",
    test: signedHeaders,
  },
  {
    name: 'a nonce is confirmed without its proof',
    file: 'chain/heartbeat/heartbeat.ts',
    from: 'proof !== undefined && covers(value, asked.nonce, proof)',
    to: 'proof !== undefined',
    test: heartbeat,
  },
  {
    name: 'a nonce is young for ever',
    file: 'chain/heartbeat/heartbeat.ts',
    from: 'if (age <= maxAgeSeconds) return age',
    to: 'if (age <= Number.MAX_VALUE) return age',
    test: heartbeat,
  },
  {
    name: 'a nonce counts for blocks before its own',
    file: 'chain/heartbeat/heartbeat.ts',
    from: 'confirmed.find(({ block }) => block <= number)',
    to: 'confirmed[0]',
    test: heartbeat,
  },
  {
    name: 'the age counts from the confirmation',
    file: 'chain/heartbeat/heartbeat.ts',
    from: 'confirmed = [{ madeAt, block',
    to: 'confirmed = [{ madeAt: now(), block',
    test: heartbeat,
  },
  {
    name: 'a failed search is not repeated',
    file: 'chain/heartbeat/heartbeat.ts',
    from: '        const newest = await findNewest(handed.filter(isUseful), relayer, value)\n        searched = value',
    to: '        searched = value\n        const newest = await findNewest(handed.filter(isUseful), relayer, value)',
    test: heartbeat,
  },
  {
    name: 'a decision needs no heartbeat',
    file: 'chain/proven/view-context.ts',
    from: 'header.timestamp - heartbeat.requireYoung(header)',
    to: 'header.timestamp - 1e6',
    test: heartbeat,
  },
  {
    name: 'a clock ahead of a heartbeat is used',
    file: 'chain/proven/view-context.ts',
    from: 'if (ahead > clockToleranceSeconds) {',
    to: 'if (ahead > 1e12) {',
    test: heartbeat,
  },
  {
    name: 'a clock behind the final block is used',
    file: 'chain/proven/view-context.ts',
    from: 'if (age >= -clockToleranceSeconds) return',
    to: 'if (age >= -1e12) return',
    test: heartbeat,
  },
  {
    name: 'a clock that is set back hides newest blocks',
    file: 'chain/proven/snapshot.ts',
    from: 'if (heartbeat === undefined && head.timestamp >',
    to: 'if (head.timestamp >',
    test: heartbeat,
  },
  {
    name: 'leaves, nodes and values share a domain',
    file: 'chain/heartbeat/tree.ts',
    from: '[0, 1, 2] as const',
    to: '[0, 0, 0] as const',
    test: heartbeatTree,
  },
  {
    name: 'a value does not cover the one before',
    file: 'chain/heartbeat/tree.ts',
    from: 'reached = heartbeatValue(reached, next)',
    to: 'reached = heartbeatValue(noValue, next)',
    test: heartbeatTree,
  },
  {
    name: 'a proof of a nonce has any length',
    file: 'chain/heartbeat/tree.ts',
    from: 'if (path.length > maxDepth || later.length > maxLater) return false',
    to: '',
    test: heartbeatTree,
  },
  {
    name: 'certificates are checked with a clock behind the chain',
    file: 'chain/heartbeat/clock-floor.ts',
    from: 'if (behind <= clockToleranceSeconds) return now',
    to: 'if (behind <= 1e12) return now',
    test: 'kms/service.test.ts',
  },
  {
    name: 'a client hands over any number of nonces',
    file: 'relayer/heartbeat/nonces.ts',
    from: '>= noncesPerClient',
    to: '>= 1e9',
    test: 'relayer/heartbeat.test.ts',
  },
  {
    name: 'a heartbeat that was replaced is posted again',
    file: 'relayer/heartbeat/post.ts',
    from: 'return posted === value || (await isLater(db, key, posted, number))',
    to: 'return posted === value',
    test: 'relayer/heartbeat.test.ts',
  },
  {
    name: 'the newest signed block is not read',
    file: 'chain/proven/snapshot.ts',
    from: 'if (hash === undefined || hash === header.hash) return undefined',
    to: 'if (hash !== header.hash) return undefined',
    test: signedHeaders,
  },
  {
    name: 'newest blocks of endpoints deny beside the signed one',
    file: 'chain/proven/snapshot.ts',
    from: "if (withdrawals !== 'deny-when-shown-by-one') return []",
    to: "if (withdrawals === 'insecure-wait-until-final') return []",
    test: signedHeaders,
  },
  {
    name: 'a message of a proof is not kept',
    file: 'chain/consensus/finality-proof.ts',
    from: 'const introduced = hasCommittee ? [encodeUpdate(network, update)] : []',
    to: 'const introduced = hasCommittee && isFinal && update.signers === 0 ? [encodeUpdate(network, update)] : []',
    test: logFinality,
  },
  {
    name: 'the log’s verifier asks for half of a committee',
    file: 'log-verify/finality.ts',
    from: 'if (signers.length * 3 < bits.length * 2)',
    to: 'if (signers.length * 2 < bits.length)',
    test: logFinality,
  },
  {
    name: 'the log’s verifier trusts any beginning',
    file: 'log-verify/finality.ts',
    from: 'if (!this.#isTrusted(header)) throw notTrusted(header)',
    to: 'if (header.slot < 0) throw notTrusted(header)',
    test: logFinality,
  },
  {
    name: 'the log’s verifier checks no finality branch',
    file: 'log-verify/finality.ts',
    from: 'requireBranch(finalized.root, message.finalityBranch, finalizedRoot, attested.stateRoot)',
    to: 'void [finalizedRoot]',
    test: logFinality,
  },
  {
    name: 'the log’s verifier takes the block of the evidence for the finalized one',
    file: 'log-verify/verify.ts',
    from: 'if (block === signedBlock) return true',
    to: 'if (block.length === signedBlock.length) return true',
    test: signedHeaders,
  },
  {
    name: 'a game of another type is read',
    file: 'chain/op-stack/games.ts',
    from: 'ids.filter(({ type }) => type === rules.gameType)',
    to: 'ids',
    test: opStack,
  },
  {
    name: 'a game with another time of creation than in the factory counts',
    file: 'chain/op-stack/games.ts',
    from: "if (game.createdAt !== id.createdAt) return 'another-layout'\n",
    to: '',
    test: rollupLies,
  },
  {
    name: 'a game whose type was not respected counts',
    file: 'chain/op-stack/games.ts',
    from: "if (!game.wasRespected) return 'not-respected'\n",
    to: '',
    test: rollupLies,
  },
  {
    name: 'a blacklisted game counts',
    file: 'chain/op-stack/games.ts',
    from: "if (await isBlacklisted(reads, rules, id.address)) return 'blacklisted'\n",
    to: '',
    test: rollupLies,
  },
  {
    name: 'a game of the retirement time counts',
    file: 'chain/op-stack/games.ts',
    from: 'id.createdAt <= registry.retiredUntil',
    to: 'id.createdAt < registry.retiredUntil',
    test: opStack,
  },
  {
    name: 'a proposed game that the challenger won counts',
    file: 'chain/op-stack/games.ts',
    from: "if (game.status === gameStatus.challengerWins) return 'challenger-won'\n",
    to: '',
    test: rollupLies,
  },
  {
    name: 'a young game counts',
    file: 'chain/op-stack/games.ts',
    from: 'const isTooYoung = time - id.createdAt < rules.minAgeSeconds',
    to: 'const isTooYoung = time < 0',
    also: { from: 'time - createdAt < rules.minAgeSeconds)', to: 'time < createdAt)' },
    test: rollupLies,
  },
  {
    name: 'a proposed game whose type is no longer respected counts',
    file: 'chain/op-stack/games.ts',
    from: "if (registry.respectedType !== id.type) return 'not-respected'\n",
    to: '',
    test: rollupLies,
  },
  {
    name: 'a challenged game counts',
    file: 'chain/op-stack/games.ts',
    from: "return game.isUnchallenged ? undefined : 'challenged'",
    to: 'return undefined',
    test: rollupLies,
  },
  {
    name: 'an unresolved game counts',
    file: 'chain/op-stack/games.ts',
    from: 'game.status !== gameStatus.defenderWins || game.resolvedAt === 0',
    to: 'game.resolvedAt === 0',
    test: rollupLies,
  },
  {
    name: 'a game without a time of resolution counts',
    file: 'chain/op-stack/games.ts',
    from: 'game.status !== gameStatus.defenderWins || game.resolvedAt === 0',
    to: 'game.status !== gameStatus.defenderWins',
    test: opStack,
  },
  {
    name: 'a game in its air gap counts',
    file: 'chain/op-stack/games.ts',
    from: "return time - game.resolvedAt > rules.finalityDelaySeconds ? undefined : 'in-air-gap'",
    to: 'return undefined',
    test: rollupLies,
  },
  {
    name: 'a game at the end of its air gap counts',
    file: 'chain/op-stack/games.ts',
    from: 'time - game.resolvedAt > rules',
    to: 'time - game.resolvedAt >= rules',
    test: opStack,
  },
  {
    name: 'a game of any factory counts',
    file: 'chain/op-stack/games.ts',
    from: 'requireWord({ contract: registry, slot: slots.factory, word: factory }, lowAddress(named))',
    to: 'void named',
    test: rollupLies,
  },
  {
    name: 'a game counts while L1 has another word than required',
    file: 'chain/op-stack/games.ts',
    from: '    requireWord(required, uint256(found))\n',
    to: '    void found\n',
    test: opStack,
  },
  {
    name: 'a listed game has any claim that an endpoint names',
    file: 'chain/op-stack/games.ts',
    from: 'async (named) => (await registeredId(reads, rules, named)).word === id.word',
    to: 'async () => true',
    test: rollupLies,
  },
  {
    name: 'an anchor game need not be in the factory',
    file: 'chain/op-stack/games.ts',
    from: 'async (named) => (await registeredId(reads, rules, named)).address === address',
    to: 'async () => true',
    test: opStack,
  },
  {
    name: 'the game with the lowest L2 block is used',
    file: 'chain/op-stack/games.ts',
    from: 'a.l2Block < b.l2Block ? 1 : -1',
    to: 'a.l2Block < b.l2Block ? -1 : 1',
    test: opStack,
  },
  {
    name: 'a game that the challenger won denies',
    file: 'chain/op-stack/games.ts',
    from: 'if (status === gameStatus.challengerWins) return []\n',
    to: 'void status\n',
    test: opStack,
  },
  {
    name: 'any L2 block has the output root of a game',
    file: 'chain/op-stack/output-root.ts',
    from: 'outputRootOf({ stateRoot, messagePasserStorageRoot, blockHash }) === outputRoot',
    to: 'outputRoot.length === 66',
    test: rollupLies,
  },
  {
    name: 'the output root of a game has another order',
    file: 'chain/op-stack/output-root.ts',
    from: 'stateRoot, messagePasserStorageRoot, blockHash]\n',
    to: 'messagePasserStorageRoot, stateRoot, blockHash]\n',
    test: opStack,
  },
  {
    name: 'the L1 block under a game may be older than one before',
    file: 'chain/op-stack/op-stack-headers.ts',
    from: 'known === undefined ? undefined : await checkpoint.read()',
    to: 'undefined as BlockReference | undefined',
    test: rollupLies,
  },
  {
    name: 'the L1 block under a game may be old',
    file: 'chain/op-stack/op-stack-headers.ts',
    from: '  requireRecentByClock(agreed.header, { clock, maxBlockAgeSeconds })\n',
    to: '  void [clock, maxBlockAgeSeconds]\n',
    test: opStack,
  },
  {
    name: 'the L1 block under a game is not remembered',
    file: 'chain/op-stack/op-stack-headers.ts',
    from: 'if (settled.isNewer) await l1.checkpoint.write(header)',
    to: 'void settled.isNewer',
    test: opStackSettings,
  },
  {
    name: 'the final block of the L2 endpoints is used, not the one of the game',
    file: 'chain/op-stack/op-stack-headers.ts',
    from: 'finality: { hash: block.header.hash } }',
    to: "finality: 'finalized' }",
    test: opStack,
  },
  {
    name: 'newer games deny nothing',
    file: 'chain/op-stack/op-stack-headers.ts',
    from: 'signedHead: denying?.header.hash',
    to: 'signedHead: denying && undefined',
    test: opStackSettings,
  },
  {
    name: 'the number of claims of a game is not read',
    file: 'chain/op-stack/layout.ts',
    from: 'claims === 1n && ',
    to: 'claims > 0n && ',
    test: rollupLies,
  },
  {
    name: 'a game whose root claim was countered is unchallenged',
    file: 'chain/op-stack/layout.ts',
    from: 'lowAddress(root >> 32n) === noAddress && ',
    to: 'root > 0n && ',
    test: opStack,
  },
  {
    name: 'a game whose block number was challenged is unchallenged',
    file: 'chain/op-stack/layout.ts',
    from: ' && !flag(head, 144n)',
    to: '',
    test: rollupLies,
  },
  {
    name: 'an aggregate game without a proof is unchallenged',
    file: 'chain/op-stack/layout.ts',
    from: ' && bits(proofs, 64n, 8n) > 0',
    to: '',
    test: opStack,
  },
  {
    name: 'the log’s verifier does not compare the game with the block',
    file: 'log-verify/evidence.ts',
    from: "if (!isClaimed) throw new RangeError('its dispute game claims another block')",
    to: 'void isClaimed',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game of any L1',
    file: 'log-verify/rollup.ts',
    from: 'if (rollup.chainId !== l1ChainId)',
    to: 'if (rollup.chainId < l1ChainId - l1ChainId)',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game of another factory',
    file: 'log-verify/rollup.ts',
    from: "if (addressIn(word(registry.address, registry.factory)) !== factory)\n    return 'the registry names another factory'",
    to: 'void addressIn(word(registry.address, registry.factory))',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game that no factory created',
    file: 'log-verify/rollup.ts',
    from: "if (id === 0n || addressIn(id) !== rollup.game) return 'the factory did not create its game'",
    to: '',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game of another layout',
    file: 'log-verify/rollup.ts',
    from: "if (game.createdAt !== wide(id, 160, 64)) return 'its game has another storage layout'",
    to: '',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game that was not respected',
    file: 'log-verify/rollup.ts',
    from: "if (!game.wasRespected) return 'the type of its game was not respected'",
    to: '',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a blacklisted game',
    file: 'log-verify/rollup.ts',
    from: 'registry.blacklist)) !== 0n',
    to: 'registry.blacklist)) < 0n',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a retired game',
    file: 'log-verify/rollup.ts',
    from: "if (game.createdAt <= wide(rules, 32, 64)) return 'its game is retired'",
    to: '',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a young game',
    file: 'log-verify/rollup.ts',
    from: 'if (age < expected.minAgeSeconds) return',
    to: 'if (age < 0) return',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts an unresolved game',
    file: 'log-verify/rollup.ts',
    from: "if (!isFinal) return 'its game is not resolved'",
    to: '',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game in its air gap',
    file: 'log-verify/rollup.ts',
    from: 'return passed > delay ? undefined',
    to: 'return passed > 0n || delay < 0 ? undefined',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a challenged game',
    file: 'log-verify/rollup.ts',
    from: "return game.isUnchallenged ? undefined : 'its game was challenged'",
    to: 'return undefined',
    test: logRollup,
  },
  {
    name: 'the log’s verifier accepts a game whose type is no longer respected',
    file: 'log-verify/rollup.ts',
    from: 'if (bits(rules, 0, 32) !== expected.gameType)',
    to: 'if (bits(rules, 0, 32) < 0)',
    test: logRollup,
  },
]

const { values } = parseArgs({ options: { only: { type: 'string' }, check: { type: 'boolean' } } })
const chosen = mutants.filter(({ name }) => values.only === undefined || name.includes(values.only))
const place = path.join(projectRoot, '.assent', 'proven-mutants')

if (values.check) {
  checkAnchors(
    mutants.map(({ name, file, also, ...edit }) => ({
      name,
      file: path.join(projectRoot, 'src', file),
      edits: also === undefined ? [edit] : [edit, also],
    })),
  )
}

prepare()
const missed = await findMissed(chosen, withMutant, isGreen)
rmSync(place, { recursive: true, force: true })
if (missed.length > 0) keepFailure(`proven-mutants-${seed}`, { missed })
process.exit(missed.length === 0 ? 0 : 1)

/** A copy of all that the tests read; what is large and not broken is linked. */
function prepare(): void {
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  for (const name of ['src', 'test', 'tasks', 'scripts', 'package.json', 'hardhat.config.ts']) {
    cpSync(path.join(projectRoot, name), path.join(place, name), { recursive: true })
  }
  cpSync(path.join(projectRoot, 'vitest.config.ts'), path.join(place, 'vitest.config.ts'))
  for (const name of ['node_modules', 'artifacts', 'cache', 'contracts', 'vectors']) {
    symlinkSync(path.join(projectRoot, name), path.join(place, name), 'dir')
  }
}

async function withMutant({ name, file, test, also, ...edit }: Mutant): Promise<boolean> {
  const edits = also === undefined ? [edit] : [edit, also]
  return !(await withEdits(path.join(place, 'src', file), { name, edits }, () => isGreen(test)))
}

function isGreen(test: string): Promise<boolean> {
  return passes(place, ['vitest', 'run', '--bail', '1', `test/${test}`])
}

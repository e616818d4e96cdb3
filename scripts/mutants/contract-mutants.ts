/**
 * Breaks the registries in one place at a time and demands that the rules of `test/contracts` notice:
 * `node scripts/mutants/contract-mutants.ts [--only NAME,NAME] [--check]`.
 *
 * All mutants are compiled at once and sleep; which one wakes is asked at run time (`Mutant.on(7)`, the length of the
 * code at one address), so that thirty mutants cost one compilation. The long history is shorter here. A mutant that
 * survives shows a rule that proves nothing, and so does a rule that kills none.
 */
import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { copyRegistries } from '../coverage/copy-registries.ts'
import { projectRoot, toolCommand } from '../run-tool.ts'
import { keepFailure, seed } from '../test-effort.ts'
import { mutantSwitch } from './mutant-switch.ts'
import { checkAnchors } from './mutate.ts'

interface Mutant {
  readonly name: string
  /** From `contracts/`. */
  readonly file: string
  readonly from: string
  /** `ON` is whether this mutant is awake. */
  readonly to: string
  /** The rule that must notice it; others may as well. */
  readonly rule: Rule
}

const registry = 'registry/ApprovalRegistry.sol'
const approval = 'types/Approval.sol'
const app = 'registry/App.sol'
const kmsAuth = 'auth/KmsAuth.sol'
const hosts = 'registry/Hosts.sol'
const bonds = 'registry/HostBonds.sol'
const keys = 'registry/RootKeys.sol'
const instances = 'instances/Instances.sol'
const requests = 'requests/Requests.sol'

/** Of all registries together, over one history; then of KmsAuth alone, over many short ones. */
const rules = {
  overTime: 'test_NoRuleIsEverBroken',
  rebuilt: 'test_StateCanBeRebuiltFromEvents',
  owed: 'test_BondsAreCovered',
  listed: 'test_ListsContainEveryIdOnce',
  admitted: 'test_AdmittedHostsAreProvenApprovedAndBonded',
  booted: 'test_AllowedBootsHaveActiveApprovals',
  revoked: 'invariant_RevokedIdsStayRevoked',
  versions: 'invariant_VersionsNeverDecrease',
  guardian: 'invariant_GuardianNeverAllows',
  words: 'invariant_StateCanBeRebuiltFromEvents',
  order: 'invariant_ListsContainEveryIdOnceInOrder',
  views: 'invariant_DstackViewsMatchTheState',
  // a history rarely comes to a closed image
  closed: 'test_ClosedImageNeedsAnApprovedMeasurementSet',
  instances: 'invariant_LiveKeysAreProvenAndApproved',
  requests: 'invariant_FeesArePaidOnceAndHeldMoneyIsOwed',
  // a history rarely comes to those
  heldBack: 'test_I4_ProofFromBeforeAWithdrawalNeverCounts',
  places: 'test_Q7_DeadWorkersLoseTheirPlace',
} as const

type Rule = (typeof rules)[keyof typeof rules]

const mutants: readonly Mutant[] = [
  {
    name: 'a request is paid twice',
    file: requests,
    from: 'bool isOpen = asked.settled == State.Waiting &&',
    to: 'bool isOpen = (ON || asked.settled == State.Waiting) &&',
    rule: rules.requests,
  },
  {
    name: 'a key that does not have the request answers',
    file: requests,
    from: 'bool isSigned = _signerOf(digest, signature) == key &&',
    to: 'bool isSigned = (ON || _signerOf(digest, signature) == key) &&',
    rule: rules.requests,
  },
  {
    name: 'a key without its approvals answers',
    file: requests,
    from: 'require(isSigned && instances.isFrom(asked.app, digest, signature),',
    to: 'require(isSigned && (ON || instances.isFrom(asked.app, digest, signature)),',
    rule: rules.requests,
  },
  {
    name: 'a fee is refunded at any time',
    file: requests,
    from: 'require(state == State.Refundable,',
    to: 'require(ON || state == State.Refundable,',
    rule: rules.requests,
  },
  {
    name: 'a balance is paid out and kept',
    file: requests,
    from: 'balanceOf[account] = 0;',
    to: 'if (!ON) balanceOf[account] = 0;',
    rule: rules.requests,
  },
  {
    name: 'a worker gets more than its capacity',
    file: requests,
    from: 'key == but || worker.open >= worker.capacity',
    to: 'key == but || (!ON && worker.open >= worker.capacity)',
    rule: rules.requests,
  },
  {
    name: 'the worker that took a place does not know it',
    file: requests,
    from: '_workers[last].place = place;',
    to: 'if (!ON) _workers[last].place = place;',
    rule: rules.places,
  },
  {
    name: 'a proof from before a withdrawal counts under the next version',
    file: instances,
    from: 'return isProven;',
    to: 'return ON || isProven;',
    rule: rules.heldBack,
  },
  {
    name: 'a key is live after its end',
    file: instances,
    from: 'if (block.timestamp >= uint40(head >> 160)) return',
    to: 'if (!ON && block.timestamp >= uint40(head >> 160)) return',
    rule: rules.instances,
  },
  {
    name: 'an ended key is live',
    file: instances,
    from: 'if (head >> 248 != 0) return',
    to: 'if (!ON && head >> 248 != 0) return',
    rule: rules.instances,
  },
  {
    name: 'an ended key is registered again',
    file: instances,
    from: 'require(!known.isEnded, InstanceKeyEnded(key));',
    to: 'require(ON || !known.isEnded, InstanceKeyEnded(key));',
    rule: rules.instances,
  },
  {
    name: 'an old proof replaces a record',
    file: instances,
    from: 'bool isNewer = known.way == Way.None ||',
    to: 'bool isNewer = ON || known.way == Way.None ||',
    rule: rules.instances,
  },
  {
    name: 'a host that is not admitted is enough for a key',
    file: instances,
    from: 'return isAdmitted && _approves(hosts',
    to: 'return (ON || isAdmitted) && _approves(hosts',
    rule: rules.instances,
  },
  {
    name: 'a key is registered without its signature',
    file: instances,
    from: 'require(found == key && key != address(0),',
    to: 'require(ON || (found == key && key != address(0)),',
    rule: rules.instances,
  },
  {
    name: 'anyone ends a key',
    file: instances,
    from: 'require(allowed, InstanceEndUnauthorized(msg.sender));',
    to: 'require(ON || allowed, InstanceEndUnauthorized(msg.sender));',
    rule: rules.instances,
  },
  {
    name: 'a statement needs no root key',
    file: instances,
    from: 'require(signer != address(0) && rootKeyOf[root] != 0,',
    to: 'require(ON || (signer != address(0) && rootKeyOf[root] != 0),',
    rule: rules.instances,
  },
  {
    name: 'a key needs no approved image',
    file: instances,
    from: 'if (!_approves(kmsAuth, Kind.OsImage,',
    to: 'if (!ON && !_approves(kmsAuth, Kind.OsImage,',
    rule: rules.instances,
  },
  {
    name: 'an ended key has no event',
    file: instances,
    from: 'emit InstanceEnded(key, app);',
    to: 'if (!ON) emit InstanceEnded(key, app);',
    rule: rules.instances,
  },
  {
    name: 'a change emits no event',
    file: registry,
    from: 'emit ApprovalChanged(kind, id, changed);',
    to: 'if (!ON) emit ApprovalChanged(kind, id, changed);',
    rule: rules.words,
  },
  {
    name: 'an event has the requested end',
    file: app,
    from: 'emit ReleasesSuperseded(oldest, end,',
    to: 'emit ReleasesSuperseded(oldest, ON ? from : end,',
    rule: rules.rebuilt,
  },
  {
    name: 'an announcement serves twice',
    file: app,
    from: 'delete _announced[digest];',
    to: 'if (!ON) delete _announced[digest];',
    rule: rules.rebuilt,
  },
  {
    name: 'an event has the bond before the slash',
    file: bonds,
    from: 'emit BondSlashed(deviceId, holder, to, taken, bond, evidence);',
    to: 'if (ON) bond.bonded += amount;\n        emit BondSlashed(deviceId, holder, to, taken, bond, evidence);\n        if (ON) bond.bonded = bond.bonded - amount;',
    rule: rules.rebuilt,
  },
  {
    name: 'anyone approves',
    file: registry,
    from: 'function approve(ApprovalTerms[] calldata terms, uint40 notAfter) external onlyOwner {',
    to: 'function approve(ApprovalTerms[] calldata terms, uint40 notAfter) external {\n        if (!ON) _checkOwner();',
    rule: rules.overTime,
  },
  {
    name: 'anyone lifts a suspension',
    file: registry,
    from: 'function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external onlyOwner {',
    to: 'function lift(Kind kind, bytes32[] calldata ids, uint40 notAfter) external {\n        if (!ON) _checkOwner();',
    rule: rules.overTime,
  },
  {
    name: 'anyone registers again what the DAO took back',
    file: kmsAuth,
    from: 'require(found == State.Active || found == State.Pending, AppRegistrationDenied',
    to: 'if (ON && found == State.Withdrawn) return _approve(Kind.App, id, 0, 0, "");\n        require(found == State.Active || found == State.Pending, AppRegistrationDenied',
    rule: rules.overTime,
  },
  {
    name: 'anyone marks as expired what is not',
    file: registry,
    from: 'require(found == State.Expired, ApprovalStateInvalid(found));',
    to: 'require(found == State.Expired || (ON && found != State.Withdrawn), ApprovalStateInvalid(found));',
    rule: rules.overTime,
  },
  {
    name: 'a notice period shrinks',
    file: app,
    from: 'newNoticePeriod >= noticePeriod &&',
    to: '(ON || newNoticePeriod >= noticePeriod) &&',
    rule: rules.overTime,
  },
  {
    name: 'a superseded release still boots',
    file: app,
    from: 'release.index() >= _oldestAllowed();',
    to: '(ON || release.index() >= _oldestAllowed());',
    rule: rules.overTime,
  },
  {
    name: 'a later end goes back behind an earlier one',
    file: app,
    from: 'oldest == _nextOldest : oldest >= _nextOldest;',
    to: 'oldest == _nextOldest : (ON || oldest >= _nextOldest);',
    rule: rules.overTime,
  },
  {
    name: 'a root key gets an epoch with every version',
    file: keys,
    from: 'if (!enabled || proof.epoch != 0) return;',
    to: 'if (!enabled || (!ON && proof.epoch != 0)) return;',
    rule: rules.overTime,
  },
  {
    name: 'a machine lives on under both ids',
    file: hosts,
    from: '_remove(Kind.Host, from);',
    to: 'if (!ON) _remove(Kind.Host, from);',
    rule: rules.overTime,
  },
  {
    name: 'a slashed bond is still owed',
    file: bonds,
    from: 'bond.bonded -= taken - fromUnbonding;',
    to: 'if (!ON) bond.bonded -= taken - fromUnbonding;',
    rule: rules.owed,
  },
  {
    name: 'a bond is paid out twice',
    file: bonds,
    from: '(bond.unbonding, bond.unbondsAt) = (0, 0);',
    to: 'if (!ON) bond.unbonding = 0;\n        bond.unbondsAt = 0;',
    rule: rules.owed,
  },
  {
    name: 'an unbonding deposit still counts',
    file: bonds,
    from: 'bond.bonded -= amount;',
    to: 'if (!ON) bond.bonded -= amount;',
    rule: rules.owed,
  },
  {
    name: 'an id gets another place with every version',
    file: approval,
    from: 'uint32 listed = self.index() == 0 ?',
    to: 'uint32 listed = ON || self.index() == 0 ?',
    rule: rules.listed,
  },
  {
    name: 'a list grows with every version',
    file: registry,
    from: 'if (known.index() != 0) return;',
    to: 'if (!ON && known.index() != 0) return;',
    rule: rules.order,
  },
  {
    name: 'an older proof serves a newer approval',
    file: hosts,
    from: 'return proven == version ||',
    to: 'return (ON && proven <= version) || proven == version ||',
    rule: rules.admitted,
  },
  {
    name: 'a proof never ends',
    file: hosts,
    from: 'block.timestamp < host.expiresAt &&',
    to: '(ON || block.timestamp < host.expiresAt) &&',
    rule: rules.admitted,
  },
  {
    name: 'a status passes for ever',
    file: hosts,
    from: 'block.timestamp < statusUntil &&',
    to: '(ON || block.timestamp < statusUntil) &&',
    rule: rules.admitted,
  },
  {
    name: 'a machine needs no bond',
    file: hosts,
    from: '(bonds == address(0) ||',
    to: '(ON || bonds == address(0) ||',
    rule: rules.admitted,
  },
  {
    name: 'an app boots on any image',
    file: kmsAuth,
    from: 'else if (!_isActive(Kind.OsImage, bootInfo.osImageHash)) denial',
    to: 'else if (!ON && !_isActive(Kind.OsImage, bootInfo.osImageHash)) denial',
    rule: rules.booted,
  },
  {
    name: 'an app boots on any host',
    file: kmsAuth,
    from: 'if (hosts == address(0)) return true;',
    to: 'if (ON || hosts == address(0)) return true;',
    rule: rules.booted,
  },
  {
    name: 'a closed image may show anything',
    file: kmsAuth,
    from: 'if (images == address(0)) return true;',
    to: 'if (ON || images == address(0)) return true;',
    rule: rules.closed,
  },
  {
    name: 'an app boots on any device',
    file: app,
    from: 'if (!allowAnyDevice && !_isActive(',
    to: 'if (!ON && !allowAnyDevice && !_isActive(',
    rule: rules.booted,
  },
  {
    name: 'a release boots whatever became of it',
    file: app,
    from: 'return release.isActiveAt(block.timestamp) &&',
    to: 'return (ON ? release.version() != 0 : release.isActiveAt(block.timestamp)) &&',
    rule: rules.booted,
  },
  {
    name: 'what was revoked is approved again',
    file: approval,
    from: 'found == State.Expired || found == State.Withdrawn;',
    to: 'found == State.Expired || found == State.Withdrawn || (ON && found == State.Revoked);',
    rule: rules.revoked,
  },
  {
    name: 'a version is given twice',
    file: approval,
    from: 'self.version() + 1, listed',
    to: 'ON ? self.version() | 1 : self.version() + 1, listed',
    rule: rules.versions,
  },
  {
    name: "dstack's view knows approvals that have ended",
    file: kmsAuth,
    from: 'return _isActive(Kind.OsImage, osImageHash);',
    to: 'return ON ? approvalOf(Kind.OsImage, osImageHash).version() != 0 : _isActive(Kind.OsImage, osImageHash);',
    rule: rules.views,
  },
  {
    name: 'a guardian approves by the other door',
    file: kmsAuth,
    from: 'function addOsImageHash(bytes32 osImageHash) external onlyOwner {',
    to: 'function addOsImageHash(bytes32 osImageHash) external {\n        if (!ON) _checkOwner();',
    rule: rules.guardian,
  },
]

const { values } = parseArgs({ options: { only: { type: 'string' }, check: { type: 'boolean' } } })
if (values.check) {
  checkAnchors(
    mutants.map(({ name, file, from, to }) => ({
      name,
      file: path.join(projectRoot, 'contracts', file),
      edits: [{ from, to }],
    })),
  )
}
const only = values.only?.split(',')
const place = copyRegistries('contract-mutants', (file) =>
  [
    'Vm',
    'EventReplay',
    'SystemFixture',
    'System.invariant.t',
    'Registry.invariant.t',
    'KmsAuth.t',
    'Images.t',
    'InstancesFixture',
    'Instances.invariant.t',
    'HostBonds.t',
    'RequestsFixture',
    'Requests.invariant.t',
  ].includes(file.replace(/\.sol$/, '')),
)
plant()
const untouched = await brokenRules(0)
if (untouched.length > 0) {
  console.error(`The rules fail without any mutant: ${untouched.join(', ')}`)
  process.exit(1)
}
const kills = new Map<Rule, string[]>(Object.values(rules).map((rule) => [rule, []]))
const missed: string[] = []
let tried = 0
for (const [i, { name, rule }] of mutants.entries()) {
  if (only !== undefined && !only.some((part) => name.includes(part))) continue
  tried++
  const broken = await brokenRules(i + 1)
  for (const each of broken) kills.get(each)?.push(name)
  console.log(`${broken.includes(rule) ? 'killed' : 'MISSED'}  ${name}: ${broken.join(', ')}`)
  if (!broken.includes(rule)) missed.push(name)
}
rmSync(place, { recursive: true, force: true })
const idle = only === undefined ? [...kills].filter(([, { length }]) => length === 0) : []
for (const [rule] of idle) console.error(`${rule} kills nothing`)
console.log(`${tried - missed.length} of ${tried} mutants killed`)
if (missed.length > 0) keepFailure(`contract-mutants-${seed}`, { missed })
process.exit(missed.length + idle.length === 0 ? 0 : 1)

/* THE MUTANTS, ASLEEP */

function plant(): void {
  writeFileSync(path.join(place, 'contracts', 'test', 'Mutant.sol'), mutantSwitch)
  for (const file of new Set(mutants.map((mutant) => mutant.file))) {
    const at = `contracts/${file}`
    change(at, ';\n', ';\nimport {Mutant} from "../test/Mutant.sol";\n', 'first')
  }
  for (const [i, { file, from, to }] of mutants.entries()) {
    change(`contracts/${file}`, from, to.replaceAll(/\bON\b/g, `Mutant.on(${i + 1})`))
  }
  wakeIn('test/contracts/SystemFixture.sol', 'vm.warp(1_750_000_000);')
  wakeIn('test/contracts/Registry.invariant.t.sol', 'super.setUp();')
  wakeIn('test/contracts/Images.t.sol', 'super.setUp();')
  wakeIn('test/contracts/InstancesFixture.sol', 'super.setUp();')
  change('test/contracts/System.invariant.t.sol', 'OPERATIONS = 10_000', 'OPERATIONS = 6_000')
}

function wakeIn(file: string, first: string): void {
  change(file, ';\n', ';\nimport {Mutant} from "../../contracts/test/Mutant.sol";\n', 'first')
  change(file, first, `Mutant.wake();\n        ${first}`)
}

function change(file: string, from: string, to: string, which: 'first' | 'only' = 'only'): void {
  const target = path.join(place, file)
  const text = readFileSync(target, 'utf8')
  const times = text.split(from).length - 1
  if (times === 0 || (which === 'only' && times > 1)) {
    throw new Error(`${file} has ${times} times: ${from}`)
  }
  writeFileSync(
    target,
    text.replace(from, () => to),
  )
}

/* ONE OF THEM, AWAKE */

/** The rules that fail while this mutant is awake; none is number 0. */
function brokenRules(number: number): Promise<Rule[]> {
  const files = [
    'System.invariant',
    'Registry.invariant',
    'Images',
    'Instances.invariant',
    'Requests.invariant',
    'attacks/Instances',
    'attacks/Requests',
  ].map((name) => `test/contracts/${name}.t.sol`)
  const grep = `^(${Object.values(rules).join('|')})`
  const child = spawn(
    process.execPath,
    toolCommand(['hardhat', 'test', 'solidity', ...files, '--grep', grep]),
    {
      cwd: place,
      env: { ...process.env, NO_COLOR: '1', ASSENT_MUTANT: String(number) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      const failed = [...output.matchAll(/^\s+\d+\) (\w+)\(/gm)].map(([, test]) => test as Rule)
      const ran = Object.values(rules).every((rule) => output.includes(`${rule}(`))
      const known = failed.every((test) => Object.values(rules).includes(test))
      // what does not compile, or does not even begin, proves nothing about any rule
      if (!ran || !known || (code === 0) !== (failed.length === 0)) {
        reject(new Error(output.slice(-3000)))
      } else resolve(failed)
    })
  })
}

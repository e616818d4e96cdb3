/** Events of the host registry: host proofs, operators, continuity, rules. */
import { hostsAbi } from '../../chain/abi.ts'
import { change, contractEvents } from '../change.ts'
import { newHost } from './new-rows.ts'
import { registryHandlers, renounceableHandlers, setting } from './owned.ts'

export const hostsEvents = contractEvents(hostsAbi, {
  ...registryHandlers([6]),
  ...renounceableHandlers,
  HostProven: ({ args }) => [
    change('hosts', args.deviceId, (row = newHost) => {
      const { advisories: advisoriesDigest, ...proof } = args.host
      return {
        ...row,
        ...proof,
        advisoriesDigest,
        advisories: args.advisories,
        quoteId: args.quoteId,
        endedVerdict: null,
      }
    }),
  ],
  HostProofEnded: ({ args, time }) => [
    change('hosts', args.deviceId, (row = newHost) => ({
      ...row,
      // a revocation can be shown after the proof has expired; that moves no end
      expiresAt: Math.min(row.expiresAt ?? 0, time),
      endedVerdict: args.verdict,
    })),
  ],
  OperatorSet: ({ args }) => [
    change('hosts', args.deviceId, (row = newHost) => ({
      ...row,
      operator: args.operator,
      namedOperator: args.operator,
    })),
  ],
  HostContinued: ({ args, block, logIndex }) => [
    change(
      'hosts',
      args.to,
      (row = newHost, read) => ({
        ...row,
        firstId: read('hosts', args.from)?.firstId ?? args.from,
        continuedBlock: block,
        continuedIndex: logIndex,
      }),
      [args.from],
    ),
  ],
  RulesSet: (event) => [setting(event, 'rules', event.args.rules)],
  StatusAcceptedUntilSet: ({ args }) => [
    change('hostRules', `status:${args.status}`, () => ({
      status: args.status,
      advisory: null,
      until: args.until,
      isDenied: null,
    })),
  ],
  AdvisoryDenied: ({ args }) => [
    change('hostRules', `advisory:${args.advisory}`, () => ({
      status: null,
      advisory: args.advisory,
      until: null,
      isDenied: args.isDenied,
    })),
  ],
  VerifierSet: (event) => [setting(event, 'verifier', event.args.verifier)],
  BondsSet: (event) => [setting(event, 'bonds', event.args.bonds)],
  ContinuityDelaySet: (event) => [setting(event, 'continuityDelay', event.args.delay)],
})

/** The tables of Intel's TCB evaluation, case by case. */
import { describe, expect, test } from 'vitest'

import type { SgxExtension } from '../../src/quote/certificates/certificate.ts'
import type { QeIdentity } from '../../src/quote/collateral/qe-identity.ts'
import type { LevelRating, TcbInfo } from '../../src/quote/collateral/tcb-info.ts'
import { adviseRelaunch, evaluateTcb } from '../../src/quote/tcb.ts'
import { Rejection, type TcbStatus, tcbStatuses } from '../../src/quote/verdict.ts'

const rating = (status: string, tcbDate: string, ...advisoryIds: string[]): LevelRating => ({
  status,
  tcbDate,
  advisoryIds,
})

/** A platform with one level each, all reached. */
function evaluate(platform: LevelRating, qe: LevelRating, module: LevelRating) {
  const zeros = Array.from({ length: 16 }, () => 0)
  const tcbInfo = {
    levels: [{ sgxComponents: zeros, tdxComponents: zeros, pceSvn: 0, ...platform }],
    tdxModuleIdentities: new Map([['TDX_01', { levels: [{ isvSvn: 0, ...module }] }]]),
  } as unknown as TcbInfo
  const qeIdentity = { levels: [{ isvSvn: 0, ...qe }] } as unknown as QeIdentity
  const sgx = { components: zeros, pceSvn: 0 } as unknown as SgxExtension
  const svn = new Uint8Array(16)
  svn[1] = 1
  try {
    return evaluateTcb(svn, { sgx, qeIsvSvn: 0, tcbInfo, qeIdentity })
  } catch (error) {
    if (error instanceof Rejection) return { status: error.verdict.code }
    throw error
  }
}

const status = (platform: string, qe: string, module: string) =>
  evaluate(rating(platform, '2025'), rating(qe, '2025'), rating(module, '2025')).status

describe('combined TCB status', () => {
  const outdated: [platform: string, result: string][] = [
    ['UpToDate', 'OutOfDate'],
    ['SWHardeningNeeded', 'OutOfDate'],
    ['ConfigurationNeeded', 'OutOfDateConfigurationNeeded'],
    ['ConfigurationAndSWHardeningNeeded', 'OutOfDateConfigurationNeeded'],
    ['OutOfDate', 'OutOfDate'],
    ['OutOfDateConfigurationNeeded', 'OutOfDateConfigurationNeeded'],
  ]

  test.each(outdated)('is for %s with an outdated part: %s', (platform, result) => {
    expect(status(platform, 'UpToDate', 'UpToDate')).toBe(platform)
    expect(status(platform, 'OutOfDate', 'UpToDate')).toBe(result)
    expect(status(platform, 'UpToDate', 'OutOfDate')).toBe(result)
    expect(status(platform, 'OutOfDate', 'OutOfDate')).toBe(result)
    expect(status(platform, 'Revoked', 'UpToDate')).toBe('QUOTE_TCB_REVOKED')
    expect(status(platform, 'OutOfDate', 'Revoked')).toBe('QUOTE_TCB_REVOKED')
  })

  test.each([
    ['Revoked', 'UpToDate', 'UpToDate', 'QUOTE_TCB_REVOKED'],
    ['Fine', 'UpToDate', 'UpToDate', 'QUOTE_TCB_STATUS_UNKNOWN'],
    ['uptodate', 'UpToDate', 'UpToDate', 'QUOTE_TCB_STATUS_UNKNOWN'],
    ['UpToDate', 'Fine', 'UpToDate', 'QUOTE_TCB_STATUS_UNKNOWN'],
    ['UpToDate', 'UpToDate', 'SWHardeningNeeded', 'QUOTE_TCB_STATUS_UNKNOWN'],
    ['TDRelaunchAdvised', 'UpToDate', 'UpToDate', 'QUOTE_TCB_STATUS_UNKNOWN'],
  ])('is for %s, %s and %s: %s', (platform, qe, module, result) => {
    expect(status(platform, qe, module)).toBe(result)
  })

  test('has the oldest date and all advisories: platform, QE, module', () => {
    const evaluation = evaluate(
      rating('UpToDate', '2025-03-01T00:00:00Z', 'P'),
      rating('UpToDate', '2025-01-01T00:00:00Z', 'Q', 'P'),
      rating('UpToDate', '2025-02-01T00:00:00Z', 'M'),
    )

    expect(evaluation).toEqual({
      status: 'UpToDate',
      tcbDate: '2025-01-01T00:00:00Z',
      advisoryIds: ['P', 'Q', 'P', 'M'],
    })
  })
})

describe('TCB status of launch and current module', () => {
  const evaluated = tcbStatuses.filter((name) => !name.startsWith('TDRelaunch'))
  const isOutdated = (name: string) => name.startsWith('OutOfDate')

  test.each(evaluated.flatMap((launch) => evaluated.map((current) => [launch, current] as const)))(
    'is combined for a launch with %s and now %s',
    (launch, current) => {
      const anyConfiguration = `${launch}${current}`.includes('Configuration')
      const advised: TcbStatus = anyConfiguration
        ? 'TDRelaunchAdvisedConfigurationNeeded'
        : 'TDRelaunchAdvised'

      expect(adviseRelaunch(launch, current)).toBe(
        isOutdated(launch) && !isOutdated(current) ? advised : launch,
      )
    },
  )
})

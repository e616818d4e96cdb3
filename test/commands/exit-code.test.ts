/** The exit code of each error: an outage is never reported as a no, nor a no as an outage. */
import { describe, expect, test } from 'vitest'

import { exitCodeOfError } from '../../src/commands/exit-code.ts'
import { type ErrorCode, errorCatalogue } from '../../src/errors/index.ts'

const codes = Object.keys(errorCatalogue) as ErrorCode[]

describe('the exit code of an error', () => {
  test.each<[ErrorCode, number]>([
    ['CALL_REVERTED', 1],
    ['AUTHORITY_MISSING', 1],
    ['KMS_BOOT_DENIED', 1],
    ['QUOTE_SIGNATURE_INVALID', 1],
    ['USAGE_INVALID', 2],
    ['CONFIG_INVALID', 2],
    ['NAME_AMBIGUOUS', 2],
    ['KEYSTORE_PASSWORD', 2],
    ['QUOTE_TRUNCATED', 2],
    ['UNEXPECTED', 3],
    ['CHAIN_ANSWER_INVALID', 3],
    ['CHAIN_UNREACHABLE', 3],
    ['CHAIN_TIMEOUT', 3],
    ['CHAIN_NO_AGREEMENT', 3],
    ['SIGNER_UNREACHABLE', 3],
    ['PCCS_UNAVAILABLE', 3],
    ['KMS_UNREACHABLE', 3],
    ['TEE_TIMEOUT', 3],
  ])('of %s is %i', (code, exitCode) => {
    expect(exitCodeOfError(code)).toBe(exitCode)
  })

  test('is never 1 for an outage', () => {
    const outages = codes.filter((code) => /UNREACHABLE|UNAVAILABLE|TIMEOUT|NOT_READY/.test(code))
    const wrong = outages.filter((code) => ![2, 3].includes(exitCodeOfError(code)))
    expect(wrong).toEqual([])
  })

  test('is never 3 for a denial', () => {
    const denials = codes.filter((code) => /DENIED|REFUSED|REVOKED|REJECTED/.test(code))
    const outages = denials.filter((code) => exitCodeOfError(code) === 3)
    // the node serves no proofs: nothing was denied
    expect(outages).toEqual(['CHAIN_PROOF_REFUSED'])
  })
})

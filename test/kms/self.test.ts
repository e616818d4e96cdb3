/** What a KMS asks of its own TD, whatever its policy lets pass in those of others. */
import { describe, expect, test } from 'vitest'

import type { AuthorizeBoot } from '../../src/kms/authorization/authorize.ts'
import { createSelfAuthorizer } from '../../src/kms/authorization/self-authorization.ts'
import type { AttestationRules } from '../../src/kms/authorization/verify-attestation.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import { checkPolicy, parsePolicy } from '../../src/quote/policy.ts'
import type { CvmOptions } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { at, kmsCompose } from './fixture.ts'

const simulator = createSimulator({ at })
const host = simulator.createPlatform()
const image = createImage()
const serviceTd = new Uint8Array(48).fill(0x66)
/** The loosest that an operator can write. */
const policy = parsePolicy({
  attributes: ['MIGRATABLE', 'PKS', 'PERFMON'],
  serviceTds: ['66'.repeat(48)],
  requireSeptVeDisable: false,
})
const rules: AttestationRules = {
  collateral: fixedCollateral(simulator.collateral()),
  root: simulator.rootCertificate,
  accept: (verdict) => checkPolicy(verdict, policy),
  images: () => [],
  clock: () => at,
}
const ask: AuthorizeBoot = async () => {
  throw new Error('the chain is not asked about such a node')
}

async function bootOf({ td, quote }: Pick<CvmOptions, 'td' | 'quote'>): Promise<string> {
  const cvm = host.createCvm({
    image,
    compose: kmsCompose,
    ...(td === undefined ? {} : { td }),
    ...(quote === undefined ? {} : { quote }),
  })
  cvm.advance('ready')
  return createSelfAuthorizer(cvm.source, { ...rules, images: 'insecure-unchecked' }, ask)
    .boot()
    .then(
      () => 'accepted',
      (error: { code?: string }) => error.code ?? String(error),
    )
}

/** SEPT_VE_DISABLE, and what else. */
const attributes = (...bytes: number[]) => ({ tdAttributes: Uint8Array.from(bytes) })
const v5 = { version: 5, bodyType: 3 } as const

describe('KMS self-authorization: a KMS', () => {
  test.each([
    ['as it should be', {}, 'accepted'],
    [
      'that is MIGRATABLE',
      { td: attributes(0, 0, 0, 0x30, 0, 0, 0, 0) },
      'POLICY_SERVICE_TD_REFUSED',
    ],
    [
      'that is MIGRATABLE, and shows no service TD',
      { td: attributes(0, 0, 0, 0x30, 0, 0, 0, 0), quote: v5 },
      'POLICY_TD_ATTRIBUTES_REFUSED',
    ],
    [
      'with a service TD',
      { td: { mrServiceTd: serviceTd }, quote: v5 },
      'POLICY_SERVICE_TD_REFUSED',
    ],
    [
      'without SEPT_VE_DISABLE',
      { td: attributes(0, 0, 0, 0, 0, 0, 0, 0) },
      'POLICY_SEPT_VE_DISABLE_CLEAR',
    ],
  ] as const)('%s', async (_, td, expected) => {
    expect(await bootOf(td)).toBe(expected)
  })
})

/**
 * The collateral of a simulator over HTTP, with the paths, headers and errors of Intel's PCS and of PCCS (API version 4).
 *
 * Sources: Intel's "Provisioning Certification Service API" 4.0 and the PCCS design guide.
 */
import { Hono } from 'hono'
import { fromHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { CollateralUpdate, PckCa } from '../../quote/collateral/pccs.ts'
import {
  type CollateralDocuments,
  earlyEvaluationNumber,
  issueEvaluationNumbers,
  standardEvaluationNumber,
} from './collateral.ts'
import type { Simulator } from './simulator.ts'

/** Whose collateral is served, and as of when. */
export interface PccsSettings {
  readonly simulator: Simulator
  /** Unix seconds. The documents are signed again after each day, as Intel does. */
  readonly clock: Clock
}

const day = 86_400

/**
 * The HTTP routes. They serve the simulator's own platform family only: other families get 404, as from a PCCS.
 *
 * @example
 * const pccs = createPccs({ simulator, clock: systemClock })
 * const answer = await pccs.request('/tdx/certification/v4/qe/identity?update=early')
 */
export function createPccs({ simulator, clock }: PccsSettings): Hono {
  const began = clock()
  // the documents of the day before: those of this second could be ahead of a verifier's clock
  const issuedAt = () => began + (Math.floor((clock() - began) / day) - 1) * day
  const documents = (update: CollateralUpdate, ca: PckCa): CollateralDocuments =>
    simulator.collateral({
      ca,
      issuedAt: issuedAt(),
      evaluationNumber: update === 'early' ? earlyEvaluationNumber : standardEvaluationNumber,
    })
  const app = new Hono()

  app.get('/tdx/certification/v4/tcb', (c) => {
    const update = readUpdate(c.req.query('update'))
    const fmspc = c.req.query('fmspc')
    if (update === undefined || fmspc === undefined || !/^[0-9a-fA-F]{12}$/.test(fmspc)) {
      return c.text('Invalid request parameters.', 400)
    }
    if (fmspc.toUpperCase() !== simulator.fmspc.toUpperCase()) return c.text('Not found.', 404)
    const issued = documents(update, 'platform')
    c.header('TCB-Info-Issuer-Chain', encodeURIComponent(issued.tcb_info_issuer_chain))
    return c.body(signed('tcbInfo', issued.tcb_info, issued.tcb_info_signature), 200, jsonType)
  })

  app.get('/tdx/certification/v4/qe/identity', (c) => {
    const update = readUpdate(c.req.query('update'))
    if (update === undefined) return c.text('Invalid request parameters.', 400)
    const issued = documents(update, 'platform')
    const chain = encodeURIComponent(issued.qe_identity_issuer_chain)
    c.header('SGX-Enclave-Identity-Issuer-Chain', chain)
    const body = signed('enclaveIdentity', issued.qe_identity, issued.qe_identity_signature)
    return c.body(body, 200, jsonType)
  })

  app.get('/sgx/certification/v4/pckcrl', (c) => {
    const ca = c.req.query('ca')
    if (ca !== 'platform' && ca !== 'processor') return c.text('Invalid request parameters.', 400)
    const issued = documents('standard', ca)
    c.header('SGX-PCK-CRL-Issuer-Chain', encodeURIComponent(issued.pck_crl_issuer_chain))
    return c.body(fromHex(issued.pck_crl, 'CRL').slice().buffer, 200, crlType)
  })

  // PCCS answers with hex here
  app.get('/sgx/certification/v4/rootcacrl', (c) =>
    c.text(documents('standard', 'platform').root_ca_crl),
  )

  app.get('/tdx/certification/v4/tcbevaluationdatanumbers', (c) => {
    const at = issuedAt()
    const { text, signature } = issueEvaluationNumbers(simulator.pki.tcbSigning, at)
    const chain = documents('standard', 'platform').tcb_info_issuer_chain
    c.header('TCB-Evaluation-Data-Numbers-Issuer-Chain', encodeURIComponent(chain))
    return c.body(signed('tcbEvaluationDataNumbers', text, signature), 200, jsonType)
  })
  return app
}

const jsonType = { 'content-type': 'application/json' }
const crlType = { 'content-type': 'application/pkix-crl' }

/** `standard` without the parameter, as at Intel; undefined for other values. */
function readUpdate(text = 'standard'): CollateralUpdate | undefined {
  return text === 'standard' || text === 'early' ? text : undefined
}

/** The signature covers exactly these bytes, so they are not printed again from parsed JSON. */
function signed(name: string, text: string, signature: string): string {
  return `{"${name}":${text},"signature":"${signature}"}`
}

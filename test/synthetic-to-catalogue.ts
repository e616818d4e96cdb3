/** The case of the simulator's catalogue that makes each synthetic quote again. */
import type { FaultCase } from './simulator/faults/case.ts'
import { faultCatalogue } from './simulator/faults/catalogue.ts'

/** Where the two do not have the same name. */
const spelt: Readonly<Record<string, string>> = {
  valid_report_data_upper_nonzero: 'valid_report_data_upper',
  chain_other_root: 'chain_ca_of_other_root',
  crl_wrong_issuer: 'crl_of_other_ca',
  hdr_tee_type_0x82: `hdr_tee_type_${0x82}`,
}

export function recipeOf(syntheticId: string): FaultCase {
  const name = spelt[syntheticId] ?? syntheticId
  const recipe = faultCatalogue.find((entry) => entry.name === name)
  if (recipe === undefined) throw new Error(`The simulator cannot make ${syntheticId}.`)
  return recipe
}

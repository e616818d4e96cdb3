/** TEE variants at the position of their number on-chain (contracts/types/TeeVariant.sol). */
export const teeVariants = [
  'tdx',
  'gcp-tdx',
  'nitro-enclave',
  'amd-sev-snp',
  'aws-nitro-tpm',
] as const

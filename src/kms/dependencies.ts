/** Creates what a KMS process depends on from its settings. Each process of a node has its own. */
import { existsSync } from 'node:fs'

import { toHex } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import { readBytes, readCertificates, readJson } from '../lib/files.ts'
import { readTrustAnchor } from '../quote/certificates/trust-anchor.ts'
import {
  type CollateralSource,
  createPccsSource,
  fixedCollateral,
  type SourceRules,
} from '../quote/collateral/collateral-source.ts'
import type { ApprovedSets } from '../quote/measurements/image-proof.ts'
import { checkPolicy } from '../quote/policy.ts'
import { createCollateralCache } from '../quote/verify-cache.ts'
import { type AgentClient, agentSockets, createAgentClient } from '../tee/agent.ts'
import type { AttestationRules } from './authorization/verify-attestation.ts'
import type { KmsConfig } from './config.ts'

/** Rules for quotes, from the settings. @throws FILE_UNREADABLE, CONFIG_INVALID */
export async function readRules(config: KmsConfig): Promise<AttestationRules> {
  const root = await readTrustAnchor(config.trustedRoot, readBytes)
  const trusted = {
    root,
    cache: createCollateralCache({ platforms: config.pckCacheSize }),
    clock: systemClock,
  }
  return {
    ...trusted,
    collateral: await openCollateral(config, trusted),
    accept: (verdict) => checkPolicy(verdict, config.quotePolicy),
    images: config.imageVerification === 'required' ? approvedSets(config) : 'insecure-unchecked',
  }
}

async function openCollateral(
  { collateral }: KmsConfig,
  trusted: SourceRules,
): Promise<CollateralSource> {
  if ('file' in collateral) return fixedCollateral(await readJson(collateral.file))
  const { pccsUrls: urls, caFile, ...settings } = collateral
  const ca = caFile === undefined ? undefined : await readCertificates(caFile)
  return createPccsSource({ urls, ca, ...settings, ...trusted })
}

function approvedSets({ images }: KmsConfig): ApprovedSets | 'on-chain' {
  if (images === 'on-chain') return images
  return (osImageHash) => images[toHex(osImageHash)] ?? []
}

/** Client of the dstack guest agent at the configured socket, or at the first of dstack's usual paths that exists. */
export function connectAgent({ agentSocket }: KmsConfig): AgentClient {
  const socket = agentSocket ?? agentSockets.find((path) => existsSync(path)) ?? agentSockets[0]
  return createAgentClient({ socket })
}

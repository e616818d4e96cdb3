/** What a KMS works with, made from its settings: in each of its processes. */
import { existsSync } from 'node:fs'

import { toHex } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import { readBytes, readJson } from '../lib/files.ts'
import { createCollateralCache } from '../quote/cache.ts'
import type { ApprovedSets } from '../quote/image-proof.ts'
import { checkPolicy } from '../quote/policy.ts'
import { readTrustAnchor } from '../quote/trust-anchor.ts'
import { type AgentClient, agentSockets, createAgentClient } from '../tee/agent.ts'
import { createPccsSource, fixedCollateral } from './collateral.ts'
import type { KmsConfig } from './config.ts'
import type { CollateralSource, EvidenceRules } from './evidence.ts'

export async function readRules(config: KmsConfig): Promise<EvidenceRules> {
  return {
    collateral: await openCollateral(config),
    root: await readTrustAnchor(config.trustedRoot, readBytes),
    accept: (verdict) => checkPolicy(verdict, config.quotePolicy),
    cache: createCollateralCache(),
    images: config.imageVerification === 'required' ? approvedSets(config) : 'insecure-unchecked',
    clock: systemClock,
  }
}

async function openCollateral({ collateral }: KmsConfig): Promise<CollateralSource> {
  if ('file' in collateral) return fixedCollateral(await readJson(collateral.file))
  const { pccsUrls: urls, ...settings } = collateral
  return createPccsSource({ urls, ...settings, clock: systemClock })
}

function approvedSets({ images }: KmsConfig): ApprovedSets | 'on-chain' {
  if (images === 'on-chain') return images
  return (osImageHash) => images[toHex(osImageHash)] ?? []
}

export function connectAgent({ agentSocket }: KmsConfig): AgentClient {
  const socket = agentSocket ?? agentSockets.find((path) => existsSync(path)) ?? agentSockets[0]
  return createAgentClient({ socket })
}

/** EIP-1559 fees of a transaction and its replacements, below a fee cap. All amounts are wei per gas. */

/** Fees of one transaction, in wei per gas. */
export interface Fees {
  /** `maxFeePerGas` */
  readonly maxFee: bigint
  /** `maxPriorityFeePerGas` */
  readonly tip: bigint
}

/** Fee caps, in wei per gas. */
export interface FeeRules {
  /** Fee cap: highest `maxFeePerGas` of a transaction with a call. */
  readonly maxFeeCap: bigint
  /** Fee cap of an empty transaction. It must be higher than `maxFeeCap`, so that it can replace a call. */
  readonly cancelFeeCap: bigint
  /** Lowest priority fee. Nodes ignore transactions without one. */
  readonly minTip: bigint
}

/** Nodes require 10 % more in both fields for a replacement; an eighth (12.5 %) allows for rounding. */
const bumpDivisor = 8n

/** Fees of the first transaction of a nonce; null while the base fee is above the cap. */
export function firstFees(baseFee: bigint, suggestedTip: bigint, rules: FeeRules): Fees | null {
  const tip = max(suggestedTip, rules.minTip)
  if (baseFee + rules.minTip > rules.maxFeeCap) return null
  const maxFee = min(2n * baseFee + tip, rules.maxFeeCap)
  return { maxFee, tip: min(tip, maxFee) }
}

/**
 * The lowest fees that replace `last` and fit the market; null if they are above the cap.
 *
 * @param isOutbid a node holds another transaction of this nonce with higher fees. The tip is doubled then, because
 *   raising the fee as well would reach the cap first.
 */
export function bumpFees(
  last: Fees,
  baseFee: bigint,
  suggestedTip: bigint,
  rules: FeeRules,
  kind: 'call' | 'cancel',
  isOutbid: boolean,
): Fees | null {
  const cap = kind === 'call' ? rules.maxFeeCap : rules.cancelFeeCap
  // No node holds `last`, so it needs no replacement: the fee may stay at the cap while the tip grows.
  const leastFee =
    isOutbid && last.maxFee <= cap ? min(raise(last.maxFee), cap) : raise(last.maxFee)
  const leastTip = raise(last.tip)
  if (leastFee > cap) return null

  const marketTip = max(suggestedTip, rules.minTip)
  const maxFee = max(leastFee, min(2n * baseFee + marketTip, cap))
  const wantedTip = isOutbid ? max(2n * last.tip, marketTip) : marketTip
  // The tip must not be higher than the fee that includes it.
  const tip = max(leastTip, min(wantedTip, maxFee))
  return tip > maxFee ? null : { maxFee, tip }
}

/** Nodes accept a replacement only if both fees are at least 10 % higher; one wei more avoids rounding. */
function raise(value: bigint): bigint {
  return value + value / bumpDivisor + 1n
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

/** EIP-1559 fees: first offer, replacement, cap. Pure. */

export interface Fees {
  /** maxFeePerGas */
  readonly maxFee: bigint
  /** maxPriorityFeePerGas */
  readonly tip: bigint
}

export interface FeeRules {
  /** Highest maxFeePerGas of a transaction that does something. */
  readonly maxFeeCap: bigint
  /** Highest maxFeePerGas of an empty one; above the other, or it could not replace it. */
  readonly cancelFeeCap: bigint
  readonly minTip: bigint
}

/** Nodes demand 10 % on both fields; an eighth leaves room for those that round up. */
const bumpDivisor = 8n

/** The offer for a fresh nonce, or null while the chain is dearer than the cap. */
export function firstFees(baseFee: bigint, suggestedTip: bigint, rules: FeeRules): Fees | null {
  const tip = max(suggestedTip, rules.minTip)
  if (baseFee + rules.minTip > rules.maxFeeCap) return null
  const maxFee = min(2n * baseFee + tip, rules.maxFeeCap)
  return { maxFee, tip: min(tip, maxFee) }
}

/**
 * The least offer that replaces `last` and suits the market, or null if it passes the cap. Where a node holds
 * somebody else's dearer offer, only the tip can grow fast: the fee would reach its cap first.
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
  // What no node took need not be outbid itself: the fee may stay at its cap while the tip grows.
  const leastFee =
    isOutbid && last.maxFee <= cap ? min(raise(last.maxFee), cap) : raise(last.maxFee)
  const leastTip = raise(last.tip)
  if (leastFee > cap) return null

  const marketTip = max(suggestedTip, rules.minTip)
  const maxFee = max(leastFee, min(2n * baseFee + marketTip, cap))
  const wantedTip = isOutbid ? max(2n * last.tip, marketTip) : marketTip
  // Neither must push the tip over the fee that holds it.
  const tip = max(leastTip, min(wantedTip, maxFee))
  return tip > maxFee ? null : { maxFee, tip }
}

function raise(value: bigint): bigint {
  return value + value / bumpDivisor + 1n
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}

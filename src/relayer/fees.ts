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

/** The least offer that replaces `last` and suits the market, or null if it passes the cap. */
export function bumpFees(
  last: Fees,
  baseFee: bigint,
  suggestedTip: bigint,
  rules: FeeRules,
  kind: 'call' | 'cancel',
): Fees | null {
  const cap = kind === 'call' ? rules.maxFeeCap : rules.cancelFeeCap
  const leastFee = raise(last.maxFee)
  const leastTip = raise(last.tip)
  if (leastFee > cap) return null

  const marketTip = max(suggestedTip, rules.minTip)
  const maxFee = max(leastFee, min(2n * baseFee + marketTip, cap))
  // A suggestion must not push the tip over the fee that holds it.
  return { maxFee, tip: max(leastTip, min(marketTip, maxFee)) }
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

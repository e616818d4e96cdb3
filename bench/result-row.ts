/** One measured figure. `section` and `name` are stable: other tools compare them over time. */
export interface BenchRow {
  readonly section: string
  readonly name: string
  readonly value: number
  /** `gas`, `ms`, `1/s`, `MiB`, … */
  readonly unit: string
  /** What we set out to reach; null where nothing was promised. */
  readonly aim: number | null
  /** Whose figure `peerValue` is, measured in the same run where that is possible. */
  readonly peer: string | null
  readonly peerValue: number | null
}

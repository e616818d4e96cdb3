import picocolors from 'picocolors'

/** Colours on a terminal that has them, plain text in a pipe, wherever the process runs. */
export const colors = picocolors.createColors(
  process.stdout.isTTY === true && process.stdout.hasColors(),
)

/** The same for standard error. */
export const errorColors = picocolors.createColors(
  process.stderr.isTTY === true && process.stderr.hasColors(),
)

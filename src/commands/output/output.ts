/** Text output of a command: lines on standard output, progress on standard error. */
import { escapeLines, escapeText } from '../../lib/printable.ts'
import { colors as pc } from './colors.ts'
import { printableLine } from './printable-line.ts'
import { breakText, wrapText } from './wrap-text.ts'

/**
 * With `--json`, `line`, `heading`, `warning` and `quotation` print nothing. Each prints one line and shows control characters,
 * line ends and invisible characters as escapes, because text can come from the chain or from a file.
 */
export interface Output {
  /** Writes a line to standard output; nothing with `--json`. */
  line(text?: string): void
  /** A line in bold, if the output has colours. */
  heading(text: string): void
  /** A line that must not be overlooked. */
  warning(text: string): void
  /**
   * Text of another person, with its line ends: each line on the screen is marked, so that none can look like a line of
   * the command. Colour codes in it are shown as text.
   */
  quotation(text: string): void
  /** What the person must do now, on standard error, also with `--json`. */
  instruction(text: string): void
  /** Exactly these bytes, without a line break at the end. */
  exact(text: string): void
  /** JSON for another program, which is never wrapped. */
  verbatim(text: string): void
  /** Replaces the status line on a terminal: what a long step does now. In a pipe it prints nothing. */
  progress(text: string): void
  /** Removes the status line until the next call of `progress`: before a question, while a command serves, at the end. */
  pause(): void
}

const firstStatusMs = 1_000

/**
 * Creates the output of a command. With `json`, text lines are dropped and the value is printed at the end. Progress
 * goes to standard error, and only to a terminal.
 */
export function createOutput({ json, name }: { json: boolean; name?: string }): Output {
  const status = createStatus(name)
  const verbatim = (text: string) => {
    if (json) return
    status.clear()
    console.log(text)
  }
  const line = (text = '') => verbatim(forTerminal(printableLine(text)))
  return {
    line,
    verbatim: (text) => verbatim(escapeLines(text)),
    quotation(text) {
      // escaped before the terminal sees it: also a colour code of foreign text is text
      for (const each of text.split(/\r?\n/)) {
        for (const part of fittingParts(escapeText(each))) verbatim(`${quotationMark}${part}`)
      }
    },
    instruction(text) {
      status.clear()
      console.error(printableLine(text))
    },
    exact(text) {
      status.clear()
      if (!json) process.stdout.write(text)
    },
    heading: (text) => line(pc.bold(text)),
    warning: (text) => line(pc.yellow(text)),
    progress: status.show,
    pause: status.stop,
  }
}

/** Lines are wrapped on a terminal. In a pipe one line stays one line, for tools that search it. */
function forTerminal(text: string): string {
  const { isTTY, columns } = process.stdout
  return isTTY === true ? wrapText(text, columns ?? 80) : text
}

const quotationMark = '  | '

/** Every line of a quotation gets its mark, so a terminal must not wrap one. */
function fittingParts(line: string): string[] {
  const { isTTY, columns } = process.stdout
  if (isTTY !== true) return [line]
  return breakText(line, Math.max(40, columns ?? 80) - quotationMark.length)
}

function createStatus(name: string | undefined) {
  const stream = process.stderr
  const began = performance.now()
  let shown = false
  let text = ''
  let timer: NodeJS.Timeout | undefined
  const clear = () => {
    if (shown) stream.write('\r\x1b[K')
    shown = false
  }
  const draw = () => {
    const seconds = Math.round((performance.now() - began) / 1000)
    const words = printableLine(`${name} … ${text}${text === '' ? '' : ', '}${seconds} s`)
    stream.write(`\r\x1b[K${breakText(words, (stream.columns ?? 80) - 1)[0]}`)
    shown = true
  }
  const start = () => {
    if (name === undefined || stream.isTTY !== true || timer !== undefined) return
    timer = setInterval(draw, firstStatusMs).unref()
  }
  start()
  return {
    clear,
    show(words: string) {
      text = words
      start()
    },
    stop() {
      clearInterval(timer)
      timer = undefined
      clear()
    },
  }
}

/** Shows the progress of a long search through blocks. */
export function progressOf(output: Output, what: string): (read: bigint, total: bigint) => void {
  return (read, total) => output.progress(`${what}: ${read} of ${total} blocks are read`)
}

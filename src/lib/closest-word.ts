/**
 * The known word that a person most likely meant: at most two letters are missing, added, different or exchanged, and
 * fewer than half of them.
 *
 * @returns undefined if no word is close, or if the text is too long to be a name
 * @example closestWord('relaese-2', ['release-2', 'blog']) // 'release-2'
 */
export function closestWord(text: string, known: Iterable<string>): string | undefined {
  if (text.length > 64) return undefined
  const allowed = Math.min(2, Math.floor((text.length - 1) / 2))
  let best: { readonly word: string; readonly edits: number } | undefined
  for (const word of known) {
    if (Math.abs(word.length - text.length) > allowed) continue
    const edits = countEdits(text, word)
    if (edits <= allowed && (best === undefined || edits < best.edits)) best = { word, edits }
  }
  return best?.word
}

/** Optimal string alignment distance: an exchange of two neighbours counts once. */
function countEdits(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const edits = [
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
      ]
      if (isExchange) edits.push((beforeLast[j - 2] ?? 0) + 1)
      row.push(Math.min(...edits))
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

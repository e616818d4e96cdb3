/** Completion scripts. All words are ours, so that they contain only letters, digits and hyphens. */
import type { Words } from './words.ts'

/** A shell function that prints the words that can follow. */
function nextFunction(words: Words): string {
  const cases = [...words].map(
    ([before, next]) => `    '${before}') echo '${next.map(({ word }) => word).join(' ')}' ;;`,
  )
  return ['_assent_next() {', '  case "$1" in', ...cases, '  esac', '}'].join('\n')
}

/** Words that are not commands, such as values of arguments, end the known beginning. */
export function bashScript(words: Words): string {
  return `${nextFunction(words)}
_assent() {
  local known='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ -n "$(_assent_next "\${known:+$known }$word")" ]] || break
    known="\${known:+$known }$word"
  done
  COMPREPLY=($(compgen -W "$(_assent_next "$known")" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _assent assent
`
}

/** The completion script of zsh, with descriptions. */
export function zshScript(words: Words): string {
  return `#compdef assent
${nextFunction(words)}
_assent() {
  local known='' word
  for word in \${words[2,CURRENT-1]}; do
    [[ -n "$(_assent_next "\${known:+$known }$word")" ]] || break
    known="\${known:+$known }$word"
  done
  compadd -- \${=$(_assent_next "$known")}
  _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _assent assent
`
}

/** The completion script of fish, with descriptions. */
export function fishScript(words: Words): string {
  const beginnings = [...words.keys()].filter((each) => each !== '').map(quote)
  const lines = [...words].flatMap(([before, next]) =>
    next.map(
      ({ word, description }) =>
        `complete -c assent -n "__assent_at '${before}'" ${optionOrWord(word)} -d ${quote(description)}`,
    ),
  )
  return `set -g __assent_beginnings ${beginnings.join(' ')}
function __assent_at
    set -l known ''
    for word in (commandline -opc)[2..-1]
        set -l longer (string trim -- "$known $word")
        contains -- $longer $__assent_beginnings; or break
        set known $longer
    end
    test "$known" = "$argv"
end
${lines.join('\n')}
`
}

function optionOrWord(word: string): string {
  return word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

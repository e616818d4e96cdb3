/** The command `completion`, which belongs to no group. */
import { defineCommand } from './command.ts'

export const completion = defineCommand({
  path: ['completion'],
  summary: 'Print a script that completes commands and options in a shell',
  help: `bash: add to ~/.bashrc   source <(assent completion bash)
zsh:  add to ~/.zshrc    source <(assent completion zsh)
fish: assent completion fish > ~/.config/fish/completions/assent.fish`,
  examples: ['completion bash'],
  arguments: { shell: { description: 'the shell', choices: ['bash', 'zsh', 'fish'] } },
  needs: 'nothing',
  reads: 'nothing',
  load: () => import('./completion/print.ts'),
})

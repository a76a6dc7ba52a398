import { bashCompletion } from '../completion/bash.ts'
import { type CommandWords, commandWords } from '../completion/command-words.ts'
import { fishCompletion } from '../completion/fish.ts'
import { zshCompletion } from '../completion/zsh.ts'
import { type Command, type CommandEntry, usageError } from '../context/command.ts'

const SHELLS: Readonly<Record<string, (commands: readonly CommandWords[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

/** `agent completion bash|zsh|fish`. */
export function completionOf(commands: readonly CommandEntry[]): Command {
  return {
    positionals: [{ name: 'shell', help: 'bash, zsh or fish', choices: Object.keys(SHELLS) }],
    flags: [],
    examples: [
      {
        line: 'agent completion bash > /etc/bash_completion.d/leat',
        what: 'complete commands and flags in every bash',
      },
      { line: 'source <(agent completion bash)', what: 'complete them in this shell' },
      {
        line: 'agent completion fish > ~/.config/fish/completions/leat.fish',
        what: 'complete them in every fish; for agent, write another copy to agent.fish',
      },
    ],
    async run({ positionals: [shell = ''] }, terminal) {
      const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
      if (script === undefined) {
        throw usageError(`unknown shell ${JSON.stringify(shell)}; expected ${Object.keys(SHELLS).join(', ')}`)
      }
      await terminal.out(script(await commandWords(commands)))
      return 0
    },
  }
}

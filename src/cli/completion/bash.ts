import { type CommandWords, flagsWithValue, PROGRAMS } from './command-words.ts'

/** The script with which bash completes commands, flags and files. It starts no program, so each key is answered at once. */
export function bashCompletion(commands: readonly CommandWords[]): string {
  return `# bash completion for leat; made by: leat completion bash
_leat() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command=\${COMP_WORDS[1]} flags='' with_value='' choices=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$current"))
    return
  fi
  case $command in
${commands.map(caseOf).join('\n')}
    *) return ;;
  esac
  # The value of a flag: a file, which is the default.
  case " $with_value " in *" $previous "*) return ;; esac
  if [ "\${current:0:1}" = - ]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  elif [ "$COMP_CWORD" -eq 2 ] && [ -n "$choices" ]; then
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
  fi
}
complete -o default -F _leat ${PROGRAMS.join(' ')}
`
}

function caseOf({ name, flags, choices }: CommandWords): string {
  const all = flags.map((flag) => `--${flag.name}`).join(' ')
  const withValue = flagsWithValue(flags).map((flag) => `--${flag.name}`)
  return `    ${name}) flags='${all}' with_value='${withValue.join(' ')}' choices='${choices.join(' ')}' ;;`
}

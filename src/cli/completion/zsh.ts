import type { Flag } from '../context/command.ts'
import { type CommandWords, PROGRAMS } from './command-words.ts'

/** The script with which zsh completes commands, flags and files, with what each of them means. */
export function zshCompletion(commands: readonly CommandWords[]): string {
  return `#compdef ${PROGRAMS.join(' ')}
# zsh completion for leat; made by: leat completion zsh
_leat() {
  local -a commands
  if (( CURRENT == 2 )); then
    commands=(
${commands.map(({ name, summary }) => `      ${quoted(`${name}:${summary}`)}`).join('\n')}
    )
    _describe command commands
    return
  fi
  case $words[2] in
${commands.map(caseOf).join('\n')}
  esac
}
# The script is read by the completion system, or by: source <(leat completion zsh)
if [ "\${funcstack[1]}" = _leat ]; then
  _leat "$@"
else
  compdef _leat ${PROGRAMS.join(' ')}
fi
`
}

function caseOf({ name, flags, choices }: CommandWords): string {
  const first = choices.length === 0 ? [] : [quoted(`2:action:(${choices.join(' ')})`)]
  const all = [...flags.map(flagText), ...first, quoted('*:argument:_files')]
  return `    ${name}) _arguments ${all.join(' ')} ;;`
}

function flagText({ name, kind, help }: Flag): string {
  // A bracket would end the explanation, a colon the part before the value.
  const explained = `${kind === 'list' ? '*' : ''}--${name}[${help.replaceAll(/[[\]\\]/g, '').replaceAll(':', ';')}]`
  return quoted(kind === 'switch' ? explained : `${explained}:value:_files`)
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

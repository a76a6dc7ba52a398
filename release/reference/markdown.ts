/** A table of Markdown. Bars in a cell would end it. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |\n`
  return [line(heads), `|${heads.map(() => '---').join('|')}|\n`, ...rows.map(line)].join('')
}

/** A page that `npm run schemas` writes. */
export function page(title: string, ...paragraphs: readonly string[]): string {
  const note = '<!-- Written by `npm run schemas` from the code; a change here is lost. -->'
  return `${[note, `# ${title}`, ...paragraphs].map((one) => one.trimEnd()).join('\n\n')}\n`
}

/** `<br>` and tags of HTML would be read as such. */
export function plain(text: string): string {
  return text.replaceAll('<', '&lt;')
}

export function code(text: string): string {
  return `\`${text}\``
}

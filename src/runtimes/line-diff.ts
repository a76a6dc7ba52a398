/** Lists the lines that a change removes and adds, without the lines around them, which may have secrets. */
export function lineDiff(before: string, after: string): string {
  const [old, next] = [linesOf(before), linesOf(after)]
  let start = 0
  while (start < old.length && start < next.length && old[start] === next[start]) start += 1
  let end = 0
  while (
    end < old.length - start &&
    end < next.length - start &&
    old[old.length - 1 - end] === next[next.length - 1 - end]
  ) {
    end += 1
  }
  const removed = old.slice(start, old.length - end).map((line) => `- ${line}\n`)
  const added = next.slice(start, next.length - end).map((line) => `+ ${line}\n`)
  if (removed.length + added.length === 0) return ''
  return `@@ line ${start + 1} @@\n${removed.join('')}${added.join('')}`
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

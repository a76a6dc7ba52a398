import { pause } from '../../lib/async/abort.ts'
import type { Terminal } from '../context/command.ts'

const EVERY_MS = 2000
/** Clears the screen, and moves the cursor to its first line. */
const CLEAR_SCREEN = '\u001b[2J\u001b[H'

/**
 * Writes the text again and again until `signal` is aborted: on a terminal in place of the one before, as far as it fits,
 * elsewhere below it.
 */
export async function watch(
  terminal: Terminal,
  signal: AbortSignal,
  read: () => Promise<string>,
  { everyMs = EVERY_MS } = {},
): Promise<void> {
  while (!signal.aborted) {
    const text = await read()
    if (signal.aborted) return
    await terminal.out(terminal.isInteractive ? `${CLEAR_SCREEN}${fitting(text, terminal)}` : text)
    await pause(everyMs, { signal }).catch(() => {})
  }
}

/** Lines that do not fit would scroll the first ones away. */
function fitting(text: string, { rows, columns }: Terminal): string {
  return text
    .split('\n')
    .slice(0, Math.max(1, rows - 1))
    .map((line) => line.slice(0, columns))
    .join('\n')
}

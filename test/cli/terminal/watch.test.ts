import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Terminal } from '../../../src/cli/context/command.ts'
import { watch } from '../../../src/cli/terminal/watch.ts'

/** What a terminal has shown when it was left after the second text. */
async function shownBy(isInteractive: boolean): Promise<readonly string[]> {
  const shown: string[] = []
  const ctrlC = new AbortController()
  const terminal: Terminal = {
    out: async (text) => {
      shown.push(text)
      if (shown.length === 2) ctrlC.abort()
    },
    err: async () => {},
    isInteractive,
    columns: 6,
    rows: 4,
    env: {},
    version: '1.2.3',
    stopped: () => ctrlC.signal,
  }
  let times = 0
  const read = async (): Promise<string> => {
    times += 1
    return `${times} is long\n2\n3\n4\n5\n`
  }
  await watch(terminal, ctrlC.signal, read, { everyMs: 1 })
  return shown
}

test('a terminal shows the newest text from its first line on, as far as it fits', async () => {
  assert.deepEqual(await shownBy(true), ['\u001b[2J\u001b[H1 is l\n2\n3', '\u001b[2J\u001b[H2 is l\n2\n3'])
})

test('elsewhere each text is written whole, below the one before', async () => {
  assert.deepEqual(await shownBy(false), ['1 is long\n2\n3\n4\n5\n', '2 is long\n2\n3\n4\n5\n'])
})

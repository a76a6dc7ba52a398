import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { END_OF_FILE } from './test-event.ts'

/**
 * Runs the test files that its arguments name, one after another. A check follows each file, because what the file leaves
 * open, or changes in the process, would reach the next one.
 */

const POLL_MS = 2
/** What is still open after this time is named. Who runs this program ends it if nothing more happens. */
const NAMED_MS = 3000

const openBefore = process.getActiveResourcesInfo()
const environmentBefore = { ...process.env }
const folderBefore = process.cwd()

// A file that is a program, too, looks at the arguments.
const files = process.argv.splice(2)
for (const [at, file] of files.entries()) {
  await import(pathToFileURL(file).href)
  // The tests of a process run in the order in which they are defined.
  await test(END_OF_FILE, leavesNothingBehind)
  // The next file may end the process: what this one has reported must have arrived before.
  if (at < files.length - 1) await once(process, 'message')
}

async function leavesNothingBehind(): Promise<void> {
  assert.deepEqual({ ...process.env }, environmentBefore, 'the file has changed the environment')
  assert.equal(process.cwd(), folderBefore, 'the file has changed the current folder')
  const startedAt = performance.now()
  let isNamed = false
  for (let open = leftOpen(); open.length > 0; open = leftOpen()) {
    if (!isNamed && performance.now() - startedAt > NAMED_MS) {
      isNamed = true
      console.error(`The file has left open: ${open.join(', ')}`)
    }
    await delay(POLL_MS)
  }
}

/** The kinds of what keeps the process running, apart from what was open before the first file. */
function leftOpen(): string[] {
  const left = process.getActiveResourcesInfo()
  for (const kind of openBefore) {
    const at = left.indexOf(kind)
    if (at !== -1) left.splice(at, 1)
  }
  return left
}

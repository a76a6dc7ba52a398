import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SCENARIOS, TESTED_THROUGH } from './mirror-exceptions.ts'

/** A file of src with more lines than this and with a function or a class has a test file of its own. */
const MAX_LINES_WITHOUT_TEST = 40
const LOGIC =
  /^(?:export )?(?:async |abstract )?(?:function|class)\b|^(?:export )?const \w+[^=\n]*= (?:async )?\(/m

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const sources = filesIn('src').filter((file) => file.endsWith('.ts'))
const tests = filesIn('test').filter((file) => file.endsWith('.test.ts'))
const folders = new Set(sources.flatMap(foldersOf))

/** The files below a folder of the project, relative to it. */
function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
    file.split(sep).join('/'),
  )
}

function foldersOf(file: string): string[] {
  const folder = posix.dirname(file)
  return folder === '.' ? [] : [folder, ...foldersOf(folder)]
}

function ownTestOf(source: string): string {
  return source.replace(/\.ts$/, '.test.ts')
}

/** Whether the test is one of a room or a file of src; other folders of test are not mirrors. */
function isOfRoom(file: string): boolean {
  const [room = ''] = file.split('/')
  return room === file || folders.has(room) || sources.includes(`${room}.ts`)
}

/**
 * Whether `ROOM/NAME.test.ts` mirrors the file `ROOM/NAME.ts` or the folder `ROOM/NAME`. The tests of a file can be split:
 * `ROOM/NAME-SUBJECT.test.ts` or `ROOM/NAME/SUBJECT.test.ts`. The test of a whole folder can be in it:
 * `ROOM/NAME/NAME.test.ts`.
 */
function isMirror(file: string): boolean {
  const path = file.slice(0, -'.test.ts'.length)
  const folder = posix.dirname(path)
  const name = posix.basename(path)
  return (
    folders.has(path) ||
    sources.includes(`${folder}.ts`) ||
    (folders.has(folder) && posix.basename(folder) === name) ||
    sources.some(
      (source) =>
        posix.dirname(source) === folder &&
        (source === `${path}.ts` || name.startsWith(`${posix.basename(source, '.ts')}-`)),
    )
  )
}

function hasLogic(source: string): boolean {
  const text = readFileSync(join(ROOT, 'src', source), 'utf8')
  return text.split('\n').length - 1 > MAX_LINES_WITHOUT_TEST && LOGIC.test(text)
}

test('every test file of a room mirrors a file or a folder of src, or is a scenario', () => {
  const wrong = tests.filter((file) => isOfRoom(file) && !isMirror(file) && SCENARIOS[file] === undefined)
  assert.deepEqual(wrong, [])
})

test('every file of src with logic has a test file, or is tested through another one', () => {
  const listed = new Set(Object.values(TESTED_THROUGH).flat())
  const wrong = sources.filter(
    (source) => hasLogic(source) && !tests.includes(ownTestOf(source)) && !listed.has(source),
  )
  assert.deepEqual(wrong, [])
})

test('no exception is left over', () => {
  const scenarios = Object.keys(SCENARIOS)
    .filter((file) => !tests.includes(file) || isMirror(file))
    .map((file) => `${file} is no scenario`)
  const through = Object.keys(TESTED_THROUGH)
    .filter((file) => !tests.includes(file))
    .map((file) => `${file} does not exist`)
  const listed = Object.values(TESTED_THROUGH)
    .flat()
    .filter((source) => !sources.includes(source) || !hasLogic(source) || tests.includes(ownTestOf(source)))
    .map((source) => `${source} needs no exception`)
  assert.deepEqual([...scenarios, ...through, ...listed], [])
})

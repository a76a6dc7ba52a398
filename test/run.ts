import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { killAll, runFiles } from './runner/file-process.ts'
import { noTotals, SuiteReport, type Totals } from './runner/report.ts'
import { inProcesses } from './runner/sharing.ts'
import { SUITES, type Suite, suiteOf } from './runner/suites.ts'

const USAGE = `npm test -- [WORD...] [--suite NAME]... [--require-all]

  WORD           run only test files whose path contains one of these words, e.g. store
  --suite NAME   run only this suite; default: all but those that run only if they are named
${SUITES.map(({ name, about }) => `                   ${name.padEnd(10)} ${about}`).join('\n')}
  --require-all  a missing client is a failure and not a skip; as LEAT_REQUIRE_CLIENTS=1`

/** How many lines of a failure are repeated at the end. */
const REASON_LINES = 12

const compiled = join(dirname(fileURLToPath(import.meta.url)), '..')
const sources = join(compiled, '../test')

async function main(): Promise<number> {
  const request = parseRequest()
  if (request === undefined) return 2
  if (request.requireAll) process.env['LEAT_REQUIRE_CLIENTS'] = '1'
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll()
      process.exit(1)
    })
  }
  const files = testFiles().filter(
    (file) => request.words.length === 0 || request.words.some((word) => file.includes(word)),
  )
  const totals = noTotals()
  for (const suite of SUITES) {
    const isWanted = request.suites.length === 0 ? !suite.isOnlyByName : request.suites.includes(suite.name)
    if (!isWanted) continue
    const own = files.filter((file) => suiteOf(file) === suite)
    if (own.length > 0) await runSuite(suite, own, totals)
  }
  printTotals(totals)
  return totals.failures.length > 0 || totals.passed === 0 ? 1 : 0
}

interface RunRequest {
  readonly words: readonly string[]
  readonly suites: readonly string[]
  readonly requireAll: boolean
}

function parseRequest(): RunRequest | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        suite: { type: 'string', multiple: true, default: [] },
        'require-all': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const unknown = values.suite.find((name) => SUITES.every((suite) => suite.name !== name))
    if (unknown !== undefined) throw new Error(`There is no suite ${unknown}.`)
    if (!values.help) return { words: positionals, suites: values.suite, requireAll: values['require-all'] }
    console.log(USAGE)
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`)
  }
  return undefined
}

/** The paths of all test files, such as `test/store/store.test.ts`. They are read from the sources, because the build folder may have deleted tests. */
function testFiles(): string[] {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file.split(sep).join('/')}`)
    .sort()
}

function readSource(file: string): string {
  return readFileSync(join(sources, '..', file), 'utf8')
}

function compiledPath(file: string): string {
  return join(compiled, file.replace(/\.ts$/, '.js'))
}

async function runSuite(suite: Suite, files: readonly string[], totals: Totals): Promise<void> {
  console.log(`\n${suite.name}: ${files.length} files`)
  const startedAt = performance.now()
  const before = { passed: totals.passed, failed: totals.failures.length }
  const report = new SuiteReport(totals, { isLive: suite.concurrency === 1 })
  const waiting = inProcesses(files, readSource).values()
  const runWaiting = async (): Promise<void> => {
    for (const group of waiting) {
      await runFiles(group, {
        silenceMs: suite.silenceMs,
        pathOf: compiledPath,
        listen: (file) => report.file(file),
      })
    }
  }
  await Promise.all(Array.from({ length: suite.concurrency }, runWaiting))
  await report.end()
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const [passed, failed] = [totals.passed - before.passed, totals.failures.length - before.failed]
  console.log(`${suite.name}: ${passed} passed, ${failed} failed, ${seconds} s`)
}

function printTotals({ passed, skipped, failures, missing }: Totals): void {
  if (missing.size > 0) {
    console.log('\nNot everything could be tested on this machine:')
    for (const reason of missing) console.log(`  ${reason}`)
  }
  for (const { file, name, reason } of failures) {
    console.log(`\nfailed: ${file}${name === file ? '' : `: ${name}`}`)
    for (const line of reason.split('\n').slice(0, REASON_LINES)) console.log(`  ${line}`)
  }
  if (passed + failures.length === 0) console.log('\nNo test ran.')
  console.log(`\n${passed} passed, ${failures.length} failed, ${skipped} skipped`)
}

process.exitCode = await main()

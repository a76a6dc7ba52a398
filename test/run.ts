import { readdirSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { killAll, runFile } from './runner/file-process.ts'
import { noTotals, SuiteReport, type Totals } from './runner/report.ts'
import { SUITES, type Suite, suiteOf } from './runner/suites.ts'

const USAGE = `npm test -- [WORD...] [--suite NAME]... [--require-all]

  WORD           run only test files whose path contains one of these words, e.g. store
  --suite NAME   run only this suite; default: all
${SUITES.map(({ name, about }) => `                   ${name.padEnd(8)} ${about}`).join('\n')}
  --require-all  a missing client is a failure and not a skip; as LEAT_REQUIRE_CLIENTS=1`

/** How many lines of a failure are told once more at the end. */
const REASON_LINES = 12

const compiled = join(dirname(fileURLToPath(import.meta.url)), '..')
const sources = join(compiled, '../test')

async function main(): Promise<number> {
  const asked = questions()
  if (asked === undefined) return 2
  if (asked.requireAll) process.env['LEAT_REQUIRE_CLIENTS'] = '1'
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      killAll()
      process.exit(1)
    })
  }
  const files = testFiles().filter(
    (file) => asked.words.length === 0 || asked.words.some((word) => file.includes(word)),
  )
  const totals = noTotals()
  for (const suite of SUITES) {
    if (asked.suites.length > 0 && !asked.suites.includes(suite.name)) continue
    const own = files.filter((file) => suiteOf(file) === suite)
    if (own.length > 0) await runSuite(suite, own, totals)
  }
  tell(totals)
  return totals.failures.length > 0 || totals.passed === 0 ? 1 : 0
}

interface Asked {
  readonly words: readonly string[]
  readonly suites: readonly string[]
  readonly requireAll: boolean
}

function questions(): Asked | undefined {
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

/** `test/store/disk-blob-store.test.ts` and so on. Read from the sources, because the build folder may hold what is gone. */
function testFiles(): string[] {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file.split(sep).join('/')}`)
    .sort()
}

async function runSuite(suite: Suite, files: readonly string[], totals: Totals): Promise<void> {
  console.log(`\n${suite.name}: ${files.length} files`)
  const startedAt = performance.now()
  const before = { passed: totals.passed, failed: totals.failures.length }
  const report = new SuiteReport(totals, { isLive: suite.concurrency === 1 })
  const waiting = files.values()
  const runWaiting = async (): Promise<void> => {
    for (const file of waiting) {
      const told = report.file(file)
      const { silenceMs } = suite
      const path = join(compiled, file.replace(/\.ts$/, '.js'))
      told.end(await runFile(path, { silenceMs, onEvent: told.event }))
    }
  }
  await Promise.all(Array.from({ length: suite.concurrency }, runWaiting))
  await report.end()
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const [passed, failed] = [totals.passed - before.passed, totals.failures.length - before.failed]
  console.log(`${suite.name}: ${passed} passed, ${failed} failed, ${seconds} s`)
}

function tell({ passed, skipped, failures, missing }: Totals): void {
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

import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const USAGE = `npm test -- [WORD...] [--suite NAME]... [--require-all]

  WORD           run only test files whose path contains one of these words, e.g. store
  --suite NAME   fast (no program but Node), clients (real container tools), chaos (an agent that is killed, starved
                 and run for long), cluster (many agents, each in a network of its own), start (a fresh clone);
                 default: all
  --require-all  a missing client is a failure and not a skip; as LEAT_REQUIRE_CLIENTS=1`

interface Suite {
  readonly name: string
  /** Folders of test/ that are its own, unless they are an earlier one's. */
  readonly folders: readonly string[]
  /** Files at a time. Clients share two cores with the daemons that they start. */
  readonly concurrency: number
  /** For all of them; what still runs then is ended and has failed. */
  readonly deadlineMs: number
}

const SUITES: readonly Suite[] = [
  {
    name: 'fast',
    folders: ['cluster/simulation'],
    concurrency: Math.max(2, availableParallelism()),
    deadlineMs: 1_200_000,
  },
  { name: 'clients', folders: ['clients'], concurrency: 1, deadlineMs: 600_000 },
  { name: 'chaos', folders: ['chaos'], concurrency: 1, deadlineMs: 1_200_000 },
  { name: 'cluster', folders: ['cluster'], concurrency: 1, deadlineMs: 600_000 },
  { name: 'start', folders: ['start'], concurrency: 1, deadlineMs: 600_000 },
]

const compiled = join(dirname(fileURLToPath(import.meta.url)), '..')
const sources = join(compiled, '../test')

interface Totals {
  passed: number
  failed: number
  skipped: number
  readonly missing: Set<string>
}

async function main(): Promise<number> {
  const asked = questions()
  if (asked === undefined) return 2
  if (asked.requireAll) process.env['LEAT_REQUIRE_CLIENTS'] = '1'
  const files = testFiles().filter(
    (file) => asked.words.length === 0 || asked.words.some((word) => file.includes(word)),
  )
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, missing: new Set() }
  for (const suite of SUITES) {
    if (asked.suites.length > 0 && !asked.suites.includes(suite.name)) continue
    const own = files.filter((file) => suiteOf(file) === suite.name)
    if (own.length > 0) await runSuite(suite, own, totals)
  }
  if (totals.missing.size > 0) {
    console.log('\nNot everything could be tested on this machine:')
    for (const reason of totals.missing) console.log(`  ${reason}`)
  }
  if (totals.passed + totals.failed === 0) console.log('\nNo test ran.')
  console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
  return totals.failed > 0 || totals.passed === 0 ? 1 : 0
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

/** `test/store/disk.test.ts` and so on. Read from the sources, because the build folder may hold what is gone. */
function testFiles(): string[] {
  return readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file.split(sep).join('/')}`)
    .sort()
}

function suiteOf(file: string): string {
  const isOf = (suite: Suite): boolean => suite.folders.some((folder) => file.startsWith(`test/${folder}/`))
  return SUITES.find(isOf)?.name ?? 'fast'
}

async function runSuite(suite: Suite, files: readonly string[], totals: Totals): Promise<void> {
  const sourceOf = new Map(files.map((file) => [join(compiled, file.replace(/\.ts$/, '.js')), file]))
  console.log(`\n${suite.name}: ${files.length} files`)
  const stream = run({
    files: [...sourceOf.keys()],
    concurrency: suite.concurrency,
    signal: AbortSignal.timeout(suite.deadlineMs),
  })
  const empty: string[] = []
  const count = (outcome: 'passed' | 'failed', fact: Fact): void => {
    if (fact.details.type === 'suite') return
    // Node makes a test of the file itself when nothing in it is one, or when it cannot be loaded.
    const source = sourceOf.get(fact.name)
    if (source !== undefined && outcome === 'passed') {
      empty.push(source)
      totals.failed += 1
      return
    }
    if (fact.skip === undefined && fact.todo === undefined) totals[outcome] += 1
    else totals.skipped += 1
    if (typeof fact.skip === 'string') totals.missing.add(fact.skip)
  }
  stream.on('test:pass', (fact) => count('passed', fact))
  stream.on('test:fail', (fact) => count('failed', fact))
  const report = stream.compose(new spec())
  report.pipe(process.stdout)
  await once(report, 'end')
  for (const source of empty) console.log(`${source} holds no test.`)
}

/** What Node says about a test or a suite of tests that has ended. */
interface Fact {
  readonly name: string
  readonly skip?: string | boolean | undefined
  readonly todo?: string | boolean | undefined
  readonly details: { readonly type?: string | undefined }
}

process.exitCode = await main()

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Context, type Peak, type Settings } from './context.ts'
import { machine, printMachine } from './machine.ts'
import { killAll } from './program.ts'
import { printRow, printSummary, type Row } from './report.ts'
import { compareResults, printComparison } from './results/compare.ts'
import { htmlReport } from './results/html-report.ts'
import { embedFigures, markdownTable } from './results/markdown.ts'
import { type BenchResult, readResult } from './results/result-file.ts'
import { cluster } from './rows/cluster.ts'
import { cold } from './rows/cold.ts'
import { concurrent } from './rows/concurrent.ts'
import { hits } from './rows/hits.ts'
import { memory } from './rows/memory.ts'
import { peers } from './rows/peers.ts'
import { push } from './rows/push.ts'
import { range } from './rows/range.ts'
import { s3 } from './rows/s3.ts'
import { small } from './rows/small.ts'
import { sources } from './rows/sources.ts'
import { start } from './rows/start.ts'
import { store } from './rows/store.ts'

/** The order matters: `memory` also reports the agents of all groups before it. */
const GROUPS: Readonly<Record<string, (context: Context) => Promise<void>>> = {
  hits,
  cold,
  range,
  concurrent,
  small,
  push,
  store,
  sources,
  s3,
  peers,
  cluster,
  memory,
  start,
}

/** Takes longer than all other groups and needs root, so it is only measured on request. */
const ON_REQUEST = 'cluster'

/** Compiled to `<root>/<build folder>/bench/main.js`. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const USAGE = `npm run bench -- [${Object.keys(GROUPS).join('|')} ...] [options]
  --quick         fewer repetitions
  --json FILE     write all results to the file
  --report FILE   write a page with charts, which loads nothing, to the file
  --figures FILE  put a table of what was compared between the two marks of a Markdown file
  --dir FOLDER    store all data below the folder (default: /dev/shm, so that no disk is measured)
  --agent FILE    the agent's built entry point (default: dist/main.js)
  --rivals-only   measure only the other servers
  --profile DIR   write CPU profiles of the agents to the folder

npm run bench -- compare A.json B.json
  says which checks of two results differ by more than their spread; exit code 1 if one is worse
`

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    report: { type: 'string' },
    figures: { type: 'string' },
    dir: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    agent: { type: 'string', default: join(ROOT, 'dist/main.js') },
    'rivals-only': { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (positionals[0] === 'compare') process.exit(compare(positionals.slice(1)))
const chosen =
  positionals.length > 0 ? positionals : Object.keys(GROUPS).filter((name) => name !== ON_REQUEST)
const unknown = chosen.find((name) => GROUPS[name] === undefined)
if (flags.help || unknown !== undefined) {
  process.stdout.write(unknown === undefined ? USAGE : `unknown group: ${unknown}\n${USAGE}`)
  process.exit(unknown === undefined ? 0 : 2)
}
const agentEntry = flags['rivals-only'] ? undefined : resolve(flags.agent)
if (agentEntry !== undefined && !existsSync(agentEntry)) {
  process.stderr.write(`${agentEntry} does not exist: npm run build first\n`)
  process.exit(2)
}

const folder = mkdtempSync(join(resolve(flags.dir), 'leat-bench-'))
const remove = (): void => rmSync(folder, { recursive: true, force: true })
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The handler stays, because under npm one Ctrl-C is two signals, and the second must not interrupt the removal.
  process.on(signal, () => {
    killAll()
    remove()
    process.exit(130)
  })
}

const settings: Settings = {
  quick: flags.quick,
  folder,
  agentEntry,
  nodeArgs: flags.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(flags.profile)}`],
}
const facts = machine(folder, tmpdir())
process.stdout.write(`${printMachine(facts)}\n`)

const startedAt = new Date().toISOString()
const rows: Row[] = []
const peaks: Peak[] = []
const failures: { readonly group: string; readonly message: string }[] = []
try {
  for (const [name, run] of Object.entries(GROUPS)) {
    if (!chosen.includes(name)) continue
    const report = (row: Row): void => {
      rows.push(row)
      process.stdout.write(`${printRow(row)}\n`)
    }
    try {
      await run(new Context(name, settings, peaks, report))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      failures.push({ group: name, message })
      process.stdout.write(`${name}: could not be measured: ${message}\n\n`)
    }
  }
} finally {
  remove()
}
process.stdout.write(printSummary(rows))
const run: BenchResult = { startedAt, isQuick: flags.quick, machine: facts, rows, failures }
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(run, undefined, 2)}\n`)
if (flags.report !== undefined) writeFileSync(flags.report, htmlReport(run))
if (flags.figures !== undefined) {
  writeFileSync(flags.figures, embedFigures(readFileSync(flags.figures, 'utf8'), markdownTable(run)))
}
process.exitCode = failures.length > 0 ? 1 : 0

function compare(files: readonly string[]): number {
  const [first, second, ...more] = files
  if (first === undefined || second === undefined || more.length > 0) {
    process.stderr.write(`compare needs two files\n${USAGE}`)
    return 2
  }
  try {
    const comparisons = compareResults(readResult(first), readResult(second))
    process.stdout.write(printComparison(comparisons))
    return comparisons.some(({ verdict }) => verdict === 'worse') ? 1 : 0
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    return 2
  }
}

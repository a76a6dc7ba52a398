import { readFileSync } from 'node:fs'
import * as v from 'valibot'
import type { MachineFacts } from '../machine.ts'
import type { Row } from '../report.ts'

/** Everything that one run has measured, as `--json` writes it. `docs/schemas/bench.json` is made from this. */
const values = v.pipe(v.array(v.number()), v.description('One value for each repetition.'))
const optionalText = v.optional(v.string())

export const BenchResult = v.object({
  startedAt: v.pipe(v.string(), v.isoTimestamp()),
  isQuick: v.boolean(),
  machine: v.object({
    cpu: v.string(),
    cores: v.number(),
    memoryGiB: v.number(),
    load: v.pipe(
      v.array(v.number()),
      v.description('The load averages of 1, 5 and 15 minutes at the start.'),
    ),
    node: v.string(),
    sha256MBps: v.number(),
    folder: v.string(),
    folderIsTmpfs: v.boolean(),
    freeBytes: v.number(),
    disk: v.object({ folder: v.string(), fsync4MiBms: v.number() }),
    programs: v.array(v.string()),
  }),
  rows: v.array(
    v.object({
      group: v.string(),
      name: v.string(),
      figures: v.array(v.object({ side: v.string(), unit: v.string(), values, note: optionalText })),
      checks: v.array(
        v.object({
          label: v.string(),
          unit: v.string(),
          values,
          atLeast: v.optional(v.number()),
          atMost: v.optional(v.number()),
        }),
      ),
      notes: v.array(v.string()),
    }),
  ),
  failures: v.array(v.object({ group: v.string(), message: v.string() })),
})

export interface BenchResult {
  /** RFC 3339 in UTC. */
  readonly startedAt: string
  readonly isQuick: boolean
  readonly machine: MachineFacts
  readonly rows: readonly Row[]
  /** The groups that could not be measured, and why. */
  readonly failures: readonly { readonly group: string; readonly message: string }[]
}

/** Throws an error with a sentence when the file is not the result of a run. */
export function readResult(path: string): BenchResult {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`cannot read ${path}: ${error instanceof Error ? error.message : error}`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`${path} is no JSON: give a file that npm run bench -- --json has written`)
  }
  const parsed = v.safeParse(BenchResult, value)
  if (parsed.success) return parsed.output as BenchResult
  const [issue] = parsed.issues
  const place = v.getDotPath(issue)
  throw new Error(`${path} is no result of the bench: ${place === null ? '' : `${place}: `}${issue.message}`)
}

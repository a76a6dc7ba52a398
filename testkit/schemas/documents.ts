import { toJsonSchema } from '@valibot/to-json-schema'
import { BenchResult } from '../../bench/results/result-file.ts'
import { configFileSchema } from '../../src/config/json-schema.ts'
import { Bundle } from '../../src/oci/bundle.ts'
import { BlobReport, ImageReport } from '../../src/schemas/content-report.ts'
import { EventLine } from '../../src/schemas/event-report.ts'
import { HistoryReport } from '../../src/schemas/history-report.ts'
import { ImportLine } from '../../src/schemas/import-report.ts'
import { PullsReport } from '../../src/schemas/pull-report.ts'
import { StatusReport } from '../../src/schemas/status-report.ts'
import { ErrorReport } from '../../src/schemas/units.ts'
import {
  GcLine,
  GcRequest,
  HostedGcLine,
  HostedGcRequest,
  PinsReport,
  PinsRequest,
  RemovalLine,
  RemovalRequest,
  VerifyLine,
  VerifyRequest,
} from '../../src/schemas/upkeep-report.ts'
import { WarmLine, WarmRequest } from '../../src/schemas/warm-report.ts'
import { WhyReport } from '../../src/schemas/why-report.ts'
import { chartValuesSchema } from './chart-values.ts'

type ValibotSchema = Parameters<typeof toJsonSchema>[0]

/** The shapes of `/api/v1`; a `line` is one line of an answer in JSON lines. */
const API: Readonly<Record<string, ValibotSchema>> = {
  error: ErrorReport,
  status: StatusReport,
  'blobs.line': BlobReport,
  'images.line': ImageReport,
  pulls: PullsReport,
  history: HistoryReport,
  why: WhyReport,
  'events.line': EventLine,
  'gc.request': GcRequest,
  'gc.line': GcLine,
  'hosted-gc.request': HostedGcRequest,
  'hosted-gc.line': HostedGcLine,
  'verify.request': VerifyRequest,
  'verify.line': VerifyLine,
  'pins.request': PinsRequest,
  pins: PinsReport,
  'removal.request': RemovalRequest,
  'removal.line': RemovalLine,
  'warm.request': WarmRequest,
  'warm.line': WarmLine,
}

/** What users and other programs read and write as files. */
const FILES: Readonly<Record<string, ValibotSchema>> = {
  bench: BenchResult,
  bundle: Bundle,
  'import.line': ImportLine,
}

/** The contents of the files of docs/schemas, by name. */
export function schemaDocuments(): ReadonlyMap<string, string> {
  const documents = new Map([['config.json', written(configFileSchema())]])
  const api = Object.entries(API).map(([name, schema]) => [`api.${name}`, schema] as const)
  for (const [name, schema] of [...api, ...Object.entries(FILES)]) {
    // Checks that JSON Schema cannot express are left out. Requests are described as a client sends them.
    const jsonSchema = toJsonSchema(schema, {
      target: 'draft-2020-12',
      typeMode: 'input',
      errorMode: 'ignore',
    })
    documents.set(`${name}.json`, written(jsonSchema))
  }
  return documents
}

/** The contents of the chart's values.schema.json. */
export function chartValuesText(): string {
  return written(chartValuesSchema())
}

function written(schema: unknown): string {
  return `${JSON.stringify(schema, null, 2)}\n`
}

import { BenchResult } from '../../bench/results/result-file.ts'
import { configFileSchema } from '../../src/config/json-schema.ts'
import { Bundle } from '../../src/oci/bundle.ts'
import { ImportLine } from '../../src/schemas/import-report.ts'
import { openApiDocument } from './api/openapi.ts'
import { apiShapes, jsonSchemaOf, type ValibotSchema } from './api/shapes.ts'
import { chartValuesSchema } from './chart-values.ts'

/** What users and other programs read and write as files. */
const FILES: Readonly<Record<string, ValibotSchema>> = {
  bench: BenchResult,
  bundle: Bundle,
  'import.line': ImportLine,
}

/** The contents of the files of docs/schemas, by name. */
export function schemaDocuments(): ReadonlyMap<string, string> {
  const files = Object.entries(FILES).map(([name, schema]) => [name, jsonSchemaOf(schema)] as const)
  const api = [...apiShapes()].map(([name, schema]) => [`api.${name}`, schema] as const)
  const all = [
    ['config', configFileSchema()] as const,
    ['openapi', openApiDocument()] as const,
    ...api,
    ...files,
  ]
  return new Map(all.map(([name, schema]) => [`${name}.json`, written(schema)]))
}

/** The contents of the chart's values.schema.json. */
export function chartValuesText(): string {
  return written(chartValuesSchema())
}

function written(schema: unknown): string {
  return `${JSON.stringify(schema, null, 2)}\n`
}

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chartValuesText, schemaDocuments } from './documents.ts'

/** Writes docs/schemas and the schema of the chart's values; `npm run schemas` runs it in the folder of the project. */
const folder = join('docs', 'schemas')
await mkdir(folder, { recursive: true })
for (const [name, text] of schemaDocuments()) await writeFile(join(folder, name), text)
await writeFile(join('deploy', 'chart', 'values.schema.json'), chartValuesText())

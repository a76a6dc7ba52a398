import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { referencePages } from './pages.ts'

/** Writes docs/reference; `npm run schemas` runs it in the folder of the project. */
const folder = join('docs', 'reference')
await mkdir(folder, { recursive: true })
for (const [name, text] of referencePages()) await writeFile(join(folder, name), text)

import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { projectVersion } from '../version.ts'
import { manPages } from './man-pages.ts'

/** Writes dist/man; `npm run man` runs it in the folder of the project. */
const folder = join('dist', 'man')
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
for (const [name, text] of await manPages(projectVersion())) await writeFile(join(folder, name), text)

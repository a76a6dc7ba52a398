import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The version in package.json of the project. */
export function projectVersion(project = '.'): string {
  const { version } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'))
  if (typeof version !== 'string')
    throw new Error('package.json has no version; run this in the folder of the project')
  return version
}

import { readFileSync } from 'node:fs'

/** The version in package.json of the current folder, which is that of the project. */
export function projectVersion(): string {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  if (typeof version !== 'string')
    throw new Error('package.json has no version; run this in the folder of the project')
  return version
}

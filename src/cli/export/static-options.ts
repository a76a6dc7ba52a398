import { resolve } from 'node:path'
import { CADDY } from '../../export/static/caddy.ts'
import { NGINX } from '../../export/static/nginx.ts'
import { type Constants, serverConfig } from '../../export/static/server-config.ts'
import { typeList } from '../../export/static/type-list.ts'
import { writeSmallFile } from '../../export/targets/whole-file.ts'
import { isRepositoryName } from '../../oci/names/names.ts'
import { type Flag, type Invocation, singleValue, usageError } from '../context/command.ts'
import type { Target } from './transport.ts'

const CONSTANTS: readonly Constants[] = ['with', 'without', 'only']
const SERVERS = { nginx: NGINX, caddy: CADDY } as const

export const STATIC_FLAGS: readonly Flag[] = [
  {
    name: 'nginx',
    kind: 'text',
    help: 'for static:, also write the configuration of nginx into this file',
    defaultText: undefined,
  },
  {
    name: 'caddy',
    kind: 'text',
    help: 'for static:, also write the configuration of Caddy into this file',
    defaultText: undefined,
  },
  {
    name: 'types',
    kind: 'text',
    help: 'for static:, also write the path and the content type of each file into this file, for an upload to an object store',
    defaultText: undefined,
  },
  {
    name: 'name-prefix',
    kind: 'text',
    help: 'for static:, put before the name of every image, with a slash',
    defaultText: undefined,
  },
  {
    name: 'server-root',
    kind: 'text',
    help: 'where the server finds the folder: a path, or a variable of the server such as $images',
    defaultText: 'the folder of static:',
  },
  {
    name: 'constants',
    kind: 'text',
    help: 'write the configuration with, without or only the part that is the same for every folder',
    defaultText: 'with',
  },
]

/** What is written besides the images of a static tree. */
export interface StaticOptions {
  readonly namePrefix: string
  readonly hasConfigs: boolean
  /** Writes the configurations, and the list of types, for the tree as it is now. */
  writeConfigs(): Promise<void>
}

export function staticOptions(given: Invocation, target: Target): StaticOptions {
  const configs = Object.entries(SERVERS).flatMap(([name, syntax]) => {
    const file = singleValue(given, name)
    return file === undefined ? [] : [{ file, syntax }]
  })
  for (const { name } of STATIC_FLAGS) {
    if (given.values[name] === undefined) continue
    if (target.kind !== 'static')
      throw usageError(`--${name} is for --to static:DIR; leave it out for ${target.kind}:`)
    const isOfConfig = name === 'server-root' || name === 'constants'
    if (isOfConfig && configs.length === 0) throw usageError(`--${name} needs --nginx FILE or --caddy FILE`)
  }
  const types = singleValue(given, 'types')
  const serverRoot = singleValue(given, 'server-root') ?? resolve(target.path)
  const constants = constantsOf(given)
  return {
    namePrefix: namePrefixOf(given),
    hasConfigs: configs.length > 0 || types !== undefined,
    async writeConfigs() {
      for (const { file, syntax } of configs) {
        const text = await serverConfig(target.path, syntax, { serverRoot, constants })
        await writeSmallFile(file, Buffer.from(text))
      }
      if (types !== undefined) await writeSmallFile(types, Buffer.from(await typeList(target.path)))
    },
  }
}

function namePrefixOf(given: Invocation): string {
  const prefix = singleValue(given, 'name-prefix')?.replace(/^\/+|\/+$/g, '') ?? ''
  if (prefix === '') return ''
  if (isRepositoryName(prefix)) return `${prefix}/`
  throw usageError(
    `--name-prefix is ${JSON.stringify(prefix)}; use lower-case letters and digits, separated by / . _ or -`,
  )
}

function constantsOf(given: Invocation): Constants {
  const text = singleValue(given, 'constants') ?? 'with'
  const constants = CONSTANTS.find((one) => one === text)
  if (constants === undefined)
    throw usageError(`--constants is ${JSON.stringify(text)}; expected with, without or only`)
  return constants
}

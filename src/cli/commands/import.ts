import { loadSetting } from '../../config/load.ts'
import type { ImportOptions } from '../../import/import-run.ts'
import {
  CACHE_TRANSPORTS,
  IMAGE_TRANSPORTS,
  type ImportJob,
  type ImportPlace,
  importOptions,
  parsePlace,
  runImport,
} from '../../import/open-import.ts'
import { plain } from '../../observe/text.ts'
import { parseReference } from '../../oci/names/reference.ts'
import { parseRegistryHost } from '../../oci/names/registry-host.ts'
import {
  type Command,
  CommandError,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../context/command.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { asCommandError } from '../context/upkeep.ts'
import { withImportTarget } from '../import/open-target.ts'
import { JsonOutput, TextOutput } from '../import/output.ts'
import { platformsOf } from '../warm/image-arguments.ts'

/** `agent import SOURCE`. */
export const importImages: Command = {
  positionals: [
    {
      name: 'source',
      help: 'where the images are: docker-daemon:IMAGE, docker-archive:FILE, oci:PATH[:TAG], oci-archive:FILE[:TAG] or dir:PATH',
      isOptional: true,
    },
  ],
  flags: [
    {
      name: 'from',
      kind: 'text',
      help: 'take over the cache of another tool: docker-registry:PATH, oci-registry:PATH or registry-proxy:PATH',
      defaultText: undefined,
    },
    {
      name: 'as',
      kind: 'text',
      help: 'the name of the image, such as ghcr.io/acme/app:v1, if it is the only one',
      defaultText: 'the name that the source gives it',
    },
    {
      name: 'registry',
      kind: 'text',
      help: 'the registry under whose name the images are served',
      defaultText: 'the one in their names, or else --default-namespace',
    },
    {
      name: 'platform',
      kind: 'list',
      help: 'os/architecture[/variant], or all; may be given several times',
      defaultText: 'all that the source has',
    },
    {
      name: 'referrers',
      kind: 'switch',
      help: 'also import referrers: signatures, attestations and the like',
      defaultText: undefined,
    },
    {
      name: 'pin',
      kind: 'switch',
      help: 'also pin the images, so that they are never evicted',
      defaultText: undefined,
    },
    {
      name: 'move',
      kind: 'switch',
      help: 'with --from: move the files instead of copying them, where both folders are on one filesystem',
      defaultText: undefined,
    },
    ...settingFlags('data', 'maxBytes', 'defaultNamespace', 'config'),
    JSON_FLAG,
  ],
  examples: [
    { line: 'agent import docker-daemon:acme/app:v1', what: 'import an image of Docker' },
    {
      line: 'agent import oci-archive:bundle.tar --pin --data /var/lib/leat',
      what: 'import all images of an archive, and pin them',
    },
    {
      line: 'agent import dir:/srv/app --as ghcr.io/acme/app:v1',
      what: 'import what skopeo copy has written, under this name',
    },
    {
      line: 'agent import --from docker-registry:/var/lib/registry --move',
      what: 'take over the storage of a registry that was stopped',
    },
  ],
  async run(given, terminal) {
    const job = await jobOf(given, terminal)
    const settings = givenSettings(given, terminal)
    const signal = terminal.stopped()
    const output = given.switches.has('json') ? new JsonOutput(terminal) : new TextOutput(terminal)
    try {
      return await withImportTarget(settings, given.values['data'] !== undefined, async (target) => {
        let isComplete = false
        for await (const line of runImport(job, target, { signal })) {
          await output.line(line)
          if (line.is === 'done') isComplete = line.failed === 0 && line.leftOut === 0
        }
        return isComplete ? 0 : 1
      })
    } catch (error) {
      await output.end()
      throw asCommandError(error)
    } finally {
      await output.end()
    }
  },
}

async function jobOf(given: Invocation, terminal: Terminal): Promise<ImportJob> {
  const settings = givenSettings(given, terminal)
  const defaultRegistry = await loadSetting('defaultNamespace', settings)
  const place = placeOf(given)
  const platforms = platformsOf(given)
  if (place.transport === 'docker-daemon' && platforms.length > 0) {
    throw usageError('--platform cannot be used with docker-daemon: Docker gives what it has of an image')
  }
  return {
    place,
    names: { registry: registryOf(given), defaultRegistry },
    options: optionsOf(given, platforms, defaultRegistry),
    environment: terminal.env,
  }
}

function placeOf(given: Invocation): ImportPlace {
  const from = singleValue(given, 'from')
  const [source] = given.positionals
  if ((from === undefined) === (source === undefined)) {
    throw usageError(
      from === undefined
        ? 'import needs a source such as oci-archive:images.tar, or --from; see agent import --help'
        : 'import takes a source or --from, not both',
    )
  }
  const transports = from === undefined ? IMAGE_TRANSPORTS : CACHE_TRANSPORTS
  const text = from ?? source ?? ''
  const place = parsePlace(text, transports)
  if (place !== undefined) return place
  const other = parsePlace(text, from === undefined ? CACHE_TRANSPORTS : IMAGE_TRANSPORTS)
  const hint =
    other === undefined
      ? `write one of ${transports.join(', ')}, a colon and the place`
      : from === undefined
        ? `write --from ${text}`
        : `write agent import ${text}`
  throw usageError(plain(`${JSON.stringify(text)} is not a source; ${hint}`))
}

function registryOf(given: Invocation): string | undefined {
  const text = singleValue(given, 'registry')
  if (text === undefined) return undefined
  const registry = parseRegistryHost(text)
  if (registry === undefined)
    throw usageError(plain(`--registry: "${text}" is not a registry: write host or host:port`))
  return registry
}

function optionsOf(given: Invocation, platforms: readonly string[], defaultRegistry: string): ImportOptions {
  const move = given.switches.has('move')
  if (move && given.values['from'] === undefined) throw usageError('--move is for --from only')
  const as = nameOf(given, defaultRegistry)
  const options = importOptions(platforms)
  if (!options.ok) throw new CommandError(options.problem, { exitCode: 2 })
  return {
    ...options.value,
    as,
    referrers: given.switches.has('referrers'),
    pin: given.switches.has('pin'),
    move,
  }
}

function nameOf(given: Invocation, defaultRegistry: string): ImportOptions['as'] {
  const text = singleValue(given, 'as')
  if (text === undefined) return undefined
  if (given.values['from'] !== undefined) throw usageError('--as names one image; --from takes over many')
  const reference = parseReference(text, defaultRegistry)
  if (!reference.ok) throw usageError(plain(`--as: ${reference.problem}`))
  const { repository, tag, digest } = reference.value
  if (digest !== undefined || tag === undefined)
    throw usageError('--as needs a name with a tag, and without a digest')
  return { repository, tag }
}

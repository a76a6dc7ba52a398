import { loadSetting, loadSettings } from '../../config/load.ts'
import { exportImages as exportLines } from '../../export/export-run.ts'
import type { ImageReader } from '../../export/readers/image-reader.ts'
import { ResolverReader } from '../../export/readers/resolver-reader.ts'
import { StaticTree } from '../../export/static/static-tree.ts'
import { ExportError } from '../../export/targets/export-error.ts'
import { OciArchive } from '../../export/targets/oci-archive.ts'
import { OciFolder } from '../../export/targets/oci-folder.ts'
import { SkopeoFolder } from '../../export/targets/skopeo-folder.ts'
import type { ExportTarget } from '../../export/targets/target.ts'
import { plain } from '../../observe/text.ts'
import { type PlatformSelection, parsePlatforms } from '../../oci/index-selection.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'
import { agentOptions } from '../context/agent-options.ts'
import {
  type Command,
  CommandError,
  DATA_FLAG,
  type Invocation,
  JSON_FLAG,
  singleValue,
  type Terminal,
  usageError,
} from '../context/command.ts'
import { givenSettings, settingFlags } from '../context/settings.ts'
import { asCommandError } from '../context/upkeep.ts'
import { openAgentReader } from '../export/agent-reader.ts'
import { openFileOrigin } from '../export/file-origin.ts'
import { exportOutput } from '../export/output.ts'
import { STATIC_FLAGS, staticOptions } from '../export/static-options.ts'
import { type Origin, parseOrigin, parseTarget, type Target } from '../export/transport.ts'
import { imagesOf, platformsOf } from '../warm/image-arguments.ts'

/** The images to export, and where they are read. */
interface Opened {
  readonly reader: ImageReader
  readonly references: readonly Reference[]
  /** The user has named one image, rather than several or none. */
  readonly isOneNamed: boolean
}

/** `agent export REF... --to TARGET`. */
export const exportImages: Command = {
  positionals: [
    {
      name: 'image',
      help: 'an image such as alpine:3.20, ghcr.io/acme/app:v1 or ghcr.io/acme/app@sha256:…; with --from, the default is all',
      isMany: true,
      isOptional: true,
    },
  ],
  flags: [
    {
      name: 'to',
      kind: 'text',
      help: 'oci:PATH, oci-archive:FILE, dir:PATH or static:DIR',
      defaultText: undefined,
    },
    {
      name: 'from',
      kind: 'text',
      help: 'read images from oci:PATH, oci-archive:FILE or dir:PATH instead of from the agent',
      defaultText: undefined,
    },
    {
      name: 'platform',
      kind: 'list',
      help: 'os/architecture[/variant], or all; may be given several times',
      defaultText: 'all',
    },
    {
      name: 'referrers',
      kind: 'switch',
      help: 'also export referrers: signatures, attestations and the like',
      defaultText: undefined,
    },
    {
      name: 'file',
      kind: 'text',
      help: 'file with one image per line; # starts a comment',
      defaultText: undefined,
    },
    ...STATIC_FLAGS,
    DATA_FLAG,
    ...settingFlags('admin', 'config'),
    JSON_FLAG,
  ],
  examples: [
    {
      line: 'agent export alpine:3.20 --to oci-archive:alpine.tar',
      what: 'write an image with all its platforms into an archive',
    },
    {
      line: 'agent export --file images.txt --platform linux/amd64 --referrers --to oci:/srv/layout',
      what: 'write a list of images with their signatures into an OCI layout',
    },
    {
      line: 'agent export alpine:3.20 --to dir:/srv/alpine',
      what: 'write what skopeo copy … dir:/srv/alpine writes',
    },
    {
      line: 'agent export --from dir:images --to static:/srv/registry --nginx registry.conf',
      what: 'make a registry that nginx serves from a folder of skopeo, without an agent',
    },
  ],
  async run(given, terminal) {
    const to = singleValue(given, 'to')
    if (to === undefined) {
      throw usageError(
        'export needs --to with oci:PATH, oci-archive:FILE, dir:PATH or static:DIR; see agent export --help',
      )
    }
    const target = parseTarget(to)
    const from = singleValue(given, 'from')
    const origin = from === undefined ? undefined : parseOrigin(from)
    if (origin !== undefined && given.values['data'] !== undefined) {
      throw usageError('--from reads images from files and --data from a data folder; give only one of them')
    }
    const more = staticOptions(given, target)
    const isOptional = origin !== undefined || more.hasConfigs
    const images = await imagesOf(given, { command: 'export', isOptional })
    const selection = selectionOf(given)
    try {
      if (images.length > 0 || origin !== undefined) {
        const signal = terminal.stopped()
        const options = { given, terminal, target, selection, signal, namePrefix: more.namePrefix }
        await withImages(given, terminal, { images, origin, signal }, (opened) => run(opened, options))
      }
      await more.writeConfigs()
      return 0
    } catch (error) {
      throw error instanceof ExportError
        ? new CommandError(plain(error.message), { cause: error })
        : asCommandError(error)
    }
  },
}

async function run(
  { reader, references, isOneNamed }: Opened,
  options: {
    readonly given: Invocation
    readonly terminal: Terminal
    readonly target: Target
    readonly selection: PlatformSelection
    readonly signal: AbortSignal
    readonly namePrefix: string
  },
): Promise<void> {
  const { given, terminal, selection, signal } = options
  const referrers = given.switches.has('referrers')
  const images = references.map((reference) => ({ reference, selection, referrers }))
  const output = exportOutput(terminal, { isJson: given.switches.has('json') })
  // Like skopeo, one image that was named is written to the path itself.
  const target = await openTarget(options.target, { isSingle: isOneNamed, namePrefix: options.namePrefix })
  try {
    for await (const line of exportLines({ reader, target, images, signal })) await output.line(line)
  } finally {
    await target.close()
    await output.end()
  }
}

function openTarget(
  { kind, path }: Target,
  { isSingle, namePrefix }: { readonly isSingle: boolean; readonly namePrefix: string },
): Promise<ExportTarget> {
  switch (kind) {
    case 'oci':
      return OciFolder.open(path)
    case 'oci-archive':
      return OciArchive.open(path)
    case 'dir':
      return SkopeoFolder.open(path, { isSingle })
    case 'static':
      return StaticTree.open(path, { namePrefix })
  }
}

/** Reads from files, from a data folder, or from the running agent. */
async function withImages(
  given: Invocation,
  terminal: Terminal,
  {
    images,
    origin,
    signal,
  }: {
    readonly images: readonly string[]
    readonly origin: Origin | undefined
    readonly signal: AbortSignal
  },
  work: (opened: Opened) => Promise<void>,
): Promise<void> {
  const settings = givenSettings(given, terminal)
  const isOneNamed = images.length === 1
  if (origin !== undefined) {
    const registry = await loadSetting('defaultNamespace', settings)
    const files = await openFileOrigin(origin, registry)
    try {
      const named = referencesOf(images, registry)
      return await work({
        reader: files.reader,
        references: named.length > 0 ? named : await files.images({ signal }),
        isOneNamed,
      })
    } finally {
      await files.close()
    }
  }
  if (given.values['data'] === undefined) {
    const admin = await loadSetting('admin', settings)
    const registry = await loadSetting('defaultNamespace', settings)
    const reader = await openAgentReader(admin, signal)
    try {
      return await work({ reader, references: referencesOf(images, registry), isOneNamed })
    } finally {
      reader.close()
    }
  }
  // Loaded here only, because a command that asks a running agent needs no agent of its own.
  const [{ withResolver }, { openError }] = await Promise.all([
    import('../../agent.ts'),
    import('../context/offline-store.ts'),
  ])
  const options = agentOptions(await loadSettings(settings), terminal)
  const references = referencesOf(images, options.defaultNamespace ?? '')
  try {
    await withResolver(options, (resolver) =>
      work({ reader: new ResolverReader(resolver), references, isOneNamed }),
    )
  } catch (error) {
    throw openError(error, options.data)
  }
}

function referencesOf(images: readonly string[], defaultRegistry: string): readonly Reference[] {
  return images.map((image) => {
    const reference = parseReference(image, defaultRegistry)
    if (!reference.ok) throw usageError(plain(reference.problem))
    return reference.value
  })
}

function selectionOf(given: Invocation): PlatformSelection {
  const selection = parsePlatforms(platformsOf(given), 'all')
  if (!selection.ok) throw usageError(`--platform: ${plain(selection.problem)}`)
  return selection.value
}

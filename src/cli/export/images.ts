import { loadSetting, loadSettings } from '../../config/load.ts'
import type { ImageReader } from '../../export/readers/image-reader.ts'
import { ResolverReader } from '../../export/readers/resolver-reader.ts'
import { plain } from '../../observe/text.ts'
import { HostedNames, OWN_REGISTRY } from '../../oci/names/hosted-names.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'
import { adminTarget } from '../context/admin-target.ts'
import { agentOptions } from '../context/agent-options.ts'
import { type Invocation, type Terminal, usageError } from '../context/command.ts'
import { givenSettings } from '../context/settings.ts'
import { openAgentImages } from './agent-reader.ts'
import { openFileOrigin } from './file-origin.ts'
import type { Origin } from './transport.ts'

/** The images to export, and where they are read. */
export interface OpenedImages {
  readonly reader: ImageReader
  readonly references: readonly Reference[]
  /** The user has named one image, rather than several or none. */
  readonly isOneNamed: boolean
}

/** Reads from files, from a data folder, or from the running agent. */
export async function withImages(
  given: Invocation,
  terminal: Terminal,
  {
    names,
    origin,
    signal,
  }: {
    readonly names: readonly string[]
    readonly origin: Origin | undefined
    readonly signal: AbortSignal
  },
  work: (opened: OpenedImages) => Promise<void>,
): Promise<void> {
  const settings = givenSettings(given, terminal)
  const isOneNamed = names.length === 1
  if (origin !== undefined) {
    const registry = await loadSetting('defaultNamespace', settings)
    const files = await openFileOrigin(origin, registry)
    const named = referencesOf(names, registry)
    const references = named.length > 0 ? named : await files.images({ signal })
    return work({ reader: files.reader, references, isOneNamed })
  }
  if (given.values['data'] === undefined) {
    const admin = await adminTarget(settings)
    const registry = await loadSetting('defaultNamespace', settings)
    const { reader, hosted } = await openAgentImages(admin, signal)
    try {
      return await work({ reader, references: referencesOf(names, registry, hosted), isOneNamed })
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
  const references = referencesOf(names, options.defaultNamespace ?? '', options.hosted?.names)
  try {
    await withResolver(options, (resolver) =>
      work({ reader: new ResolverReader(resolver), references, isOneNamed }),
    )
  } catch (error) {
    throw openError(error, options.data)
  }
}

/** `hosted`: patterns of what is hosted. Such a name without a registry comes before one of the default registry. */
function referencesOf(
  names: readonly string[],
  defaultRegistry: string,
  hosted: readonly string[] = [],
): readonly Reference[] {
  const own = new HostedNames(hosted)
  return names.map((name) => {
    const ownReference = parseReference(name, OWN_REGISTRY)
    const isOwn = ownReference.ok && own.isHosted(ownReference.value.repository)
    const reference = isOwn ? ownReference : parseReference(name, defaultRegistry)
    if (!reference.ok) throw usageError(plain(reference.problem))
    return reference.value
  })
}

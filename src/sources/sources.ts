import type { Digest } from '../oci/digest.ts'
import type { NameRules } from '../oci/names/name-rules.ts'
import type { Repository } from '../oci/names/repository.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { ContentReceiver } from '../ports/content-receiver.ts'
import type { LocalSource } from '../ports/local-source.ts'
import { type Compression, checkCompression } from './docker/classic-image.ts'
import { DockerClient } from './docker/docker-client.ts'
import { type Environment, readDockerHost } from './docker/docker-host.ts'
import { DockerSource } from './docker/docker-source.ts'
import { FileVerifier } from './files/file-verifier.ts'
import { OciLayoutSource } from './files/oci-layout.ts'
import { type SkopeoFolderOptions, SkopeoFolderSource } from './files/skopeo-folder.ts'
import { HiddenImages } from './hidden-images.ts'
import { type ListedSource, type SourceState, SourceStates } from './source-states.ts'

/** One entry of the setting `sources`. */
export interface SourceOptions {
  readonly from:
    | {
        readonly kind: 'docker'
        /** `env`, `unix:///path` or `tcp://host:port`. */
        readonly host: string
        /** The variables of Docker's own client. */
        readonly environment?: Environment | undefined
        /** How layers are compressed that Docker has without compression. */
        readonly compress?: Compression
      }
    | { readonly kind: 'oci' | 'dir'; readonly path: string }
  /** The registry under whose name the images are served; undefined: the one in their names. */
  readonly registry?: string | undefined
  /** Put before every name, with a slash. */
  readonly namePrefix?: string | undefined
  /** The first letters of the names that are served; none: all names. */
  readonly prefixes?: readonly string[] | undefined
  /** Neither peers nor upstream are asked for images of `registry`; without `registry`, for any image. */
  readonly isExclusive?: boolean | undefined
}

/** Where the images of a Docker daemon are stored. */
export interface SourcesStore {
  readonly blobs: BlobStore
  readonly receiver: ContentReceiver
  readonly catalog: Catalog
}

/** The local sources of an agent, with what they share. The owner closes them. */
export interface LocalSources {
  readonly list: readonly LocalSource[]
  /** Whether each source can be read now, how many repositories it has, and which of its images are hidden. */
  states(): Promise<readonly SourceState[]>
  /** Has an image that was served from a source compared with those of the other sources. */
  served(repository: Repository, tag: string, digest: Digest): void
  close(): Promise<void>
}

export async function openSources(
  options: readonly SourceOptions[],
  { blobs, receiver, catalog }: SourcesStore,
  defaultRegistry: string,
): Promise<LocalSources> {
  const verifier = new FileVerifier()
  const list: LocalSource[] = []
  const listed: ListedSource[] = []
  const hidden = new HiddenImages(list)
  const add = (source: LocalSource, isExclusive: boolean): void => {
    list.push(source)
    listed.push({ source, isExclusive })
  }
  const close = async (): Promise<void> => {
    await hidden.close()
    await Promise.all(list.map((source) => source.close()))
    await verifier.close()
  }
  try {
    for (const { from, isExclusive = false, ...given } of options) {
      const common = { rules: nameRules(given, defaultRegistry), isExclusive }
      if (from.kind === 'docker') {
        checkCompression(from.compress)
        const client = new DockerClient(await readDockerHost(from.host, from.environment ?? {}))
        const target = { blobs, receiver }
        add(new DockerSource({ ...common, client, compression: from.compress, target, catalog }), isExclusive)
      } else {
        add(fileSource(from, { ...common, verifier }), isExclusive)
      }
    }
    const states = new SourceStates(listed, (repositories) => hidden.latest(repositories))
    const served: LocalSources['served'] = (...image) => hidden.served(...image)
    return { list, states: () => states.read(), served, close }
  } catch (error) {
    await close()
    throw error
  }
}

export function nameRules(
  { registry, namePrefix, prefixes = [] }: Pick<SourceOptions, 'registry' | 'namePrefix' | 'prefixes'>,
  defaultRegistry: string,
): NameRules {
  return { registry, defaultRegistry, namePrefix, prefixes }
}

export function fileSource(
  { kind, path }: { readonly kind: 'oci' | 'dir'; readonly path: string },
  options: Omit<SkopeoFolderOptions, 'path'>,
): LocalSource {
  return kind === 'oci'
    ? new OciLayoutSource({ ...options, path })
    : new SkopeoFolderSource({ ...options, path })
}

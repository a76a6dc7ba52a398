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
import { SkopeoFolderSource } from './files/skopeo-folder.ts'

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
  close(): Promise<void>
}

export async function openSources(
  options: readonly SourceOptions[],
  { blobs, receiver, catalog }: SourcesStore,
  defaultRegistry: string,
): Promise<LocalSources> {
  const verifier = new FileVerifier()
  const list: LocalSource[] = []
  const close = async (): Promise<void> => {
    await Promise.all(list.map((source) => source.close()))
    await verifier.close()
  }
  try {
    for (const { from, registry, namePrefix, prefixes = [], isExclusive = false } of options) {
      const common = { rules: { registry, defaultRegistry, namePrefix, prefixes }, isExclusive }
      if (from.kind === 'docker') {
        checkCompression(from.compress)
        const client = new DockerClient(await readDockerHost(from.host, from.environment ?? {}))
        const target = { blobs, receiver }
        list.push(new DockerSource({ ...common, client, compression: from.compress, target, catalog }))
      } else {
        const kind = from.kind === 'oci' ? OciLayoutSource : SkopeoFolderSource
        list.push(new kind({ ...common, path: from.path, verifier }))
      }
    }
    return { list, close }
  } catch (error) {
    await close()
    throw error
  }
}

import type { TestContext } from 'node:test'
import { HostedImages, linkedUploads } from '../../src/hosted/hosted-images.ts'
import { HostedResolver } from '../../src/hosted/hosted-resolver.ts'
import { HostedUploads } from '../../src/hosted/uploads/hosted-uploads.ts'
import type { UploadLimits } from '../../src/hosted/uploads/limits.ts'
import { YoungLinks } from '../../src/hosted/young-links.ts'
import { SharedLocks } from '../../src/lib/async/shared-locks.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/oci/media-types.ts'
import { HostedNames } from '../../src/oci/names/hosted-names.ts'
import type { Repository } from '../../src/oci/names/repository.ts'
import type { HostedRegistry, ManifestToPush, UploadWriter } from '../../src/ports/hosted.ts'
import type { Resolver } from '../../src/ports/resolver.ts'
import type { Store } from '../../src/store/store.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { folder, opened } from '../store/folder.ts'

export const NEVER = new AbortController().signal
export const TEAM: Repository = { registry: 'localhost', name: 'team/app' }
export const OTHER: Repository = { registry: 'localhost', name: 'team/other' }

export interface HostedLab {
  readonly path: string
  readonly store: Store
  readonly registry: HostedRegistry
  readonly uploads: HostedUploads
  readonly locks: SharedLocks
  /** Answers for hosted repositories; all other ones are `next`'s. */
  resolver(next: Resolver): Resolver
}

interface LabOptions {
  readonly path?: string
  readonly maxBytes?: number
  readonly limits?: Partial<UploadLimits>
  readonly graceMs?: number
  readonly names?: readonly string[]
}

/** Opens a store with hosted repositories, which are closed when the test is over. */
export async function hostedLab(t: TestContext, options: LabOptions = {}): Promise<HostedLab> {
  const { path = await folder(t), maxBytes, limits, graceMs = 60_000, names = ['team/**'] } = options
  const store = await opened(t, {
    path,
    ...(maxBytes === undefined ? {} : { maxBytes: { bytes: maxBytes } }),
  })
  const locks = new SharedLocks()
  const uploads = new HostedUploads(store.hosted.uploads, linkedUploads(locks), limits)
  t.after(() => uploads.close())
  const hostedNames = new HostedNames(names)
  const isHosted = (repository: Repository): boolean => hostedNames.isHosted(repository)
  const cached = {
    state: async ({ repository, digest }: { repository: Repository | undefined; digest: Digest }) => {
      const facts = await store.blobs.facts(digest)
      if (facts === undefined || repository === undefined) return undefined
      const isKnown = (await store.catalog.filterKnown(repository, [digest])).length > 0
      const { size, mediaType } = facts
      return isKnown ? { isComplete: true, availableBytes: size, size, mediaType } : undefined
    },
  }
  const { catalog } = store.hosted
  return {
    path,
    store,
    uploads,
    locks,
    registry: new HostedImages({ store: store.hosted, uploads, isHosted, cached, locks }),
    resolver: (next) =>
      new HostedResolver(
        {
          store: store.blobs,
          referrersOf: (subject) => store.referrersOf(subject),
          catalog,
          isHosted,
          youngLinks: new YoungLinks(catalog, locks, graceMs),
        },
        next,
      ),
  }
}

/** Writes bytes as a request does, at most `most` at a time. */
export async function write(writer: UploadWriter, bytes: Uint8Array, most = 65536): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const room = writer.buffer()
    const part = bytes.subarray(at, at + Math.min(room.length, most))
    room.set(part)
    at += part.length
    if (!writer.filled(part.length)) await writer.drained()
  }
}

/** One request of an upload: adds bytes, and ends the upload if there is a digest. */
export async function send(
  { uploads }: Pick<HostedRegistry, 'uploads'>,
  id: string,
  bytes: Uint8Array,
  { digest, repository = TEAM }: { digest?: Digest; repository?: Repository } = {},
): Promise<void> {
  const writer = await uploads.open(repository, id, { size: bytes.length, signal: NEVER })
  if (writer === undefined) throw new Error(`there is no upload ${id}`)
  try {
    await write(writer, bytes)
    if (digest !== undefined) await writer.finish(digest)
  } finally {
    await writer.close()
  }
}

export async function pushBlob(
  registry: HostedRegistry,
  bytes: Uint8Array,
  repository: Repository = TEAM,
): Promise<Digest> {
  const digest = digestOf(bytes)
  const { id } = await registry.uploads.begin(repository, { algorithm: 'sha256' })
  await send(registry, id, bytes, { digest, repository })
  return digest
}

export interface ImageParts {
  readonly config: Digest
  /** Default: 1. The sizes of layers are 1, too: a registry need not know them. */
  readonly configSize?: number
  readonly layers: readonly Digest[]
  readonly subject?: Digest
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** The bytes of an image manifest. */
export function imageOf({
  config,
  configSize,
  layers,
  subject,
  artifactType,
  annotations,
}: ImageParts): Buffer {
  const described = (digest: Digest, mediaType: string, size = 1) => ({ mediaType, digest, size })
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      ...(artifactType === undefined ? {} : { artifactType }),
      config: described(config, 'application/vnd.oci.image.config.v1+json', configSize),
      layers: layers.map((layer) => described(layer, 'application/vnd.oci.image.layer.v1.tar')),
      ...(subject === undefined ? {} : { subject: described(subject, OCI_MANIFEST) }),
      ...(annotations === undefined ? {} : { annotations }),
    }),
  )
}

export function indexOf(...manifests: Digest[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: manifests.map((digest) => ({ mediaType: OCI_MANIFEST, digest, size: 1 })),
    }),
  )
}

export function manifestPush(
  bytes: Uint8Array,
  tags: readonly string[] = [],
  mediaType = OCI_MANIFEST,
): ManifestToPush {
  return { bytes, mediaType, digest: undefined, algorithm: 'sha256', tags }
}

/** Pushes a manifest that must be taken. */
export async function pushManifest(
  registry: HostedRegistry,
  bytes: Uint8Array,
  {
    tags = [],
    repository = TEAM,
    mediaType,
  }: { tags?: string[]; repository?: Repository; mediaType?: string } = {},
): Promise<Digest> {
  const answer = await registry.putManifest(repository, manifestPush(bytes, tags, mediaType))
  if ('refusal' in answer) throw new Error(`refused: ${JSON.stringify(answer.refusal)}`)
  return answer.pushed.digest
}

/** Pushes an image of two blobs. `salt` makes it differ from others. */
export async function pushImage(
  registry: HostedRegistry,
  salt: string,
  { tags = [], repository = TEAM }: { tags?: string[]; repository?: Repository } = {},
): Promise<{ readonly image: Digest; readonly config: Digest; readonly layer: Digest }> {
  const config = await pushBlob(registry, Buffer.from(`{"config":"${salt}"}`), repository)
  const layer = await pushBlob(registry, Buffer.from(`layer ${salt}`), repository)
  const image = await pushManifest(registry, imageOf({ config, layers: [layer] }), { tags, repository })
  return { image, config, layer }
}

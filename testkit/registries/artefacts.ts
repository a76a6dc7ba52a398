import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { buildImage, type Image, type ImagePart, type Index } from './image.ts'

const OCI = 'application/vnd.oci.image'
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
/** OCI image spec 1.1, "Guidance for an Empty Descriptor". */
const EMPTY = { mediaType: 'application/vnd.oci.empty.v1+json', bytes: Buffer.from('{}') }

type Algorithm = 'sha256' | 'sha512'

interface Content {
  readonly mediaType: string
  readonly bytes: Buffer
}

interface ArtefactOptions {
  readonly config?: Content
  readonly layers: readonly Content[]
  readonly artifactType?: string
  readonly subject?: ImagePart
  readonly algorithm?: Algorithm
  readonly annotations?: Readonly<Record<string, string>>
}

/** A manifest of any contents. */
export function buildArtefact(options: ArtefactOptions): Image {
  const { config = EMPTY, layers, artifactType, subject, algorithm = 'sha256', annotations } = options
  const blobs = [config, ...layers].map((content) => partOf(content, algorithm))
  const [configPart, ...layerParts] = blobs.map(descriptorOf)
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: configPart,
    layers: layerParts,
    subject: subject && descriptorOf(subject),
    annotations,
  }
  const bytes = Buffer.from(JSON.stringify(manifest))
  return { manifest: partOf({ mediaType: OCI_MANIFEST, bytes }, algorithm), blobs, files: new Map() }
}

/** What registries hold besides images of containers, by kind. */
export function buildArtefacts(seed: string): Readonly<Record<string, Image>> {
  const text = (mediaType: string, content: string): Content => ({ mediaType, bytes: Buffer.from(content) })
  const chart = JSON.stringify({ name: 'app', version: '1.0.0', apiVersion: 'v2', description: seed })
  return {
    chart: buildArtefact({
      config: text('application/vnd.cncf.helm.config.v1+json', chart),
      layers: [
        {
          mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
          bytes: gzipSync(`a chart of ${seed}`),
        },
        text('application/vnd.cncf.helm.chart.provenance.v1.prov', `provenance of ${seed}`),
      ],
    }),
    wasm: buildArtefact({
      config: text(
        'application/vnd.wasm.config.v0+json',
        JSON.stringify({ architecture: 'wasm', os: 'wasip1', seed }),
      ),
      layers: [
        {
          mediaType: 'application/wasm',
          bytes: Buffer.concat([Buffer.from('\0asm\x01\0\0\0'), Buffer.from(seed)]),
        },
      ],
    }),
    model: buildArtefact({
      artifactType: 'application/vnd.cncf.model.manifest.v1+json',
      config: text(
        'application/vnd.cncf.model.config.v1+json',
        JSON.stringify({ descriptor: { name: seed } }),
      ),
      layers: [
        { mediaType: 'application/vnd.cncf.model.weight.v1.raw', bytes: Buffer.alloc(200_000, seed) },
        text('application/vnd.cncf.model.doc.v1.raw', `# ${seed}`),
      ],
    }),
    files: buildArtefact({
      artifactType: 'application/vnd.acme.report',
      layers: [text('text/plain', `a file of ${seed}`)],
      annotations: { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' },
    }),
    empty: buildArtefact({
      artifactType: 'application/vnd.acme.marker',
      layers: [EMPTY],
      annotations: { seed },
    }),
    sha512: buildArtefact({
      algorithm: 'sha512',
      config: text(
        'application/vnd.oci.image.config.v1+json',
        JSON.stringify({ architecture: 'amd64', os: 'linux', seed }),
      ),
      layers: [
        { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', bytes: gzipSync(`a layer of ${seed}`) },
      ],
    }),
  }
}

/**
 * What BuildKit makes, and nerdctl and `docker buildx` keep: an index with an image whose layers are compressed with zstd, and
 * a manifest with the image's provenance, which has no platform.
 */
export function buildBuildKitIndex(seed: string): Index {
  const layer = Buffer.from(`a layer of ${seed}`.padEnd(1024, '\0'))
  const config = (architecture: string, os: string, content: Buffer) => ({
    mediaType: `${OCI}.config.v1+json`,
    bytes: Buffer.from(
      JSON.stringify({
        ...{ architecture, os, config: {} },
        rootfs: { type: 'layers', diff_ids: [partOf({ mediaType: '', bytes: content }, 'sha256').digest] },
      }),
    ),
  })
  const image = buildArtefact({
    config: config('amd64', 'linux', layer),
    layers: [{ mediaType: `${OCI}.layer.v1.tar+zstd`, bytes: zstdOf(layer) }],
  })
  const statement = Buffer.from(
    JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', predicate: { seed } }),
  )
  const attestation = buildArtefact({
    config: config('unknown', 'unknown', statement),
    layers: [{ mediaType: 'application/vnd.in-toto+json', bytes: statement }],
  })
  const manifests = [
    { ...descriptorOf(image.manifest), platform: { architecture: 'amd64', os: 'linux' } },
    {
      ...descriptorOf(attestation.manifest),
      platform: { architecture: 'unknown', os: 'unknown' },
      annotations: {
        'vnd.docker.reference.digest': image.manifest.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
    },
  ]
  const mediaType = `${OCI}.index.v1+json`
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }))
  return { manifest: partOf({ mediaType, bytes }, 'sha256'), images: [image, attestation] }
}

/** A frame of Zstandard with one block that is not compressed (RFC 8878, section 3.1.1). */
function zstdOf(bytes: Buffer): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(0xfd2fb528)
  // One segment, whose size has four bytes.
  head.writeUInt8(0xa0, 4)
  head.writeUInt32LE(bytes.length, 5)
  // The last block, of the raw type.
  head.writeUIntLE((bytes.length << 3) | 1, 9, 3)
  return Buffer.concat([head, bytes])
}

/** A signature that refers to a manifest. */
export function buildReferrer(subject: ImagePart, seed: string): Image {
  return buildArtefact({
    artifactType: 'application/vnd.acme.signature',
    layers: [{ mediaType: 'application/octet-stream', bytes: Buffer.from(`signature of ${seed}`) }],
    subject,
  })
}

/** A manifest list of Docker with an image of Docker's own media types for each architecture. */
export function buildDockerList(seed: string, architectures: readonly string[] = ['amd64', 'arm64']): Index {
  const images = architectures.map((architecture) => {
    const { blobs, files } = buildImage(`${seed}/${architecture}`, { architecture, layerSizes: [2_000, 100] })
    const [config, ...layers] = blobs.map(({ bytes, digest }, at) => ({
      mediaType:
        at === 0
          ? 'application/vnd.docker.container.image.v1+json'
          : 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      digest,
      size: bytes.length,
    }))
    const manifest = { schemaVersion: 2, mediaType: DOCKER_MANIFEST, config, layers }
    const bytes = Buffer.from(JSON.stringify(manifest))
    return { manifest: partOf({ mediaType: DOCKER_MANIFEST, bytes }, 'sha256'), blobs, files }
  })
  const manifests = images.map(({ manifest }, at) => ({
    ...descriptorOf(manifest),
    platform: { os: 'linux', architecture: architectures[at] },
  }))
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: DOCKER_LIST, manifests }))
  return { manifest: partOf({ mediaType: DOCKER_LIST, bytes }, 'sha256'), images }
}

function partOf({ mediaType, bytes }: Content, algorithm: Algorithm): ImagePart {
  return { mediaType, bytes, digest: `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` }
}

function descriptorOf({ mediaType, digest, bytes }: ImagePart) {
  return { mediaType, digest, size: bytes.length }
}

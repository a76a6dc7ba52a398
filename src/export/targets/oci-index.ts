import * as v from 'valibot'
import { jsonObject } from '../../lib/json.ts'
import { type Reference, referenceText } from '../../oci/names/reference.ts'
import { ExportError } from './export-error.ts'
import type { ExportImage, ManifestPart } from './target.ts'

/** OCI image spec, "Image Layout Specification". */
const LAYOUT_VERSION = '1.0.0'
export const LAYOUT_FILE = Buffer.from(JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION }))
const REF_NAME = 'org.opencontainers.image.ref.name'
/** `ctr images import` takes the name of an image from there. */
const CONTAINERD_NAME = 'io.containerd.image.name'

// What other programs have written into the index is kept, whatever it is.
const Entry = v.looseObject({
  digest: v.string(),
  annotations: v.optional(v.record(v.string(), v.string())),
})
const Index = v.looseObject({ manifests: v.optional(v.array(Entry), []) })
const Layout = v.object({ imageLayoutVersion: v.string() })
type Entry = v.InferOutput<typeof Entry>

/** The file `index.json` of an OCI layout, to which images are added. */
export class OciIndex {
  readonly #rest: Readonly<Record<string, unknown>>
  #entries: readonly Entry[]

  /** `path` is that of the layout; `bytes` are undefined for a new one. */
  constructor(path: string, bytes: Uint8Array | undefined) {
    const parsed = bytes === undefined ? undefined : v.safeParse(Index, jsonObject(bytes))
    if (parsed?.success === false) {
      throw new ExportError(`${path} has an index.json that is no image index; repair it, or write elsewhere`)
    }
    const { manifests = [], ...rest } = parsed?.output ?? {}
    this.#rest = { schemaVersion: 2, ...rest }
    this.#entries = manifests
  }

  /** Replaces what has the same name, or is the same referrer. */
  add({ reference, root, referrers, referrerTags }: ExportImage): void {
    const { repository } = reference
    const named = new Map([[nameOf(reference), root]])
    for (const [tag, manifest] of referrerTags)
      named.set(nameOf({ repository, tag, digest: undefined }), manifest)
    const tagged = new Set(referrerTags.values())
    const nameless = referrers.filter((referrer) => !tagged.has(referrer))
    const namelessDigests = new Set(nameless.map(({ digest }) => String(digest)))
    const others = this.#entries.filter(({ digest, annotations }) => {
      const name = annotations?.[REF_NAME]
      return name === undefined ? !namelessDigests.has(digest) : !named.has(name)
    })
    this.#entries = [
      ...others,
      ...[...named].map(([name, manifest]) =>
        entryOf(manifest, { [REF_NAME]: name, [CONTAINERD_NAME]: name }),
      ),
      ...nameless.map((referrer) => entryOf(referrer, undefined)),
    ]
  }

  bytes(): Buffer {
    return Buffer.from(JSON.stringify({ ...this.#rest, manifests: this.#entries }))
  }
}

/** Rejects a layout whose version this program does not know. */
export function checkLayoutVersion(path: string, bytes: Uint8Array | undefined): void {
  const said = v.safeParse(Layout, bytes && jsonObject(bytes))
  if (!said.success) {
    throw new ExportError(
      `${path} is no OCI layout: it has no file oci-layout with a version; write to an empty folder`,
    )
  }
  const { imageLayoutVersion } = said.output
  if (!/^1\.\d/.test(imageLayoutVersion)) {
    throw new ExportError(
      `${path} is an OCI layout of version ${JSON.stringify(imageLayoutVersion)}, but this agent writes version ${LAYOUT_VERSION}; write elsewhere`,
    )
  }
}

/** The name of an image in a layout: the whole reference, so that nothing has to be guessed when it is read. */
export function nameOf({ repository, tag, digest }: Reference): string {
  return referenceText(
    tag === undefined ? { repository, tag, digest } : { repository, tag, digest: undefined },
  )
}

function entryOf(manifest: ManifestPart, annotations: Readonly<Record<string, string>> | undefined): Entry {
  const { mediaType, digest, bytes, artifactType } = manifest
  return {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
  }
}

import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { errorCode } from '../../lib/error-code.ts'
import { jsonObject } from '../../lib/json.ts'
import { BUNDLE_FILE, BUNDLE_VERSION, Bundle } from '../../oci/bundle.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { ExportError } from './export-error.ts'
import { nameOf } from './oci-index.ts'
import type { BlobPart, ExportImage } from './target.ts'

/**
 * What the images of a bundle consist of, and which of it the bundle leaves out, because the other side has it from an
 * earlier one. Manifests are small, and always in the bundle.
 */
export class BundleList {
  readonly #known: ReadonlySet<Digest>
  readonly #images = new Map<string, Digest>()
  readonly #contents = new Map<Digest, { readonly size: number; readonly included: boolean }>()

  /** `since`: the lists of the bundles that the other side has. */
  static async open(since: readonly string[]): Promise<BundleList> {
    const known = new Set<Digest>()
    for (const path of since) {
      for (const { digest: text } of (await readBundle(path)).contents) {
        const digest = parseDigest(text)
        if (digest !== undefined) known.add(digest)
      }
    }
    return new BundleList(known)
  }

  private constructor(known: ReadonlySet<Digest>) {
    this.#known = known
  }

  /** Takes over what the target lists from an earlier export. */
  continue(path: string, bytes: Uint8Array): void {
    const { images, contents } = parsedBundle(path, bytes)
    for (const { name, digest: text } of images) {
      const digest = parseDigest(text)
      if (digest !== undefined) this.#images.set(name, digest)
    }
    for (const { digest: text, size, included } of contents) {
      const digest = parseDigest(text)
      if (digest !== undefined) this.#contents.set(digest, { size, included })
    }
  }

  /** Whether the other side has the content. */
  leavesOut(digest: Digest): boolean {
    return this.#known.has(digest)
  }

  /** `has`: whether the target has a blob. */
  async add(image: ExportImage, has: (blob: BlobPart) => Promise<boolean>): Promise<void> {
    this.#images.set(nameOf(image.reference), image.root.digest)
    for (const { digest, bytes } of image.manifests) {
      this.#contents.set(digest, { size: bytes.length, included: true })
    }
    for (const blob of image.blobs) {
      this.#contents.set(blob.digest, { size: blob.size, included: await has(blob) })
    }
  }

  bytes(): Buffer {
    const bundle: Bundle = {
      leatBundle: BUNDLE_VERSION,
      images: [...this.#images].map(([name, digest]) => ({ name, digest })),
      contents: [...this.#contents].map(([digest, content]) => ({ digest, ...content })),
    }
    return Buffer.from(`${JSON.stringify(bundle, null, 1)}\n`)
  }
}

async function readBundle(path: string): Promise<Bundle> {
  try {
    return parsedBundle(path, await readFile(path))
  } catch (cause) {
    const code = errorCode(cause)
    if (code === undefined) throw cause
    const reason = code === 'ENOENT' ? 'it does not exist' : code
    throw new ExportError(
      `${path} cannot be read: ${reason}; give --since the list that --list or the file ${BUNDLE_FILE} of the bundle before has`,
      { cause },
    )
  }
}

function parsedBundle(path: string, bytes: Uint8Array): Bundle {
  const bundle = v.safeParse(Bundle, jsonObject(bytes))
  if (!bundle.success) {
    throw new ExportError(
      `${path} is no list of a bundle; give the file that --list has written, or ${BUNDLE_FILE} of a bundle`,
    )
  }
  if (bundle.output.leatBundle > BUNDLE_VERSION) {
    throw new ExportError(
      `${path} is the list of a bundle of version ${bundle.output.leatBundle}; this agent reads version ${BUNDLE_VERSION}; upgrade it`,
    )
  }
  return bundle.output
}

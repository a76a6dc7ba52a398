import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { parseJson } from '../lib/json.ts'
import type { Bucket } from './client/bucket.ts'
import { sha256Of } from './upload/part-hashes.ts'

/** Outside of the layout, so that no registry sees it. */
const ROOT = 'leat/copies/'

/** Why an image is in the bucket. */
export type CopyCause = 'scheduled' | 'pulled'

const Text = v.object({
  image: v.string(),
  /** How long the copy took until the record was written, in whole seconds, as the times of servers are. */
  tookSeconds: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
})

/** What a bucket says about a copy. */
export interface CopyRecord {
  readonly image: string
  /** When it was written last, by the clock of the server; milliseconds since the epoch. */
  readonly at: number
}

type Options = { readonly signal: AbortSignal }

/** Says in a bucket which images agents have copied into it, and when. All methods reject with a `Failure` of the bucket. */
export class CopyRecords {
  readonly #bucket: Bucket

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  /** When the record was written; undefined: there is none. */
  async writtenAt(cause: CopyCause, image: string, options: Options): Promise<number | undefined> {
    return (await this.#bucket.head(keyOf(cause, image), options))?.modifiedAt
  }

  /**
   * When the copy began of which the record says that it has ended, by the clock of the server; undefined: there is no
   * record.
   */
  async begunAt(cause: CopyCause, image: string, options: Options): Promise<number | undefined> {
    const found = await this.#bucket.read(keyOf(cause, image), options)
    if (found === undefined) return undefined
    const text = v.safeParse(Text, parseJson(found.text))
    return found.modifiedAt - (text.success ? (text.output.tookSeconds ?? 0) * 1000 : 0)
  }

  async write(
    cause: CopyCause,
    image: string,
    { signal, tookMs = 0 }: Options & { readonly tookMs?: number },
  ): Promise<void> {
    const tookSeconds = Math.floor(tookMs / 1000)
    const body = Buffer.from(JSON.stringify({ image, tookSeconds } satisfies v.InferOutput<typeof Text>))
    await this.#bucket.put(keyOf(cause, image), body, { sha256: await sha256Of(body), replace: true, signal })
  }

  /** All records that were written before a time. */
  async *before(time: number, cause: CopyCause, options: Options): AsyncGenerator<CopyRecord> {
    for await (const { key, modifiedAt } of this.#bucket.list(`${ROOT}${cause}/`, options)) {
      if (modifiedAt >= time) continue
      const found = await this.#bucket.read(key, options)
      const text = v.safeParse(Text, found && parseJson(found.text))
      if (found !== undefined && found.modifiedAt < time && text.success)
        yield { image: text.output.image, at: found.modifiedAt }
    }
  }

  remove(cause: CopyCause, image: string, options: Options): Promise<void> {
    return this.#bucket.delete([keyOf(cause, image)], options)
  }
}

/** Names of images have characters that not every server takes in a key. */
function keyOf(cause: CopyCause, image: string): string {
  return `${ROOT}${cause}/${createHash('sha256').update(image).digest('hex')}`
}

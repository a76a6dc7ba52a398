import * as v from 'valibot'

/** The file of a layout that makes it a bundle. */
export const BUNDLE_FILE = 'leat-bundle.json'
export const BUNDLE_VERSION = 1

/**
 * A bundle is an OCI layout that may leave out contents, because the other side has them. This file lists everything that
 * its images consist of, so that the other side can tell what is missing.
 */
export const Bundle = v.object({
  leatBundle: v.number(),
  images: v.array(v.object({ name: v.string(), digest: v.string() })),
  contents: v.array(
    v.object({
      digest: v.string(),
      size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      /** False: the bytes are not in the bundle. */
      included: v.boolean(),
    }),
  ),
})
export type Bundle = v.InferOutput<typeof Bundle>

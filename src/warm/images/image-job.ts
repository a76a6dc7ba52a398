import type { ContentLoader } from '../content/content-loader.ts'
import type { Patience } from '../content/patience.ts'
import type { WarmParts } from '../content/warm-parts.ts'
import type { WarmTarget } from '../content/warm-target.ts'
import type { ImageRequest } from './image-request.ts'

/** One image to store, and what is needed to do it. */
export interface ImageJob {
  readonly target: WarmTarget
  readonly loader: ContentLoader
  /** The parts of the whole run, to which those of this image are added. */
  readonly parts: WarmParts
  readonly request: ImageRequest
  readonly patience: Patience
  readonly signal: AbortSignal
}

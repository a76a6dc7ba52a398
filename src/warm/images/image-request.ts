import { type Parsed, parsed } from '../../lib/parsed.ts'
import { type PlatformSelection, parsePlatforms } from '../../oci/index-selection.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'
import { platformOfNode } from '../../oci/platform.ts'

/** An image to store, as a person or the settings name it. */
export interface WarmEntry {
  readonly image: string
  /** `os/architecture[/variant]`, or `all`. An empty list means the platform of this node. */
  readonly platforms?: readonly string[]
  readonly referrers?: boolean
  readonly pin?: boolean
}

export interface ImageRequest {
  readonly image: string
  readonly reference: Reference
  readonly selection: PlatformSelection
  readonly referrers: boolean
  readonly pin: boolean
}

export function parseImageRequest(entry: WarmEntry, defaultNamespace: string): Parsed<ImageRequest> {
  const { image, platforms = [], referrers = false, pin = false } = entry
  const reference = parseReference(image, defaultNamespace)
  if (!reference.ok) return reference
  const selection = parsePlatforms(platforms, { platforms: [platformOfNode()], isExplicit: false })
  if (!selection.ok) return selection
  return parsed({ image, reference: reference.value, selection: selection.value, referrers, pin })
}

import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import type { Platform } from '../../oci/manifest.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'
import { parsePlatform, platformOfNode } from '../../oci/platform.ts'

/** The platforms to store: all, or a list, which is explicit unless it is only the platform of this node. */
export type PlatformSelection =
  | 'all'
  | { readonly platforms: readonly Platform[]; readonly isExplicit: boolean }

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
  const selection = parsePlatforms(platforms)
  if (!selection.ok) return selection
  return parsed({ image, reference: reference.value, selection: selection.value, referrers, pin })
}

export function parsePlatforms(texts: readonly string[]): Parsed<PlatformSelection> {
  if (texts.length === 0) return parsed({ platforms: [platformOfNode()], isExplicit: false })
  if (texts.includes('all')) {
    return texts.length === 1
      ? parsed('all')
      : refused('the platform "all" cannot be combined with other platforms')
  }
  const platforms: Platform[] = []
  for (const text of texts) {
    const platform = parsePlatform(text)
    if (!platform.ok) return platform
    platforms.push(platform.value)
  }
  return parsed({ platforms, isExplicit: true })
}

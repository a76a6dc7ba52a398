import { type Parsed, parsed, refused } from '../../lib/parsed.ts'
import type { Platform } from '../../oci/manifest.ts'
import { parseReference, type Reference } from '../../oci/names/reference.ts'
import { parsePlatform, platformOfNode } from '../../oci/platform.ts'

/** For which machines: everything that there is, these, or the one that runs here. */
export type Wanted = 'all' | { readonly platforms: readonly Platform[]; readonly isAsked: boolean }

/** An image that is to be here, as it was asked for. */
export interface WarmEntry {
  readonly image: string
  /** `os/architecture[/variant]`, or `all`; none: this node's. */
  readonly platforms?: readonly string[]
  readonly referrers?: boolean
  readonly pin?: boolean
}

export interface Order {
  readonly image: string
  readonly reference: Reference
  readonly wanted: Wanted
  readonly referrers: boolean
  readonly pin: boolean
}

export function parseOrder(entry: WarmEntry, defaultNamespace: string): Parsed<Order> {
  const { image, platforms = [], referrers = false, pin = false } = entry
  const reference = parseReference(image, defaultNamespace)
  if (!reference.ok) return reference
  const wanted = parseWanted(platforms)
  if (!wanted.ok) return wanted
  return parsed({ image, reference: reference.value, wanted: wanted.value, referrers, pin })
}

export function parseWanted(texts: readonly string[]): Parsed<Wanted> {
  if (texts.length === 0) return parsed({ platforms: [platformOfNode()], isAsked: false })
  if (texts.includes('all')) {
    return texts.length === 1
      ? parsed('all')
      : refused('all platforms are asked for, and some of them besides')
  }
  const platforms: Platform[] = []
  for (const text of texts) {
    const platform = parsePlatform(text)
    if (!platform.ok) return platform
    platforms.push(platform.value)
  }
  return parsed({ platforms, isAsked: true })
}

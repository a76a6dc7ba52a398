import { parseReference } from '../../oci/names/reference.ts'
import { parsePlatform, platformText } from '../../oci/platform.ts'
import { type Format, type GivenValue, listOf, record, refuse, text, textLike, yesOrNo } from './format.ts'

/** An image that the agent keeps warm. */
export interface WarmSettings {
  readonly image: string
  /** The platforms to keep; empty: this node's platform. */
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly pin: boolean
}

export const image = text(
  (given) => (parseReference(given).ok ? given : undefined),
  'an image such as docker.io/library/alpine:3 or ghcr.io/acme/app:v1',
  // The first part may be a registry, which may have capitals and a port.
  textLike(
    /^(?:[A-Za-z0-9.-]+(?::\d{1,5})?\/)?[a-z0-9._-]+(?:\/[a-z0-9._-]+)*(?::\w[\w.-]{0,127})?(?:@sha(?:256|512):[0-9a-f]{64,128})?$/,
  ),
)
const platform = text(
  (given) => {
    if (given === 'all') return given
    const found = parsePlatform(given)
    return found.ok ? platformText(found.value) : undefined
  },
  'os/architecture such as linux/arm64, or all',
  textLike(/^(?:all|[\w.-]{1,32}(?:\/[\w.-]{1,32}){1,2})$/),
)
/** Platforms of an image; `all` stands alone. */
export const platforms: Format<readonly string[]> = {
  ...listOf(platform),
  read: (given) => {
    const named = listOf(platform).read(given)
    if (!named.includes('all') || named.length === 1) return named
    return refuse(given, 'lists all and single platforms; keep one of the two')
  },
}
const entry = record({ image, platforms, referrers: yesOrNo, pin: yesOrNo }, ['image'])

function readItem(item: GivenValue): WarmSettings {
  const given = typeof item.value === 'string' ? { image: image.read(item) } : entry.read(item)
  const { platforms = [], referrers = false, pin = false } = given as ReturnType<typeof entry.read>
  if (given.image === undefined) {
    return refuse(item, 'has no image; expected one such as docker.io/library/alpine:3')
  }
  return Object.freeze({ image: given.image, platforms, referrers, pin })
}

/** The `warm` setting. */
export const warm: Format<readonly WarmSettings[]> = {
  read: (given) => {
    if (typeof given.value === 'string') return refuse(given, 'has no value; expected a list of images')
    return listOf({ ...entry, read: readItem }).read(given)
  },
  jsonSchema: { type: 'array', items: { anyOf: [image.jsonSchema, entry.jsonSchema] } },
  show: listOf({ ...entry, show: (item) => (typeof item.value === 'string' ? item.value : entry.show(item)) })
    .show,
}

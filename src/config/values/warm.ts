import { parseReference } from '../../oci/names/reference.ts'
import { parsePlatform, platformText } from '../../oci/platform.ts'
import { listOf, record, refuse, type Shape, text, yesOrNo } from './shape.ts'

/** An image that the agent keeps warm. */
export interface WarmSettings {
  readonly image: string
  /** None: this node's. */
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly pin: boolean
}

const image = text(
  (given) => (parseReference(given).ok ? given : undefined),
  'an image such as docker.io/library/alpine:3 or ghcr.io/acme/app:v1',
)
const platform = text((given) => {
  if (given === 'all') return given
  const found = parsePlatform(given)
  return found.ok ? platformText(found.value) : undefined
}, 'os/architecture such as linux/arm64, or all')
const entry = record({ image, platforms: listOf(platform), referrers: yesOrNo, pin: yesOrNo })

const item: Shape<WarmSettings> = (written) => {
  const given = typeof written.value === 'string' ? { image: image(written) } : entry(written)
  const { platforms = [], referrers = false, pin = false } = given as ReturnType<typeof entry>
  if (given.image === undefined) {
    return refuse(written, 'has no image; expected one such as docker.io/library/alpine:3')
  }
  if (platforms.includes('all') && platforms.length > 1) {
    return refuse(written, 'asks for all platforms, and for some of them besides; keep one of the two')
  }
  return Object.freeze({ image: given.image, platforms, referrers, pin })
}

/** The `warm` setting. */
export const warm: Shape<readonly WarmSettings[]> = (written) => {
  if (typeof written.value === 'string') return refuse(written, 'has no value; expected a list of images')
  return listOf(item)(written)
}

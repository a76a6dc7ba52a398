import { countTo } from '../values/count.ts'
import { text, textLike } from '../values/format.ts'
import { byteRate } from '../values/size.ts'

/** How much the agent asks of one registry at a time. */
export interface UpstreamLimitSettings {
  /** Over how many connections a large blob may come; `auto`: as many as make it faster. */
  readonly connectionsPerBlob: 'auto' | number
  /** How many blobs, and ranges of blobs, may be on their way at a time. */
  readonly maxConnections: number | undefined
  /** How many requests may begin in a second. */
  readonly maxRequestsPerSecond: number | undefined
  /** How many bytes of blobs may come in a second. */
  readonly maxBytesPerSecond: number | undefined
}

const connectionsPerBlob = text<'auto' | number>(
  (given) => (given === 'auto' ? given : /^[1-8]$/.test(given) ? Number(given) : undefined),
  'auto, or a number from 1 to 8',
  textLike(/^(?:auto|[1-8])$/),
)

export const upstreamLimitFields = {
  connectionsPerBlob,
  maxConnections: countTo(1000),
  maxRequestsPerSecond: countTo(1000),
  maxBytesPerSecond: byteRate,
}

/** The limits of an entry, and the default of what it leaves out. */
export function upstreamLimits(given: Partial<UpstreamLimitSettings>): UpstreamLimitSettings {
  return {
    connectionsPerBlob: given.connectionsPerBlob ?? 1,
    maxConnections: given.maxConnections,
    maxRequestsPerSecond: given.maxRequestsPerSecond,
    maxBytesPerSecond: given.maxBytesPerSecond,
  }
}

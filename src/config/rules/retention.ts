import type { Format } from '../values/format.ts'
import { hostedPattern } from '../values/repository-pattern.ts'
import { duration, tagRules } from './tag-rules.ts'

/** Which tags of some hosted repositories stay; durations are in milliseconds. */
export interface RetentionSettings {
  readonly names: readonly string[]
  readonly keepTags?: readonly string[]
  readonly keepLast?: number
  readonly keepForMs?: number
  readonly keepPulledWithinMs?: number
  readonly untaggedMs?: number
}

/** The `hostedRetention` setting. */
export const retention: Format<readonly RetentionSettings[]> = tagRules(
  { format: hostedPattern, example: '[team/**]' },
  { keepPulledWithin: duration, untagged: duration },
  ({ keepFor, keepPulledWithin, untagged, ...rest }) => ({
    ...rest,
    ...(keepFor === undefined ? {} : { keepForMs: keepFor }),
    ...(keepPulledWithin === undefined ? {} : { keepPulledWithinMs: keepPulledWithin }),
    ...(untagged === undefined ? {} : { untaggedMs: untagged }),
  }),
)

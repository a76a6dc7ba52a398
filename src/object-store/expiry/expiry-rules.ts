import type { Repository } from '../../oci/names/repository.ts'
import { repositoryFilter } from '../../oci/names/repository-filter.ts'
import { textMatcher } from '../../oci/names/wildcards.ts'
import { fallbackTagIn } from '../../oci/referrers.ts'
import type { ExpiryRule } from '../options/store-options.ts'

export interface BucketTag {
  readonly tag: string
  /** When its link was last written: when upstream has last confirmed it, to within a day. */
  readonly modifiedAt: number
}

/** Which tags of a bucket go. For each repository the first rule counts whose names match; without one all tags stay. */
export class ExpiryRules {
  readonly #rules: readonly { readonly rule: ExpiryRule; readonly isNamed: (of: Repository) => boolean }[]

  constructor(rules: readonly ExpiryRule[]) {
    this.#rules = rules.map((rule) => ({ rule, isNamed: repositoryFilter(rule.names) }))
  }

  /**
   * A tag goes when none of the conditions of the rule keeps it; a rule without any condition removes no tag. Tags of signatures
   * and other referrers do not count for `keepLast`, and go only if their subject is not kept, which the caller knows.
   */
  expired<Tag extends BucketTag>(
    repository: Repository | undefined,
    tags: readonly Tag[],
    now: number,
  ): readonly { readonly tag: Tag; readonly why: string }[] {
    const rule = repository && this.#rules.find(({ isNamed }) => isNamed(repository))?.rule
    if (rule === undefined) return []
    const { names, keepTags, keepLast, keepForMs } = rule
    if ([keepTags, keepLast, keepForMs].every((condition) => condition === undefined)) return []
    const keptNames = (keepTags ?? []).map(textMatcher)
    const latest = new Set(
      tags
        .filter(({ tag }) => fallbackTagIn(tag) === undefined)
        .sort((one, other) => other.modifiedAt - one.modifiedAt)
        .slice(0, keepLast ?? 0),
    )
    return tags
      .filter(
        (tag) =>
          !keptNames.some((matches) => matches(tag.tag)) &&
          !latest.has(tag) &&
          !(keepForMs !== undefined && now - tag.modifiedAt < keepForMs),
      )
      .map((tag) => ({ tag, why: `kept by no condition of the rule for ${names.join(', ')}` }))
  }
}

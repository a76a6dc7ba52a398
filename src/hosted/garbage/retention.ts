import { HostedNames } from '../../oci/names/hosted-names.ts'
import type { Repository } from '../../oci/names/repository.ts'
import type { HostedTag } from '../../ports/hosted/hosted-catalog.ts'

/**
 * Which tags of some repositories stay. A tag goes when none of the conditions that the rule has keeps it; a rule without any
 * of them removes no tag.
 */
export interface RetentionRule {
  /** Patterns of the repositories, as in the names of what is hosted. */
  readonly names: readonly string[]
  /** Patterns of tags that stay; `*` matches any text. */
  readonly keepTags?: readonly string[]
  /** How many of the tags that were pushed last stay. */
  readonly keepLast?: number
  /** Tags that were pushed within this time stay. */
  readonly keepForMs?: number
  /** Tags that were pulled within this time stay. */
  readonly keepPulledWithinMs?: number
  /** How long manifests without a tag stay; never shorter than the grace period, which is the default. */
  readonly untaggedMs?: number
}

export interface ExpiredTag extends HostedTag {
  readonly why: string
}

/** The rules of all repositories. For each repository the first rule counts whose names match. */
export class Retention {
  readonly #rules: readonly { readonly rule: RetentionRule; readonly names: HostedNames }[]
  readonly #graceMs: number

  constructor(rules: readonly RetentionRule[], graceMs: number) {
    this.#rules = rules.map((rule) => ({ rule, names: new HostedNames(rule.names) }))
    this.#graceMs = graceMs
  }

  /** For how long a link stays that no tag needs. */
  unneededMs(repository: Repository, kind: 'manifest' | 'blob'): number {
    const untaggedMs = kind === 'manifest' ? this.#ruleOf(repository)?.untaggedMs : undefined
    return Math.max(this.#graceMs, untaggedMs ?? 0)
  }

  /** Gives the tags of a repository that go. */
  expired(repository: Repository, tags: readonly HostedTag[], now: number): readonly ExpiredTag[] {
    const rule = this.#ruleOf(repository)
    if (rule === undefined) return []
    const { keepTags, keepLast, keepForMs, keepPulledWithinMs } = rule
    if ([keepTags, keepLast, keepForMs, keepPulledWithinMs].every((condition) => condition === undefined))
      return []
    const isKeptName = matcher(keepTags ?? [])
    const latest = new Set(
      [...tags]
        .sort((one, other) => other.pushedAt - one.pushedAt || (one.tag < other.tag ? -1 : 1))
        .slice(0, keepLast ?? 0)
        .map(({ tag }) => tag),
    )
    const why = `kept by no condition of the rule for ${rule.names.join(', ')}`
    return tags
      .filter(
        ({ tag, pushedAt, pulledAt }) =>
          !isKeptName(tag) &&
          !latest.has(tag) &&
          !isWithin(pushedAt, keepForMs, now) &&
          !isWithin(pulledAt, keepPulledWithinMs, now),
      )
      .map((tag) => ({ ...tag, why }))
  }

  #ruleOf(repository: Repository): RetentionRule | undefined {
    return this.#rules.find(({ names }) => names.isHosted(repository))?.rule
  }
}

/** A time in the future was written while the clock was wrong: it counts as now. */
function isWithin(time: number | undefined, ms: number | undefined, now: number): boolean {
  return time !== undefined && ms !== undefined && now - time < ms
}

function matcher(patterns: readonly string[]): (tag: string) => boolean {
  const compiled = patterns.map((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    return new RegExp(`^${parts.join('.*')}$`)
  })
  return (tag) => compiled.some((one) => one.test(tag))
}

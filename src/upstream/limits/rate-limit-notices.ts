import type { Quota } from './quota.ts'

/** What a registry has told one agent about its rate limit. */
export interface RateLimitNotice {
  readonly host: string
  /** For how long the registry refuses requests; 0 if it does not. */
  readonly closedMs: number
  readonly quota: Quota | undefined
  /** How long ago the registry answered so. */
  readonly ageMs: number
}

/** Exchanges notices with other agents that use the same registries. */
export interface RateLimitNotices {
  /** Sends a notice to all agents that share the rate limit, which is all that have the same `identity`. */
  send(notice: RateLimitNotice, identity: string): void
  /** The latest notice of another agent. */
  latest(identity: string): RateLimitNotice | undefined
}

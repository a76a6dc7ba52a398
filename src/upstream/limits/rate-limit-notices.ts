import type { Quota } from './quota.ts'

/** What a registry has told one agent about its rate limit. */
export interface RateLimitNotice {
  readonly host: string
  /** For how long the registry refuses requests; 0 when only the quota is reported. */
  readonly closedMs: number
  readonly quota: Quota | undefined
  /** The time since the registry gave this answer. */
  readonly ageMs: number
}

/** Exchanges notices with other agents that use the same registries. */
export interface RateLimitNotices {
  /** Sends a notice to all agents that share the rate limit: those with the same `accountId` (`RateLimitAccount.id`). */
  send(notice: RateLimitNotice, accountId: string): void
  /** Returns the latest notice of another agent. */
  latest(accountId: string): RateLimitNotice | undefined
}

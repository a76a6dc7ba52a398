/** What a registry has told one agent about its rate limit. */
export interface RateLimitNotice {
  readonly host: string
  /** For how long the registry refuses requests. */
  readonly closedMs: number
}

/** Exchanges notices with other agents that use the same registries. */
export interface RateLimitNotices {
  /** Sends a notice to all agents that share the rate limit: those with the same `subjectId` (`RateLimitSubject.id`). */
  send(notice: RateLimitNotice, subjectId: string): void
  /** Returns the latest notice of another agent. */
  latest(subjectId: string): RateLimitNotice | undefined
}

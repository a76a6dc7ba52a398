import type { Status } from '../../src/doctor/checks/agent.ts'

/** The status of a ready agent. */
export function agentStatus(given: Partial<Status> = {}): Status {
  return {
    version: '0.1.0',
    startedAt: new Date(0).toISOString(),
    addresses: { registry: '127.0.0.1:5050', admin: '127.0.0.1:5051' },
    data: '/var/lib/leat',
    ready: true,
    reasons: [],
    store: { bytes: 0, limitBytes: null },
    ...given,
  }
}

import type { Events } from '../../src/observe/events.ts'
import { ALPINE, digestOf } from './memory-node.ts'

/** Events with typical values; a test overrides the fields that it is about. */
export function requestEnded(overrides: Partial<Events['request.ended']> = {}): Events['request.ended'] {
  return {
    route: 'blob',
    method: 'GET',
    code: 200,
    ms: 12,
    bytes: 1000,
    source: 'local',
    repository: ALPINE,
    reference: digestOf('layer'),
    cacheStatus: 'leat; hit',
    protocol: 'http/1.1',
    aborted: false,
    error: undefined,
    failedSource: undefined,
    client: undefined,
    ...overrides,
  }
}

export function flightStarted(overrides: Partial<Events['flight.started']> = {}): Events['flight.started'] {
  return { digest: digestOf('layer'), kind: 'blob', repository: ALPINE, resumedAt: 0, ...overrides }
}

export function flightAttempted(
  overrides: Partial<Events['flight.attempted']> = {},
): Events['flight.attempted'] {
  return {
    digest: digestOf('layer'),
    source: 'registry-1.docker.io',
    sourceKind: 'upstream',
    bytes: 1000,
    ms: 30,
    error: undefined,
    ...overrides,
  }
}

export function peerTransfer(overrides: Partial<Events['peer.taken']> = {}): Events['peer.taken'] {
  return {
    digest: digestOf('layer'),
    repository: ALPINE,
    id: 'f00d',
    name: 'node-3',
    bytes: 1000,
    ms: 30,
    error: undefined,
    ...overrides,
  }
}

export function peerInstructed(
  overrides: Partial<Events['peer.instructed']> = {},
): Events['peer.instructed'] {
  const owner = { name: 'node-5', self: false }
  return { digest: digestOf('layer'), owner, instruction: 'take', from: 'node-3', ...overrides }
}

export function flightEnded(overrides: Partial<Events['flight.ended']> = {}): Events['flight.ended'] {
  return {
    digest: digestOf('layer'),
    kind: 'blob',
    repository: ALPINE,
    size: 1000,
    ms: 40,
    waiters: 2,
    source: 'registry-1.docker.io',
    isStored: overrides.error === undefined,
    passThroughReason: undefined,
    error: undefined,
    ...overrides,
  }
}

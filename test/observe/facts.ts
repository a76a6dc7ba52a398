import type { Events } from '../../src/observe/events.ts'
import { ALPINE, digestOf } from './memory-node.ts'

/** Facts as the rooms publish them, with what a test cares about put over the rest. */
export function requestEnded(more: Partial<Events['request.ended']> = {}): Events['request.ended'] {
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
    ...more,
  }
}

export function flightStarted(more: Partial<Events['flight.started']> = {}): Events['flight.started'] {
  return { digest: digestOf('layer'), kind: 'blob', repository: ALPINE, resumedAt: 0, ...more }
}

export function flightAttempted(more: Partial<Events['flight.attempted']> = {}): Events['flight.attempted'] {
  return {
    digest: digestOf('layer'),
    source: 'registry-1.docker.io',
    sourceKind: 'upstream',
    bytes: 1000,
    ms: 30,
    error: undefined,
    ...more,
  }
}

export function peerTransfer(more: Partial<Events['peer.taken']> = {}): Events['peer.taken'] {
  return {
    digest: digestOf('layer'),
    id: 'f00d',
    name: 'node-3',
    bytes: 1000,
    ms: 30,
    error: undefined,
    ...more,
  }
}

export function peerGuided(more: Partial<Events['peer.guided']> = {}): Events['peer.guided'] {
  const owner = { name: 'node-5', isSelf: false }
  return { digest: digestOf('layer'), owner, course: 'take', from: 'node-3', ...more }
}

export function flightEnded(more: Partial<Events['flight.ended']> = {}): Events['flight.ended'] {
  return {
    digest: digestOf('layer'),
    kind: 'blob',
    repository: ALPINE,
    size: 1000,
    ms: 40,
    waiters: 2,
    source: 'registry-1.docker.io',
    kept: more.error === undefined,
    obstacle: undefined,
    error: undefined,
    ...more,
  }
}

import type { Reports } from '../../src/admin-api/answer.ts'
import type { ImageReport } from '../../src/schemas/content-report.ts'
import type { MemberActivity } from '../../src/schemas/peer-report.ts'
import type { FlightReport, StatusReport } from '../../src/schemas/status-report.ts'
import type { WhyReport } from '../../src/schemas/why-report.ts'

/** Names by which somebody may try to make a browser run code or show something else. */
export const HOSTILE_TEXTS = [
  '"><img src=x onerror=alert(1)>',
  '<script>alert(2)</script>',
  '</script><svg onload=alert(3)>',
  'javascript:alert(4)',
  "' autofocus onfocus=alert(5) x='",
  '{{constructor.constructor("alert(6)")()}}',
  '\u202egnp.exe\u0007',
  'a'.repeat(5000),
] as const

const AT = '2024-05-01T10:00:00.000Z'
const MIB = 1024 * 1024

/** Reports that have the hostile texts in every field that holds a text. */
export function hostileReports(): Reports {
  return {
    status: async () => status(),
    events: () => undefined,
    pulls: () => ({
      pulls: HOSTILE_TEXTS.map((text, i) => ({
        repository: text,
        references: [text, `sha256:${text}`],
        startedAt: AT,
        endedAt: AT,
        requests: 3,
        failed: 1,
        bytes: { local: i, inflight: 2, peer: 3, objectStore: 0, upstream: 4 },
        failure: text,
        parts: [
          {
            reference: text,
            route: text,
            method: 'GET',
            code: 200,
            startedAt: AT,
            ms: 3,
            times: 1,
            bytes: MIB,
            source: 'peer',
            from: [text],
            error: text,
          },
        ],
      })),
    }),
    history: () => ({ hour: { everyMs: 60_000, points: [] }, day: { everyMs: 900_000, points: [] } }),
    swarm: async () => ({ count: HOSTILE_TEXTS.length, members: HOSTILE_TEXTS.map(member) }),
    blobs: async function* () {},
    images: async function* () {
      for (const text of HOSTILE_TEXTS) yield image(text)
    },
    why: async (subject) => ({ ok: true, value: why(subject) }),
    metrics: async () => '',
    ready: () => ({ ready: false, reasons: [...HOSTILE_TEXTS], problems: [...HOSTILE_TEXTS] }),
  }
}

function member(text: string, i: number): MemberActivity {
  return {
    name: text,
    address: text,
    zone: text,
    self: i === 0,
    activity: {
      served: { local: i, inflight: 2, peer: 3, objectStore: 0, upstream: 4 },
      fetched: { peer: 1, objectStore: 0, upstream: 1 },
      store: { blobs: 1, bytes: MIB },
      warm: { stored: 1, missing: 1 },
      transfers: HOSTILE_TEXTS.map((from) => ({
        digest: text,
        kind: 'blob',
        from,
        isPeer: true,
        position: 1,
        size: MIB,
      })),
    },
  }
}

function status(): StatusReport {
  const report: StatusReport = {
    version: HOSTILE_TEXTS[0],
    name: HOSTILE_TEXTS[0],
    startedAt: AT,
    addresses: { registry: HOSTILE_TEXTS[1], admin: HOSTILE_TEXTS[1] },
    data: HOSTILE_TEXTS[1],
    ready: false,
    reasons: [...HOSTILE_TEXTS],
    problems: [...HOSTILE_TEXTS],
    store: {
      blobs: 1,
      bytes: MIB,
      limitBytes: null,
      evictedBytes: MIB,
      hosted: { blobs: 1, bytes: MIB },
      scrub: { bytesPerSecond: 1, state: 'under-way', found: 0, lastRound: { endedAt: AT, found: 1 } },
    },
    flights: HOSTILE_TEXTS.map(flight),
    requests: 1,
    lastPullAt: null,
    served: { local: 1, inflight: 1, peer: 1, objectStore: 0, upstream: 1 },
    clients: {
      connections: 1,
      sessions: 1,
      answers: 1,
      pipelined: 1,
      seats: 1,
      waiting: 1,
      pieces: 1,
      files: 1,
    },
    fetched: { peer: 1, objectStore: 0, upstream: 1 },
    upstreams: HOSTILE_TEXTS.map((text) => ({
      host: text,
      requests: 1,
      failures: 1,
      lastAt: AT,
      lastStatus: 500,
      resting: text,
      quota: { remaining: 1, limit: null, windowSeconds: 60 },
    })),
    saved: {
      ...{ bytes: 2, toClients: 1, toPeers: 1, fromUpstream: 1, cost: 1, since: HOSTILE_TEXTS[0] },
      registries: HOSTILE_TEXTS.map((registry) => ({
        ...{ registry, bytes: 2, toClients: 1, toPeers: 1, fromUpstream: 1, cost: null },
      })),
    },
    webhooks: HOSTILE_TEXTS.map((text) => ({
      name: text,
      waiting: 1,
      delivered: 2,
      dropped: 3,
      problem: text,
    })),
    sources: HOSTILE_TEXTS.map((text) => ({
      name: text,
      exclusive: true,
      repositories: null,
      problem: text,
    })),
    peers: {
      self: { name: HOSTILE_TEXTS[0], address: HOSTILE_TEXTS[1], zone: HOSTILE_TEXTS[0] },
      bytes: { in: MIB, out: 2 * MIB },
      count: HOSTILE_TEXTS.length,
      members: HOSTILE_TEXTS.map((text, i) => ({
        id: text,
        name: text,
        address: text,
        zone: i > 3 ? null : text,
        version: text,
        understood: i % 2 === 0,
        since: AT,
        taken: 1,
        given: 1,
      })),
    },
  }
  return report
}

function flight(text: string): FlightReport {
  return {
    digest: text,
    kind: 'blob',
    repository: text,
    startedAt: AT,
    position: 1,
    size: null,
    waiters: 1,
    source: text,
  }
}

function image(text: string): ImageReport {
  return {
    repository: text,
    tag: text,
    digest: text,
    checkedAt: AT,
    bytesHere: 1,
    uniqueBytes: 1,
    sharedBytes: 0,
    sharesWith: [text],
    lastUsedAt: AT,
    pinned: true,
    pinnedBy: [text],
    state: 'whole',
    platforms: [text, text],
  }
}

function why(subject: string): WhyReport {
  const [text] = HOSTILE_TEXTS
  return {
    subject,
    repository: subject,
    tag: subject,
    digest: subject,
    tagRecord: { checkedAt: AT, ageMs: 1, tagTtlMs: 1, staleIfErrorMs: 1, state: 'fresh' },
    hostedIn: [...HOSTILE_TEXTS],
    pushedAt: null,
    stored: { size: 1, kind: 'blob', mediaType: text, storedAt: AT, lastUsedAt: AT, origin: text },
    flight: flight(text),
    seenIn: [...HOSTILE_TEXTS],
    problems: [...HOSTILE_TEXTS],
    corrupt: HOSTILE_TEXTS.map((text) => ({ at: AT, source: text, found: text })),
    quarantined: HOSTILE_TEXTS.map((path) => ({ at: AT, path, bytes: 1 })),
    image: { kind: 'index', state: 'whole', platforms: [...HOSTILE_TEXTS], bytesHere: 1 },
    parts: HOSTILE_TEXTS.map((digest) => ({
      digest,
      role: 'layer',
      size: 1,
      platform: digest,
      state: 'missing',
    })),
    partsLeftOut: 1,
    requests: HOSTILE_TEXTS.map((reference) => ({
      at: AT,
      method: reference,
      repository: reference,
      reference,
      code: 500,
      ms: 1,
      times: 1,
      bytes: 1,
      source: 'local',
      cacheStatus: reference,
      aborted: true,
      error: reference,
    })),
    flights: HOSTILE_TEXTS.map((source) => ({
      startedAt: AT,
      resumedAt: 1,
      ms: 1,
      size: 1,
      waiters: 1,
      source,
      kept: false,
      obstacle: source,
      error: null,
      attempts: [{ source, bytes: 1, ms: 1, error: source }],
      peers: [
        { is: 'guided', afterMs: 1, owner: { name: source, self: false }, course: 'take', from: source },
        { is: 'taken', afterMs: 1, from: source, bytes: 1, ms: 1, error: source },
      ],
    })),
    peers: {
      owner: { name: text, self: false },
      asked: 1,
      answered: 1,
      holders: [{ name: text, address: text, zone: text, position: 1, whole: false }],
    },
    next: text,
  }
}

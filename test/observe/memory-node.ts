import { createHash } from 'node:crypto'
import type { HistoryView } from '../../src/observe/records/history/history.ts'
import type { SavingsView } from '../../src/observe/records/savings.ts'
import type {
  BlobView,
  CopiesView,
  FlightView,
  NodeView,
  ObjectStoreView,
  QuarantinedView,
  ScrubView,
  SourceView,
  TagView,
  WebhookView,
} from '../../src/observe/reports/view.ts'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import { childrenOf, parseManifest } from '../../src/oci/manifest.ts'
import { type Repository, repositoryKey } from '../../src/oci/names/repository.ts'
import type { ObjectStoreContent } from '../../src/schemas/object-store-report.ts'
import type {
  AvailabilityReport,
  MemberActivity,
  OwnerReport,
  SwarmReport,
} from '../../src/schemas/peer-report.ts'
import type { StatusReport } from '../../src/schemas/status-report.ts'

export const ALPINE: Repository = { registry: 'docker.io', name: 'library/alpine' }

export function digestOf(content: string | Uint8Array): Digest {
  const digest = parseDigest(`sha256:${createHash('sha256').update(content).digest('hex')}`)
  if (digest === undefined) throw new Error('a hash is a digest')
  return digest
}

/** A node that holds what a test puts into it. Reports read it as they read a running agent. */
export class MemoryNode implements NodeView {
  readonly version = '1.2.3'
  readonly name = 'node-a'
  readonly startedAt = Date.now() - 60_000
  readonly data = '/var/lib/leat'
  readonly defaultNamespace = 'docker.io'
  readonly hostedPatterns = ['team/**']
  hostedBucket: string | undefined
  readonly reasons: string[] = []
  readonly activeFlights: FlightView[] = []
  readonly tagRecords: TagView[] = []
  readonly seenInRepositories = new Map<Digest, Repository[]>()
  readonly quarantinedFiles = new Map<Digest, QuarantinedView[]>()
  readonly files = new Map<string, string[]>()
  readonly disallowed = new Set<string>()
  readonly hosted = { blobs: 0, bytes: 0 }
  readonly hostedRepositories: string[] = []
  readonly pinned = new Set<Digest>()
  swarm: SwarmReport | undefined
  otherMembers: readonly MemberActivity[] = []
  readonly localSources: SourceView[] = []
  readonly availability = new Map<Digest, AvailabilityReport>()
  savings: SavingsView = {
    since: undefined,
    total: { clients: 0, peers: 0, upstream: 0 },
    cost: undefined,
    registries: [],
  }
  readonly webhookStates: WebhookView[] = []
  readonly copyStates: CopiesView[] = []
  objectStoreState: ObjectStoreView | undefined
  objectStoreContent: ObjectStoreContent | undefined
  owner: OwnerReport | undefined
  registry: string | undefined = '127.0.0.1:5050'
  readonly #blobs = new Map<Digest, BlobView>()
  readonly #manifests = new Map<Digest, Uint8Array>()

  put(content: string, kind: 'manifest' | 'blob' = 'blob'): { digest: Digest; size: number } {
    const digest = digestOf(content)
    const bytes = Buffer.from(content)
    const now = Date.now()
    this.#blobs.set(digest, {
      digest,
      kind,
      size: bytes.length,
      mediaType: kind === 'manifest' ? 'application/vnd.oci.image.manifest.v1+json' : undefined,
      storedAt: now - 3_600_000,
      lastUsedAt: now - 5_000,
      origin: 'upstream registry-1.docker.io',
    })
    if (kind === 'manifest') this.#manifests.set(digest, bytes)
    return { digest, size: bytes.length }
  }

  /** Stores a manifest, its config and its layers, except for those in `missing`. */
  putImage(layers: readonly string[], missing: readonly string[] = []): { digest: Digest; size: number } {
    const described = ['{}', ...layers].map((content) =>
      missing.includes(content)
        ? { digest: digestOf(content), size: Buffer.byteLength(content) }
        : this.put(content),
    )
    const [config, ...rest] = described
    return this.put(JSON.stringify({ schemaVersion: 2, config, layers: rest }), 'manifest')
  }

  tagAs(tag: string, digest: Digest, ageMs = 20_000, repository: Repository = ALPINE): void {
    this.tagRecords.push({ repository, tag, digest, checkedAt: Date.now() - ageMs })
  }

  history(): Record<'hour' | 'day', HistoryView> {
    return { hour: { everyMs: 60_000, points: [] }, day: { everyMs: 900_000, points: [] } }
  }

  saved(): SavingsView {
    return this.savings
  }

  objectStore(): ObjectStoreView | undefined {
    return this.objectStoreState
  }

  async inObjectStore(): Promise<ObjectStoreContent | undefined> {
    return this.objectStoreContent
  }

  copies(): readonly CopiesView[] {
    return this.copyStates
  }

  webhooks(): readonly WebhookView[] {
    return this.webhookStates
  }

  addresses(): { registry: string | undefined; admin: string; metrics: undefined } {
    return { registry: this.registry, admin: '127.0.0.1:5051', metrics: undefined }
  }

  clients(): StatusReport['clients'] {
    return {
      connections: 2,
      sessions: 1,
      answers: 3,
      pipelined: 0,
      seats: 1,
      waiting: 0,
      pieces: 2,
      files: 1,
    }
  }

  async scrub(): Promise<ScrubView> {
    const lastRound = { endedAt: Date.now() - 7_200_000, found: 2 }
    return { bytesPerSecond: 16 * 2 ** 20, isVerifying: false, isRunning: true, found: 1, lastRound }
  }

  async pinnedBytes(): Promise<number> {
    return 1024
  }

  async warm(): Promise<{ stored: number; missing: number }> {
    return { stored: 2, missing: 1 }
  }

  store(): ReturnType<NodeView['store']> {
    const bytes = [...this.#blobs.values()].reduce((sum, blob) => sum + blob.size, 0)
    return { blobs: this.#blobs.size, bytes, limitBytes: 50 * 2 ** 30, evictedBytes: 7, hosted: this.hosted }
  }

  notReadyReasons(): readonly string[] {
    return this.reasons
  }

  flights(): readonly FlightView[] {
    return this.activeFlights
  }

  flight(digest: Digest): FlightView | undefined {
    return this.activeFlights.find((flight) => flight.digest === digest)
  }

  async facts(digest: Digest): Promise<BlobView | undefined> {
    return this.#blobs.get(digest)
  }

  async manifest(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#manifests.get(digest)
  }

  async references(manifest: Digest): Promise<readonly Digest[]> {
    const bytes = this.#manifests.get(manifest)
    const parsed = bytes === undefined ? undefined : parseManifest(bytes)
    return parsed?.ok === true ? childrenOf(parsed.value).map((child) => child.digest) : []
  }

  async *pins(): AsyncGenerator<{ digest: Digest; pinnedAt: number; names: readonly string[] }> {
    for (const digest of this.pinned) yield { digest, pinnedAt: Date.now(), names: [digest] }
  }

  async *blobs(): AsyncGenerator<BlobView> {
    yield* [...this.#blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
  }

  async isHosted(repository: Repository): Promise<boolean> {
    return this.hostedRepositories.includes(repositoryKey(repository))
  }

  async hostedIn(): Promise<readonly Repository[]> {
    return []
  }

  async *tags(): AsyncGenerator<TagView> {
    yield* this.tagRecords
  }

  async tag(repository: Repository, tag: string): Promise<TagView | undefined> {
    return this.tagRecords.find(
      (record) => record.tag === tag && repositoryKey(record.repository) === repositoryKey(repository),
    )
  }

  async seenIn(digest: Digest): Promise<readonly Repository[]> {
    return this.seenInRepositories.get(digest) ?? []
  }

  async quarantined(digest: Digest): Promise<readonly QuarantinedView[]> {
    return this.quarantinedFiles.get(digest) ?? []
  }

  async registryFiles({ registry }: Repository): Promise<readonly string[]> {
    return this.files.get(registry) ?? []
  }

  freshness(): { tagTtlMs: number; staleIfErrorMs: number } {
    return { tagTtlMs: 60_000, staleIfErrorMs: 7 * 86_400_000 }
  }

  hosts(repository: Repository): readonly string[] {
    return this.isAllowed(repository) ? ['mirror.example.com', 'registry-1.docker.io'] : []
  }

  async sources(): Promise<readonly SourceView[]> {
    return this.localSources
  }

  async askPeers(): Promise<readonly MemberActivity[]> {
    return this.otherMembers
  }

  peers(): SwarmReport | undefined {
    return this.swarm
  }

  async whoHas(digest: Digest): Promise<AvailabilityReport | undefined> {
    return this.availability.get(digest)
  }

  tagOwner(): OwnerReport | undefined {
    return this.owner
  }

  isAllowed(repository: Repository): boolean {
    return !this.disallowed.has(repositoryKey(repository))
  }
}

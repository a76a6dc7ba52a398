import { setMaxListeners } from 'node:events'
import type { FlightPolicy } from '../../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { DEFAULT_FRESHNESS, type FreshnessPolicy } from '../../../src/fetch/freshness.ts'
import { CachingResolver } from '../../../src/fetch/resolver.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { MemoryCatalog } from '../../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'
import { bodyOf, until } from '../../../testkit/memory/read-body.ts'
import { ScriptedRegistry } from '../../../testkit/registries/scripted-registry.ts'

export const alpine: Repository = { registry: 'docker.io', name: 'library/alpine' }
export const { signal } = new AbortController()
setMaxListeners(0, signal)

const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'

export interface ResolverParts {
  readonly catalog: MemoryCatalog
  readonly store: MemoryStore
  readonly registry: ScriptedRegistry
  readonly freshnessPolicy: FreshnessPolicy
  readonly flightPolicy: Partial<FlightPolicy>
}

/** A resolver with a store, a catalog and a registry in memory. */
export function setUpResolver({
  catalog = new MemoryCatalog(),
  store = new MemoryStore({ catalog }),
  registry = new ScriptedRegistry(),
  freshnessPolicy = DEFAULT_FRESHNESS,
  flightPolicy = {},
}: Partial<ResolverParts> = {}) {
  const resolver = new CachingResolver({
    store,
    catalog,
    registry,
    flightPolicy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1, ...flightPolicy },
    freshnessPolicy,
    manifestMemoryBytes: 1024 * 1024,
    flightLimit: 100,
  })
  const flightsEnded = (): Promise<void> => until(() => resolver.flights.list().length === 0)
  /** Pulls a blob by this name and waits until it is stored. */
  const pull = async (repository: Repository, digest: Digest): Promise<void> => {
    await bodyOf(await resolver.blob(repository, digest, { signal }))
    await flightsEnded()
  }
  /** Pulls a manifest by this name and waits until it is stored. */
  const pullManifest = async (repository: Repository, digest: Digest): Promise<void> => {
    await resolver.manifestByDigest(repository, digest, { signal })
    await flightsEnded()
  }
  /** A new resolver with the same store and catalog, as after a restart. */
  const restart = () => setUpResolver({ catalog, store })
  return { store, catalog, registry, resolver, flightsEnded, pull, pullManifest, restart }
}

export function descriptor(bytes: Uint8Array, mediaType: string, more: object = {}): object {
  return { mediaType, digest: digestOf(bytes), size: bytes.length, ...more }
}

export function manifestOf(layers: readonly Uint8Array[], more: object = {}): Buffer {
  const descriptors = layers.map((layer) => descriptor(layer, LAYER_TYPE))
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, layers: descriptors, ...more }
  return Buffer.from(JSON.stringify(manifest))
}

export function indexOf(...manifests: Uint8Array[]): Buffer {
  const descriptors = manifests.map((manifest) => descriptor(manifest, OCI_MANIFEST))
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: descriptors }))
}

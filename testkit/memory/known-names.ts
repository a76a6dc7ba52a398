import { KnownNames } from '../../src/fetch/known-names/known-names.ts'
import type { Registry } from '../../src/ports/registry.ts'
import { ScriptedRegistry } from '../registries/scripted-registry.ts'
import { MemoryCatalog } from './memory-catalog.ts'
import type { MemoryStore } from './memory-store.ts'

/** The known names of a store in memory. Without a registry, upstream has nothing. */
export function knownNamesOf(store: MemoryStore, registry: Registry = new ScriptedRegistry()): KnownNames {
  const catalog = store.catalog ?? new MemoryCatalog()
  return new KnownNames({ store, catalog, registry, timeoutMs: 5000 })
}

import { subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Origin } from './warm-target.ts'

/** Records where content comes from while its digest is not known yet, as when a tag is resolved. It must be closed. */
export class OriginLog {
  readonly #origins = new Map<Digest, Origin>()
  readonly #unsubscribe: () => void

  constructor() {
    this.#unsubscribe = subscribe('flight.attempted', ({ digest, sourceKind, bytes }) => {
      if (bytes > 0) this.#origins.set(digest, sourceKind)
    })
  }

  originOf(digest: Digest): Origin | undefined {
    return this.#origins.get(digest)
  }

  close(): void {
    this.#unsubscribe()
  }
}

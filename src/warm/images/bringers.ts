import { subscribe } from '../../observe/events.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Origin } from './place.ts'

/** Who has brought what while it was not known yet what would come, as when a tag is asked for. */
export class Bringers {
  readonly #origins = new Map<Digest, Origin>()
  readonly #unsubscribe: () => void

  constructor() {
    this.#unsubscribe = subscribe('flight.attempted', ({ digest, sourceKind, bytes }) => {
      if (bytes > 0) this.#origins.set(digest, sourceKind)
    })
  }

  of(digest: Digest): Origin | undefined {
    return this.#origins.get(digest)
  }

  close(): void {
    this.#unsubscribe()
  }
}

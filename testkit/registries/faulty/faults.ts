import type { Progress } from './progress.ts'

/**
 * What goes wrong, on every request for the path until `times` are used up. The fields combine: `{ chunked: true,
 * dieAt: 5 }` is a chunked answer that breaks off. Offsets count from the start of the whole content, whatever the range.
 */
export interface Fault {
  /** How many requests the fault applies to; default: all until `heal`. */
  readonly times?: number
  /** Default: every method. */
  readonly method?: 'GET' | 'HEAD' | 'POST'
  /** Answers this status (with `body`) instead of the content. */
  readonly status?: number
  readonly body?: string
  /** Added to the answer; an empty string takes the header out. */
  readonly headers?: Readonly<Record<string, string>>
  /** Leaves the request without an answer until `release`, and then closes the connection. */
  readonly silent?: boolean
  /** Sends the head at once and waits before the body byte at this offset until `release`. */
  readonly stallAt?: number
  /** The connection breaks off before this byte. */
  readonly dieAt?: number
  readonly how?: 'fin' | 'rst'
  /** Added to the declared length; the body is sent as it is (cut, where the declared length is shorter). */
  readonly lengthLie?: number
  /** The byte at this offset has one bit flipped. */
  readonly corruptAt?: number
  /** A range is answered 206 from this many bytes later than asked. */
  readonly startLie?: number
  /** A range is answered 200 with everything. */
  readonly ignoreRange?: boolean
  /** No Content-Length. */
  readonly chunked?: boolean
  /** This many bytes at a time, with this pause. */
  readonly drip?: { readonly bytes: number; readonly everyMs: number }
  /** 307 to a URL of the second origin, good for `uses` requests (default: any number), then 403. Or to `to`. */
  readonly redirect?: { readonly uses?: number; readonly to?: string }
}

/** A fault as a request meets it. */
export interface MetFault {
  readonly fault: Fault
  /** How many releases there had been when the fault was set. */
  readonly setAfterRelease: number
}

interface ArmedFault extends MetFault {
  readonly target: string
  left: number
}

interface StalledRequest {
  readonly path: string
  resume(): void
}

export function isFor(path: string, target: string): boolean {
  const bare = path.split('?', 1)[0] ?? ''
  return bare === target || bare.endsWith(`/${target}`)
}

/** The faults that are set, and the requests that stall at one. */
export class Faults {
  readonly #progress: Progress
  readonly #stalled = new Set<StalledRequest>()
  #armed: ArmedFault[] = []
  #releases = 0

  constructor(progress: Progress) {
    this.#progress = progress
  }

  set(target: string, fault: Fault): void {
    const left = fault.times ?? Number.POSITIVE_INFINITY
    this.#armed.push({ target, fault, left, setAfterRelease: this.#releases })
  }

  heal(target?: string): void {
    this.#armed = target === undefined ? [] : this.#armed.filter((armed) => armed.target !== target)
  }

  /** The first fault that is set for the request, which is used up by one. */
  meet(path: string, method: string): MetFault {
    const armed = this.#armed.find(
      ({ left, target, fault }) =>
        left > 0 && isFor(path, target) && (fault.method === undefined || fault.method === method),
    )
    if (armed === undefined) return { fault: {}, setAfterRelease: this.#releases }
    armed.left -= 1
    return armed
  }

  /** Whether the stall of this fault is over, so that a request which comes to it now does not wait. */
  isReleased({ setAfterRelease }: MetFault): boolean {
    return setAfterRelease < this.#releases
  }

  /** Resolves when the stall of this fault is released. */
  async stall(met: MetFault, path: string): Promise<void> {
    if (this.isReleased(met)) return
    await new Promise<void>((resolve) => {
      this.#stalled.add({ path, resume: resolve })
      this.#progress.changed()
    })
  }

  /** Ends the stalls of all faults that were set so far: of requests that stall now, and of those that come later. */
  release(): void {
    this.#releases += 1
    for (const { resume } of this.#stalled) resume()
    this.#stalled.clear()
  }

  hasStalled(target: string): boolean {
    return [...this.#stalled].some(({ path }) => isFor(path, target))
  }
}

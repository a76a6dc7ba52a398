import { type Events, subscribe } from '../../events.ts'
import { sourceKey } from '../../source-key.ts'
import { countManifestTime, type HistoryPoint, isEmptyPoint, newPoint, sumOfPoints } from './point.ts'
import { readPoint, writePoint } from './point-text.ts'

const MINUTE_MS = 60_000
const SCALES = [
  { name: 'minute', everyMs: MINUTE_MS, most: 60 },
  { name: 'quarter', everyMs: 15 * MINUTE_MS, most: 96 },
] as const
type Scale = (typeof SCALES)[number]

/** A point as it is kept. Each scale has a fixed number of slots, so that the newest point replaces the oldest one. */
export interface KeptPoint {
  readonly scale: Scale['name']
  readonly slot: number
  readonly text: string
}

/** Where the points are kept. */
export interface HistoryLog {
  write(points: readonly KeptPoint[]): Promise<void>
  entries(): AsyncIterable<KeptPoint>
}

export interface HistoryOptions {
  readonly log: HistoryLog
  readonly storeBytes: () => number
  readonly now?: () => number
}

/** The points of a scale, the oldest first. A span in which nothing happened may have no point. */
export interface HistoryView {
  readonly everyMs: number
  readonly points: readonly HistoryPoint[]
}

/**
 * What this node has done, by minutes for an hour and by quarters of an hour for a day, across restarts. A crash loses the
 * current minute. While nothing happens, nothing is written.
 */
export class History {
  readonly #log: HistoryLog
  readonly #storeBytes: () => number
  readonly #now: () => number
  /** The ended minutes of each scale, added up by the beginning of their span. */
  readonly #ended: Readonly<Record<Scale['name'], Map<number, HistoryPoint>>> = {
    minute: new Map(),
    quarter: new Map(),
  }
  readonly #subscriptions: readonly (() => void)[]
  readonly #timer: NodeJS.Timeout
  #current: HistoryPoint
  #writing: Promise<void> = Promise.resolve()

  constructor({ log, storeBytes, now = Date.now }: HistoryOptions) {
    this.#log = log
    this.#storeBytes = storeBytes
    this.#now = now
    this.#current = newPoint(startOfSpan(now(), MINUTE_MS), storeBytes())
    this.#subscriptions = [
      subscribe('request.ended', (event) => this.#countRequest(event)),
      subscribe('flight.attempted', ({ sourceKind, bytes }) => {
        this.#minute().fetched[sourceKey(sourceKind)] += bytes
      }),
    ]
    this.#timer = setInterval(() => this.#minute(), MINUTE_MS).unref()
  }

  /** Reads what was kept before. */
  async open(): Promise<void> {
    for await (const { scale, text } of this.#log.entries()) {
      const point = readPoint(text)
      // After a clock was set back, a kept point may lie in the future.
      if (point !== undefined && point.at <= this.#now()) this.#ended[scale].set(point.at, point)
    }
  }

  hour(): HistoryView {
    return this.#view(SCALES[0])
  }

  day(): HistoryView {
    return this.#view(SCALES[1])
  }

  async close(): Promise<void> {
    for (const unsubscribe of this.#subscriptions) unsubscribe()
    clearInterval(this.#timer)
    this.#endMinute()
    await this.#writing
  }

  #countRequest({
    route,
    ms,
    bytes,
    source,
    cacheStatus,
    aborted,
    error,
    repository,
  }: Events['request.ended']): void {
    const isAnswered = source !== undefined && error === undefined && !aborted
    if (repository === undefined || (source === undefined && error === undefined)) return
    const point = this.#minute()
    if (source !== undefined) point.served[sourceKey(source)] += bytes
    if (!isAnswered) {
      point.failed += 1
      return
    }
    point.requests += 1
    if (cacheStatus?.includes('; hit') === true) point.hits += 1
    if (route === 'manifest') countManifestTime(point, ms)
  }

  /** The point of the minute that it is now. */
  #minute(): HistoryPoint {
    const at = startOfSpan(this.#now(), MINUTE_MS)
    if (this.#current.at !== at) {
      this.#endMinute()
      this.#current = newPoint(at, this.#storeBytes())
    }
    return this.#current
  }

  #endMinute(): void {
    const minute = { ...this.#current, storeBytes: this.#storeBytes() }
    this.#current = newPoint(minute.at, minute.storeBytes)
    if (isEmptyPoint(minute)) return
    const changed = SCALES.map((scale): KeptPoint => {
      const points = this.#ended[scale.name]
      const point = addPoint(points, minute, scale)
      const oldest = point.at - scale.everyMs * (scale.most - 1)
      for (const at of points.keys()) if (at < oldest) points.delete(at)
      return { scale: scale.name, slot: (point.at / scale.everyMs) % scale.most, text: writePoint(point) }
    })
    // A full disk takes no more writes: then these points are lost at the next restart.
    this.#writing = this.#writing.then(() => this.#log.write(changed)).catch(() => {})
  }

  #view(scale: Scale): HistoryView {
    const minute = { ...this.#minute(), storeBytes: this.#storeBytes() }
    const points = new Map(this.#ended[scale.name])
    addPoint(points, minute, scale)
    const oldest = startOfSpan(this.#now(), scale.everyMs) - scale.everyMs * (scale.most - 1)
    const recent = [...points.values()].filter(({ at }) => at >= oldest)
    return { everyMs: scale.everyMs, points: recent.sort((one, other) => one.at - other.at) }
  }
}

function startOfSpan(time: number, everyMs: number): number {
  return Math.floor(time / everyMs) * everyMs
}

/** Adds a minute to the point of the span in which it lies. */
function addPoint(points: Map<number, HistoryPoint>, minute: HistoryPoint, { everyMs }: Scale): HistoryPoint {
  const at = startOfSpan(minute.at, everyMs)
  const before = points.get(at)
  const point = before === undefined ? { ...minute, at } : sumOfPoints(before, minute)
  points.set(at, point)
  return point
}

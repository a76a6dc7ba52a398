import type { Parsed } from '../../lib/parsed.ts'
import type { BlobReport, ImageReport } from '../../schemas/content-report.ts'
import type { EventLine } from '../../schemas/event-report.ts'
import type { HistoryReport } from '../../schemas/history-report.ts'
import type { ActivityReport, SwarmActivityReport } from '../../schemas/peer-report.ts'
import type { PullsReport } from '../../schemas/pull-report.ts'
import type { StatusReport } from '../../schemas/status-report.ts'
import type { WhyReport } from '../../schemas/why-report.ts'
import type { GaugeValues } from '../metrics/gauges.ts'
import { Metrics } from '../metrics/metrics.ts'
import { EventFollowers } from '../records/event-followers.ts'
import { FileProblems } from '../records/file-problems.ts'
import { HostRecords } from '../records/hosts.ts'
import { Journal } from '../records/journal.ts'
import { listBlobs, listImages } from './listing.ts'
import { historyReport } from './recent/history.ts'
import { pullsOf } from './recent/pulls.ts'
import { statusReport } from './status.ts'
import { ownActivity } from './swarm/own-activity.ts'
import { SwarmActivity } from './swarm/swarm-activity.ts'
import type { NodeView } from './view.ts'
import { whyReport } from './why.ts'

/** Answers the questions of the admin API, from the current state of the node and from the events since construction. */
export class Reporter {
  readonly #view: NodeView
  readonly #journal = new Journal()
  readonly #hosts = new HostRecords()
  readonly #fileProblems = new FileProblems()
  readonly #followers = new EventFollowers()
  readonly #metrics: Metrics
  readonly #swarm: SwarmActivity

  constructor(view: NodeView) {
    this.#view = view
    this.#metrics = new Metrics({ version: view.version })
    this.#swarm = new SwarmActivity(view, () => this.activity())
  }

  async status(): Promise<StatusReport> {
    return statusReport(this.#view, this.#hosts, this.#metrics.totals(), this.#fileProblems.all())
  }

  pulls(): PullsReport {
    return { pulls: pullsOf(this.#journal.lastRequests(), this.#journal.lastFlights()) }
  }

  history(): HistoryReport {
    return historyReport(this.#view.history())
  }

  /** What this node does now. */
  activity(): Promise<ActivityReport> {
    return ownActivity(this.#view, this.#metrics.totals())
  }

  swarm(): Promise<SwarmActivityReport> {
    return this.#swarm.report()
  }

  events(signal: AbortSignal): AsyncIterable<EventLine> | undefined {
    return this.#followers.follow(signal)
  }

  blobs(): AsyncIterable<BlobReport> {
    return listBlobs(this.#view)
  }

  images(): AsyncIterable<ImageReport> {
    return listImages(this.#view)
  }

  why(subject: string): Promise<Parsed<WhyReport>> {
    return whyReport(
      this.#view,
      { journal: this.#journal, hosts: this.#hosts, fileProblems: this.#fileProblems },
      subject,
    )
  }

  async metrics(): Promise<string> {
    return this.#metrics.text(await gaugeValues(this.#view))
  }

  ready(): {
    readonly ready: boolean
    readonly reasons: readonly string[]
    readonly problems: readonly string[]
  } {
    const reasons = this.#view.notReadyReasons()
    return { ready: reasons.length === 0, reasons, problems: this.#fileProblems.all() }
  }

  close(): void {
    this.#metrics.close()
    this.#hosts.close()
    this.#fileProblems.close()
    this.#journal.close()
  }
}

async function gaugeValues(view: NodeView): Promise<GaugeValues> {
  const [pinnedBytes, scrub, warmImages] = await Promise.all([view.pinnedBytes(), view.scrub(), view.warm()])
  const flights = view.flights()
  const store = view.store()
  const objectStore = view.objectStore()
  return {
    isReady: view.notReadyReasons().length === 0,
    warmImages,
    storeLimitBytes: store.limitBytes,
    pinnedBytes,
    scrub: { isRunning: scrub.isRunning, found: scrub.found, lastEndedAt: scrub.lastRound?.endedAt },
    flightsActive: flights.length,
    flightWaiters: flights.reduce((sum, flight) => sum + flight.waiters, 0),
    storeBytes: store.bytes,
    storeBlobs: store.blobs,
    evictedBytes: store.evictedBytes,
    savedBytes: view.saved().total,
    objectStore: objectStore && {
      isPaused: objectStore.paused !== undefined,
      waiting: objectStore.uploads.waiting,
      dropped: objectStore.uploads.dropped,
    },
    copies: view.copies(),
    peersConnected: view.peers()?.members.length ?? 0,
  }
}

import type { AgentOptions } from './agent-options.ts'
import type { CachingResolver } from './fetch/resolver.ts'
import { CleanupStack, StoppedWhileStarting } from './lib/async/cleanup-stack.ts'
import type { AgentState } from './node-view.ts'
import type { PeerRates } from './peers/peer-options.ts'
import type { Resolver } from './ports/resolver.ts'
import type { ListenAddress } from './registry-api/server.ts'
import type { Store } from './store/store.ts'
import type { Warming } from './warm/warming.ts'
import { type AgentParts, type Core, openCore, wireAgent } from './wiring.ts'

export type { AgentOptions }

export interface Agent {
  /** Resolves when the agent answers clients. */
  start(): Promise<void>
  /**
   * Accepts no more clients, lets bodies under way end for `drainMs`, and closes the store. An agent that is starting opens
   * no further part: `start` closes the part that it was opening, and rejects.
   */
  stop(options?: { drainMs?: number }): Promise<void>
  /** Where the agent listens. Throws before the agent has started. */
  readonly addresses: {
    readonly registry: ListenAddress
    readonly admin: ListenAddress | undefined
    readonly metrics: ListenAddress | undefined
  }
  /** Each is a sentence about a setting that should be changed; empty before the agent has started. */
  readonly warnings: readonly string[]
}

/** An agent whose options can be changed while it runs, as `agent serve` does when its settings file changes. */
export interface ReloadableAgent extends Agent {
  /**
   * Takes over those of the options that a running agent can change; the others are ignored. It takes over all of them or
   * rejects: with a `FileProblem` if a file that they name cannot be used. Requests under way end as they have begun.
   */
  reload(options: LiveOptions): Promise<void>
}

/** The options that a running agent can change. */
export type LiveOptions = Pick<AgentOptions, 'allow' | 'upstreams' | 'warm' | 'maxBytes'> & {
  readonly peers?: PeerRates
}

const DRAIN_MS = 25_000
/** With more open blobs than this, scrubbing would slow down the clients that read them. */
const MAX_READS_WHILE_QUIET = 2

export function createAgent(options: AgentOptions): ReloadableAgent {
  return new NodeAgent(options)
}

/**
 * Lets `work` warm images into a data folder on which no agent is running. Opens no server, asks no peers, and begins to keep
 * no image warm.
 */
export function withWarming<Result>(
  options: AgentOptions,
  work: (warming: Pick<Warming, 'warm'>) => Promise<Result>,
): Promise<Result> {
  return withCore(options, ({ warming }) => work(warming))
}

/** Lets `work` read what a client of an agent on this data folder could pull, as `withWarming` does. */
export function withResolver<Result>(
  options: AgentOptions,
  work: (resolver: Resolver) => Promise<Result>,
): Promise<Result> {
  return withCore(options, ({ clientResolver }) => work(clientResolver))
}

async function withCore<Result>(
  options: AgentOptions,
  work: (core: Core) => Promise<Result>,
): Promise<Result> {
  const { peers: _peers, warm: _warm, ...offline } = options
  const cleanup = new CleanupStack()
  try {
    return await work(await openCore(offline, cleanup))
  } finally {
    await cleanup.run({ drainMs: 0 })
  }
}

/** The life of an agent: it starts the parts that `wiring.ts` constructs, and stops them in reverse order. */
class NodeAgent implements ReloadableAgent {
  readonly #options: AgentOptions
  readonly #cleanup = new CleanupStack()
  readonly #state: AgentState
  #parts: AgentParts | undefined
  #registryAddress: ListenAddress | undefined
  #adminAddress: ListenAddress | undefined
  #metricsAddress: ListenAddress | undefined
  #warnings: readonly string[] = []
  #stopping: Promise<void> | undefined
  /** The server that begins to listen. It can be stopped only once it listens. */
  #listening: Promise<unknown> | undefined

  constructor(options: AgentOptions) {
    this.#options = options
    this.#state = {
      startedAt: Date.now(),
      isStopping: () => this.#stopping !== undefined,
      addresses: () => ({
        registry: this.#registryAddress,
        admin: this.#adminAddress,
        metrics: this.#metricsAddress,
      }),
    }
  }

  get addresses(): Agent['addresses'] {
    if (this.#registryAddress === undefined) throw new Error('the agent has no address before it has started')
    return { registry: this.#registryAddress, admin: this.#adminAddress, metrics: this.#metricsAddress }
  }

  get warnings(): readonly string[] {
    return this.#warnings
  }

  async start(): Promise<void> {
    try {
      await this.#start()
    } catch (error) {
      await this.stop({ drainMs: 0 })
      // Of a part that was being opened when the agent was stopped.
      await this.#cleanup.run({ drainMs: 0 })
      throw error
    }
  }

  stop({ drainMs = DRAIN_MS }: { drainMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(drainMs)
    return this.#stopping
  }

  async reload({ allow, upstreams = {}, warm = [], maxBytes, peers = {} }: LiveOptions): Promise<void> {
    const parts = this.#parts
    if (parts === undefined || this.#stopping !== undefined) throw new Error('the agent is not running')
    const keepWarm = parts.warming.prepare(warm)
    const useUpstreams = await parts.upstreams.prepare(upstreams)
    // Nothing fails from here on, so that the options are taken over together.
    useUpstreams()
    parts.allowed.replace(allow)
    parts.limitPeers(peers)
    keepWarm()
    parts.store.limitTo(maxBytes)
  }

  async #stop(drainMs: number): Promise<void> {
    await this.#listening
    await this.#cleanup.run({ drainMs })
  }

  async #start(): Promise<void> {
    const parts = await wireAgent(this.#options, this.#state, this.#cleanup)
    this.#parts = parts
    const { store, peers, resolver, warming, localNode } = parts
    const { registryServer, adminServer, metricsServer, controlServer } = parts
    const noImports = await this.#listen(() => controlServer.start())
    this.#warnings = noImports === undefined ? parts.warnings : [...parts.warnings, noImports]
    await peers?.join(localNode)
    this.#adminAddress = await this.#listen(async () => adminServer?.start())
    this.#metricsAddress = await this.#listen(async () => metricsServer?.start())
    // The registry API starts last, so that a client that is answered here is answered everywhere.
    this.#registryAddress = await this.#listen(() => registryServer.start())
    const { scrubRate = 0 } = this.#options
    if (scrubRate > 0)
      store.scrub.start({ bytesPerSecond: scrubRate, isQuiet: () => isQuiet(store, resolver) })
    parts.collecting?.start()
    parts.copies?.start()
    warming.start()
  }

  async #listen<Address>(start: () => Promise<Address>): Promise<Address> {
    this.#assertNotStopping()
    const listening = start()
    this.#listening = listening.catch(() => undefined)
    const address = await listening
    this.#assertNotStopping()
    return address
  }

  #assertNotStopping(): void {
    if (this.#stopping !== undefined) throw new StoppedWhileStarting()
  }
}

function isQuiet(store: Store, resolver: CachingResolver): boolean {
  return resolver.flights.list().length === 0 && store.openBlobs() <= MAX_READS_WHILE_QUIET
}

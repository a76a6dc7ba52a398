import { setTimeout as wait } from 'node:timers/promises'
import { Client } from '../../client/client.ts'
import type { Loaded } from '../../client/jobs.ts'
import { ACCEPT_MANIFEST, type Blob } from '../../content.ts'
import type { Context } from '../../context.ts'
import { owning } from '../../owned.ts'
import type { Check } from '../../report.ts'
import type { Agent } from '../../servers/agent.ts'
import { Nginx } from '../../servers/nginx.ts'
import { ratios } from '../../stats.ts'
import { kept, Verifying } from './admin.ts'
import { agentSet, NO_SCRUB } from './set.ts'
import { steady } from './steady.ts'

const KIB = 1 << 10
const MIB = 1 << 20
/** How much slower a hit may become. */
const WITHIN = 1.5
const MANIFESTS_PER_SECOND = 500
const BLOBS_PER_SECOND = 100
/** Cold pulls: so many at once, so often. */
const COLD = { bytes: 256 * KIB, atOnce: 4, everyMs: 60 }
/** Room for what is asked for and some thirty cold blobs: every third or fourth of them makes others go. */
const TIGHT_BYTES = 10 * MIB
/** What an agent re-hashes by itself per second while nobody pulls, if nothing else is set. */
const IDLE_RATE = 16 * MIB

interface Hits {
  readonly manifest: Loaded
  readonly blob: Loaded
}

type Kind = keyof Hits
const KINDS: readonly (readonly [Kind, string])[] = [
  ['manifest', 'manifest'],
  ['blob', 'blob of 1 MiB'],
]

/** What goes on during the hits. */
const STATES = ['quiet', 'pulls', 'evicting', 'verifying', 'verifying slowly'] as const
type State = (typeof STATES)[number]

/** How long hits take while others use the same store. */
export function pressure(context: Context): Promise<void> {
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('pressure'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const agent = (name: string, bytes: number): Promise<Agent> =>
      agentSet(context, owned, `${folder.path}/${name}`, upstream.port, {
        ...NO_SCRUB,
        LEAT_MAX_BYTES: String(bytes),
      })
    const roomy = await agent('roomy', 4096 * MIB)
    const tight = await agent('tight', TIGHT_BYTES)

    const ms = context.quick ? 2000 : 2500
    const rounds = context.quick ? 3 : 7
    const perRound = Math.ceil(ms / COLD.everyMs + 1) * COLD.atOnce
    const image = await content.image(1, MIB)
    const [hot] = image.layers
    if (hot === undefined) throw new Error('an image without a layer')
    const large = await content.blobs(4, 64 * MIB)
    const first = await content.blobs(TIGHT_BYTES / COLD.bytes, COLD.bytes)
    const stock = await content.blobs(perRound * (rounds + 1), COLD.bytes)

    for (const each of [roomy, tight]) {
      await pull(client, each, first)
      const manifest = {
        port: each.port,
        path: each.manifestPath(image.manifest.digest),
        headers: ACCEPT_MANIFEST,
      }
      await client.download([manifest])
      await pull(client, each, [hot])
    }
    await pull(client, roomy, large)

    const hits = async (each: Agent): Promise<Hits> => {
      const { port } = each
      const [manifest, blob] = await Promise.all([
        steady({
          port,
          request: { path: each.manifestPath(image.manifest.digest), headers: ACCEPT_MANIFEST },
          connections: 8,
          rate: MANIFESTS_PER_SECOND,
          ms,
        }),
        steady({
          port,
          request: { path: each.blobPath(hot.digest) },
          connections: 4,
          rate: BLOBS_PER_SECOND,
          ms,
        }),
      ])
      if (manifest.failed + blob.failed > 0) throw new Error(`${manifest.failed + blob.failed} hits failed`)
      return { manifest, blob }
    }
    const during = async (each: Agent, background: { stop(): Promise<void> }): Promise<Hits> => {
      try {
        return await hits(each)
      } finally {
        await background.stop()
      }
    }

    const measured = new Map<State, Hits[]>(STATES.map((state) => [state, []]))
    const evicted: number[] = []
    for (let round = -1; round < rounds; round++) {
      const cold = stock.splice(0, perRound)
      const states: Record<State, () => Promise<Hits>> = {
        quiet: () => hits(roomy),
        pulls: () => during(roomy, new Pulls(client, roomy, cold)),
        evicting: async () => {
          const before = (await kept(tight)).evictedBytes
          const got = await during(tight, new Pulls(client, tight, cold))
          const bytes = (await kept(tight)).evictedBytes - before
          if (bytes < COLD.bytes) throw new Error('nothing was evicted while that was measured')
          if (round >= 0) evicted.push(bytes / COLD.bytes / (ms / 1000))
          return got
        },
        verifying: () => during(roomy, new Verifying(roomy)),
        'verifying slowly': () => during(roomy, new Verifying(roomy, IDLE_RATE)),
      }
      // There and back again, so that nobody is always the first.
      const order = round % 2 === 0 ? STATES : [...STATES].reverse()
      for (const state of order) {
        const got = await states[state]()
        if (round >= 0) measured.get(state)?.push(got)
      }
      for (const blob of cold) content.drop(blob)
    }

    const runs = (state: State): readonly Hits[] => measured.get(state) ?? []
    report(context, 'hits while blobs are evicted', runs, {
      states: [
        ['quiet', 'quiet'],
        ['pulls', 'cold pulls, none evicted'],
        ['evicting', 'the same pulls, evicting'],
      ],
      checks: [['evicting', 'pulls', 'evicting / the same pulls', WITHIN]],
      extra: [{ side: 'evicted meanwhile', unit: 'blobs/s', values: evicted }],
      notes: [
        `${Math.round((COLD.atOnce * 1000) / COLD.everyMs)} cold blobs of ${COLD.bytes / KIB} KiB per second, into a store of ${TIGHT_BYTES / MIB} MiB or of one that has room for all`,
      ],
    })
    report(context, 'hits while everything stored is verified', runs, {
      states: [
        ['quiet', 'quiet'],
        ['verifying slowly', 'verifying 16 MiB/s, as when idle'],
        ['verifying', 'verifying as fast as it can'],
      ],
      checks: [
        ['verifying slowly', 'quiet', '16 MiB/s / quiet', WITHIN],
        ['verifying', 'quiet', 'as fast as it can / quiet', WITHIN],
      ],
      extra: [],
      notes: [],
    })
  })
}

interface Telling {
  readonly states: readonly (readonly [State, string])[]
  /** Which is held against which. */
  readonly checks: readonly (readonly [State, State, string, number])[]
  readonly extra: readonly {
    readonly side: string
    readonly unit: string
    readonly values: readonly number[]
  }[]
  readonly notes: readonly string[]
}

function report(
  context: Context,
  name: string,
  runs: (state: State) => readonly Hits[],
  { states, checks, extra, notes }: Telling,
): void {
  const values = (state: State, kind: Kind, at: 'p50' | 'p99'): number[] =>
    runs(state).map((hits) => hits[kind].latencyMs[at])
  for (const [kind, what] of KINDS) {
    const rate = kind === 'manifest' ? MANIFESTS_PER_SECOND : BLOBS_PER_SECOND
    const held = (at: 'p50' | 'p99', title: string): Check[] =>
      checks.map(([over, under, label, atMost]) => ({
        label: `${label}, ${title}`,
        unit: 'x',
        values: ratios(values(over, kind, at), values(under, kind, at)),
        atMost,
      }))
    context.report({
      name: `${name}: ${what}, ${rate}/s`,
      figures: [
        ...states.flatMap(([state, side]) => [
          { side: `${side}, median`, unit: 'ms', values: values(state, kind, 'p50') },
          { side: `${side}, 99th percentile`, unit: 'ms', values: values(state, kind, 'p99') },
        ]),
        ...extra,
      ],
      checks: [...held('p50', 'median'), ...held('p99', '99th percentile')],
      notes,
    })
  }
}

/** Cold pulls, a few at once, at a steady rate until `stop`. */
class Pulls {
  readonly #client: Client
  readonly #agent: Agent
  #isStopping = false
  readonly #ended: Promise<void>

  constructor(client: Client, agent: Agent, blobs: readonly Blob[]) {
    this.#client = client
    this.#agent = agent
    this.#ended = this.#run(blobs)
    // Told by `stop`.
    this.#ended.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#ended
  }

  async #run(blobs: readonly Blob[]): Promise<void> {
    const startedAt = performance.now()
    for (let at = 0; at < blobs.length && !this.#isStopping; at += COLD.atOnce) {
      await pull(this.#client, this.#agent, blobs.slice(at, at + COLD.atOnce))
      const dueAt = startedAt + (at / COLD.atOnce + 1) * COLD.everyMs
      await wait(Math.max(0, dueAt - performance.now()))
    }
  }
}

async function pull(client: Client, agent: Agent, blobs: readonly Blob[]): Promise<void> {
  const got = await client.download(
    blobs.map(({ digest }) => ({ port: agent.port, path: agent.blobPath(digest) })),
  )
  const wrong = got.find((one) => one.status !== 200 || !one.whole)
  if (wrong !== undefined) throw new Error(`a blob did not come whole: ${JSON.stringify(wrong)}`)
}

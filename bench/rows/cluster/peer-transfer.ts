import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from '../../client/client.ts'
import type { Headers } from '../../client/jobs.ts'
import type { Blob } from '../../content.ts'
import type { Context } from '../../context.ts'
import { owning } from '../../owned.ts'
import { busyBetween, processors } from '../../processor-use.ts'
import { findProgram } from '../../program.ts'
import type { Figure } from '../../report.ts'
import type { Agent } from '../../servers/agent.ts'
import { evict } from '../../servers/agent-admin.ts'
import { Nginx } from '../../servers/nginx.ts'
import { stored } from '../../servers/stored.ts'
import { ratios } from '../../stats.ts'
import { BareTls, type Moved } from '../../tls/bare-tls.ts'
import { knows, startPeer } from './agents.ts'

const MIB = 1 << 20
/** The giver's, the taker's, the one that hashes and writes, and the client's. */
const THREADS = 4
const FORGOTTEN_MS = 5000
/** Of whoever wants the taker to have it, and does not take it itself. */
const FIRST_BYTE = { range: 'bytes=0-0' }

/** A stored blob from one agent to another, beside what the connection between them could carry at most. */
export function transfer(context: Context): Promise<void> {
  const name = 'stored blob of 256 MiB from one agent to another, which verifies and stores it'
  if (findProgram('nginx') === undefined) {
    context.report({ name, figures: [], checks: [], notes: ['missing: nginx (Debian package nginx-light)'] })
    return Promise.resolve()
  }
  return owning(async (owned) => {
    const client = owned.add(new Client())
    const folder = owned.add(context.folder('transfer'))
    const content = context.content(folder.path)
    const upstream = owned.add(await Nginx.start(`${folder.path}/nginx`, content))
    const upstreamPort = upstream.port
    const one = await startPeer(context, owned, `${folder.path}/giver`, { upstreamPort })
    const bootstrap = one.dht
    const other = await startPeer(context, owned, `${folder.path}/taker`, { upstreamPort, bootstrap })
    await Promise.all([knows(one, 1), knows(other, 1)])
    const [giver, taker] = [one.agent, other.agent]
    const bare = owned.add(await BareTls.start())
    const blob = await content.blob(256 * MIB)
    await pulled(client, giver, blob)
    const { bytes: sentBefore } = await upstream.sent(blob.digest)

    const sides = {
      agents: new Side('two agents and a client'),
      alone: new Side('two agents'),
      bare: new Side('two bare processes'),
      keeping: new Side('the same, and what comes is kept'),
    }
    const busy: number[] = []
    const taken = async (headers?: Headers): Promise<Moved> => {
      const before = [giver.program.cpuSeconds(), taker.program.cpuSeconds()] as const
      const ms = await pulled(client, taker, blob, headers)
      const sendingCpu = giver.program.cpuSeconds() - before[0]
      const receivingCpu = taker.program.cpuSeconds() - before[1]
      return { ms, sendingCpu, receivingCpu }
    }
    // The first round only makes everything warm.
    for (let round = -1; round < context.repetitions; round++) {
      const idleBefore = processors()
      const passedOn = await taken()
      const busyNow = busyBetween(idleBefore, processors())
      await forget(taker, blob)
      const storedOnly = await taken(FIRST_BYTE)
      await forget(taker, blob)
      const forgotten = await bare.move(blob.size)
      const kept = await bare.move(blob.size, `${folder.path}/kept`)
      if (round < 0) continue
      busy.push(busyNow)
      sides.agents.add(blob.size, passedOn)
      sides.alone.add(blob.size, storedOnly)
      sides.bare.add(blob.size, forgotten)
      sides.keeping.add(blob.size, kept)
    }
    const foreign = ((await upstream.sent(blob.digest)).bytes - sentBefore) / blob.size
    const { agents, alone, keeping } = sides
    context.report({
      name,
      figures: [
        ...Object.values(sides).map((side) => side.figure),
        { side: 'processors busy, with the client', unit: '%', values: busy },
      ],
      checks: [
        { label: 'agents / bare', unit: 'x', values: ratios(agents.rates, sides.bare.rates), atLeast: 0.5 },
        { label: 'agents / bare, and kept', unit: 'x', values: ratios(agents.rates, keeping.rates) },
        {
          label: 'agents without client / bare, and kept',
          unit: 'x',
          values: ratios(alone.rates, keeping.rates),
          atLeast: 0.8,
        },
        { label: 'sent by upstream meanwhile', unit: 'x', values: [foreign], atMost: 0 },
      ],
      notes: [
        `bare: node:tls, one connection, ${bare.cipher}, out of memory and forgotten on arrival`,
        'kept: hashed and written before it is read on, in the same thread',
        'agents: from the question of a client at the taker until that has all of it and it is stored',
        'agents without client: it asks for one byte, and the taker goes on without it until all is stored',
        ...(availableParallelism() < THREADS
          ? [`${THREADS} threads are at work for the agents, and share ${availableParallelism()} processors`]
          : []),
      ],
    })
  })
}

/** One of those that are compared. */
class Side {
  readonly rates: number[] = []
  readonly #name: string
  #bytes = 0
  #sendingCpu = 0
  #receivingCpu = 0

  constructor(name: string) {
    this.#name = name
  }

  add(bytes: number, { ms, sendingCpu, receivingCpu }: Moved): void {
    this.rates.push(bytes / 1000 / ms)
    this.#bytes += bytes
    this.#sendingCpu += sendingCpu
    this.#receivingCpu += receivingCpu
  }

  get figure(): Figure {
    const perGb = (seconds: number): string => ((seconds / this.#bytes) * 1e9).toFixed(2)
    const note = `CPU s/GB: ${perGb(this.#sendingCpu)} giving, ${perGb(this.#receivingCpu)} taking`
    return { side: this.#name, unit: 'MB/s', values: this.rates, note }
  }
}

/** What is still being read when it is to go stays, and goes a moment later. */
async function forget(agent: Agent, blob: Blob): Promise<void> {
  const giveUpAt = performance.now() + FORGOTTEN_MS
  while (existsSync(agent.storedFile(blob.digest))) {
    if (performance.now() > giveUpAt) throw new Error('the agent does not let go of the blob')
    await evict(agent, 0)
    await wait(10)
  }
}

/** Milliseconds until the client has what it asked for, and all of the blob is stored. */
async function pulled(client: Client, agent: Agent, blob: Blob, headers: Headers = {}): Promise<number> {
  const [status, bytes] = headers === FIRST_BYTE ? [206, 1] : [200, blob.size]
  const [got] = await client.download([{ port: agent.port, path: agent.blobPath(blob.digest), headers }])
  if (got?.status !== status || got.bytes !== bytes) {
    throw new Error(`the agent did not give what was asked for: ${JSON.stringify(got)}`)
  }
  const storedAt = await stored([agent.storedFile(blob.digest)])
  if (storedAt === undefined) throw new Error('the agent has not stored the blob')
  return Math.max(storedAt, got.endedAt) - got.startedAt
}

import { availableParallelism } from 'node:os'
import { Client } from '../../client/client.ts'
import type { Headers } from '../../client/jobs.ts'
import type { Blob } from '../../content.ts'
import type { Context } from '../../context.ts'
import { busyBetween, processors } from '../../processor-use.ts'
import type { Figure } from '../../report.ts'
import { withResources } from '../../resources.ts'
import type { Agent } from '../../servers/agent.ts'
import { evictAll } from '../../servers/agent-admin.ts'
import { Nginx } from '../../servers/nginx.ts'
import { startTwoPeers } from '../../servers/peer.ts'
import { untilStored } from '../../servers/stored.ts'
import { ratios } from '../../stats.ts'
import { BareTls, type Moved } from '../../tls/bare-tls.ts'
import { touchMemory } from '../../touched-memory.ts'

const MIB = 1 << 20
/** The thread of the sending agent, two lanes of the receiving one, and the client. */
const THREADS = 4
/** The headers of a client that makes the receiving agent fetch the blob, and does not read it itself. */
const FIRST_BYTE = { range: 'bytes=0-0' }

/** A stored blob goes from one agent to another, and over a bare TLS connection between two processes. */
export function peerTransfer(context: Context): Promise<void> {
  const name = 'stored blob of 256 MiB from one agent to another, which verifies and stores it'
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('transfer'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const options = { upstreamPort: upstream.port }
    const [sender, receiver] = await startTwoPeers(context, resources, folder.path, options)
    const bare = resources.add(await BareTls.start())
    const blob = await content.blob(256 * MIB)
    touchMemory(`${folder.path}/touched`, 3 * blob.size)
    await pull(client, sender, blob)
    const { bytes: sentBefore } = await upstream.sent(blob.digest)

    const series = {
      withClient: new Series('two agents and a client'),
      withoutClient: new Series('two agents without a client'),
      bare: new Series('two bare processes'),
      bareStored: new Series('two bare processes, stored'),
    }
    const busy: number[] = []
    const mainThreads = { sending: [] as number[], receiving: [] as number[] }
    const transfer = async (headers?: Headers): Promise<Moved> => {
      const before = [sender.program.cpuSeconds(), receiver.program.cpuSeconds()] as const
      const ms = await pull(client, receiver, blob, headers)
      const sendingCpu = sender.program.cpuSeconds() - before[0]
      const receivingCpu = receiver.program.cpuSeconds() - before[1]
      return { ms, sendingCpu, receivingCpu }
    }
    const mainSeconds = (): [number, number] => [
      sender.program.threadSeconds().main,
      receiver.program.threadSeconds().main,
    ]
    // The first round warms everything up and is not counted.
    for (let round = -1; round < context.repetitions; round++) {
      const idleBefore = processors()
      const withClient = await transfer()
      const busyNow = busyBetween(idleBefore, processors())
      await evictAll(receiver, [blob.digest])
      const mainBefore = mainSeconds()
      const withoutClient = await transfer(FIRST_BYTE)
      const mainAfter = mainSeconds()
      await evictAll(receiver, [blob.digest])
      const moved = await bare.move(blob.size)
      const movedAndStored = await bare.move(blob.size, `${folder.path}/stored`)
      if (round < 0) continue
      busy.push(busyNow)
      mainThreads.sending.push((mainAfter[0] - mainBefore[0]) * (1e9 / blob.size))
      mainThreads.receiving.push((mainAfter[1] - mainBefore[1]) * (1e9 / blob.size))
      series.withClient.add(blob.size, withClient)
      series.withoutClient.add(blob.size, withoutClient)
      series.bare.add(blob.size, moved)
      series.bareStored.add(blob.size, movedAndStored)
    }
    const copiesSent = ((await upstream.sent(blob.digest)).bytes - sentBefore) / blob.size
    const { withClient, withoutClient, bareStored } = series
    context.report({
      name,
      figures: [
        ...Object.values(series).map((one) => one.figure),
        { side: 'processors busy, with the client', unit: '%', values: busy },
      ],
      checks: [
        {
          label: 'agents / bare',
          unit: 'x',
          values: ratios(withClient.rates, series.bare.rates),
          atLeast: 0.5,
        },
        {
          label: 'agents / bare, stored',
          unit: 'x',
          values: ratios(withClient.rates, bareStored.rates),
        },
        {
          label: 'agents without client / bare, stored',
          unit: 'x',
          values: ratios(withoutClient.rates, bareStored.rates),
          atLeast: 0.83,
        },
        {
          label: 'processor time without client / bare, stored',
          unit: 'x',
          values: ratios(withoutClient.cpu, bareStored.cpu),
          atMost: 1.2,
        },
        { label: 'main thread, sending', unit: 'CPU s/GB', values: mainThreads.sending, atMost: 0.1 },
        { label: 'main thread, receiving', unit: 'CPU s/GB', values: mainThreads.receiving, atMost: 0.1 },
        { label: 'sent by upstream meanwhile', unit: 'x', values: [copiesSent], atMost: 0 },
      ],
      notes: [
        'the memory for the files was touched first; the main threads are measured without a client, in units of 10 ms',
        `bare: node:tls, one connection, ${bare.cipher}, sent from memory and discarded by the receiver`,
        'stored: hashed and written in the thread that receives, before it reads on',
        'agents: from the request of a client to the receiving agent until the client has the blob and it is stored',
        'agents without client: the client requests one byte, and the agent goes on until the blob is stored',
        ...(availableParallelism() < THREADS
          ? [`${THREADS} threads of the agents and the client share ${availableParallelism()} processors`]
          : []),
      ],
    })
  })
}

/** The measurements of one kind of transfer. */
class Series {
  readonly rates: number[] = []
  /** The processor time of both ends of each transfer, in seconds. */
  readonly cpu: number[] = []
  readonly #name: string
  #bytes = 0
  #sendingCpu = 0
  #receivingCpu = 0

  constructor(name: string) {
    this.#name = name
  }

  add(bytes: number, { ms, sendingCpu, receivingCpu }: Moved): void {
    this.rates.push(bytes / 1000 / ms)
    this.cpu.push(sendingCpu + receivingCpu)
    this.#bytes += bytes
    this.#sendingCpu += sendingCpu
    this.#receivingCpu += receivingCpu
  }

  get figure(): Figure {
    const perGb = (seconds: number): string => ((seconds / this.#bytes) * 1e9).toFixed(2)
    const note = `CPU s/GB: ${perGb(this.#sendingCpu)} sending, ${perGb(this.#receivingCpu)} receiving`
    return { side: this.#name, unit: 'MB/s', values: this.rates, note }
  }
}

/** Returns the milliseconds until the client has what it requested and the blob is stored. */
async function pull(client: Client, agent: Agent, blob: Blob, headers: Headers = {}): Promise<number> {
  const [status, bytes] = headers === FIRST_BYTE ? [206, 1] : [200, blob.size]
  const [got] = await client.download([{ port: agent.port, path: agent.blobPath(blob.digest), headers }])
  if (got?.status !== status || got.bytes !== bytes) {
    throw new Error(`the agent did not send what was requested: ${JSON.stringify(got)}`)
  }
  const storedAt = await untilStored([agent.storedFile(blob.digest)])
  if (storedAt === undefined) throw new Error('the agent has not stored the blob')
  return Math.max(storedAt, got.endedAt) - got.startedAt
}

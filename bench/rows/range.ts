import { Client } from '../client/client.ts'
import type { Download, Downloaded } from '../client/jobs.ts'
import type { Blob } from '../content.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import type { Agent } from '../servers/agent.ts'
import { LimitedRegistry } from '../servers/limited-registry.ts'
import { untilStored } from '../servers/stored.ts'
import { ratios } from '../stats.ts'

const MIB = 1 << 20
const SIZE = 512 * MIB
const TAIL = 4 * MIB
const RATE = 20_000_000
const RANDOM_RANGES = 16

interface Setup {
  readonly client: Client
  readonly upstream: LimitedRegistry
  readonly leat: Agent
  readonly blob: () => Promise<Blob>
}

/** Ranges of a blob that is not stored yet, as clients that pull lazily ask for them; upstream sends 20 MB/s on each connection. */
export async function range(context: Context): Promise<void> {
  for (const clients of [1, 8]) {
    await measure(context, `last 4 MiB of a cold blob of 512 MiB, ${told(clients)}`, clients, () => [
      { start: SIZE - TAIL, end: SIZE },
    ])
    await measure(
      context,
      `16 random ranges of 1 MiB of it, one after another, ${told(clients)}`,
      clients,
      randomRanges,
    )
  }
}

type Range = { readonly start: number; readonly end: number }

function measure(context: Context, name: string, clients: number, choose: () => Range[]): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = resources.add(await LimitedRegistry.start(content, RATE))
    const leat = await context.agent(`${folder.path}/leat`, upstream.port, 'lazyRanges: trusted\n')
    if (leat === undefined) return
    resources.add(leat)
    const blob = (): Promise<Blob> => content.blob(SIZE)
    const setup: Setup = { client, upstream, leat, blob }
    const direct: number[] = []
    const through: number[] = []
    const egress: number[] = []
    const repetitions = Math.min(context.repetitions, context.quick ? 1 : 3)
    for (let round = 0; round < repetitions; round++) {
      const wanted = await setup.blob()
      const plans = Array.from({ length: clients }, choose)
      direct.push(await timeOf(setup, upstream.port, upstream.blobPath(wanted.digest), plans))
      const before = upstream.sent(wanted.digest)
      through.push(await timeOf(setup, leat.port, leat.blobPath(wanted.digest), plans))
      if ((await untilStored([leat.storedFile(wanted.digest)], 120_000)) === undefined)
        throw new Error('the agent has not stored the rest of the blob')
      egress.push((upstream.sent(wanted.digest) - before) / SIZE)
      content.drop(wanted)
    }
    context.report({
      name,
      figures: [
        { side: 'upstream', unit: 'ms', values: direct },
        { side: 'leat', unit: 'ms', values: through },
      ],
      checks: [
        { label: 'leat / upstream', unit: 'x', values: ratios(through, direct), atMost: 1.3 },
        { label: 'sent by upstream until all is stored', unit: 'x', values: egress, atMost: 1.05 },
      ],
      notes: ['lazyRanges: trusted'],
    })
  })
}

/** The time until the last client has all its ranges, which it asks for one after another. */
async function timeOf(
  { client }: Setup,
  port: number,
  path: string,
  plans: readonly Range[][],
): Promise<number> {
  const steps = plans[0]?.length ?? 0
  let ms = 0
  for (let step = 0; step < steps; step++) {
    const downloads: Download[] = plans.flatMap((plan) => {
      const range = plan[step]
      return range === undefined ? [] : [download(port, path, range)]
    })
    const got = await client.download(downloads)
    ms += spanOf(got)
  }
  return ms
}

function download(port: number, path: string, { start, end }: Range): Download {
  return { port, path, headers: { Range: `bytes=${start}-${end - 1}` } }
}

function spanOf(got: readonly Downloaded[]): number {
  const wrong = got.find(({ status, isWhole }) => status !== 206 || !isWhole)
  if (wrong !== undefined) throw new Error(`a range was not served: ${JSON.stringify(wrong)}`)
  return Math.max(...got.map(({ endedAt }) => endedAt)) - Math.min(...got.map(({ startedAt }) => startedAt))
}

function randomRanges(): Range[] {
  return Array.from({ length: RANDOM_RANGES }, () => {
    const start = Math.floor(Math.random() * (SIZE - MIB))
    return { start, end: start + MIB }
  })
}

function told(clients: number): string {
  return clients === 1 ? 'one client' : `${clients} clients at once`
}

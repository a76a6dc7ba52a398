import type { Client } from '../../client/client.ts'

export interface Side {
  readonly name: string
  readonly port: number
  readonly path: string
  readonly size: number
}

/** Downloads from each side in turn. Returns the MB/s by the name of the side; the first round is not counted. */
export async function alternate(
  client: Client,
  sides: readonly Side[],
  repetitions: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const rates = new Map<string, number[]>(sides.map(({ name }) => [name, []]))
  for (let round = -1; round < repetitions; round++) {
    for (const side of sides) {
      const rate = await downloadRate(client, side)
      if (round >= 0) rates.get(side.name)?.push(rate)
    }
  }
  return rates
}

/** The MB/s of one download, which must have all bytes. */
export async function downloadRate(client: Client, { name, port, path, size }: Side): Promise<number> {
  const [got] = await client.download([{ port, path }])
  if (got?.status !== 200 || got.bytes !== size) {
    throw new Error(`${name} did not send the whole blob: ${JSON.stringify(got)}`)
  }
  return size / 1000 / (got.endedAt - got.startedAt)
}

import { rmSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { Client } from '../../client/client.ts'
import { now } from '../../client/jobs.ts'
import { digestOfFile } from '../../content.ts'
import type { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import { type Agent, NAMESPACE } from '../../servers/agent.ts'
import type { DockerDaemon } from '../../servers/docker-daemon.ts'
import { REPOSITORY } from '../../servers/measured-server.ts'
import { Nginx } from '../../servers/nginx.ts'
import { untilStored } from '../../servers/stored.ts'
import { ratios } from '../../stats.ts'
import { alternate, downloadRate } from './alternate.ts'
import { dockerArchive } from './docker-archive.ts'

const MIB = 1 << 20
const IMAGE = `${REPOSITORY}:v1`

/** An image of 256 MiB of a Docker daemon: at the first request, and after that. */
export function dockerImage(context: Context, docker: DockerDaemon): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('image'))
    const content = context.content(folder.path)
    const nginx = resources.add(await Nginx.start(`${folder.path}/nginx`, content))
    const blob = await content.blob(256 * MIB)
    const { archive, layer } = await dockerArchive(
      join(folder.path, 'archive'),
      { folder: content.folder, name: blob.digest.slice('sha256:'.length) },
      [{ names: [IMAGE], label: 'large' }],
    )
    await docker.docker('load', '--quiet', '--input', archive)
    rmSync(archive)
    const start = async (name: string): Promise<Agent> => {
      const config = `sources:\n  - { docker: '${docker.host}', registry: ${NAMESPACE}, prefixes: ['${REPOSITORY}'] }\n`
      const agent = await context.agent(join(folder.path, name), nginx.port, config)
      if (agent === undefined) throw new Error('this row needs the agent')
      return agent
    }
    const saved = join(folder.path, 'saved.tar')
    await firstRequest(context, client, { docker, start, saved, layer })

    const leat = resources.add(await start('leat-stored'))
    const [, size] = await manifestOf(leat, layer)
    await client.download([{ port: leat.port, path: leat.blobPath(blob.digest) }])
    await untilStored([leat.storedFile(blob.digest), leat.storedFile(layer)])
    const { port } = leat
    const rates = await alternate(
      client,
      [
        { name: 'layer that was in Docker', port, path: leat.blobPath(layer), size },
        { name: 'blob from upstream', port, path: leat.blobPath(blob.digest), size: blob.size },
      ],
      context.repetitions,
    )
    const [dockerRates = [], storedRates = []] = [...rates.values()]
    context.report({
      name: 'layer of 256 MiB from Docker, after the first request, one client',
      figures: [...rates].map(([side, values]) => ({ side, unit: 'MB/s', values })),
      checks: [
        { label: 'from Docker / stored', unit: 'x', values: ratios(dockerRates, storedRates), atLeast: 0.9 },
      ],
      notes: [],
    })
  })
}

interface FirstRequest {
  readonly docker: DockerDaemon
  /** Starts an agent with an empty store. */
  readonly start: (name: string) => Promise<Agent>
  readonly saved: string
  readonly layer: string
}

/** Compares with what a user would do by hand: `docker save` to a file, and then `sha256sum`. */
async function firstRequest(
  context: Context,
  client: Client,
  { docker, start, saved, layer }: FirstRequest,
): Promise<void> {
  const times = { stored: [] as number[], received: [] as number[], save: [] as number[] }
  const repetitions = Math.min(context.repetitions, 5)
  for (let round = -1; round < repetitions; round++) {
    const agent = await start(`leat-${round}`)
    const startedAt = now()
    const [storedAt, size] = await manifestOf(agent, layer)
    await downloadRate(client, { name: 'leat', port: agent.port, path: agent.blobPath(layer), size })
    const receivedAt = now()
    await agent.stop()
    const saveStartedAt = now()
    await docker.docker('save', '--output', saved, IMAGE)
    await digestOfFile(saved)
    const savedAt = now()
    rmSync(saved)
    if (round < 0) continue
    times.stored.push(storedAt - startedAt)
    times.received.push(receivedAt - startedAt)
    times.save.push(savedAt - saveStartedAt)
  }
  context.report({
    name: 'image of 256 MiB from Docker, at its first request',
    figures: [
      { side: 'leat, until it is stored and verified', unit: 'ms', values: times.stored },
      { side: 'leat, until the client has it', unit: 'ms', values: times.received },
      { side: 'docker save to a file, and its SHA-256', unit: 'ms', values: times.save },
    ],
    checks: [
      {
        label: 'until the client has it / docker save',
        unit: 'x',
        values: ratios(times.received, times.save),
        atMost: 1.3,
      },
      { label: 'until it is stored / docker save', unit: 'x', values: ratios(times.stored, times.save) },
    ],
    notes: [],
  })
}

/** When the manifest was there, and the size of the layer that it names. */
async function manifestOf(agent: Agent, layer: string): Promise<readonly [at: number, size: number]> {
  const text = await textOf(agent.port, `/v2/${REPOSITORY}/manifests/v1?ns=${NAMESPACE}`)
  const at = now()
  const { layers } = JSON.parse(text) as { layers?: { digest: string; size: number }[] }
  const found = layers?.find(({ digest }) => digest === layer)
  if (found === undefined) throw new Error(`the manifest does not name ${layer}: ${text.slice(0, 500)}`)
  return [at, found.size]
}

function textOf(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
}

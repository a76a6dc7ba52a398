import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '../../client/client.ts'
import { now } from '../../client/jobs.ts'
import type { Context } from '../../context.ts'
import { withResources } from '../../resources.ts'
import { NAMESPACE } from '../../servers/agent.ts'
import type { DockerDaemon } from '../../servers/docker-daemon.ts'
import { type ArchivedImage, dockerArchive } from './docker-archive.ts'

const IMAGES = 500
/** The agent has an upstream that it never asks. */
const NO_UPSTREAM = 1

/** How long it takes from the start of an agent until it answers for the images of a Docker daemon. */
export function dockerStart(context: Context, docker: DockerDaemon): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('start'))
    writeFileSync(join(folder.path, 'file'), 'a small layer')
    const load = async (images: readonly ArchivedImage[]): Promise<void> => {
      const file = { folder: folder.path, name: 'file' }
      const { archive } = await dockerArchive(join(folder.path, 'archive'), file, images)
      await docker.docker('load', '--quiet', '--input', archive)
      rmSync(archive)
    }
    const numbers = Array.from({ length: IMAGES }, (_, i) => i)
    const sources = `sources:\n  - { docker: '${docker.host}', registry: ${NAMESPACE}, exclusive: true }\n`

    /** Milliseconds until the agent is ready, and until it has answered. */
    const startOnce = async (
      config: string,
      path: string | undefined,
    ): Promise<readonly [number, number]> => {
      const data = resources.add(context.folder('leat'))
      const startedAt = now()
      const agent = await context.agent(data.path, NO_UPSTREAM, config)
      if (agent === undefined) throw new Error('this row needs the agent')
      const readyAt = now()
      if (path !== undefined) {
        const [got] = await client.download([{ port: agent.port, path: `${path}?ns=${NAMESPACE}` }])
        if (got?.status !== 200) throw new Error(`${path} was answered with ${JSON.stringify(got)}`)
      }
      const answeredAt = now()
      await agent.stop()
      await data.stop()
      return [readyAt - startedAt, answeredAt - startedAt]
    }
    const measure = async (name: string, path: string): Promise<void> => {
      const without: number[] = []
      const answered: number[] = []
      for (let round = 0; round < Math.min(context.repetitions, 5); round++) {
        without.push((await startOnce('', undefined))[0] / 1000)
        answered.push((await startOnce(sources, path))[1] / 1000)
      }
      context.report({
        name,
        figures: [{ side: 'leat without sources, until it is ready', unit: 's', values: without }],
        checks: [{ label: 'until it lists the tags of an image', unit: 's', values: answered, atMost: 5 }],
        notes: [
          `docker images lists ${(await docker.docker('images', '--quiet')).trim().split('\n').length} names`,
        ],
      })
    }

    await load(numbers.map((i) => ({ names: [`bench/many-${i}:v1`], label: `image ${i}` })))
    await measure(
      `start with ${IMAGES} images of different ids in Docker`,
      `/v2/bench/many-${IMAGES - 1}/tags/list`,
    )
    await load([{ names: numbers.map((i) => `bench/tagged:v${i}`), label: 'tagged' }])
    await measure(`start with ${IMAGES} more tags of one image in Docker`, '/v2/bench/tagged/tags/list')
  })
}

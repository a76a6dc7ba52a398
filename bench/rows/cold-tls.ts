import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { makeCertificates } from '../../testkit/certificates.ts'
import { Client } from '../client/client.ts'
import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import { hex, REPOSITORY } from '../servers/measured-server.ts'
import { Nginx } from '../servers/nginx.ts'
import { untilStored } from '../servers/stored.ts'
import { ratios } from '../stats.ts'
import type { Fetch, Fetched } from '../tls/https-process.ts'
import { touchMemory } from '../touched-memory.ts'

const MIB = 1 << 20
const SIZE = 256 * MIB
const NAMESPACE = 'tls.bench.local'

/** What a byte from an HTTPS registry costs the threads of the agent, without a client. */
export function coldTls(context: Context): Promise<void> {
  return withResources(async (resources) => {
    const client = resources.add(new Client())
    const folder = resources.add(context.folder('data'))
    const content = context.content(folder.path)
    const upstream = resources.add(await Nginx.start(`${folder.path}/nginx`, content, makeCertificates()))
    const entry = `  - namespace: ${NAMESPACE}\n    host: 127.0.0.1:${upstream.port}\n    acceptInvalidCerts: true\n`
    const leat = await context.agent(`${folder.path}/leat`, upstream.port, entry)
    if (leat === undefined) return
    resources.add(leat)
    const bare = new BareProcess()
    resources.add(bare)
    const repetitions = Math.min(context.repetitions, 5)
    touchMemory(`${folder.path}/touched`, (repetitions + 1) * 3 * SIZE)
    const main: number[] = []
    const all: number[] = []
    const bareAll: number[] = []
    for (let round = -1; round < repetitions; round++) {
      const blob = await content.blob(SIZE)
      const path = upstream.blobPath(blob.digest)
      const file = `${folder.path}/bare`
      const fetched = await bare.fetch({ port: upstream.port, path, bytes: SIZE, file })
      if (fetched.sha256 !== hex(blob.digest)) throw new Error('the bare process got other bytes')
      rmSync(file)
      const before = leat.program.threadSeconds()
      const agentPath = `/v2/${REPOSITORY}/blobs/${blob.digest}?ns=${NAMESPACE}`
      await client.download([{ port: leat.port, path: agentPath, leaveAfter: 1 }])
      if ((await untilStored([leat.storedFile(blob.digest)])) === undefined)
        throw new Error('the agent has not stored the blob')
      const after = leat.program.threadSeconds()
      if (round < 0) continue
      const perGB = 1e9 / SIZE
      main.push((after.main - before.main) * perGB)
      all.push((after.main + after.others - before.main - before.others) * perGB)
      bareAll.push(fetched.cpuSeconds * perGB)
    }
    context.report({
      name: 'cold blob of 256 MiB over TLS, processor time by thread',
      figures: [
        { side: 'leat, main thread', unit: 'CPU s/GB', values: main },
        { side: 'leat, all threads', unit: 'CPU s/GB', values: all },
        { side: 'bare process: TLS, hash, write', unit: 'CPU s/GB', values: bareAll },
      ],
      checks: [
        { label: 'main thread', unit: 'CPU s/GB', values: main, atMost: 0.1 },
        { label: 'all threads / bare process', unit: 'x', values: ratios(all, bareAll), atMost: 1.15 },
      ],
      notes: ['the memory for the files was touched first', 'processor time is counted in units of 10 ms'],
    })
  })
}

class BareProcess {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('../tls/https-process.js', import.meta.url)))

  async fetch(request: Fetch): Promise<Fetched> {
    const answer = once(this.#child, 'message', { signal: AbortSignal.timeout(60_000) })
    this.#child.send(request)
    const [fetched] = (await answer) as [Fetched]
    return fetched
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}

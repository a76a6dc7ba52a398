import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FIXTURES = fileURLToPath(new URL('../../../../test/sources/docker/fixtures/', import.meta.url))

/** The answers of a Docker daemon of version 29 that keeps its images in containerd, as they were recorded. */
export class RecordedDocker {
  readonly socketPath: string
  readonly #server = createServer((req, res) => void this.#answer(req.url ?? '', res))
  readonly #events = new Set<ServerResponse>()
  /** How often the image was inspected. */
  inspections = 0
  /** How often the image was saved. */
  saves = 0
  /** The archive ends in its middle, as when the daemon dies. */
  savesHalf = false

  static async start(folder: string): Promise<RecordedDocker> {
    const docker = new RecordedDocker(join(folder, 'docker.sock'))
    await docker.start()
    return docker
  }

  private constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.socketPath, resolve))
  }

  async stop(): Promise<void> {
    const closed = new Promise<unknown>((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(url: string, res: ServerResponse): Promise<void> {
    const path = url.replace(/^\/v1\.\d+/, '')
    if (path === '/_ping') res.writeHead(200, { 'Api-Version': '1.50' }).end('OK')
    else if (path.startsWith('/events')) {
      this.#events.add(res)
      res.once('close', () => this.#events.delete(res))
      res.writeHead(200).flushHeaders()
    } else if (path === '/images/json') res.end(await fixture('images.json'))
    else if (path === '/images/acme%2Fsmall%3Av1/json') {
      this.inspections += 1
      res.end(await fixture('image.json'))
    } else if (path === '/images/acme%2Fsmall%3Av1/get') {
      this.saves += 1
      const archive = await fixture('save.tar')
      res.end(this.savesHalf ? archive.subarray(0, archive.length / 2) : archive)
    } else res.writeHead(404).end(`{"message":"No such image: ${path}"}`)
  }
}

function fixture(name: string): Promise<Buffer> {
  return readFile(join(FIXTURES, 'containerd-store', name))
}

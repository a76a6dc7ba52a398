import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { type Blob, type Image, MANIFEST_TYPE } from '../content.ts'
import { findProgram, freePort, Program } from '../program.ts'
import { hex, type MeasuredServer, REPOSITORY } from './measured-server.ts'

export const MISSING = 'docker-registry is not installed: on Debian, apt install docker-registry'

/** The registry of the distribution project, with pushed content or as a pull-through proxy of an upstream. */
export class DockerRegistry implements MeasuredServer {
  readonly name = 'docker-registry'
  readonly port: number
  readonly program: Program
  readonly #data: string

  /** Undefined where it is not installed. */
  static async start(
    folder: string,
    options: { readonly upstreamPort?: number } = {},
  ): Promise<DockerRegistry | undefined> {
    const command = findProgram('docker-registry')
    if (command === undefined) return undefined
    const port = await freePort()
    mkdirSync(folder, { recursive: true })
    const file = join(folder, 'config.yml')
    const data = join(folder, 'data')
    writeFileSync(file, configuration(data, port, options.upstreamPort))
    const program = await Program.start(
      'docker-registry',
      command,
      ['serve', file],
      `http://127.0.0.1:${port}/v2/`,
    )
    return new DockerRegistry(port, program, data)
  }

  private constructor(port: number, program: Program, data: string) {
    this.port = port
    this.program = program
    this.#data = data
  }

  blobPath(digest: string): string {
    return `/v2/${REPOSITORY}/blobs/${digest}`
  }

  manifestPath(digest: string): string {
    return `/v2/${REPOSITORY}/manifests/${digest}`
  }

  storedFile(digest: string): string {
    const name = hex(digest)
    return join(this.#data, 'docker/registry/v2/blobs/sha256', name.slice(0, 2), name, 'data')
  }

  async pushBlob(blob: Blob): Promise<void> {
    const session = await this.#send('POST', `/v2/${REPOSITORY}/blobs/uploads/`)
    const url = new URL(session.location, `http://127.0.0.1:${this.port}`)
    url.searchParams.set('digest', blob.digest)
    await this.#send('PUT', `${url.pathname}${url.search}`, blob, 'application/octet-stream')
  }

  async pushImage(image: Image): Promise<void> {
    for (const blob of [image.config, ...image.layers]) await this.pushBlob(blob)
    await this.#send('PUT', this.manifestPath(image.manifest.digest), image.manifest, MANIFEST_TYPE)
  }

  stop(): Promise<void> {
    return this.program.stop()
  }

  async #send(
    method: string,
    path: string,
    body?: Blob,
    type = 'application/octet-stream',
  ): Promise<{ readonly location: string }> {
    const headers = { 'content-length': body?.size ?? 0, 'content-type': type }
    const call = request({ host: '127.0.0.1', port: this.port, method, path, headers, agent: false })
    const answered = new Promise<{ location: string }>((resolve, reject) => {
      call.on('error', reject)
      call.on('response', (response) => {
        response.resume()
        const status = response.statusCode ?? 0
        if (status >= 300) reject(new Error(`docker-registry answered ${method} ${path} with ${status}`))
        else resolve({ location: response.headers.location ?? '' })
      })
    })
    if (body === undefined) {
      call.end()
    } else {
      // `pipeline` would fail when the answer comes before the request is closed.
      const file = createReadStream(body.file, { highWaterMark: 1 << 20 })
      file.on('error', (error) => call.destroy(error))
      file.pipe(call)
    }
    return answered
  }
}

function configuration(data: string, port: number, upstreamPort: number | undefined): string {
  const proxy = upstreamPort === undefined ? '' : `proxy:\n  remoteurl: http://127.0.0.1:${upstreamPort}\n`
  return `version: 0.1
log:
  level: error
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: ${data}
  cache:
    blobdescriptor: inmemory
http:
  addr: 127.0.0.1:${port}
${proxy}`
}

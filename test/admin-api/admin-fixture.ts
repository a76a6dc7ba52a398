import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach } from 'node:test'
import type { Reports } from '../../src/admin-api/answer.ts'
import { type AdminServer, type AdminServerOptions, createAdminServer } from '../../src/admin-api/server.ts'
import { Reporter } from '../../src/observe/reports/reporter.ts'
import { Upkeep } from '../../src/upkeep/upkeep.ts'
import { Warming } from '../../src/warm/warming.ts'
import { MemoryNode } from '../observe/memory-node.ts'
import { MemoryUpkeepStore } from '../upkeep/memory-upkeep-store.ts'
import { MemoryTarget } from '../warm/memory-target.ts'

/** Admin servers of an in-memory node. Every test of a file gets a new node; its servers are stopped after the test. */
export class AdminFixture {
  node = new MemoryNode()
  reporter = new Reporter(this.node)
  store = new MemoryUpkeepStore()
  warmTarget = new MemoryTarget()
  running: AdminServer[] = []

  constructor() {
    beforeEach(() => this.#reset())
    afterEach(async () => {
      await Promise.all(this.running.map((server) => server.stop()))
      this.reporter.close()
    })
  }

  /** Starts a server and returns its port. */
  async startServer(
    reports: Reports = this.reporter,
    {
      timeoutMs = 60_000,
      host = '127.0.0.1',
      port = 0,
      auth,
      tls,
      offer = 'everything',
    }: { timeoutMs?: number; host?: string; port?: number } & Pick<
      AdminServerOptions,
      'auth' | 'tls' | 'offer'
    > = {},
  ): Promise<number> {
    const upkeep = new Upkeep(this.store, 'docker.io')
    const warming = new Warming(this.warmTarget)
    const server = createAdminServer({
      listen: { host, port },
      auth,
      tls,
      offer,
      reports,
      upkeep,
      warming,
      timeoutMs,
    })
    this.running.push(server)
    return (await server.start()).port
  }

  #reset(): void {
    this.reporter.close()
    this.node = new MemoryNode()
    this.reporter = new Reporter(this.node)
    this.store = new MemoryUpkeepStore()
    this.warmTarget = new MemoryTarget()
    this.running = []
  }
}

export interface ReceivedAnswer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
  /** False when the connection was closed before the end of the body. */
  readonly isComplete: boolean
}

export interface RequestOptions {
  readonly method?: string
  readonly host?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

export async function sendRequest(
  port: number,
  path: string,
  { method = 'GET', host = '', body = '', headers: more = {} }: RequestOptions = {},
): Promise<ReceivedAnswer> {
  const headers = {
    ...more,
    ...(host === '' ? {} : { host }),
    ...(body === '' ? {} : { 'content-length': body.length }),
  }
  const sent = request({ host: '127.0.0.1', port, path, method, agent: false, headers })
  sent.end(body)
  const [response] = await once(sent, 'response')
  let text = ''
  try {
    for await (const chunk of response.setEncoding('utf8')) text += chunk
  } catch {
    // The connection was closed early; `isComplete` is false then.
  }
  return { status: response.statusCode, headers: response.headers, body: text, isComplete: response.complete }
}

/** Sends these bytes and returns everything that the server sends before it closes the connection. */
export async function sendRaw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(text)
  let answer = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk
  })
  socket.on('error', () => {})
  await once(socket, 'close')
  return answer
}

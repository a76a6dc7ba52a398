import { Agent as HttpAgent, type IncomingMessage, request } from 'node:http'
import type { TestContext } from 'node:test'
import { type Agent, type AgentOptions, createAgent } from '../../src/agent.ts'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { addCleanup } from '../../testkit/cleanup.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { folder } from '../store/folder.ts'

export const MIB = 1024 * 1024
/** No source and no client is given up because the machine is busy. */
export const PATIENCE = {
  progressTimeoutMs: 60_000,
  sizeTimeoutMs: 60_000,
  retryPauseMs: 5,
} satisfies Partial<FlightPolicy>

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** The body has the declared length. */
  readonly isComplete: boolean
}

interface RequestOptions {
  readonly method?: string
  readonly headers?: Record<string, string>
}

/** An agent on loopback, with its data in a temporary folder. */
export class RunningAgent {
  readonly agent: Agent
  readonly #http = new HttpAgent({ keepAlive: true })

  constructor(agent: Agent) {
    this.agent = agent
  }

  /** Resolves with the head of the answer. `path` begins with the name of a repository of `up.test`. */
  request(path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    const { host, port } = this.agent.addresses.registry
    return new Promise((resolve, reject) => {
      const sent = request(
        { host, port, path: `/v2/up.test/${path}`, agent: this.#http, ...options },
        resolve,
      )
      sent.on('error', reject)
      sent.end()
    })
  }

  async get(path: string, options: RequestOptions = {}): Promise<Answer> {
    return readAnswer(await this.request(path, options))
  }

  requestBlob(digest: Digest, range?: string): Promise<IncomingMessage> {
    return this.request(`app/blobs/${digest}`, range === undefined ? {} : { headers: { range } })
  }

  async getBlob(digest: Digest, range?: string): Promise<Answer> {
    return readAnswer(await this.requestBlob(digest, range))
  }

  async stop(options: { drainMs?: number } = {}): Promise<void> {
    await this.agent.stop(options)
    this.#http.destroy()
  }
}

/** Reads the body to its end, or to where it is cut off. */
export async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) chunks.push(chunk)
  } catch {
    // The body is cut off, as `isComplete` says.
  }
  const { statusCode = 0, headers, complete } = response
  return { status: statusCode, headers, body: Buffer.concat(chunks), isComplete: complete }
}

export interface AgentSetting extends Partial<AgentOptions> {
  readonly upstream: FaultyUpstream
}

/** Starts an agent, by default in a folder of its own, and stops it when the test is over. */
export async function startAgent(
  t: TestContext,
  { upstream, ...options }: AgentSetting,
): Promise<RunningAgent> {
  const agent = createAgent({
    data: options.data ?? (await folder(t)),
    listen: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    patience: PATIENCE,
    upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
    ...options,
  })
  await agent.start()
  const running = new RunningAgent(agent)
  addCleanup(t, () => running.stop({ drainMs: 0 }))
  return running
}

/** Starts an upstream of its own for a test. */
export async function startUpstream(t: TestContext): Promise<FaultyUpstream> {
  const upstream = await startFaultyUpstream()
  addCleanup(t, () => upstream.close())
  return upstream
}

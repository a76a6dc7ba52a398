import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import * as v from 'valibot'
import { type AgentOptions, createAgent, type ReloadableAgent } from '../../src/agent.ts'
import { BlobReport } from '../../src/schemas/content-report.ts'
import { type WarmedImage, WarmLine, type WarmRequest } from '../../src/schemas/warm-report.ts'
import type { FaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'

type Done = Extract<WarmLine, { is: 'done' }>

/** An agent in this process, which is controlled through its admin API. */
export class Node {
  readonly agent: ReloadableAgent
  readonly admin: string

  static async start(
    t: TestContext,
    upstream: FaultyUpstream,
    more: Partial<AgentOptions> = {},
  ): Promise<Node> {
    const data = more.data ?? (await mkdtemp(join(tmpdir(), 'leat-warm-')))
    const agent = createAgent({
      listen: { host: '127.0.0.1', port: 0 },
      admin: { host: '127.0.0.1', port: 0 },
      // On a slow machine no source may time out.
      patience: { progressTimeoutMs: 60_000, sizeTimeoutMs: 60_000, retryPauseMs: 5 },
      upstreams: { entries: [{ namespace: 'up.test', hosts: [upstream.host], tls: false }] },
      ...more,
      data,
    })
    await agent.start()
    t.after(async () => {
      await agent.stop({ drainMs: 0 })
      if (more.data === undefined) await rm(data, { recursive: true })
    })
    return new Node(agent)
  }

  private constructor(agent: ReloadableAgent) {
    this.agent = agent
    this.admin = `http://127.0.0.1:${agent.addresses.admin?.port}`
  }

  post(request: Partial<WarmRequest>, { signal }: { signal?: AbortSignal } = {}): Promise<Response> {
    return fetch(`${this.admin}/api/v1/warm`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      ...(signal === undefined ? {} : { signal }),
    })
  }

  async warm(
    request: Partial<WarmRequest>,
    onLine: (line: WarmLine) => void = () => {},
  ): Promise<{ images: WarmedImage[]; done: Done; lines: WarmLine[] }> {
    const response = await this.post(request)
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
    const lines: WarmLine[] = []
    let text = ''
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = v.parse(WarmLine, JSON.parse(text.slice(0, end)))
        text = text.slice(end + 1)
        lines.push(line)
        onLine(line)
      }
    }
    const done = lines.at(-1)
    if (done?.is !== 'done') throw new Error(`the last line is not done: ${JSON.stringify(done)}`)
    return { images: lines.filter((line) => line.is === 'image'), done, lines }
  }

  /** Warms one image, which must fail, and returns the error. */
  async warmError(image: string, more: Partial<WarmRequest> = {}): Promise<string> {
    const { images, done } = await this.warm({ images: [image], ...more })
    if (done.failed !== 1) throw new Error(`${image} was warmed`)
    return images.at(-1)?.error ?? 'no error'
  }

  async blobs(): Promise<BlobReport[]> {
    const text = await (await fetch(`${this.admin}/api/v1/blobs`)).text()
    return text.split('\n').flatMap((line) => (line === '' ? [] : v.parse(BlobReport, JSON.parse(line))))
  }

  async storedDigests(): Promise<string[]> {
    return (await this.blobs()).map(({ digest }) => digest)
  }

  /** Status and body of /readyz?warm=1. */
  async readiness(): Promise<[number, string]> {
    const response = await fetch(`${this.admin}/readyz?warm=1`)
    return [response.status, await response.text()]
  }

  /** Resolves when all images that the settings keep warm are stored. */
  async ready(): Promise<void> {
    for (const deadline = AbortSignal.timeout(60_000); ; await pause(5)) {
      const [status, text] = await this.readiness()
      if (status === 200) return
      if (deadline.aborted) throw new Error(text)
    }
  }
}

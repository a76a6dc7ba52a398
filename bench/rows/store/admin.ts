import { type ClientRequest, request } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import * as v from 'valibot'
import type { Agent } from '../../servers/agent.ts'

const Status = v.object({
  store: v.object({
    blobs: v.number(),
    evictedBytes: v.number(),
    scrub: v.object({ state: v.string() }),
  }),
})
const AllRight = v.object({ is: v.literal('done'), found: v.literal(0) })

const STOP_WITHIN_MS = 5000

/** What the agent says of its store. */
export async function kept(agent: Agent): Promise<v.InferOutput<typeof Status>['store']> {
  const answer = await fetch(`http://127.0.0.1:${agent.adminPort}/api/v1/status`)
  return v.parse(Status, await answer.json()).store
}

/** Has the agent re-hash what it keeps, from the beginning again when it is through, until `stop`. */
export class Verifying {
  readonly #agent: Agent
  readonly #bytesPerSecond: number | undefined
  #asking: ClientRequest | undefined
  #isStopping = false
  readonly #ended: Promise<void>

  /** Without a rate: as fast as it can. */
  constructor(agent: Agent, bytesPerSecond?: number) {
    this.#agent = agent
    this.#bytesPerSecond = bytesPerSecond
    this.#ended = this.#again()
    // Told by `stop`.
    this.#ended.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#asking?.destroy()
    await this.#ended
    // It ends when the agent notices that nobody listens any more.
    const giveUpAt = performance.now() + STOP_WITHIN_MS
    while ((await kept(this.#agent)).scrub.state === 'verifying') {
      if (performance.now() > giveUpAt) throw new Error('the agent goes on verifying for nobody')
      await wait(20)
    }
  }

  async #again(): Promise<void> {
    while (!this.#isStopping) {
      const last = await this.#once()
      if (!this.#isStopping && !isAllRight(last)) {
        throw new Error(`the agent did not find all right that it keeps: ${last || 'it said nothing'}`)
      }
    }
  }

  /** The last line that came. */
  #once(): Promise<string> {
    return new Promise((resolve) => {
      let text = ''
      const asking = request({
        host: '127.0.0.1',
        port: this.#agent.adminPort,
        method: 'POST',
        path: '/api/v1/verify',
        headers: { 'content-type': 'application/json' },
      })
      this.#asking = asking
      asking.on('error', () => {})
      asking.on('close', () => resolve(text.trim().split('\n').at(-1) ?? ''))
      asking.on('response', (response) => {
        response.on('error', () => {})
        response.on('data', (bytes: Buffer) => {
          text = (text + bytes.toString()).slice(-4000)
        })
      })
      asking.end(JSON.stringify({ bytesPerSecond: this.#bytesPerSecond }))
    })
  }
}

function isAllRight(line: string): boolean {
  try {
    return v.is(AllRight, JSON.parse(line))
  } catch {
    return false
  }
}

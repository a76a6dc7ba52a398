import { setTimeout as wait } from 'node:timers/promises'
import * as v from 'valibot'
import { Background } from '../rows/store/background.ts'
import type { Agent } from './agent.ts'

const Status = v.object({
  store: v.object({
    blobs: v.number(),
    bytes: v.number(),
    evictedBytes: v.number(),
    scrub: v.object({ state: v.string() }),
  }),
})
const Evicted = v.object({ is: v.literal('done'), blobs: v.number() })
const AllRight = v.object({ is: v.literal('done'), found: v.literal(0) })

const STOP_WITHIN_MS = 5000

/** What the agent says of its store. */
export async function kept(agent: Agent): Promise<v.InferOutput<typeof Status>['store']> {
  const answer = await fetch(urlOf(agent, 'status'))
  return v.parse(Status, await answer.json()).store
}

/** Has the agent let go of what lies there longest until no more than so much is left. How many blobs went. */
export async function evict(agent: Agent, toBytes: number): Promise<number> {
  return v.parse(Evicted, await lastLine(agent, 'gc', { toBytes })).blobs
}

/**
 * Has the agent re-hash what it keeps, from the beginning again when it is through. Without a rate: as fast as it can.
 */
export function verifying(agent: Agent, bytesPerSecond?: number): Background {
  return new Background(async (signal) => {
    try {
      const line = await lastLine(agent, 'verify', { bytesPerSecond }, signal)
      if (!v.is(AllRight, line)) throw new Error(`the agent finds fault: ${JSON.stringify(line)}`)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    await verified(agent)
  })
}

/** It ends a little after its last line, or when the agent notices that nobody listens any more. */
async function verified(agent: Agent): Promise<void> {
  const giveUpAt = performance.now() + STOP_WITHIN_MS
  while ((await kept(agent)).scrub.state === 'verifying') {
    if (performance.now() > giveUpAt) throw new Error('the agent goes on verifying for nobody')
    await wait(10)
  }
}

/** Such an answer comes in lines, of which the last one says how it ended. */
async function lastLine(agent: Agent, change: string, body: object, signal?: AbortSignal): Promise<unknown> {
  const answer = await fetch(urlOf(agent, change), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: signal ?? null,
  })
  const text = await answer.text()
  return JSON.parse(text.trim().split('\n').at(-1) ?? '')
}

function urlOf(agent: Agent, what: string): string {
  return `http://127.0.0.1:${agent.adminPort}/api/v1/${what}`
}

import { existsSync } from 'node:fs'
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
const EVICTED_MS = 5000

/** The agent's report about its store. */
export async function storeStatus(agent: Agent): Promise<v.InferOutput<typeof Status>['store']> {
  const answer = await fetch(urlOf(agent, 'status'))
  return v.parse(Status, await answer.json()).store
}

/** Makes the agent evict blobs until no more than `toBytes` are left. Returns how many were evicted. */
export async function evict(agent: Agent, toBytes: number): Promise<number> {
  return v.parse(Evicted, await lastLine(agent, 'gc', { toBytes })).blobs
}

/** Evicts everything. A blob that is still read is not evicted, so eviction is repeated until these are gone. */
export async function evictAll(agent: Agent, digests: readonly string[]): Promise<void> {
  const giveUpAt = performance.now() + EVICTED_MS
  while (digests.some((digest) => existsSync(agent.storedFile(digest)))) {
    if (performance.now() > giveUpAt) throw new Error('the agent does not evict a blob')
    await evict(agent, 0)
    await wait(10)
  }
}

/** Makes the agent verify its store repeatedly, by default as fast as it can. */
export function verifying(agent: Agent, bytesPerSecond?: number): Background {
  return new Background(async (signal) => {
    try {
      const line = await lastLine(agent, 'verify', { bytesPerSecond }, signal)
      if (!v.is(AllRight, line)) throw new Error(`the agent found wrong blobs: ${JSON.stringify(line)}`)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    await untilVerified(agent)
  })
}

/** Waits for the end of a verification, which comes a little after its last line or after the client has left. */
async function untilVerified(agent: Agent): Promise<void> {
  const giveUpAt = performance.now() + STOP_WITHIN_MS
  while ((await storeStatus(agent)).scrub.state === 'verifying') {
    if (performance.now() > giveUpAt) throw new Error('the agent does not stop verifying')
    await wait(10)
  }
}

/** The last line of an answer in JSON lines, which has the result. */
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

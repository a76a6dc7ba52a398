import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AgentOptions } from '../../../src/agent.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { watchSteps } from './disk-steps.ts'

/** To the child. */
export type Order =
  | {
      readonly do: 'start'
      readonly options: AgentOptions
      /** Before this step towards the disk, counted from 1, it kills itself as `kill -9` would. */
      readonly dieBefore?: number | undefined
      readonly tellSteps?: boolean
    }
  | { readonly do: 'stop' }
  | { readonly do: 'count-memory' }
  /** From now on its clock is wrong by so much; timers go on as before. */
  | { readonly do: 'shift-clock'; readonly ms: number }

/** From the child. */
export type News =
  | { readonly is: 'loaded' }
  | { readonly is: 'serving'; readonly port: number; readonly adminPort: number | undefined }
  | { readonly is: 'stored'; readonly digest: Digest }
  | { readonly is: 'flying'; readonly digest: Digest; readonly resumedAt: number }
  /** One source was tried within a flight and is done with. */
  | { readonly is: 'attempted'; readonly digest: Digest }
  | { readonly is: 'memory'; readonly bytes: number }
  | { readonly is: 'mended'; readonly how: string }
  | { readonly is: 'failed'; readonly digest: Digest }
  | { readonly is: 'step'; readonly name: string }
  | { readonly is: 'refused'; readonly message: string }

// An agent in a process of its own that can be killed at any step. Everything is loaded before it is told to start, so that
// a test may have the next one ready while this one is still being used.
let steps = 0
let dieBefore = Number.POSITIVE_INFINITY
let tellSteps = false
let clockShift = 0
const rightNow = Date.now

// Before anything keeps the function for itself.
Date.now = () => rightNow() + clockShift
await watchSteps((name) => {
  steps += 1
  if (steps === dieBefore) process.kill(process.pid, 'SIGKILL')
  if (tellSteps) tell({ is: 'step', name })
})
const { createAgent } = await import('../../../src/agent.ts')
const { subscribe } = await import('../../../src/observe/events.ts')
let agent: ReturnType<typeof createAgent> | undefined

process.on('disconnect', () => process.exit(1))
process.on('message', (order: Order) => {
  if (order.do === 'start') void start(order)
  else if (order.do === 'stop') void stop()
  else if (order.do === 'count-memory') countMemory()
  else clockShift = order.ms
})
tell({ is: 'loaded' })

async function start(order: Extract<Order, { do: 'start' }>): Promise<void> {
  steps = 0
  dieBefore = order.dieBefore ?? dieBefore
  tellSteps = order.tellSteps ?? false
  subscribe('store.committed', ({ digest }) => tell({ is: 'stored', digest }))
  subscribe('flight.started', ({ digest, resumedAt }) => tell({ is: 'flying', digest, resumedAt }))
  subscribe('flight.attempted', ({ digest }) => tell({ is: 'attempted', digest }))
  subscribe('store.repaired', ({ how }) => tell({ is: 'mended', how }))
  subscribe('verify.failed', ({ digest }) => tell({ is: 'failed', digest }))
  try {
    agent = createAgent(order.options)
    await agent.start()
    const { registry, admin } = agent.addresses
    tell({ is: 'serving', port: registry.port, adminPort: admin?.port })
  } catch (error) {
    tell({ is: 'refused', message: error instanceof Error ? error.message : String(error) })
  }
}

async function stop(): Promise<void> {
  await agent?.stop({ drainMs: 5000 })
  // Nothing is left that keeps it running, or it does not end.
  process.removeAllListeners('disconnect')
  process.disconnect()
}

function countMemory(): void {
  // The flag makes the collector a global of contexts that are made after it.
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const { heapUsed, external } = process.memoryUsage()
  tell({ is: 'memory', bytes: heapUsed + external })
}

function tell(news: News): void {
  process.send?.(news)
}

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AgentOptions } from '../../../src/agent.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { watchDiskSteps } from './disk-steps.ts'

/** A message to the child process. */
export type AgentCommand =
  | {
      readonly do: 'start'
      readonly options: AgentOptions
      /** The process kills itself before this disk step, counted from 1, as `kill -9` would. */
      readonly killBeforeStep?: number | undefined
      readonly reportSteps?: boolean
    }
  | { readonly do: 'stop' }
  | { readonly do: 'count-memory' }
  /** Sets the clock ahead by so much, or behind; timers are not affected. */
  | { readonly do: 'shift-clock'; readonly ms: number }

/** A message from the child process. */
export type AgentMessage =
  | { readonly is: 'loaded' }
  | { readonly is: 'serving'; readonly port: number; readonly adminPort: number | undefined }
  | { readonly is: 'stored'; readonly digest: Digest }
  | { readonly is: 'flight-started'; readonly digest: Digest; readonly resumedAt: number }
  /** One source of a flight was tried. */
  | { readonly is: 'attempt-ended'; readonly digest: Digest }
  | { readonly is: 'memory'; readonly bytes: number }
  | { readonly is: 'repaired'; readonly how: string }
  | { readonly is: 'verify-failed'; readonly digest: Digest }
  | { readonly is: 'step'; readonly name: string }
  | { readonly is: 'start-failed'; readonly message: string }

// An agent in a process of its own, which can be killed at any disk step. All its code is loaded before the
// command to start, so that a test can load the next agent while it uses this one.
let steps = 0
let killBeforeStep = Number.POSITIVE_INFINITY
let reportSteps = false
let clockShift = 0
const realNow = Date.now

// `Date.now` is replaced before other modules can keep a reference to it.
Date.now = () => realNow() + clockShift
await watchDiskSteps((name) => {
  steps += 1
  if (steps === killBeforeStep) process.kill(process.pid, 'SIGKILL')
  if (reportSteps) send({ is: 'step', name })
})
const { createAgent } = await import('../../../src/agent.ts')
const { subscribe } = await import('../../../src/observe/events.ts')
let agent: ReturnType<typeof createAgent> | undefined

process.on('disconnect', () => process.exit(1))
process.on('message', (command: AgentCommand) => {
  if (command.do === 'start') void start(command)
  else if (command.do === 'stop') void stop()
  else if (command.do === 'count-memory') countMemory()
  else clockShift = command.ms
})
send({ is: 'loaded' })

async function start(command: Extract<AgentCommand, { do: 'start' }>): Promise<void> {
  steps = 0
  killBeforeStep = command.killBeforeStep ?? killBeforeStep
  reportSteps = command.reportSteps ?? false
  subscribe('store.committed', ({ digest }) => send({ is: 'stored', digest }))
  subscribe('flight.started', ({ digest, resumedAt }) => send({ is: 'flight-started', digest, resumedAt }))
  subscribe('flight.attempted', ({ digest }) => send({ is: 'attempt-ended', digest }))
  subscribe('store.repaired', ({ how }) => send({ is: 'repaired', how }))
  subscribe('verify.failed', ({ digest }) => send({ is: 'verify-failed', digest }))
  try {
    agent = createAgent(command.options)
    await agent.start()
    const { registry, admin } = agent.addresses
    send({ is: 'serving', port: registry.port, adminPort: admin?.port })
  } catch (error) {
    send({ is: 'start-failed', message: error instanceof Error ? error.message : String(error) })
  }
}

async function stop(): Promise<void> {
  await agent?.stop({ drainMs: 5000 })
  // The IPC channel is closed, so the process ends unless the agent has left something running.
  process.removeAllListeners('disconnect')
  process.disconnect()
}

function countMemory(): void {
  // The flag adds the garbage collector to contexts that are made after it.
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const { heapUsed, external } = process.memoryUsage()
  send({ is: 'memory', bytes: heapUsed + external })
}

function send(message: AgentMessage): void {
  process.send?.(message)
}

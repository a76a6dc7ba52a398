import { setMaxListeners } from 'node:events'
import { constants, setPriority } from 'node:os'
import type { AttackReport, AttackTarget } from './attack.ts'
import { ATTACKS } from './attacks.ts'
import { runAllAttacks } from './run-all.ts'

/** The name on the command line that runs all attacks. */
const EVERYTHING = 'everything'

/** The message to the attacker process. */
export interface AttackRequest {
  readonly name: string
  readonly target: AttackTarget
  readonly holdMs: number
}

/** A message from the attacker process. */
export type AttackerMessage =
  | { readonly is: 'ready' | 'established' }
  | { readonly is: 'ended'; readonly report: AttackReport }

// A real attacker has its own machine, so this process gets only the CPU time that the agent and honest clients leave.
setPriority(constants.priority.PRIORITY_LOW)

// The attacker runs in its own process, so that its CPU time and memory are not the server's. Started by `attacker.ts`,
// or on the command line:
// node .build/testkit/attacks/attacker-program.js NAME PORT BLOB-PATH MANIFEST-PATH [HOLD-MS]
const [name, port, blob, manifest, holdMs = '10000'] = process.argv.slice(2)

if (process.send === undefined) {
  if (name === undefined || port === undefined || blob === undefined || manifest === undefined) {
    console.log([...ATTACKS.keys(), EVERYTHING].join('\n'))
  } else {
    const end = new AbortController()
    process.once('SIGINT', () => end.abort())
    const target = { port: Number(port), blob, manifest }
    console.log(await attack({ name, target, holdMs: Number(holdMs) }, end.signal, () => {}))
  }
} else {
  const end = new AbortController()
  // Every connection of an attack adds a listener, so Node's warning about many listeners is disabled.
  setMaxListeners(0, end.signal)
  process.on('disconnect', () => {
    end.abort()
    process.exit(0)
  })
  process.on('message', (message: AttackRequest | 'end') => {
    if (message === 'end') end.abort()
    else void runRequest(message, end.signal)
  })
  send({ is: 'ready' })
}

async function runRequest(request: AttackRequest, signal: AbortSignal): Promise<void> {
  const report = await attack(request, signal, () => send({ is: 'established' }))
  send({ is: 'ended', report })
}

async function attack(
  request: AttackRequest,
  signal: AbortSignal,
  onEstablished: () => void,
): Promise<AttackReport> {
  const runAttack = request.name === EVERYTHING ? runAllAttacks : ATTACKS.get(request.name)
  if (runAttack === undefined) throw new Error(`unknown attack: ${request.name}`)
  return await runAttack(request.target, { signal, onEstablished, holdMs: request.holdMs })
}

function send(message: AttackerMessage): void {
  process.send?.(message)
}

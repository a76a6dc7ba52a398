import { setMaxListeners } from 'node:events'
import { constants, setPriority } from 'node:os'
import { ATTACKS } from './all.ts'
import type { AttackTarget, Report } from './attack.ts'
import { attackWithEverything } from './everything.ts'

/** The name of all of them. */
const EVERYTHING = 'everything'

/** To the attacker, who ends by itself after that. */
export interface AttackOrder {
  readonly name: string
  readonly target: AttackTarget
  readonly holdMs: number
}

/** From the attacker. */
export type AttackNews =
  | { readonly is: 'ready' | 'in place' }
  | { readonly is: 'over'; readonly report: Report }

// An attacker has a machine of its own: here it gets only the processors that the agent and honest clients leave.
setPriority(constants.priority.PRIORITY_LOW)

// An attacker in a process of its own, so that its work is not the server's. Started by `attacker.ts`, or by hand:
// node .build/testkit/attacks/attacker-program.js NAME PORT BLOB-PATH MANIFEST-PATH [HOLD-MS]
const [name, port, blob, manifest, holdMs = '10000'] = process.argv.slice(2)

if (process.send === undefined) {
  if (name === undefined || port === undefined || blob === undefined || manifest === undefined) {
    console.log([...ATTACKS.keys(), EVERYTHING].join('\n'))
  } else {
    const ended = new AbortController()
    process.once('SIGINT', () => ended.abort())
    const target = { port: Number(port), blob, manifest }
    console.log(await attack({ name, target, holdMs: Number(holdMs) }, ended.signal, () => {}))
  }
} else {
  const ended = new AbortController()
  // Every connection of an attack listens to it.
  setMaxListeners(0, ended.signal)
  process.on('disconnect', () => {
    ended.abort()
    process.exit(0)
  })
  process.on('message', (order: AttackOrder | 'end') => {
    if (order === 'end') ended.abort()
    else void obey(order, ended.signal)
  })
  tell({ is: 'ready' })
}

async function obey(order: AttackOrder, signal: AbortSignal): Promise<void> {
  const report = await attack(order, signal, () => tell({ is: 'in place' }))
  tell({ is: 'over', report })
}

async function attack(order: AttackOrder, signal: AbortSignal, onInPlace: () => void): Promise<Report> {
  const found = order.name === EVERYTHING ? attackWithEverything : ATTACKS.get(order.name)
  if (found === undefined) throw new Error(`there is no attack ${order.name}`)
  return await found(order.target, { signal, onInPlace, holdMs: order.holdMs })
}

function tell(news: AttackNews): void {
  process.send?.(news)
}

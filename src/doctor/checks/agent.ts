import * as v from 'valibot'
import { agoText, plain } from '../../observe/text.ts'
import { StatusReport } from '../../schemas/report.ts'
import { type Finding, ok, problem, warning } from '../tools/finding.ts'
import { failureText, lookAt } from '../tools/http-look.ts'
import { type Address, dialled, written } from '../tools/node-settings.ts'

/** What is read of the status: so little that other versions have it too. */
const Status = v.object({
  ...v.pick(StatusReport, ['version', 'startedAt', 'addresses', 'data', 'ready', 'reasons']).entries,
  store: v.object({ bytes: v.number(), limitBytes: v.nullable(v.number()) }),
  /** Null, or not there: without peers, or of a version that does not tell. */
  peers: v.optional(
    v.nullable(
      v.object({
        self: v.object({ address: v.string() }),
        count: v.number(),
        members: v.array(v.object({ name: v.string(), version: v.string(), understood: v.boolean() })),
      }),
    ),
  ),
})
export type Status = v.InferOutput<typeof Status>

/** What was seen at the admin address. */
export type AgentSeen =
  | {
      readonly kind: 'agent'
      readonly status: Status
      /** How far its clock is ahead of this one; undefined when it does not tell. */
      readonly aheadMs: number | undefined
    }
  | { readonly kind: 'stranger' }
  | { readonly kind: 'nobody'; readonly why: string }

export async function seeAgent(admin: Address, options: { signal: AbortSignal }): Promise<AgentSeen> {
  try {
    const url = new URL('/api/v1/status', `http://${written(dialled(admin))}`)
    const { status, text, date } = await lookAt(url, options)
    const report = v.safeParse(v.pipe(v.string(), v.parseJson(), Status), text)
    if (status !== 200 || !report.success) return { kind: 'stranger' }
    return {
      kind: 'agent',
      status: report.output,
      aheadMs: date === undefined ? undefined : date - Date.now(),
    }
  } catch (error) {
    return { kind: 'nobody', why: failureText(error) }
  }
}

export function judgeAgent(
  seen: AgentSeen,
  { admin, version, now }: { admin: Address; version: string; now: number },
): readonly Finding[] {
  const where = written(admin)
  if (seen.kind === 'nobody') {
    return [
      problem(`no agent answers at ${where} (${seen.why})`, {
        means: 'unless it listens elsewhere, every pull of this node goes to the registry itself',
        todo: 'start it with agent serve, or say with --admin where it listens',
      }),
    ]
  }
  if (seen.kind === 'stranger') {
    return [
      problem(`what answers at ${where} is no agent`, {
        means: 'another program has its port, or --admin names another address than the agent’s',
        todo: `see who listens there (ss -ltnp), or say with --admin where the agent listens`,
      }),
    ]
  }
  const { status } = seen
  return [readiness(status, where, now), ...age(status, version)]
}

function readiness({ ready, reasons, version, startedAt }: Status, where: string, now: number): Finding {
  if (ready) {
    return ok(
      `the agent answers at ${where} and is ready (version ${plain(version)}, up since ${agoText(startedAt, now)})`,
    )
  }
  return problem(`the agent at ${where} is not ready: ${plain(reasons.join('; '))}`, {
    means: 'until it is, pulls go to the registry itself',
    todo: 'wait for it; if it stays so, its log says more',
  })
}

function age({ version }: Status, own: string): readonly Finding[] {
  if (version === own) return []
  return [
    warning(`the agent has version ${plain(version)}, this command ${own}`, {
      means: 'one of them was not brought up to date, or not started again after it',
      todo: 'restart the agent, or run the doctor that belongs to it',
    }),
  ]
}

import * as v from 'valibot'
import { agoText, plain } from '../../observe/text.ts'
import { ObjectStoreReport } from '../../schemas/object-store-report.ts'
import { SourceReport, StatusReport } from '../../schemas/status-report.ts'
import { type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'
import { failureText, getAdmin } from '../tools/http-get.ts'
import { type Address, type AdminAddress, addressText } from '../tools/node-settings.ts'

/** The part of the status that the checks need. It is small, so that agents of other versions have it too. */
const Status = v.object({
  ...v.pick(StatusReport, ['version', 'startedAt', 'addresses', 'data', 'ready', 'reasons']).entries,
  store: v.object({ bytes: v.number(), limitBytes: v.nullable(v.number()) }),
  /** Absent if the version of the agent does not report them. */
  sources: v.optional(v.array(SourceReport)),
  /** Null if the agent has no object store, absent if its version does not report it. */
  objectStore: v.optional(v.nullable(v.pick(ObjectStoreReport, ['paused', 'uploads']))),
  /** Null if the agent has no peers, absent if its version does not report them. */
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

/** What answered at the admin address. */
export type AgentAnswer =
  | {
      readonly kind: 'agent'
      readonly status: Status
      /** How far the agent's clock is ahead of this one; undefined if the answer has no date. */
      readonly aheadMs: number | undefined
    }
  | { readonly kind: 'other-program' }
  /** The agent wants a token that the doctor has not been given. */
  | { readonly kind: 'locked' }
  | { readonly kind: 'no-answer'; readonly why: string }

export async function queryAgent(
  admin: AdminAddress,
  { signal }: { signal: AbortSignal },
): Promise<AgentAnswer> {
  try {
    const { status, text, date } = await getAdmin(admin, '/api/v1/status', signal)
    if (status === 401) return { kind: 'locked' }
    const report = v.safeParse(v.pipe(v.string(), v.parseJson(), Status), text)
    if (status !== 200 || !report.success) return { kind: 'other-program' }
    return {
      kind: 'agent',
      status: report.output,
      aheadMs: date === undefined ? undefined : date - Date.now(),
    }
  } catch (error) {
    return { kind: 'no-answer', why: failureText(error) }
  }
}

export function judgeAgent(
  answer: AgentAnswer,
  { admin, version, now }: { admin: Address; version: string; now: number },
): readonly Finding[] {
  const where = addressText(admin)
  if (answer.kind === 'no-answer') {
    return [
      problem('agent-absent', `no agent answers at ${where} (${answer.why})`, {
        means: 'unless the agent listens elsewhere, every pull of this node goes directly to the registry',
        todo: 'start the agent with agent serve, or give its admin address with --admin',
      }),
    ]
  }
  if (answer.kind === 'locked') {
    return [
      notChecked(
        'agent-locked',
        `the agent at ${where} asks for a token`,
        'give the file of the token with --admin-token-file',
      ),
    ]
  }
  if (answer.kind === 'other-program') {
    return [
      problem('agent-other-program', `the program that answers at ${where} is not an agent`, {
        means: 'another program uses the port of the agent, or --admin is not the address of the agent',
        todo: 'find the program that listens there (ss -ltnp), or give the admin address of the agent with --admin',
      }),
    ]
  }
  const { status } = answer
  return [judgeReadiness(status, where, now), ...judgeVersion(status, version)]
}

function judgeReadiness({ ready, reasons, version, startedAt }: Status, where: string, now: number): Finding {
  if (ready) {
    return ok(
      'agent-ready',
      `the agent at ${where} is ready (version ${plain(version)}, started ${agoText(startedAt, now)})`,
    )
  }
  return problem('agent-not-ready', `the agent at ${where} is not ready: ${plain(reasons.join('; '))}`, {
    means: 'until it is ready, pulls go directly to the registry',
    todo: 'wait; if the agent does not become ready, read its log',
  })
}

function judgeVersion({ version }: Status, own: string): readonly Finding[] {
  if (version === own) return []
  return [
    warning(
      'agent-version-differs',
      `the agent has version ${plain(version)}, this command has version ${own}`,
      {
        means: 'one of them was not updated, or the agent was not restarted after an update',
        todo: 'restart the agent, or run the doctor of the same version',
      },
    ),
  ]
}

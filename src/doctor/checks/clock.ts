import { spanText } from '../../observe/text.ts'
import { type Finding, notLookedAt, ok, problem, warning } from '../tools/finding.ts'

const AGENT_MS = 5_000
const OFF_MS = 60_000
/** Certificates and tokens that were given out just now count as not yet valid. */
const WRONG_MS = 5 * 60_000

/** How far other clocks are ahead of this one; the time that an answer takes is part of it. */
export function judgeClock(
  agentAheadMs: number | undefined,
  upstreams: readonly { readonly host: string; readonly aheadMs: number }[],
): readonly Finding[] {
  return [...judgeAgents(agentAheadMs), judgeUpstreams(upstreams)]
}

function judgeAgents(aheadMs: number | undefined): readonly Finding[] {
  if (aheadMs === undefined || Math.abs(aheadMs) <= AGENT_MS) return []
  return [
    warning(`the agent’s clock is ${offText(aheadMs)} this one`, {
      means: 'the agent runs on another machine, or a clock was set while this was asked',
      todo: 'run the doctor on the agent’s node; have the clocks set by NTP',
    }),
  ]
}

function judgeUpstreams(seen: readonly { readonly host: string; readonly aheadMs: number }[]): Finding {
  // One registry may have a wrong clock; that several are wrong in the same way is not likely.
  const [nearest] = [...seen].sort((a, b) => Math.abs(a.aheadMs) - Math.abs(b.aheadMs))
  if (nearest === undefined) return notLookedAt('no upstream has told the time')
  const { host, aheadMs } = nearest
  if (Math.abs(aheadMs) <= OFF_MS) return ok(`the clock agrees with that of ${host}`)
  const found = `the clock of ${host} is ${offText(aheadMs)} this one`
  const more = {
    means:
      'certificates and tokens may be taken for not yet valid or for expired, tags for fresher than they are',
    todo: 'set the clock, and have it set by NTP (timedatectl)',
  }
  return Math.abs(aheadMs) > WRONG_MS ? problem(found, more) : warning(found, more)
}

function offText(aheadMs: number): string {
  return `${spanText(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'}`
}

import { spanText } from '../../observe/text.ts'
import { type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'

const MAX_AGENT_MS = 5_000
const WARNING_MS = 60_000
/** With a larger difference, certificates and tokens that were just issued are not valid yet. */
const PROBLEM_MS = 5 * 60_000

export interface UpstreamClock {
  readonly host: string
  readonly aheadMs: number
}

/** Judges how far other clocks are ahead of this one. The differences include the time that an answer takes. */
export function judgeClock(
  agentAheadMs: number | undefined,
  upstreams: readonly UpstreamClock[],
): readonly Finding[] {
  return [...judgeAgentClock(agentAheadMs), judgeUpstreamClocks(upstreams)]
}

function judgeAgentClock(aheadMs: number | undefined): readonly Finding[] {
  if (aheadMs === undefined || Math.abs(aheadMs) <= MAX_AGENT_MS) return []
  return [
    warning(
      'clock-of-agent',
      `the clock of the agent is ${differenceText(aheadMs)} the clock of this command`,
      {
        means: 'the agent runs on another machine, or the clock was set during the check',
        todo: 'run the doctor on the node of the agent, and synchronise the clocks with NTP',
      },
    ),
  ]
}

function judgeUpstreamClocks(upstreams: readonly UpstreamClock[]): Finding {
  // One registry may have a wrong clock. That several are wrong by the same amount is unlikely.
  const [nearest] = [...upstreams].sort((a, b) => Math.abs(a.aheadMs) - Math.abs(b.aheadMs))
  if (nearest === undefined) return notChecked('clock-unknown', 'no upstream reported its time')
  const { host, aheadMs } = nearest
  if (Math.abs(aheadMs) <= WARNING_MS) return ok('clock-agrees', `the clock agrees with the clock of ${host}`)
  const found = `the clock of ${host} is ${differenceText(aheadMs)} the clock of this node`
  const advice = {
    means:
      'certificates and tokens may be rejected as expired or not yet valid, and tags may be served for too long',
    todo: 'set the clock, and synchronise it with NTP (timedatectl)',
  }
  return Math.abs(aheadMs) > PROBLEM_MS
    ? problem('clock-differs', found, advice)
    : warning('clock-differs', found, advice)
}

function differenceText(aheadMs: number): string {
  return `${spanText(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'}`
}

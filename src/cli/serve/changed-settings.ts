import { isDeepStrictEqual } from 'node:util'
import type { SettingName, Settings } from '../../config/schema.ts'
import { agentOptions } from '../context/agent-options.ts'
import type { Terminal } from '../context/command.ts'

/** The settings that a running agent takes over; a change of any other one needs a restart. */
const LIVE: readonly SettingName[] = [
  'upstreams',
  'allow',
  'warm',
  'maxBytes',
  'maxUpload',
  'maxDownload',
  'drainTimeout',
  'logLevel',
]

export function isLive(name: SettingName): boolean {
  return LIVE.includes(name)
}

export function changedLive(
  before: Settings,
  after: Settings,
  terminal: Pick<Terminal, 'env' | 'version'>,
): readonly SettingName[] {
  // A password hides itself from a comparison of settings, so upstreams are compared as the agent gets them.
  const upstreams = (settings: Settings): unknown => agentOptions(settings, terminal).upstreams
  return LIVE.filter((name) =>
    name === 'upstreams'
      ? !isDeepStrictEqual(upstreams(before), upstreams(after))
      : !isDeepStrictEqual(before[name], after[name]),
  )
}

/** The settings that a running agent can use: those of its start, with the live ones as they are now. */
export function withLive(atStart: Settings, now: Settings): Settings {
  const live = LIVE.map((name) => [name, now[name]] as const)
  return { ...atStart, ...Object.fromEntries(live) }
}

/** The settings that are not as they were when the agent started, and that it cannot take over. */
export function needingRestart(atStart: Settings, now: Settings): readonly SettingName[] {
  const names = Object.keys(atStart) as SettingName[]
  return names.filter((name) => !isLive(name) && !isDeepStrictEqual(atStart[name], now[name]))
}

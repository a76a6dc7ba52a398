import { type Agent, type AgentOptions, createAgent as createAgentOf } from './agent.ts'
import { agentOptions } from './cli/context/agent-options.ts'
import { checkSettings } from './config/load.ts'
import { entriesOf, type SettingsObject } from './config/settings-object.ts'

/** What a program decides besides the settings. */
export interface ProgramOptions {
  /** Where `HTTPS_PROXY` and its companions, and the variables of Docker, are looked up; default: nowhere. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Shown in reports, and in the User-Agent of requests to registries. */
  readonly version?: string
  /** How long the agent waits for sources, and how often it asks them. */
  readonly patience?: NonNullable<AgentOptions['patience']>
}

/**
 * Makes an agent with settings of the same names, values and defaults as in the configuration file; no file and no variable is
 * read. Without `admin` it has no admin address. Throws a `SettingsError` that names every mistake.
 */
export function createAgent(
  settings: SettingsObject & { readonly data: string },
  { env = {}, version = 'unknown', patience }: ProgramOptions = {},
): Agent {
  const options = agentOptions(checkSettings(entriesOf(settings)), { env, version })
  const { admin, ...others } = options
  return createAgentOf({
    ...others,
    ...(settings.admin === undefined || admin === undefined ? {} : { admin }),
    ...(patience === undefined ? {} : { patience }),
  })
}

/** The library: the same agent that `agent serve` runs, in a program of your own. */
export { type Agent, type AgentOptions, createAgent } from './agent.ts'
export type { UpstreamEntry, UpstreamOptions } from './upstream/options.ts'

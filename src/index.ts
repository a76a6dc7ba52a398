/** The library: the same agent that `agent serve` runs, in a program of your own. */
export {
  type Agent,
  type AgentOptions,
  createAgent,
  type PeerOptions,
  type UpstreamEntry,
  type UpstreamOptions,
  type WarmEntry,
} from './agent.ts'

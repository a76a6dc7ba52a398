/** Identifies an agent in the swarm. The id stays the same when the agent restarts with the same data folder. */
export type MemberId = string & { readonly __memberId: true }

/** What an agent tells the swarm about itself. */
export interface Member {
  readonly id: MemberId
  /** When the agent started, in ms since the epoch: of two records of one member, the higher incarnation is valid. */
  readonly incarnation: number
  /** The name of the host, shown to people. */
  readonly name: string
  /** The host and TCP port at which peers reach the agent. */
  readonly host: string
  readonly port: number
  /** The SHA-256, in hex, of the TLS certificate that the agent presents on that port. */
  readonly fingerprint: string
  readonly zone: string | undefined
  readonly version: string
  /** The version of the peer protocol. Members of another version are listed, but get no requests. */
  readonly protocol: number
}

export const PEER_PROTOCOL = 3

export function parseMemberId(text: unknown): MemberId | undefined {
  return typeof text === 'string' && /^[0-9a-f]{32}$/.test(text) ? (text as MemberId) : undefined
}

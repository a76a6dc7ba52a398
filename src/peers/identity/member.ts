/** Who an agent is among its peers: stays the same when it starts again on the same data. */
export type MemberId = string & { readonly __memberId: true }

/** What an agent makes known of itself. */
export interface Member {
  readonly id: MemberId
  /** When it started, in milliseconds since the epoch: of two records of one member the later one holds. */
  readonly incarnation: number
  /** Its host's name, for people. */
  readonly name: string
  /** Where its peers reach it, over TCP. */
  readonly host: string
  readonly port: number
  /** SHA-256 of the TLS certificate that it answers with there, in hex. */
  readonly fingerprint: string
  readonly zone: string | undefined
  readonly version: string
  /** Of the language it speaks with its peers; a member of another one is shown, but not asked. */
  readonly protocol: number
  /** How many peers it is giving content to, rounded as `loadOf` does. */
  readonly load: number
}

/** As it is told to others: the power of two below, so that what makes no difference to them is not told. */
export function loadOf(uploads: number): number {
  return uploads === 0 ? 0 : 2 ** Math.floor(Math.log2(uploads))
}

export const PEER_PROTOCOL = 2

export function parseMemberId(text: unknown): MemberId | undefined {
  return typeof text === 'string' && /^[0-9a-f]{32}$/.test(text) ? (text as MemberId) : undefined
}

export interface Kill {
  readonly atMs: number
  /** The part of the live members that is killed. */
  readonly share: number
  /** The owners of this many layers are among the killed members. */
  readonly owners?: number
  /** No connection of a killed member is reset; the others notice only its silence. */
  readonly silent?: boolean
}

export interface Overheads {
  /** A new connection with its handshake takes this long. */
  readonly connectMs: number
  /** How often each member reports its progress. */
  readonly reportMs: number
  /** Until the first byte of upstream. */
  readonly upstreamMs: number
  /** Until the others know of a killed member whose connections are reset. */
  readonly noticeMs: number
  /** Until the others give up a killed member that is just silent. */
  readonly silenceMs: number
  /** Until a received piece is checked and can be passed on. */
  readonly pieceMs: number
}

export interface PullSimulation {
  readonly members: number
  readonly zones?: number
  readonly linkBytesPerSecond: number
  readonly upstreamBytesPerSecond: number
  /** Sizes in bytes. */
  readonly layers: readonly number[]
  readonly pieceBytes?: number
  readonly latencyMs?: number
  readonly overheads?: Partial<Overheads>
  readonly kills?: readonly Kill[]
  /** When each member begins to pull; by default all members do so within 50 ms. */
  readonly joinsAtMs?: (member: number) => number
  /** The rate of a member's link as a part of `linkBytesPerSecond`; 1 by default. */
  readonly speed?: (member: number) => number
  /** The best rate in bytes per second that a member claims to have received. */
  readonly best?: (member: number) => number | undefined
  readonly seed: number
}

export const DEFAULT_OVERHEADS: Overheads = {
  connectMs: 5,
  reportMs: 500,
  upstreamMs: 50,
  noticeMs: 100,
  silenceMs: 3000,
  pieceMs: 1,
}

export const DEFAULT_PIECE_BYTES = 65_536

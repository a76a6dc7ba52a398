import type { ByteRange } from '../../../oci/range.ts'

/** The size of a request for bytes of the window. A multiple of the units in which bytes ahead are kept. */
export const PIECE_BYTES = 8 * 1024 * 1024
/** A connection that is faster than others does not wait for them. */
const PIECES_PER_CONNECTION = 2
/** No window is larger. */
export const MOST_WINDOW_BYTES = 8 * PIECES_PER_CONNECTION * PIECE_BYTES

/** The bytes that a flight wants ahead of its position, over several connections. */
export interface AheadWindow extends ByteRange {
  readonly mostRequests: number
}

/** The window of a flight with so many connections. It ends with a piece, so that no request is for less than the rest of one. */
export function aheadWindow(position: number, size: number, connections: number): AheadWindow {
  const firstPiece = Math.floor(position / PIECE_BYTES)
  const end = Math.min(size, (firstPiece + PIECES_PER_CONNECTION * connections) * PIECE_BYTES)
  return { start: position, end, mostRequests: connections }
}

/** Where the piece ends that begins at `start` or before it. */
export function pieceEnd(start: number): number {
  return (Math.floor(start / PIECE_BYTES) + 1) * PIECE_BYTES
}

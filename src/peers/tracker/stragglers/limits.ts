import { PIECE_BYTES } from '../tree/choose-parent.ts'

/** A rate is judged when it had this long to settle since the participant got its parent or role. */
export const SETTLE_MS = 1500
/** A new fetcher has longer: upstream may ask it for a token and redirect it before it sends the first byte. */
export const SETTLE_AT_UPSTREAM_MS = 3000
/** A participant that has all bytes of its parent has no rate to settle, so an idle seeder is tried sooner. */
export const UNDERSUPPLIED_MS = 1000
/** A seeder whose children all get at most this is slow, although nothing shows what it could give. */
export const SLOW_BYTES_PER_SECOND = 2 * PIECE_BYTES
/** At this rate from the only seeders upstream is asked as well. */
export const VERY_SLOW_BYTES_PER_SECOND = PIECE_BYTES
/** One rate shows that a participant, or what it takes from, is slow when it is at most this part of another. */
export const CLEARLY_SLOWER = 0.5
/** A trial shows a difference when one rate is at least this multiple of the other. */
export const FASTER = 1.25
/** A child that is this far behind its parent may just wait for the next pieces, and does not lag. */
export const MIN_LAG_BYTES = 4 * PIECE_BYTES
/** A child that is no further behind takes all that its parent has. */
export const UNDERSUPPLIED_BYTES = 2 * PIECE_BYTES
/** A participant that lacks no more than this, or will be complete this soon, keeps its parent: a change would not pay. */
export const MIN_MISSING_BYTES = 16 * PIECE_BYTES
export const NEARLY_COMPLETE_MS = 1500
/** A change that makes upstream send bytes twice must pay for longer. */
export const NEARLY_COMPLETE_AT_UPSTREAM_MS = 5000

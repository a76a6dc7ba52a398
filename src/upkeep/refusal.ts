/**
 * Why something is not done, in one sentence. Nothing has been changed.
 *
 * - `malformed`: what was asked for makes no sense
 * - `unknown`: it is not here
 * - `conflict`: it is pinned, or something else is under way
 */
export class Refusal extends Error {
  readonly why: 'malformed' | 'unknown' | 'conflict'

  constructor(why: Refusal['why'], message: string) {
    super(message)
    this.name = 'Refusal'
    this.why = why
  }
}

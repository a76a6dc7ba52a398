/**
 * Says in one sentence why a request is not carried out. Nothing has been changed then.
 *
 * - `malformed`: the request makes no sense
 * - `unknown`: the content or tag is not stored
 * - `conflict`: the content is pinned, or another task is running
 */
export class RequestError extends Error {
  readonly code: 'malformed' | 'unknown' | 'conflict'

  constructor(code: RequestError['code'], message: string) {
    super(message)
    this.name = 'RequestError'
    this.code = code
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Requests that were sent before the answers to the ones before them. Node hands them over all at once; here each
 * waits until the connection is its own, so that its answer never waits in memory. A client that sends too many ahead
 * is cut off.
 */
export class Pipeline {
  readonly #max: number
  readonly #waiting = new WeakMap<Socket, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Calls `go` when it is the request's turn; never if its connection closes before that. */
  enter(request: IncomingMessage, response: ServerResponse, go: () => void): void {
    if (response.socket !== null) {
      go()
      return
    }
    const { socket } = request
    const ahead = this.#waiting.get(socket) ?? 0
    if (ahead >= this.#max) {
      socket.destroy()
      return
    }
    this.#waiting.set(socket, ahead + 1)
    response.once('socket', () => {
      this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1)
      go()
    })
  }
}

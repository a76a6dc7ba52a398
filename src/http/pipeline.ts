import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Reject } from './rejections.ts'

export interface PipelineLimits {
  /** On one connection. */
  readonly maxPipelined: number
  /** On all connections together. */
  readonly maxAnswers: number
}

/**
 * Requests that were sent before the answers to the ones before them. Node hands them over all at once; here each
 * waits until the connection is its own, so that its answer never waits in memory. A client that sends too many ahead
 * is cut off.
 */
export class Pipeline {
  readonly #limits: PipelineLimits
  readonly #reject: Reject
  readonly #waiting = new WeakMap<Socket, number>()
  #all = 0

  constructor(limits: PipelineLimits, reject: Reject) {
    this.#limits = limits
    this.#reject = reject
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#all
  }

  /** Calls `go` when it is the request's turn; never if its connection closes before that. */
  enter(request: IncomingMessage, response: ServerResponse, go: () => void): void {
    if (response.socket !== null) {
      go()
      return
    }
    const { socket } = request
    const ahead = this.#waiting.get(socket) ?? 0
    const { maxPipelined, maxAnswers } = this.#limits
    if (ahead >= maxPipelined || this.#all >= maxAnswers) {
      this.#reject('pipelined')
      socket.destroy()
      return
    }
    this.#waiting.set(socket, ahead + 1)
    this.#all += 1
    const leave = (): void => {
      response.off('socket', onTurn)
      socket.off('close', leave)
      this.#all -= 1
      this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1)
    }
    const onTurn = (): void => {
      leave()
      go()
    }
    response.once('socket', onTurn)
    socket.once('close', leave)
  }
}

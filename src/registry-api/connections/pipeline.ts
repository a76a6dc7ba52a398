import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Reject } from './rejections.ts'

export interface PipelineLimits {
  /** On one connection. */
  readonly maxPipelined: number
  /** On all connections together. */
  readonly maxAnswers: number
}

/** The requests of one connection that wait for their turn. */
interface Queue {
  waiting: number
}

/**
 * Requests that were sent before the answers to the ones before them. Node hands them over all at once; here each
 * waits until the connection is its own, so that its answer never waits in memory. A client that sends too many ahead
 * is cut off.
 */
export class Pipeline {
  readonly #limits: PipelineLimits
  readonly #reject: Reject
  readonly #queues = new WeakMap<Socket, Queue>()
  #waiting = 0

  constructor(limits: PipelineLimits, reject: Reject) {
    this.#limits = limits
    this.#reject = reject
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /** Calls `go` when it is the request's turn; never if its connection closes before that. */
  enter(request: IncomingMessage, response: ServerResponse, go: () => void): void {
    if (response.socket !== null) {
      go()
      return
    }
    const { socket } = request
    // Its connection has been cut off, and its other requests still come out of the parser.
    if (socket.destroyed) return
    const queue = this.#queueOf(socket)
    const { maxPipelined, maxAnswers } = this.#limits
    if (queue.waiting >= maxPipelined || this.#waiting >= maxAnswers) {
      this.#reject('pipelined')
      socket.destroy()
      return
    }
    this.#change(queue, 1)
    response.once('socket', () => {
      this.#change(queue, -1)
      go()
    })
  }

  #queueOf(socket: Socket): Queue {
    const known = this.#queues.get(socket)
    if (known !== undefined) return known
    const queue: Queue = { waiting: 0 }
    this.#queues.set(socket, queue)
    socket.once('close', () => this.#change(queue, -queue.waiting))
    return queue
  }

  #change(queue: Queue, by: number): void {
    queue.waiting += by
    this.#waiting += by
  }
}

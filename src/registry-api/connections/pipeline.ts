import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ReportRejection } from './rejections.ts'

export interface PipelineLimits {
  /** The most requests that wait on one connection. */
  readonly maxPipelined: number
  /** The most requests that wait on all connections together. */
  readonly maxAnswers: number
}

/** The requests of one connection that wait for the answers before theirs. */
interface ConnectionQueue {
  waiting: number
}

/**
 * Holds back pipelined requests. Node delivers all requests of a connection at once; this class lets each request wait
 * until the answers before it are sent, so that its own answer never waits in memory. A client that pipelines too many
 * requests is cut off.
 */
export class Pipeline {
  readonly #limits: PipelineLimits
  readonly #reportRejection: ReportRejection
  readonly #queues = new WeakMap<Socket, ConnectionQueue>()
  #waiting = 0

  constructor(limits: PipelineLimits, reportRejection: ReportRejection) {
    this.#limits = limits
    this.#reportRejection = reportRejection
  }

  /** How many requests wait, on all connections together. */
  get waiting(): number {
    return this.#waiting
  }

  /** Calls `start` when all answers before this one are sent; never if the connection closes first. */
  enqueue(request: IncomingMessage, response: ServerResponse, start: () => void): void {
    // Node gives a response its socket when the responses before it are finished.
    if (response.socket !== null) {
      start()
      return
    }
    const { socket } = request
    // The parser still emits the requests that it has read from a connection that was cut off.
    if (socket.destroyed) return
    const queue = this.#queueOf(socket)
    const { maxPipelined, maxAnswers } = this.#limits
    if (queue.waiting >= maxPipelined || this.#waiting >= maxAnswers) {
      this.#reportRejection('pipelined')
      socket.destroy()
      return
    }
    this.#change(queue, 1)
    response.once('socket', () => {
      this.#change(queue, -1)
      start()
    })
  }

  #queueOf(socket: Socket): ConnectionQueue {
    const known = this.#queues.get(socket)
    if (known !== undefined) return known
    const queue: ConnectionQueue = { waiting: 0 }
    this.#queues.set(socket, queue)
    socket.once('close', () => this.#change(queue, -queue.waiting))
    return queue
  }

  #change(queue: ConnectionQueue, by: number): void {
    queue.waiting += by
    this.#waiting += by
  }
}

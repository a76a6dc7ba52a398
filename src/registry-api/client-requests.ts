import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { respondError } from './answer/respond.ts'
import { type Client, clientOf } from './connections/client.ts'
import type { Connection, Connections } from './connections/connections.ts'
import { authorityProblem, hostHeaderProblem } from './connections/host-header.ts'
import type { Http2Request } from './connections/http2/http2-sessions.ts'
import { Pipeline } from './connections/pipeline.ts'
import { reportRejection } from './connections/rejections.ts'
import { type DispatchContext, dispatch } from './dispatch.ts'
import { AnswersUnderWay } from './exchange/answers-under-way.ts'
import { closeGently } from './exchange/gentle-close.ts'
import type { HttpExchange, RequestOrigin } from './exchange/http-exchange.ts'
import { Http1Exchange } from './exchange/http1-exchange.ts'
import { Http2Exchange } from './exchange/http2-exchange.ts'
import { answerMalformed } from './exchange/malformed.ts'
import { answerLimits, type Limits } from './limits.ts'

const TOO_MANY_ANSWERS = {
  status: 503,
  code: 'UNAVAILABLE',
  message: 'the agent is at its limit of concurrent requests; retry in a moment',
  headers: { 'Retry-After': 1 },
} as const
const INVALID_HOST = { status: 400, code: 'UNSUPPORTED' } as const

/** The state of an HTTP/1.1 connection. */
interface Http1State {
  /** The exchange that is under way. */
  exchange: Http1Exchange | undefined
  /** The error with which the parser has rejected what the client sent. */
  parserError: NodeJS.ErrnoException | undefined
}

export interface ClientRequestsOptions {
  readonly limits: Limits
  readonly context: DispatchContext
  readonly connections: Connections
  readonly isDraining: () => boolean
  readonly onEnded: () => void
}

/** Turns the requests of all connections into exchanges, and has each of them answered. */
export class ClientRequests {
  readonly #limits: Limits
  readonly #context: DispatchContext
  readonly #connections: Connections
  readonly #isDraining: () => boolean
  readonly #onEnded: () => void
  readonly #pipeline: Pipeline
  readonly #answers: AnswersUnderWay
  readonly #http1States = new WeakMap<Duplex, Http1State>()

  constructor({ limits, context, connections, isDraining, onEnded }: ClientRequestsOptions) {
    this.#limits = limits
    this.#context = context
    this.#connections = connections
    this.#isDraining = isDraining
    this.#onEnded = onEnded
    this.#pipeline = new Pipeline(limits, reportRejection)
    this.#answers = new AnswersUnderWay(answerLimits(limits), reportRejection)
  }

  get answersUnderWay(): number {
    return this.#answers.size
  }

  get pipelined(): number {
    return this.#pipeline.waiting
  }

  isAnswering(socket: Duplex): boolean {
    return this.#http1StateOf(socket).exchange !== undefined
  }

  clientOf(socket: Socket): Client {
    return originOf(socket, this.#connections.find(socket)).client
  }

  onHttp1Request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    this.#pipeline.enqueue(request, response, () => {
      const { socket } = request
      const connection = this.#connections.find(socket)
      const state = this.#http1StateOf(socket)
      const { maxBodyBytes: maxBytes, requestMs: deadlineMs } = this.#limits
      const exchange = new Http1Exchange(request, response, {
        origin: originOf(socket, connection),
        onEnded: () => {
          state.exchange = undefined
          // A broken body has its answer already.
          if (exchange.hasBrokenBody) closeGently(socket)
          else if (state.parserError !== undefined) answerMalformed(state.parserError, socket)
          this.#onExchangeEnded(exchange, connection)
        },
        expectsContinue,
        isDraining: this.#isDraining,
        unwantedBody: { maxBytes, deadlineMs },
        reportRejection,
      })
      state.exchange = exchange
      const problem = hostHeaderProblem(request.rawHeaders, request.httpVersionMinor)
      this.#begin(exchange, connection, problem, { Connection: 'close' })
    })
  }

  onHttp2Request({ stream, headers, rawHeaders, socket, onReset, onBodyBytes }: Http2Request): void {
    const connection = this.#connections.find(socket)
    const exchange = new Http2Exchange(stream, headers, {
      origin: originOf(socket, connection),
      socket,
      onBodyBytes,
      onEnded: () => {
        if (exchange.state === 'unanswered') onReset()
        this.#onExchangeEnded(exchange, connection)
      },
    })
    this.#begin(exchange, connection, authorityProblem(rawHeaders), {})
  }

  /** Answers a request that the parser of HTTP/1.1 has rejected. */
  onMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
    const state = this.#http1StateOf(socket)
    // The parser emits an error again for everything that arrives after the first one.
    if (state.parserError !== undefined) return
    state.parserError = error
    if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reportRejection('malformed')
    state.exchange?.onMalformed()
    // The error answer has to follow the answer that is under way.
    if (state.exchange === undefined || !socket.writable) answerMalformed(error, socket)
  }

  /** `problem` says what is wrong with the host of the request; `headers` are those of the error answer then. */
  #begin(
    exchange: HttpExchange,
    connection: Connection | undefined,
    problem: string | undefined,
    headers: OutgoingHttpHeaders,
  ): void {
    if (connection !== undefined) connection.answersUnderWay += 1
    if (this.#answers.begin(exchange) && problem === undefined) {
      void dispatch(exchange, this.#context)
      return
    }
    if (problem === undefined) respondError(exchange, TOO_MANY_ANSWERS)
    else respondError(exchange, { ...INVALID_HOST, message: problem, headers })
    exchange.dropBody()
  }

  #onExchangeEnded(exchange: HttpExchange, connection: Connection | undefined): void {
    this.#answers.end(exchange)
    if (connection !== undefined) {
      connection.answersUnderWay -= 1
      connection.idleSince = performance.now()
    }
    this.#onEnded()
  }

  #http1StateOf(socket: Duplex): Http1State {
    let state = this.#http1States.get(socket)
    if (state === undefined) {
      state = { exchange: undefined, parserError: undefined }
      this.#http1States.set(socket, state)
    }
    return state
  }
}

function originOf(socket: Socket, connection: Connection | undefined): RequestOrigin {
  return { client: connection?.client ?? clientOf(socket.remoteAddress), connection: connection ?? socket }
}

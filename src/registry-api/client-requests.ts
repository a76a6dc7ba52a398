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
import type { HttpExchange, RequestOrigin } from './exchange/http-exchange.ts'
import { Http1Exchange } from './exchange/http1-exchange.ts'
import { Http2Exchange } from './exchange/http2-exchange.ts'
import { answerMalformed } from './exchange/malformed.ts'
import { discardRequestBody } from './exchange/request-body.ts'
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
  isAnswering: boolean
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
    return this.#http1StateOf(socket).isAnswering
  }

  clientOf(socket: Socket): Client {
    return originOf(socket, this.#connections.find(socket)).client
  }

  onHttp1Request(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    this.#pipeline.enqueue(request, response, () => {
      const { socket } = request
      const connection = this.#connections.find(socket)
      discardRequestBody(request, this.#limits.maxBodyBytes, reportRejection)
      const state = this.#http1StateOf(socket)
      const exchange = new Http1Exchange(request, response, {
        origin: originOf(socket, connection),
        onEnded: () => {
          state.isAnswering = false
          if (state.parserError !== undefined) answerMalformed(state.parserError, socket)
          this.#onExchangeEnded(exchange, connection)
        },
        // Without 100 Continue a client may send its body or not, so its next bytes are ambiguous: the connection closes.
        isLastOnConnection: () => this.#isDraining() || expectsContinue,
      })
      state.isAnswering = true
      const problem = hostHeaderProblem(request.rawHeaders, request.httpVersionMinor)
      this.#begin(exchange, connection, problem, { Connection: 'close' })
    })
  }

  onHttp2Request({ stream, headers, rawHeaders, socket, onReset }: Http2Request): void {
    const connection = this.#connections.find(socket)
    const exchange = new Http2Exchange(stream, headers, {
      origin: originOf(socket, connection),
      socket,
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
    // The error answer has to follow the answer that is under way.
    if (!state.isAnswering || !socket.writable) answerMalformed(error, socket)
  }

  /** `problem` says what is wrong with the host of the request; `headers` are those of the error answer then. */
  #begin(
    exchange: HttpExchange,
    connection: Connection | undefined,
    problem: string | undefined,
    headers: OutgoingHttpHeaders,
  ): void {
    if (connection !== undefined) connection.answersUnderWay += 1
    if (!this.#answers.begin(exchange)) respondError(exchange, TOO_MANY_ANSWERS)
    else if (problem !== undefined) respondError(exchange, { ...INVALID_HOST, message: problem, headers })
    else void dispatch(exchange, this.#context)
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
      state = { isAnswering: false, parserError: undefined }
      this.#http1States.set(socket, state)
    }
    return state
  }
}

function originOf(socket: Socket, connection: Connection | undefined): RequestOrigin {
  return { client: connection?.client ?? clientOf(socket.remoteAddress), connection: connection ?? socket }
}

import { connect, type Socket } from 'node:net'
import { headOf, requestText } from '../../client/http.ts'
import { type Loaded, type LoadRequest, now } from '../../client/jobs.ts'
import { Latencies } from '../../client/latencies.ts'

const buffer = Buffer.allocUnsafeSlow(1 << 20)
const TICK_MS = 1

export interface RateJob {
  readonly port: number
  readonly request: LoadRequest
  readonly connections: number
  /** Requests per second. */
  readonly rate: number
  readonly ms: number
}

/**
 * Sends the same request at a fixed rate over kept-alive connections, whether or not earlier ones are answered. The client
 * sleeps between requests, so that the server has the processor. The latency includes the wait for a free connection, so
 * a pause of the server counts for all requests that became due meanwhile; the delay of the client's timer is not included.
 */
export async function sendAtRate(job: RateJob): Promise<Loaded> {
  const connections = await Promise.all(
    Array.from({ length: job.connections }, () => RequestConnection.open(job.port)),
  )
  try {
    return await sendAll(job, connections)
  } finally {
    for (const connection of connections) connection.close()
  }
}

function sendAll(job: RateJob, connections: readonly RequestConnection[]): Promise<Loaded> {
  const text = requestText({ port: job.port, ...job.request })
  const total = Math.floor((job.ms / 1000) * job.rate)
  const latencies = new Latencies()
  const idle = [...connections]
  /** When each request that is due and not sent became due. */
  const waiting: number[] = []
  const startedAt = now()
  let [due, answered, failed] = [0, 0, 0]

  return new Promise((resolve) => {
    const send = (): void => {
      while (waiting.length > 0) {
        const connection = idle.pop()
        if (connection === undefined) return
        const from = waiting.shift() ?? startedAt
        connection.ask(text, (isRight) => {
          latencies.add(now() - from)
          answered++
          if (!isRight) failed++
          // A lost connection answers at once with a failure.
          idle.push(connection)
          if (answered >= total) finish()
          else send()
        })
      }
    }
    const turn = (): void => {
      const time = now()
      for (; due < total && startedAt + (due * 1000) / job.rate <= time; due++) waiting.push(time)
      send()
    }
    const timer = setInterval(turn, TICK_MS)
    const finish = (): void => {
      clearInterval(timer)
      resolve(latencies.summary(now() - startedAt, failed))
    }
  })
}

/** A connection that sends one request at a time. */
class RequestConnection {
  readonly #socket: Socket
  #onAnswer: ((isRight: boolean) => void) | undefined
  #head = ''
  #missing = 0
  #status = 0
  #isLost = false

  static open(port: number): Promise<RequestConnection> {
    return new Promise((resolve, reject) => {
      const connection = new RequestConnection(port, reject)
      connection.#socket.once('connect', () => resolve(connection))
    })
  }

  private constructor(port: number, onError: (error: Error) => void) {
    const take = (length: number): boolean => this.#take(length)
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer, callback: take },
    })
    this.#socket.on('error', onError)
    this.#socket.on('close', () => {
      this.#isLost = true
      this.#answer(false)
    })
  }

  ask(text: string, onAnswer: (isRight: boolean) => void): void {
    this.#onAnswer = onAnswer
    if (this.#isLost) setImmediate(() => this.#answer(false))
    else this.#socket.write(text, 'latin1')
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(length: number): boolean {
    if (this.#missing > 0) {
      this.#missing -= length
    } else {
      const before = this.#head.length
      this.#head += buffer.toString('latin1', 0, Math.min(length, 16_384))
      const parsed = headOf(this.#head)
      if (parsed === undefined) return true
      this.#head = ''
      this.#status = parsed.status
      this.#missing = (parsed.length ?? 0) - (length - (parsed.end - before))
    }
    if (this.#missing <= 0) this.#answer(this.#status === 200)
    return true
  }

  #answer(isRight: boolean): void {
    const onAnswer = this.#onAnswer
    this.#onAnswer = undefined
    onAnswer?.(isRight)
  }
}

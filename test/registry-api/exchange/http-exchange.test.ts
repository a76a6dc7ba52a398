import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { OutgoingHttpHeaders } from 'node:http'
import { test } from 'node:test'
import { HttpExchange, type OutgoingAnswer } from '../../../src/registry-api/exchange/http-exchange.ts'
import type { RequestBody } from '../../../src/registry-api/exchange/request-body.ts'
import { nextRequestEnded } from '../test-server.ts'

/** An answer whose writes the test takes, or fails. */
class HeldAnswer extends EventEmitter implements OutgoingAnswer {
  readonly writes: ((error: Error | null) => void)[] = []

  writeHead(): void {}
  end(): void {}

  write(_chunk: Uint8Array, onDone: (error: Error | null) => void): boolean {
    this.writes.push(onDone)
    return true
  }
}

class TestExchange extends HttpExchange {
  readonly protocol = 'http/1.1'
  protected readonly certificate = undefined
  get body(): RequestBody {
    throw new Error('the request has no body')
  }
  dropBody(): void {}
  flush(): void {}
  abortAnswer(): void {}
  evict(): void {}
  protected adaptHeaders(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
    return headers
  }
  protected isDelivered(): boolean {
    return false
  }
}

test('a client that hangs up was sent what has left this process, not all that was written for it', async () => {
  const answer = new HeldAnswer()
  const client = { address: '127.0.0.1', isLocal: true, key: '127.0.0.1' }
  const exchange = new TestExchange(
    { method: 'GET', url: '/v2/', headers: { range: 'bytes=0-' } },
    answer,
    { client, connection: {} },
    () => {},
  )
  exchange.begin(206, {})
  for (let i = 0; i < 3; i += 1) exchange.write(new Uint8Array(1000), () => {})
  answer.writes[0]?.(null)
  const ended = nextRequestEnded()
  for (const onDone of answer.writes.slice(1)) onDone(new Error('the client is gone'))
  answer.emit('close')
  const { bytes, aborted } = await ended
  assert.deepEqual([bytes, aborted], [1000, true])
})

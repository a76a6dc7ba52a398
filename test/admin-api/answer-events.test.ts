import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { publish } from '../../src/observe/events.ts'
import { requestEnded } from '../observe/sample-events.ts'
import { AdminFixture, sendRequest } from './admin-fixture.ts'

const fixture = new AdminFixture()

async function follow(port: number): Promise<{
  readonly response: IncomingMessage
  readonly lines: AsyncIterator<string>
}> {
  const sent = request({ host: '127.0.0.1', port, path: '/api/v1/events', agent: false })
  sent.on('error', () => {})
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  return { response, lines: createInterface({ input: response })[Symbol.asyncIterator]() }
}

test('events are sent while they happen, one on each line, and too many followers are refused', async () => {
  const port = await fixture.startServer()
  const { response, lines } = await follow(port)
  assert.equal(response.headers['content-type'], 'application/x-ndjson')
  assert.equal(JSON.parse((await lines.next()).value).is, 'idle')
  publish('request.ended', requestEnded({ code: 404 }))
  const { is, code } = JSON.parse((await lines.next()).value)
  assert.deepEqual([is, code], ['request', 404])

  const others = []
  for (let n = 1; n < 16; n++) {
    const other = await follow(port)
    await other.lines.next()
    others.push(other.response)
  }
  const refused = await sendRequest(port, '/api/v1/events')
  assert.equal(refused.status, 503)
  assert.match(JSON.parse(refused.body).error, /^too many clients follow .*; end one of them, and try again$/)
  assert.equal((await sendRequest(port, '/api/v1/events', { method: 'HEAD' })).status, 503)
  for (const one of [response, ...others]) one.destroy()
})

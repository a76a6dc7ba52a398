import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createPlainServer } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { makeCertificates } from '../../testkit/certificates.ts'
import { DEPLOY } from './support/manifests.ts'

/** What an agent answers, which has just started, has run for a minute, and was asked. */
const OPENING = { status: 503, text: 'not ready: the store is opening\nasked: no\n' }
const STARTED = { status: 200, text: 'ready\nasked: no\n' }
const NOT_ASKED = {
  status: 503,
  text: 'not ready: no client has asked for an image since the start 60 s ago\nasked: no\n',
}
const ASKED = { status: 200, text: 'ready\nasked: yes\n' }

interface Request {
  readonly path: string
  readonly token: string | undefined
  readonly event: unknown
}

/** The `events` container of the chart, an agent whose readiness the test gives, and an API server with the given answers. */
async function setUp(t: TestContext, answers: readonly number[]) {
  const folder = await mkdtemp(join(tmpdir(), 'leat-events-'))
  const { ca, cert, key } = makeCertificates()
  await writeFile(join(folder, 'ca.crt'), ca)
  await writeFile(join(folder, 'token'), 'token\n')
  const left = [...answers]
  const requests: Request[] = []
  const readiness = [OPENING, STARTED, NOT_ASKED]
  const asked: string[] = []
  const api = createServer({ cert, key }, async (request, response) => {
    const { url = '', headers } = request
    requests.push({
      path: `${request.method} ${url}`,
      token: headers.authorization,
      event: await json(request),
    })
    const status = left.shift() ?? 201
    response.writeHead(status).end('{}')
    // What the agent answers after the last event.
    if (left.length === 0) readiness.splice(0, readiness.length, ASKED)
  })
  const agent = createPlainServer((request, response) => {
    asked.push(request.url ?? '')
    const { status, text } = readiness[0] ?? ASKED
    response.writeHead(status).end(text)
    if (readiness.length > 1) readiness.shift()
  })
  for (const server of [api, agent]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const port = (server: typeof api | typeof agent) => (server.address() as AddressInfo).port
  const program = await readFile(join(DEPLOY, 'chart/files/tell-not-asked.mjs'), 'utf8')
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(port(api)),
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'),
      TOKEN_FILE: join(folder, 'token'),
      NODE_NAME: 'node-1',
      POD_NAME: 'leat-x',
      POD_NAMESPACE: 'leat',
      POD_UID: 'uid-1',
      ADMIN_URL: `http://127.0.0.1:${port(agent)}`,
      AFTER_SECONDS: '60',
      // Only a server that never answers exceeds this timeout, however slow the machine is.
      REQUEST_TIMEOUT_MS: '600000',
      PAUSE_MS: '5',
      REPEAT_MS: '0',
    },
  })
  t.after(async () => {
    child.kill('SIGKILL')
    for (const server of [api, agent]) {
      server.close()
      server.closeAllConnections()
    }
    await rm(folder, { recursive: true })
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code] = await once(child, 'close')
  return { code, output, requests, asked }
}

test('an event about the pod says that no client asks, again after a while, and no more once one does', async (t) => {
  const { code, output, requests, asked } = await setUp(t, [201, 201])
  assert.equal(code, 0)
  assert.match(output, /a client has asked for an image\n$/)
  assert.deepEqual(
    requests.map(({ path, token }) => [path, token]),
    Array.from({ length: 2 }, () => ['POST /api/v1/namespaces/leat/events', 'Bearer token']),
  )
  assert.deepEqual([...new Set(asked)], ['/readyz?asked=60'])
  const event = requests[0]?.event as Record<string, unknown>
  assert.deepEqual(event['involvedObject'], {
    apiVersion: 'v1',
    kind: 'Pod',
    name: 'leat-x',
    namespace: 'leat',
    uid: 'uid-1',
  })
  assert.deepEqual(
    [event['kind'], event['type'], event['reason'], event['metadata']],
    ['Event', 'Warning', 'RuntimeDoesNotAsk', { generateName: 'leat-', namespace: 'leat' }],
  )
  assert.match(String(event['lastTimestamp']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
})

test('an event that the API server refuses is sent again', async (t) => {
  const { code, output, requests } = await setUp(t, [403, 201])
  assert.deepEqual([code, requests.length], [0, 2])
  assert.match(output, /not yet: the API server answers 403/)
})

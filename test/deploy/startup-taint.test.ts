import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { makeCertificates } from '../../testkit/certificates.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Node } from '../warm/node.ts'
import { ApiServer, type Taint } from './support/api-server.ts'
import { DEPLOY } from './support/manifests.ts'

const WARMING: Taint = { key: 'leat/warming', effect: 'NoSchedule' }
const OTHER: Taint = { key: 'other/starting', effect: 'NoExecute', value: 'x' }
const WARMING_NO_EXECUTE: Taint = { key: 'leat/warming', effect: 'NoExecute' }
const WARM_LINE = /the node may get pods\n/
const DONE_LINE = /removed the taint leat\/warming from node-1\n/
/** An unused port that `fetch` does not block. */
const REFUSING = 'http://127.0.0.1:2'
const DEADLINE_MS = 50_000

/** The `startup-taint` container of the chart, started with the same command. */
class TaintRemoval {
  readonly #child: ChildProcess
  #output = ''

  static async start(
    t: TestContext,
    api: ApiServer,
    { admin, ...more }: { admin: string } & Readonly<Record<string, string>>,
  ): Promise<TaintRemoval> {
    const file = (name: string) => readFile(join(DEPLOY, 'chart/files', name), 'utf8')
    const words = [
      '-c',
      await file('run-and-stay.sh'),
      'run-and-stay',
      process.execPath,
      '--input-type=module',
      '-e',
    ]
    const child = spawn('sh', [...words, await file('remove-taint.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ...api.env,
        ADMIN_URL: admin,
        TAINT_KEY: 'leat/warming',
        MOST_SECONDS: '0',
        // Only a server that never answers exceeds this timeout, however slow the machine is.
        REQUEST_TIMEOUT_MS: '600000',
        PAUSE_MS: '5',
        ...more,
      },
    })
    const removal = new TaintRemoval(child)
    t.after(() => removal.kill())
    return removal
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
    }
  }

  async prints(expected: RegExp): Promise<string> {
    for (const deadline = Date.now() + DEADLINE_MS; !expected.test(this.#output); await delay(5)) {
      if (this.#hasEnded) assert.fail(`the container ended: ${this.#output}`)
      if (Date.now() > deadline) assert.fail(`the container does not print ${expected}, but: ${this.#output}`)
    }
    return this.#output
  }

  /** Resolves when only the shell and its `sleep` are left. A signal before that may be lost. */
  async sleeps(): Promise<void> {
    for (const deadline = Date.now() + DEADLINE_MS; ; await delay(5)) {
      const names = await Promise.all(
        this.#children().map((child) => readFile(`/proc/${child}/comm`, 'utf8').catch(() => '')),
      )
      if (names.join() === 'sleep\n') return
      assert.ok(Date.now() < deadline, `the container does not sleep, but runs ${names.join()}`)
    }
  }

  /** Resolves with the exit code of the shell. Its children may keep its pipes open for longer. */
  async end(): Promise<number | null> {
    if (!this.#hasEnded && this.#child.kill('SIGTERM')) await once(this.#child, 'exit')
    return this.#child.exitCode
  }

  /** Kills the shell and its children. */
  kill(): void {
    for (const child of this.#children()) {
      try {
        process.kill(child, 'SIGKILL')
      } catch {
        // The process has ended already.
      }
    }
    this.#child.kill('SIGKILL')
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  /** The ids of the child processes of the shell. */
  #children(): readonly number[] {
    const { pid } = this.#child
    if (this.#hasEnded) return []
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }
}

test('a node keeps the taint until the images of the settings are stored, and then loses only that taint', async (t) => {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const { layers } = upstream.addImage('app', 'v1', [randomBytes(200_000)])
  const layer = layers[0] ?? assert.fail()
  upstream.fault(layer, { stallAt: 100_000 })
  // The test releases upstream, which must not time out before.
  const patience = { progressTimeoutMs: 600_000, sizeTimeoutMs: 600_000 } satisfies Partial<FlightPolicy>
  const node = await Node.start(t, upstream, { patience, warm: [{ image: 'up.test/app:v1' }] })
  const api = await ApiServer.start(t, [WARMING, OTHER, WARMING_NO_EXECUTE])
  const removal = await TaintRemoval.start(t, api, { admin: node.admin })
  await removal.prints(/not yet: not ready: up\.test\/app:v1/)
  assert.deepEqual(api.requests, [], 'no request before the node is warm')
  // The node is not ready from its start; only what has begun to stall can be released.
  await upstream.stalled(layer)
  upstream.release()
  await removal.prints(DONE_LINE)
  assert.deepEqual(api.taints, [OTHER])
  assert.deepEqual(api.requests, ['GET /api/v1/nodes/node-1', 'PATCH /api/v1/nodes/node-1'])
  await removal.sleeps()
  assert.equal(await removal.end(), 0)
})

async function warmNode(t: TestContext): Promise<Node> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  return await Node.start(t, upstream)
}

test('an agent whose admin address speaks TLS is asked over TLS, whatever its certificate', async (t) => {
  const { cert, key } = makeCertificates()
  const server = createServer({ cert, key }, (request, response) => {
    const isWarm = request.url === '/readyz?warm=1'
    response.writeHead(isWarm ? 200 : 404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const api = await ApiServer.start(t, [WARMING, OTHER])
  const { port } = server.address() as AddressInfo
  const removal = await TaintRemoval.start(t, api, { admin: `https://127.0.0.1:${port}` })
  await removal.prints(DONE_LINE)
  assert.deepEqual(api.taints, [OTHER])
})

test('a request that the API server does not answer is repeated', async (t) => {
  const { admin } = await warmNode(t)
  const api = await ApiServer.start(t, [WARMING, OTHER])
  api.faults.push('silence')
  const removal = await TaintRemoval.start(t, api, { admin, REQUEST_TIMEOUT_MS: '1000' })
  assert.match(await removal.prints(DONE_LINE), /aborted due to timeout/)
  assert.deepEqual(api.taints, [OTHER])
})

test('after errors of the API server the taint is removed in the end, and no other taint is', async (t) => {
  const { admin } = await warmNode(t)
  const api = await ApiServer.start(t, [WARMING])
  const later: Taint = { key: 'later', effect: 'NoSchedule' }
  api.faults.push(
    503,
    // The token expires, and the file has the new one a moment later.
    () => {
      api.token = 'renewed'
    },
    () => api.writeToken('renewed'),
    () => undefined,
    409,
    () => undefined,
    // Another taint is inserted before this one after the list was read.
    () => {
      api.taints = [later, WARMING]
    },
  )
  const removal = await TaintRemoval.start(t, api, { admin })
  const output = await removal.prints(DONE_LINE)
  for (const why of [/503 to GET/, /401 to GET/, /409 to PATCH/, /422 to PATCH/]) assert.match(output, why)
  assert.deepEqual(api.taints, [later])
})

test('a node without the taint is not changed', async (t) => {
  const { admin } = await warmNode(t)
  for (const taints of [undefined, [OTHER]]) {
    const api = await ApiServer.start(t, taints)
    const removal = await TaintRemoval.start(t, api, { admin })
    await removal.prints(DONE_LINE)
    assert.deepEqual([api.taints, api.requests], [taints, ['GET /api/v1/nodes/node-1']])
  }
})

test('a node that is never warm loses the taint after the limit', async (t) => {
  const api = await ApiServer.start(t, [WARMING])
  const removal = await TaintRemoval.start(t, api, { admin: REFUSING, MOST_SECONDS: '1' })
  await removal.prints(/not yet: connect ECONNREFUSED/)
  const output = await removal.prints(DONE_LINE)
  assert.match(output, /the node is not warm after 1 s\n/)
  assert.match(output, WARM_LINE)
  assert.equal(api.taints, undefined)
})

test('a SIGTERM ends the container while it waits', async (t) => {
  const api = await ApiServer.start(t, [WARMING])
  const removal = await TaintRemoval.start(t, api, { admin: REFUSING })
  await removal.prints(/not yet/)
  assert.equal(await removal.end(), 0)
  assert.deepEqual(api.taints, [WARMING])
})

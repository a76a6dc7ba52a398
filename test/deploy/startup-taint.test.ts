import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { FlightPolicy } from '../../src/fetch/flight/flight-policy.ts'
import { startFaultyUpstream } from '../../testkit/registries/faulty-upstream.ts'
import { Node } from '../warm/node.ts'
import { ApiServer, type Taint } from './api-server.ts'
import { DEPLOY } from './manifests.ts'

const OURS: Taint = { key: 'leat/warming', effect: 'NoSchedule' }
const THEIRS: Taint = { key: 'other/starting', effect: 'NoExecute', value: 'x' }
const ALSO_OURS: Taint = { key: 'leat/warming', effect: 'NoExecute' }
const WARM = /the node may get pods\n/
const DONE = /removed the taint leat\/warming from node-1\n/
/** No program is given that port, and fetch does not refuse it unasked as it does port 1. */
const NOBODY = 'http://127.0.0.1:2'
const DEADLINE_MS = 50_000

/** The container of the chart, as it is started there. */
class Untaint {
  readonly #child: ChildProcess
  #said = ''

  static async start(
    t: TestContext,
    api: ApiServer,
    { admin, ...more }: { admin: string } & Readonly<Record<string, string>>,
  ): Promise<Untaint> {
    const file = (name: string) => readFile(join(DEPLOY, 'chart/files', name), 'utf8')
    const words = [
      '-c',
      await file('then-stay.sh'),
      'then-stay',
      process.execPath,
      '--input-type=module',
      '-e',
    ]
    const child = spawn('sh', [...words, await file('untaint.mjs')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ...api.env,
        LEAT_ADMIN: new URL(admin).host,
        TAINT_KEY: 'leat/warming',
        MOST_SECONDS: '0',
        // Whoever answers at all has answered by then, however slow the machine is.
        PATIENCE_MS: '600000',
        PAUSE_MS: '5',
        ...more,
      },
    })
    const untaint = new Untaint(child)
    t.after(() => untaint.kill())
    return untaint
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
      })
    }
  }

  async says(expected: RegExp): Promise<string> {
    for (const deadline = Date.now() + DEADLINE_MS; !expected.test(this.#said); await delay(5)) {
      if (this.#hasEnded) assert.fail(`it ended: ${this.#said}`)
      if (Date.now() > deadline) assert.fail(`it does not say ${expected}, but: ${this.#said}`)
    }
    return this.#said
  }

  /** Until nothing is left of it but a shell that sleeps. A signal before that may come to what is not sleep yet, and be lost. */
  async sleeps(): Promise<void> {
    for (const deadline = Date.now() + DEADLINE_MS; ; await delay(5)) {
      const names = await Promise.all(
        this.#children().map((child) => readFile(`/proc/${child}/comm`, 'utf8').catch(() => '')),
      )
      if (names.join() === 'sleep\n') return
      assert.ok(Date.now() < deadline, `it does not sleep, but runs ${names.join()}`)
    }
  }

  /** The exit code of the shell. What it has started may hold its pipes for longer than it runs itself. */
  async end(): Promise<number | null> {
    if (!this.#hasEnded && this.#child.kill('SIGTERM')) await once(this.#child, 'exit')
    return this.#child.exitCode
  }

  /** With what the shell has started. */
  kill(): void {
    for (const child of this.#children()) {
      try {
        process.kill(child, 'SIGKILL')
      } catch {
        // It has ended by itself.
      }
    }
    this.#child.kill('SIGKILL')
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  /** The ids of its processes. */
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

test('a node keeps the taint until all is here that is to be kept warm, and then loses that one only', async (t) => {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const { layers } = upstream.addImage('app', 'v1', [randomBytes(200_000)])
  const layer = layers[0] ?? assert.fail()
  upstream.fault(layer, { stallAt: 100_000 })
  // Upstream stalls until it is told to go on, and is not to be given up before.
  const patience = { progressTimeoutMs: 600_000, sizeTimeoutMs: 600_000 } satisfies Partial<FlightPolicy>
  const node = await Node.start(t, upstream, { patience, warm: [{ image: 'up.test/app:v1' }] })
  const api = await ApiServer.start(t, [OURS, THEIRS, ALSO_OURS])
  const untaint = await Untaint.start(t, api, { admin: node.admin })
  await untaint.says(/not yet: not ready: up\.test\/app:v1/)
  assert.deepEqual(api.asked, [], 'the API server is asked for nothing before')
  // The node is not ready from its start; only what has begun to stall can be released.
  await upstream.stalled(layer)
  upstream.release()
  await untaint.says(DONE)
  assert.deepEqual(api.taints, [THEIRS])
  assert.deepEqual(api.asked, ['GET /api/v1/nodes/node-1', 'PATCH /api/v1/nodes/node-1'])
  await untaint.sleeps()
  assert.equal(await untaint.end(), 0)
})

async function warmNode(t: TestContext): Promise<Node> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  return await Node.start(t, upstream)
}

test('an API server that does not answer is asked again', async (t) => {
  const { admin } = await warmNode(t)
  const api = await ApiServer.start(t, [OURS, THEIRS])
  api.troubles.push('silence')
  const untaint = await Untaint.start(t, api, { admin, PATIENCE_MS: '1000' })
  assert.match(await untaint.says(DONE), /aborted due to timeout/)
  assert.deepEqual(api.taints, [THEIRS])
})

test('whatever the API server answers, the taint goes in the end and no other does', async (t) => {
  const { admin } = await warmNode(t)
  const api = await ApiServer.start(t, [OURS])
  const later: Taint = { key: 'later', effect: 'NoSchedule' }
  api.troubles.push(
    503,
    // The token has run out, and the next one is in the file a moment later.
    () => {
      api.token = 'renewed'
    },
    () => api.giveToken('renewed'),
    () => undefined,
    409,
    () => undefined,
    // Somebody puts one before ours after it has been read.
    () => {
      api.taints = [later, OURS]
    },
  )
  const untaint = await Untaint.start(t, api, { admin })
  const said = await untaint.says(DONE)
  for (const why of [/503 to GET/, /401 to GET/, /409 to PATCH/, /422 to PATCH/]) assert.match(said, why)
  assert.deepEqual(api.taints, [later])
})

test('a node without the taint is left alone', async (t) => {
  const { admin } = await warmNode(t)
  for (const taints of [undefined, [THEIRS]]) {
    const api = await ApiServer.start(t, taints)
    const untaint = await Untaint.start(t, api, { admin })
    await untaint.says(DONE)
    assert.deepEqual([api.taints, api.asked], [taints, ['GET /api/v1/nodes/node-1']])
  }
})

test('a node that is never warm is held back for so long and no longer', async (t) => {
  const api = await ApiServer.start(t, [OURS])
  const untaint = await Untaint.start(t, api, { admin: NOBODY, MOST_SECONDS: '1' })
  await untaint.says(/not yet: fetch failed: connect ECONNREFUSED/)
  const said = await untaint.says(DONE)
  assert.match(said, /the node is not warm after 1 s\n/)
  assert.match(said, WARM)
  assert.equal(api.taints, undefined)
})

test('it ends when it is told to, also while it waits', async (t) => {
  const api = await ApiServer.start(t, [OURS])
  const untaint = await Untaint.start(t, api, { admin: NOBODY })
  await untaint.says(/not yet/)
  assert.equal(await untaint.end(), 0)
  assert.deepEqual(api.taints, [OURS])
})

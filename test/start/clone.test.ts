import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { requirePrograms, run, skipTest } from '../../testkit/programs.ts'
import { digestOf } from '../../testkit/registries/image.ts'
import { NpmStart } from './npm-start.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PORTS = [5050, 5051]
const REGISTRY = 'http://127.0.0.1:5050/v2/'

test('a fresh clone serves after npm ci and npm start', async (t) => {
  const programs = requirePrograms(t, ['git', 'npm'])
  if (programs === undefined) return
  if (!existsSync(join(ROOT, '.git'))) return skipTest(t, 'missing: the git history to clone')
  for (const port of PORTS) {
    if (!(await isFree(port))) return skipTest(t, `missing: port ${port}, which another program listens on`)
  }
  const folder = await mkdtemp(join(tmpdir(), 'leat-clone-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const clone = join(folder, 'leat')
  // git refuses a checkout of another user unless it is marked as safe.
  const gitconfig = join(folder, 'gitconfig')
  await writeFile(gitconfig, '[safe]\n\tdirectory = *\n')
  await run(programs.git, ['clone', '--quiet', ROOT, clone], { env: { GIT_CONFIG_GLOBAL: gitconfig } })
  const env = userEnvironment()

  await t.test('npm ci prints no warnings', async () => {
    const { stdout, stderr } = await run(programs.npm, ['ci'], { cwd: clone, env, deadlineMs: 300_000 })
    assert.doesNotMatch(stdout + stderr, /npm (?:warn|error)/i)
  })

  for (const time of ['first', 'second']) {
    await t.test(`the ${time} start serves until Ctrl-C, and exits 0`, async () => {
      await assertExitsWithZero(async () => {
        const start = new NpmStart(programs.npm, clone, env)
        try {
          await start.serves(REGISTRY)
          start.pressCtrlC()
          return { code: await start.exited(), output: start.output }
        } finally {
          start.kill()
        }
      })
      for (const port of PORTS) assert.ok(await isFree(port), `something still listens on ${port}`)
      assert.ok(existsSync(join(clone, '.leat')))
    })
  }

  await t.test('the example of the README starts an agent and stops it', async () => {
    const readme = await readFile(join(clone, 'README.md'), 'utf8')
    const example = /^```js\n(.+?)^```/ms.exec(readme)?.[1] ?? assert.fail('no example in the README')
    const program = example.replace('/var/lib/leat', join(folder, 'library'))
    assert.notEqual(program, example)
    // Inside the package, as in one that depends on it, its name resolves to the build.
    await writeFile(join(clone, 'example.mjs'), program)
    const { stdout } = await run(process.execPath, ['example.mjs'], { cwd: clone, env })
    assert.match(stdout, /host: '127\.0\.0\.1', port: 5050/)
    assert.ok(await isFree(5050), 'something still listens on 5050')
  })

  await t.test('npm run docs writes the pages of the library and of the ports', async () => {
    const { stdout, stderr } = await run(programs.npm, ['run', 'docs'], {
      cwd: clone,
      env,
      deadlineMs: 300_000,
    })
    assert.doesNotMatch(stdout + stderr, /warning|error/i)
    for (const page of ['functions/index.createAgent', 'interfaces/ports_source.Source']) {
      assert.ok(existsSync(join(clone, 'docs/api/html', `${page}.html`)), `the page ${page} is missing`)
    }
  })

  await t.test('after Ctrl-C a transfer under way is completed', async () => {
    await assertExitsWithZero(async () => {
      const blob = randomBytes(1024 * 1024)
      const upstream = await startPausingUpstream(blob)
      const config = join(folder, 'config.yaml')
      await writeFile(
        config,
        `upstreams: [{ namespace: slow.test, host: "127.0.0.1:${upstream.port}", tls: false }]\n`,
      )
      const start = new NpmStart(programs.npm, clone, { ...env, LEAT_CONFIG: config })
      try {
        await start.serves(REGISTRY)
        const response = await fetch(`${REGISTRY}slow.test/team/app/blobs/${digestOf(blob)}`)
        start.pressCtrlC()
        await portIsClosed(5050)
        // By now the signal that npm forwards has arrived, too, except on a very slow machine.
        await delay(500)
        upstream.resume()
        const bytes = await response.arrayBuffer().then(Buffer.from, () => undefined)
        const ended = { code: await start.exited(), output: start.output }
        if (ended.code === 0) assert.ok(bytes !== undefined && blob.equals(bytes), ended.output)
        return ended
      } finally {
        start.kill()
        await upstream.close()
      }
    })
  })
})

/**
 * npm forwards a Ctrl-C that the agent has already got from the terminal. If npm is so slow that the agent takes that for
 * a second Ctrl-C, at which it exits with 1, the start is repeated.
 */
async function assertExitsWithZero(
  start: () => Promise<{ readonly code: number | null; readonly output: string }>,
): Promise<void> {
  let ended = await start()
  for (let retries = 2; ended.code === 1 && retries > 0; retries--) ended = await start()
  assert.equal(ended.code, 0, ended.output)
}

/** A registry with one blob, which it sends up to the middle until `resume` is called. */
async function startPausingUpstream(blob: Buffer) {
  const paused: ServerResponse[] = []
  const middle = blob.length / 2
  const server = createServer((request, response) => {
    if (!request.url?.includes('/blobs/')) return response.writeHead(200).end()
    response.writeHead(200, { 'content-length': blob.length }).write(blob.subarray(0, middle))
    paused.push(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    resume: () => {
      for (const response of paused.splice(0)) response.end(blob.subarray(middle))
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createTcpServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

async function portIsClosed(port: number): Promise<void> {
  const deadline = Date.now() + 60_000
  while (await accepts(port)) {
    assert.ok(Date.now() < deadline, `port ${port} still accepts connections`)
    await delay(20)
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Unsets the variables of npm and of the agent, which describe this checkout and not the clone. */
function userEnvironment(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((name) =>
    /^(?:npm_|LEAT_)|^(?:NODE_ENV|INIT_CWD)$/.test(name),
  )
  return Object.fromEntries(names.map((name) => [name, undefined]))
}

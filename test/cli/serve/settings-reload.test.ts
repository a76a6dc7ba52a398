import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { createAgent } from '../../../src/agent.ts'
import { agentOptions } from '../../../src/cli/context/agent-options.ts'
import { SettingsReload } from '../../../src/cli/serve/settings-reload.ts'
import { loadSettings } from '../../../src/config/load.ts'
import { subscribe } from '../../../src/observe/events.ts'
import { startLog } from '../../../src/observe/log/log.ts'
import { type FaultyUpstream, startFaultyUpstream } from '../../../testkit/registries/faulty-upstream.ts'
import { type ServingAgent, startServing } from '../agent-process.ts'

const DEADLINE_MS = 20_000

interface Reloading {
  readonly upstream: FaultyUpstream
  readonly agent: ServingAgent
  /** Writes the settings file, with the upstream in it, which has these `credentials`. */
  write(more: string, credentials?: string): Promise<void>
  /** Leaves nothing in the settings file. */
  empty(): Promise<void>
  /** Resolves with the first log line, from now on, with this message. */
  logged(message: string): Promise<Readonly<Record<string, unknown>>>
  status(path: string): Promise<number>
}

async function startReloading(
  t: TestContext,
  { more = '', env = {} }: { readonly more?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Reloading> {
  const upstream = await startFaultyUpstream()
  t.after(() => upstream.close())
  const folder = await mkdtemp(join(tmpdir(), 'leat-reload-'))
  const config = join(folder, 'config.yaml')
  /** Replaces the file in one step: a file that is written in place is empty for a moment. */
  const write = async (more: string, credentials = ''): Promise<void> => {
    const entry = `{ namespace: up.test, host: "${upstream.host}", tls: false, tagTtl: 0s, ${credentials} }`
    await writeFile(`${config}.new`, `upstreams: [${entry}]\n${more}`)
    await rename(`${config}.new`, config)
  }
  await write(more)
  const agent = await startServing(['--config', config, '--data', join(folder, 'data')], env)
  t.after(async () => {
    await agent.kill()
    await rm(folder, { recursive: true })
  })
  return {
    upstream,
    agent,
    write,
    empty: () => writeFile(config, ''),
    async logged(message) {
      const seen = agent.logLines.length
      for (const end = performance.now() + DEADLINE_MS; performance.now() < end; ) {
        const line = agent.logLines.slice(seen).find((one) => one['message'] === message)
        if (line !== undefined) return line
        await setTimeout(5)
      }
      throw new Error(`the log has no line: ${message}`)
    },
    status: async (path) => {
      const response = await fetch(`http://${agent.registry}/v2/up.test/${path}`)
      await response.arrayBuffer()
      return response.status
    },
  }
}

interface ReloadOfProgram {
  readonly folder: string
  readonly config: string
  readonly reload: SettingsReload
}

/** A reload in this process, whose agent has started with `maxBytes: 1GiB`. */
async function openReload(t: TestContext): Promise<ReloadOfProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-reload-'))
  const config = join(folder, 'config.yaml')
  await writeFile(config, 'maxBytes: 1GiB\n')
  const flags = { listen: '127.0.0.1:0', admin: '127.0.0.1:0', data: join(folder, 'data') }
  const terminal = { env: { LEAT_MIN_FREE: '0' }, version: '1.2.3' }
  const sources = { flags, env: terminal.env, defaultFile: config }
  const settings = await loadSettings(sources)
  const agent = createAgent(agentOptions(settings, terminal))
  await agent.start()
  const log = startLog({ level: 'silent', stream: { write: () => undefined } })
  const reload = new SettingsReload({ agent, settings, hasFile: true, sources, log, terminal, retryMs: 1 })
  // The reload ends first: it would notice that the folder is removed.
  t.after(async () => {
    await reload.close()
    await agent.stop({ drainMs: 0 })
    log.close()
    await rm(folder, { recursive: true })
  })
  return { folder, config, reload }
}

/** Begins to pull a blob; `digest` is that of the bytes that came. */
async function beginPull(agent: ServingAgent, path: string): Promise<{ readonly digest: Promise<string> }> {
  const sent = request(`http://${agent.registry}/v2/up.test/${path}`)
  sent.end()
  const [response] = await once(sent, 'response')
  assert.equal(response.statusCode, 200)
  const hash = createHash('sha256')
  const read = async (): Promise<string> => {
    for await (const chunk of response) hash.update(chunk)
    return `sha256:${hash.digest('hex')}`
  }
  return { digest: read() }
}

test('settings are taken over while 20 pulls are under way, and none of the pulls fails', async (t) => {
  const { upstream, agent, write, logged, status } = await startReloading(t)
  const blobs = Array.from({ length: 20 }, () => upstream.addBlob(randomBytes(1_000_000)))
  for (const blob of blobs) upstream.fault(blob, { stallAt: 500_000, times: 1 })
  const stalled = Promise.all(blobs.map((blob) => upstream.stalled(blob)))
  const pulls = await Promise.all(blobs.map((blob) => beginPull(agent, `app/blobs/${blob}`)))
  await stalled
  const steps = [
    'maxBytes: 1GiB\n',
    'allow: [up.test/other]\nmaxBytes: 2GiB\n',
    'allow: [up.test/other]\nlogLevel: debug\ndrainTimeout: 5s\n',
    'allow: [up.test/app]\nwarm: [up.test/app:v1]\n',
  ]
  upstream.addImage('app', 'v1', [randomBytes(1000)])
  for (const step of steps) {
    const reloaded = logged('settings were reloaded')
    await write(step)
    await reloaded
    if (step.includes('other')) assert.equal(await status('app/manifests/v1'), 404)
  }
  assert.equal(await status('app/manifests/v1'), 200)
  upstream.release()
  assert.deepEqual(await Promise.all(pulls.map(({ digest }) => digest)), blobs)
})

test('a new password of a registry is used by the next request', async (t) => {
  const { upstream, write, logged, status } = await startReloading(t)
  upstream.addImage('app', 'v1', [randomBytes(1000)])
  upstream.requireBasic('u', 'hunter2')
  for (const [password, expected] of [
    ['wrong', 404],
    ['hunter2', 200],
  ] as const) {
    const reloaded = logged('settings were reloaded')
    await write('', `username: u, password: ${password}`)
    assert.deepEqual((await reloaded)['changed'], ['upstreams'])
    assert.equal(await status('app/manifests/v1'), expected)
  }
})

test('wrong settings change nothing, are told by readyz and status, and are forgotten once they are right', async (t) => {
  const { upstream, agent, write, logged, status } = await startReloading(t)
  upstream.addImage('app', 'v1', [randomBytes(1000)])
  const ready = async (): Promise<string> => (await fetch(`http://${agent.admin}/readyz`)).text()
  const refused = logged('a file of the settings cannot be used; its last good content is')
  await write('allow: [up.test/other]\nmaxBytes: lots\nlisten: 5\n')
  assert.match(
    String((await refused)['problem']),
    /maxBytes is "lots"; .* \(and 1 more; see agent config check\)$|listen is "5"/,
  )
  assert.equal(await status('app/manifests/v1'), 200)
  assert.match(await ready(), /^ready\nproblem: \S+config\.yaml:\d: .*its last good content is used\n$/)
  const { problems } = (await (await fetch(`http://${agent.admin}/api/v1/status`)).json()) as {
    problems: string[]
  }
  assert.equal(problems.length, 1)
  const again = logged('a file of the settings can be used again')
  await write('')
  await again
  assert.equal(await ready(), 'ready\n')
})

test('a file with a password that cannot be read changes nothing', async (t) => {
  const { upstream, write, logged, status } = await startReloading(t)
  upstream.addImage('app', 'v1', [randomBytes(1000)])
  const refused = logged('a file of the settings cannot be used; its last good content is')
  await write('allow: [up.test/other]\n', 'username: u, passwordFile: /none/password')
  assert.match(String((await refused)['problem']), /^\/none\/password cannot be read: ENOENT/)
  assert.equal(await status('app/manifests/v1'), 200)
})

test('settings are tried again until the file that they name can be read', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const { folder, config, reload } = await openReload(t)
  const password = join(folder, 'password')
  const problems: (string | undefined)[] = []
  const taken = new Promise<void>((resolve) => {
    t.after(
      subscribe('file.checked', ({ problem }) => {
        problems.push(problem)
        if (problem === undefined) resolve()
        else void writeFile(`${password}.new`, 'hunter2').then(() => rename(`${password}.new`, password))
      }),
    )
  })
  const entry = `{ namespace: up.test, username: u, passwordFile: ${password} }`
  await writeFile(config, `upstreams: [${entry}]\n`)
  reload.start()
  await taken
  assert.equal(problems.length, 2, problems.join('\n'))
  assert.match(String(problems[0]), /password cannot be read: ENOENT/)
  assert.equal(reload.settings.upstreams.length, 1)
})

test('other files of the folder, and a file that is replaced by the same content, change nothing', {
  timeout: DEADLINE_MS,
}, async (t) => {
  const { folder, config, reload } = await openReload(t)
  const reloads: (readonly string[])[] = []
  const replace = async (text: string): Promise<void> => {
    await writeFile(join(folder, 'new'), text)
    await rename(join(folder, 'new'), config)
  }
  const writeSameThenOther = async (): Promise<void> => {
    await replace('maxBytes: 1GiB\n')
    await writeFile(join(folder, 'other'), 'x')
    // Longer than until the file counts as quiet: the agent has looked at it.
    await setTimeout(500)
    await replace('maxBytes: 2GiB\n')
  }
  await new Promise<void>((resolve) => {
    t.after(
      subscribe('settings.reloaded', ({ changed }) => {
        reloads.push(changed)
        if (changed.length > 0) resolve()
        else void writeSameThenOther()
      }),
    )
    reload.start()
  })
  assert.deepEqual(reloads, [[], ['maxBytes']])
})

test('settings that are right again at once are taken over', async (t) => {
  const { agent, write, logged } = await startReloading(t)
  const refused = logged('a file of the settings cannot be used; its last good content is')
  await write('maxBytes: lots\n')
  // The agent takes over the file at once, and not when it has been quiet for a moment.
  agent.signal('SIGHUP')
  await refused
  const again = logged('a file of the settings can be used again')
  await write('')
  await again
})

test('what UpstreamRegistry allows follows from the redirects of the start, which stay until a restart', async (t) => {
  const redirect = (name: string): string =>
    `redirects: [{ host: images.test, to: "https://up.test/v2/${name}/" }]\n`
  const env = { UpstreamRegistry: 'https://other.test/v2/' }
  const { upstream, agent, write, logged } = await startReloading(t, { more: redirect('old'), env })
  upstream.addImage('old/app', 'v1', [randomBytes(1000)])
  upstream.addImage('new/app', 'v1', [randomBytes(1000)])
  const reloaded = logged('settings were reloaded')
  await write(`${redirect('new')}maxBytes: 1GiB\n`)
  await reloaded
  for (const [name, expected] of [
    ['old/app', 200],
    ['new/app', 404],
  ] as const) {
    const response = await fetch(`http://${agent.registry}/v2/${name}/manifests/v1?ns=up.test`)
    await response.arrayBuffer()
    assert.equal(response.status, expected, name)
  }
})

test('an empty file is taken for one that is being written', async (t) => {
  const { agent, logged, empty } = await startReloading(t)
  const refused = logged('a file of the settings cannot be used; its last good content is')
  await empty()
  assert.match(String((await refused)['problem']), /config\.yaml is empty$/)
  assert.equal((await fetch(`http://${agent.registry}/v2/`)).status, 200)
})

test('a setting that needs a restart is named until the file has the old value again', async (t) => {
  const { agent, write, logged } = await startReloading(t)
  const ready = async (): Promise<string> => (await fetch(`http://${agent.admin}/readyz`)).text()
  const told = logged('settings have changed that need a restart')
  await write('zone: b\nhosted: [team/**]\n')
  assert.deepEqual((await told)['needRestart'], ['hosted', 'zone'])
  assert.match(
    await ready(),
    /\nproblem: the settings file has other values for hosted, zone; restart the agent to use them\n$/,
  )
  const reloaded = logged('settings were reloaded')
  await write('maxBytes: 1GiB\n')
  await reloaded
  assert.equal(await ready(), 'ready\n')
})

test('SIGHUP reads the file again, and the agent goes on', async (t) => {
  const { agent, write, logged } = await startReloading(t)
  const problem = logged('a file of the settings cannot be used; its last good content is')
  await write('maxBytes: lots\n')
  await problem
  agent.signal('SIGHUP')
  agent.signal('SIGHUP')
  const reloaded = logged('settings were reloaded')
  await write('maxBytes: 1GiB\n')
  await reloaded
  agent.signal('SIGTERM')
  assert.equal(await agent.ended(), 0)
})

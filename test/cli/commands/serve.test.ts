import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runAgent, startServing } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-commands-'))
})

after(() => rm(folder, { recursive: true }))

test('an agent serves, answers the commands, and ends with exit code 0 on SIGTERM', async (t) => {
  const data = join(folder, 'one')
  const running = await startServing(['--data', data])
  t.after(() => running.kill())
  const { admin, registry } = running
  assert.equal((await fetch(`http://${registry}/v2/`)).status, 200)
  const [status, json, ls, blobs, why, wrong, locked] = await Promise.all([
    runAgent(['status', '--admin', admin]),
    runInProcess(['status', '--json'], { LEAT_ADMIN: admin }),
    runInProcess(['ls', '--admin', admin]),
    runInProcess(['ls', '--blobs', '--json', '--admin', admin]),
    runInProcess(['why', 'alpine', '--admin', admin]),
    runInProcess(['why', 'NOT AN IMAGE', '--admin', admin]),
    runInProcess(['ls', '--data', data]),
  ])
  assert.match(
    status.out,
    new RegExp(`serving on ${registry}\nready {5}yes\nstore {5}0 B of [\\d.]+ \\w+ in 0 blobs`),
  )
  assert.equal(JSON.parse(json.out).addresses.registry, registry)
  assert.match(ls.out, /^No image with a tag is cached/)
  assert.deepEqual([blobs.code, blobs.out], [0, ''])
  assert.match(why.out, /^docker\.io\/library\/alpine:latest\n/)
  assert.equal(wrong.code, 2)
  assert.match(wrong.err, /^agent: [^\n]+\n$/)
  assert.equal(locked.code, 1)
  assert.match(locked.err, /an agent is running on .*leave out --data to ask it/)

  running.signal('SIGTERM')
  assert.equal(await running.ended(), 0)
  assert.deepEqual(
    running.logLines.slice(-2).map((line) => line['message']),
    ['stopping', 'stopped'],
  )
  const stopped = await runInProcess(['ls', '--data', data])
  assert.deepEqual([stopped.code, stopped.out.slice(0, 8)], [0, 'No image'])
})

test('an agent whose main thread hangs ends itself, and its log says why', async (t) => {
  const hang = 'data:text/javascript,process.on(`SIGUSR2`,()=>{for(;;);})'
  const running = await startServing(['--data', join(folder, 'hangs')], { NODE_OPTIONS: `--import=${hang}` })
  t.after(() => running.kill())
  // The watchdog starts when the agent serves; an answer shows that the main thread has gone on from there.
  assert.equal((await fetch(`http://${running.admin}/readyz`)).status, 200)
  running.signal('SIGUSR2')
  assert.equal(await running.ended(), null, 'a signal has ended the agent')
  const { level, message } = running.logLines.at(-1) ?? {}
  assert.equal(level, 'fatal')
  assert.match(String(message), /^the main thread has not moved for 5 s/)
})

test('a port or a data folder in use fails the start with one sentence', async (t) => {
  const data = join(folder, 'two')
  const running = await startServing(['--data', data])
  t.after(() => running.kill())
  const [port, admin, store] = await Promise.all([
    runAgent([
      'serve',
      '--listen',
      running.registry,
      '--admin',
      '127.0.0.1:0',
      '--data',
      join(folder, 'three'),
      '--log-level',
      'silent',
    ]),
    runAgent([
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--admin',
      running.admin,
      '--data',
      join(folder, 'four'),
      '--log-level',
      'silent',
    ]),
    runAgent(['serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--data', data]),
  ])
  assert.deepEqual([port.code, admin.code, store.code], [1, 1, 1])
  assert.match(port.err, new RegExp(`^agent: ${running.registry} is already in use.*--listen\n$`))
  assert.match(admin.err, new RegExp(`^agent: ${running.admin} is already in use.*--admin\n$`))
  assert.match(store.err, /^agent: .* is in use by another agent[^\n]*\n$/)
  running.signal('SIGINT')
  assert.equal(await running.ended(), 0)
})

test('a file of the settings that cannot be used fails the start with its line and its setting', async () => {
  const config = join(folder, 'broken.yaml')
  const bad = join(folder, 'bad-file')
  await writeFile(bad, 'neither JSON nor a certificate')
  const upstream = 'upstreams:\n  - namespace: a.io\n'
  const table: readonly [string, string][] = [
    [
      `${upstream}    username: u\n    passwordFile: /none\n`,
      `4: upstreams[0].passwordFile: /none cannot be read: ENOENT`,
    ],
    [
      `${upstream}    dockerConfig: ${bad}\n`,
      `3: upstreams[0].dockerConfig: ${bad} is not a valid docker config`,
    ],
    [
      `${upstream}    caFile: ${bad}\n`,
      `3: upstreams[0].caFile: ${bad} has no PEM certificate of an authority`,
    ],
    [`tlsCert: ${bad}\ntlsKey: ${bad}\n`, `1: tlsCert: ${bad} is no PEM certificate to which the key`],
    [`tlsCert: /none\ntlsKey: /none\n`, `1: tlsCert: /none cannot be read: ENOENT`],
    [`peersSecretFile: /none\n`, `1: peersSecretFile: the secret file /none cannot be read (ENOENT)`],
    [
      `webhooks:\n  - url: http://x\n    secretFile: /none\n`,
      `3: webhooks[0].secretFile: /none cannot be read: ENOENT`,
    ],
  ]
  for (const [text, expected] of table) {
    await writeFile(config, text)
    const args = ['--config', config, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
    const data = ['--data', join(folder, 'broken'), '--log-level', 'silent']
    const { code, err } = await runInProcess(['serve', ...args, ...data])
    assert.equal(code, 1, err)
    assert.ok(err.startsWith(`agent: ${config}:${expected}`), err)
  }
})

test('a command with --data does not create a store in a folder without one', async () => {
  const { code, err } = await runInProcess(['ls', '--data', folder])
  assert.equal(code, 1)
  assert.match(err, /is not the data folder of an agent/)
})

test('a closed stdout does not fail a command', async () => {
  const main = fileURLToPath(new URL('../../../src/main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'serve', '--help'], { stdio: ['ignore', 'pipe', 'ignore'] })
  child.stdout.destroy()
  assert.deepEqual((await once(child, 'close'))[0], 0)
})

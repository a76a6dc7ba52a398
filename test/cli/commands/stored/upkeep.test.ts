import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type CommandResult, runAgent } from '../../agent-process.ts'
import { runInProcess } from '../../run-in-process.ts'
import { KIB, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()

before(() => fixture.open())
after(() => fixture.close())
beforeEach(() => fixture.startWithImages())
afterEach(() => fixture.stopAndRemove())

test('the next request fetches a corrupt blob again', async () => {
  await fixture.corrupt(fixture.sharedLayer)
  assert.equal((await fixture.run('verify')).code, 1)
  const again = await fixture.get(`app/blobs/${fixture.sharedLayer}`)
  assert.equal(again.headers.get('cache-status'), 'leat; fwd=uri-miss; detail=upstream')
  await fixture.noFlights()
  assert.deepEqual([(await fixture.run('verify')).code, (await fixture.storedDigests()).length], [0, 7])
})

test('the scrub finds a corrupt blob, and the status reports it', async () => {
  await fixture.stop()
  await fixture.corrupt(fixture.sharedLayer)
  await fixture.start(16 * KIB * KIB)
  const scrub = async () => JSON.parse((await fixture.run('status', '--json')).out).store.scrub
  let state = await scrub()
  for (; state.lastRound === null; await delay(20)) state = await scrub()
  assert.deepEqual([state.lastRound.found, state.state, state.bytesPerSecond], [1, 'resting', 16 * KIB * KIB])
  assert.match((await fixture.run('status')).out, /\nscrub {5}idle; last round ended \S+ ago, 1 corrupt\n/)
  assert.ok(!(await fixture.storedDigests()).includes(fixture.sharedLayer))
})

test('a removed image is fetched from upstream again, with its manifest', async () => {
  await fixture.run('rm', 'up.test/app:v1')
  const before = fixture.upstream.count(fixture.app.manifest)
  const again = await fixture.get('app/manifests/v1')
  assert.equal(again.status, 200)
  assert.ok(fixture.upstream.count(fixture.app.manifest) + fixture.upstream.count('v1') > before)
  await fixture.noFlights()
  assert.ok((await fixture.storedDigests()).includes(fixture.app.manifest))
})

test('agent ls, verify, why and pin mark nothing as used', async () => {
  const used = async () =>
    (await fixture.blobs()).map((blob) => [blob.digest, blob.lastUsedAt, blob.storedAt])
  const before = await used()
  await fixture.run('ls')
  await fixture.run('verify')
  await fixture.run('why', 'up.test/app:v1')
  await fixture.run('pin', 'up.test/app:v1')
  assert.deepEqual(await used(), before)
})

test('without a running agent, and with a wrong or locked folder, each command fails with one sentence', async () => {
  const foreign = join(fixture.data, 'foreign')
  await mkdir(foreign)
  await writeFile(join(foreign, 'mine.txt'), 'mine')
  const commands = [['gc'], ['verify'], ['pin', 'alpine'], ['unpin', 'alpine'], ['rm', 'alpine'], ['ls']]
  const all = async (...at: readonly string[]): Promise<readonly CommandResult[]> => {
    const [first = []] = commands
    // This runs first: opening the database of this process again would release its lock against other processes.
    const asProcess = await runAgent([...first, ...at])
    return [asProcess, ...(await Promise.all(commands.map((args) => runInProcess([...args, ...at]))))]
  }
  for (const { code, err } of await all('--admin', '127.0.0.1:1')) {
    assert.equal(code, 1)
    assert.match(
      err,
      /^agent: no agent answers at 127\.0\.0\.1:1; start one .*, or give the data folder with --data[^\n]+\n$/,
    )
  }
  for (const { code, err } of await all('--data', foreign)) {
    assert.equal(code, 1)
    assert.match(err, /^agent: .* is not the data folder of an agent; give [^\n]+\n$/)
  }
  for (const { code, err } of await all('--data', fixture.data)) {
    assert.equal(code, 1)
    assert.match(err, /^agent: an agent is running on [^\n]+; leave out --data to ask it[^\n]*\n$/)
  }
  assert.deepEqual(await readFile(join(foreign, 'mine.txt'), 'utf8'), 'mine')
})

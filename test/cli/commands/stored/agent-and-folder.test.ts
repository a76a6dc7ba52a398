import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import * as v from 'valibot'
import { ImageReport } from '../../../../src/schemas/content-report.ts'
import { type CommandResult, runAgent } from '../../agent-process.ts'
import { KIB, ownParts, UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()

before(() => fixture.open())
after(() => fixture.close())
beforeEach(() => fixture.startWithImages())
afterEach(() => fixture.stopAndRemove())

for (const location of ['a running agent', 'a folder without an agent'] as const) {
  const stopUnlessRunning = async (): Promise<void> => {
    if (location !== 'a running agent') await fixture.stop()
  }

  test(`${location}: agent ls lists unique and shared bytes, sorted by size on request`, async () => {
    await stopUnlessRunning()
    const images = (await fixture.json('ls', '--sort', 'size')).map((image) => v.parse(ImageReport, image))
    assert.deepEqual(
      images.map(({ repository, tag }) => `${repository}:${tag}`),
      ['up.test/app:v1', 'up.test/other:v1'],
    )
    const [first] = images
    assert.deepEqual([first?.state, first?.sharedBytes], ['whole', 50 * KIB])
    assert.ok((first?.uniqueBytes ?? 0) > 30 * KIB && (first?.uniqueBytes ?? 0) < 32 * KIB)
    assert.deepEqual(first?.sharesWith, ['up.test/other:v1'])
    const { out } = await runAgent(['ls', ...fixture.locationFlags()])
    assert.match(
      out,
      /^IMAGE +DIGEST +STORED +UNIQUE +STATE +PIN +LAST USED +CONFIRMED +PLATFORMS +SHARES WITH\n/,
    )
    assert.match(out, /\nup\.test\/app:v1 .* whole .* up\.test\/other:v1\n/)
    const wrong = await fixture.run('ls', '--sort', 'colour')
    assert.deepEqual([wrong.code, /expected one of name, size, unique, used/.test(wrong.err)], [2, true])
  })

  test(`${location}: agent rm removes the blobs that only the image needs, and refuses a pinned image`, async () => {
    await stopUnlessRunning()
    const pinned = await fixture.run('pin', 'up.test/app:v1')
    assert.deepEqual([pinned.code, pinned.out], [0, `Pinned up.test/app:v1 (${fixture.app.manifest}).\n`])
    const refused = await fixture.run('rm', 'up.test/app:v1')
    assert.deepEqual(
      [refused.code, refused.err],
      [1, 'agent: up.test/app:v1 is pinned; unpin it first, or give --force\n'],
    )
    assert.match((await fixture.run('ls')).out, /up\.test\/app:v1 .* pinned /)
    const [removed] = await fixture.json('rm', 'up.test/app:v1', '--force')
    assert.deepEqual([removed.blobs, removed.keptBlobs, removed.keptBytes], [3, 1, 50 * KIB])
    const left = await fixture.storedDigests()
    for (const digest of ownParts(fixture.app)) assert.ok(!left.includes(digest))
    for (const digest of [fixture.sharedLayer, ...ownParts(fixture.other)]) assert.ok(left.includes(digest))
    assert.match(
      (await fixture.run('rm', 'up.test/other:v1')).out,
      /^Removed up\.test\/other:v1 .*\nFreed .* in 4 blobs\.\n$/,
    )
    assert.deepEqual(await fixture.storedDigests(), [])
  })

  test(`${location}: agent gc evicts everything that is not pinned`, async () => {
    await stopUnlessRunning()
    assert.equal((await fixture.run('pin', 'up.test/other:v1', fixture.sharedLayer)).code, 0)
    const evicted = await fixture.run('gc', '--to', '0')
    assert.match(evicted.out, /^Evicted 3 blobs \(3\d\.\d KiB\); 4 blobs \(7\d\.\d KiB\) remain\.\n$/)
    assert.deepEqual(
      (await fixture.storedDigests()).sort(),
      [fixture.sharedLayer, ...ownParts(fixture.other)].sort(),
    )
    assert.equal((await fixture.run('unpin', 'up.test/other:v1', fixture.sharedLayer)).code, 0)
    const [done] = await fixture.json('gc', '--to', '0')
    assert.deepEqual([done.blobs, done.leftBlobs], [4, 0])
  })

  test(`${location}: agent verify lists corrupt blobs with exit code 1, and finds none the next time`, async () => {
    await stopUnlessRunning()
    const intact = await fixture.run('verify')
    assert.deepEqual([intact.code, intact.err], [0, ''])
    assert.match(intact.out, /^Verified 7 blobs \(.*\): all intact\.\n$/)
    await fixture.corrupt(fixture.sharedLayer)
    const corrupt = await fixture.run('verify')
    assert.equal(corrupt.code, 1)
    const [line = '', summary] = corrupt.out.split('\n')
    assert.match(
      line,
      new RegExp(
        `^corrupt {2}${fixture.sharedLayer} {2}50\\.0 KiB, part of up\\.test/app:v1, up\\.test/other:v1; found sha256:[0-9a-f]{64}$`,
      ),
    )
    assert.match(summary ?? '', /1 corrupt and quarantined; the next request fetches it again\.$/)
    const lines = await fixture.json('verify', '--rate', '1GiB')
    assert.deepEqual([lines.at(-1).is, lines.at(-1).found, lines.at(-1).blobs], ['done', 0, 6])
    if (location !== 'a running agent') return
    const why = await fixture.run('why', fixture.sharedLayer)
    assert.match(why.out, /^corrupt: {2}\S+ ago: wrong bytes in the store \(sha256:[0-9a-f]{64}\)$/m)
    assert.match(why.out, /^ {10}\S+ ago: 50\.0 KiB moved to .*quarantine.sha256-[0-9a-f]{64}-\d+$/m)
  })

  test(`${location}: invalid or unknown names fail with one sentence`, async () => {
    await stopUnlessRunning()
    const table: readonly [readonly string[], number, RegExp][] = [
      [['pin', 'up.test/none:v1'], 1, /up\.test\/none:v1 is not stored on this node; `agent ls` lists/],
      [['unpin', `sha256:${'0'.repeat(64)}`], 1, /is not stored on this node/],
      [['rm', 'sha256:12'], 2, /is not a digest/],
      [['rm', 'UPPER'], 2, /is not an image name/],
      [['rm', 'up.test/app@sha256:12'], 2, /no valid digest after @/],
      [['gc', '--to', 'little'], 2, /--to is "little"; expected a size/],
      [['verify', '--rate', '0'], 2, /--rate is "0"; expected/],
      [['pin'], 2, /pin needs an image/],
    ]
    // Only one process can open a folder, so fewer cases run there; the messages are the same.
    const cases = location === 'a running agent' ? table : table.slice(0, 3)
    const ended: CommandResult[] = []
    if (location === 'a running agent')
      ended.push(...(await Promise.all(cases.map(([args]) => fixture.run(...args)))))
    else for (const [args] of cases) ended.push(await fixture.run(...args))
    for (const [i, [args, code, problem]] of cases.entries()) {
      const { code: found, err } = ended[i] ?? assert.fail()
      assert.equal(found, code, `${args.join(' ')}: ${err}`)
      assert.match(err, problem)
      assert.match(err, /^agent: [^\n]+\n$/)
    }
    assert.equal((await fixture.storedDigests()).length, 7)
  })
}

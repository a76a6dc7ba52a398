import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { UpkeepFixture } from './upkeep-fixture.ts'

const fixture = new UpkeepFixture()

before(() => fixture.open())
after(() => fixture.close())
beforeEach(() => fixture.startWithImages())
afterEach(() => fixture.stopAndRemove())

test('agent ls lists the images that patterns and filters mean, as names or by a format', async () => {
  assert.equal((await fixture.run('pin', 'up.test/app:v1')).code, 0)
  const table: readonly [readonly string[], string][] = [
    [['--quiet'], 'up.test/app:v1\nup.test/other:v1\n'],
    [['up.test/*', '--quiet'], 'up.test/app:v1\nup.test/other:v1\n'],
    [['other', '--quiet'], 'up.test/other:v1\n'],
    [['--filter', 'pinned', '--quiet'], 'up.test/app:v1\n'],
    [['--filter', 'unpinned', '--filter', 'whole', '--quiet'], 'up.test/other:v1\n'],
    [['--format', '{name} {state} {pinned}'], 'up.test/app:v1 whole true\nup.test/other:v1 whole false\n'],
    [['--filter', 'hosted'], 'No cached image matches; agent ls lists all.\n'],
    [['nothing/*'], 'No cached image matches; agent ls lists all.\n'],
  ]
  for (const [args, expected] of table) {
    const { code, out, err } = await fixture.run('ls', ...args)
    assert.deepEqual([code, out, err], [0, expected, ''], args.join(' '))
  }
  for (const [args, expected] of [
    [['--filter', 'nice'], /--filter is "nice"; expected one of whole, partial, pinned/],
    [['--format', '{nope}'], /--format has the unknown field "nope"; known are name, repository/],
    [['--blobs', 'app'], /patterns and --filter are for images; leave out --blobs/],
  ] as const) {
    const { code, err } = await fixture.run('ls', ...args)
    assert.equal(code, 2)
    assert.match(err, expected)
  }
})

test('agent ls leaves out tags of which nothing is stored any more', async () => {
  assert.equal((await fixture.run('gc', '--to', '0')).code, 0)
  const { out } = await fixture.run('ls')
  assert.equal(out, 'No image with a tag is cached; agent ls --blobs lists all blobs.\n')
  assert.deepEqual(await fixture.json('ls'), [])
})

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { compare as bcryptCompare, hash } from 'bcrypt'
import { PasswordLogins } from '../../../src/access/passwords/password-logins.ts'
import { subscribe } from '../../../src/observe/events.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'

const [alice, bob] = await Promise.all([hash('wonderland', 4), hash('builder', 5)])

interface OpenedLogins {
  readonly path: string
  /** The hashes that were compared with. */
  readonly compared: string[]
  tick(ms: number): void
  find(user: string, password: string, address?: string): ReturnType<PasswordLogins['find']>
}

async function open(t: TestContext, text = `alice:${alice}\nbob:${bob}\n`): Promise<OpenedLogins> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-htpasswd-'))
  addCleanup(t, () => rm(folder, { recursive: true }))
  const path = join(folder, 'users')
  await writeFile(path, text)
  const compared: string[] = []
  let now = 0
  const logins = await PasswordLogins.open(path, {
    checkMs: 0,
    now: () => now,
    compare: (password, given) => {
      compared.push(given)
      return bcryptCompare(password, given)
    },
  })
  return {
    path,
    compared,
    tick: (ms) => {
      now += ms
    },
    find: (user, password, address = '10.0.0.1') => {
      const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
      return logins.find({ user, password: Buffer.from(password) }, { authorization, address })
    },
  }
}

const ALICE = { kind: 'known', name: 'alice', grants: undefined }

test('a right password is verified once, also for requests at the same time', async (t) => {
  const { find, compared, tick } = await open(t)
  const logins = await Promise.all(Array.from({ length: 20 }, () => find('alice', 'wonderland')))
  for (const login of logins) assert.deepEqual(login, ALICE)
  await find('alice', 'wonderland', '10.0.0.2')
  assert.deepEqual(compared, [alice])
  tick(5 * 60_000)
  assert.deepEqual(await find('alice', 'wonderland'), ALICE)
  assert.equal(compared.length, 2)
})

test('a wrong password is refused, each time anew', async (t) => {
  const { find, compared } = await open(t)
  for (const [user, password] of [
    ['alice', 'Wonderland'],
    ['alice', 'Wonderland'],
    ['alice', 'builder'],
    ['ALICE', 'wonderland'],
  ] as const)
    assert.equal((await find(user, password)).kind, 'refused', user)
  assert.equal(compared.length, 4)
})

test('an unknown user takes the same work as a known one, and cannot be told apart', async (t) => {
  const { find, compared } = await open(t)
  const [unknown, known] = [await find('mallory', 'x'), await find('alice', 'x')]
  assert.deepEqual(unknown, known)
  assert.equal(compared.length, 2)
  assert.ok([alice, bob].includes(compared[0] ?? ''))
  await find('mallory', 'y')
  assert.equal(compared[2], compared[0], 'the cost for one name is always the same')
})

test('an unknown user with the password of somebody else is refused', async (t) => {
  const { find } = await open(t, `alice:${alice}\n`)
  assert.equal((await find('mallory', 'wonderland')).kind, 'refused')
})

test('a file without users lets nobody in, with the same work', async (t) => {
  const { find, compared } = await open(t, '')
  assert.equal((await find('alice', 'wonderland')).kind, 'refused')
  assert.equal(compared.length, 1)
})

test('what was remembered is forgotten when the file changes', async (t) => {
  const { find, path, compared } = await open(t)
  await find('alice', 'wonderland')
  await writeFile(path, `alice:${await hash('new', 4)}\nbob:${bob}\n# changed`)
  assert.equal((await find('alice', 'wonderland')).kind, 'refused')
  assert.deepEqual(await find('alice', 'new'), ALICE)
  assert.equal(compared.length, 3)
  await writeFile(path, `bob:${bob}`)
  assert.equal((await find('alice', 'new')).kind, 'refused')
})

test('a broken new file keeps the last good one, and is told without a hash', async (t) => {
  const { find, path } = await open(t)
  const problems: string[] = []
  addCleanup(
    t,
    subscribe('file.checked', ({ problem }) => problems.push(problem ?? 'good')),
  )
  await writeFile(path, `alice:${alice}\nbob:hunter2\n`)
  assert.deepEqual(await find('alice', 'wonderland'), ALICE)
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /:2: the hash is not one of bcrypt/)
  assert.doesNotMatch(problems[0] ?? '', /hunter2|\$2b/)
})

test('a broken file at the start is refused', async (t) => {
  await assert.rejects(open(t, 'alice:plain'), /users:1: the hash is not one of bcrypt/)
})

test('wrong passwords are limited per address, while others and those who are known go on', async (t) => {
  const { find, compared, tick } = await open(t)
  assert.deepEqual(await find('alice', 'wonderland'), ALICE)
  for (let n = 0; n < 5; n += 1) assert.equal((await find('alice', `guess ${n}`)).kind, 'refused')
  const before = compared.length
  assert.deepEqual(await find('bob', 'builder'), { kind: 'slow-down', retryAfterMs: 60_000 })
  assert.equal(compared.length, before, 'an address that waits costs nothing')
  assert.deepEqual(await find('alice', 'wonderland'), ALICE)
  assert.equal((await find('bob', 'builder', '10.0.0.2')).kind, 'known')
  tick(60_000)
  assert.equal((await find('alice', 'guess')).kind, 'refused')
})

test('right passwords of many users of one address at the same time are all taken', async (t) => {
  const names = Array.from({ length: 16 }, (_, at) => `user${at}`)
  const { find } = await open(t, names.map((name) => `${name}:${alice}\n`).join(''))
  const logins = await Promise.all(names.map((name) => find(name, 'wonderland')))
  assert.deepEqual(new Set(logins.map(({ kind }) => kind)), new Set(['known']))
})

test('guesses at the same time are limited as those one after another are', async (t) => {
  const { find, compared } = await open(t)
  const kinds = (await Promise.all(Array.from({ length: 50 }, (_, n) => find('alice', `guess ${n}`)))).map(
    ({ kind }) => kind,
  )
  assert.equal(kinds.filter((kind) => kind === 'refused').length, 5)
  assert.equal(kinds.filter((kind) => kind === 'slow-down').length, 45)
  assert.equal(compared.length, 5)
})

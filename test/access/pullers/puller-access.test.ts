import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EverybodyAccess } from '../../../src/access/everybody-access.ts'
import { PullerAccess } from '../../../src/access/pullers/puller-access.ts'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import { type Repository, repositoryKey } from '../../../src/oci/names/repository.ts'
import type { PullRights } from '../../../src/ports/access/pull-rights.ts'
import type { AccessControl, Caller, Decision, Wish } from '../../../src/ports/access.ts'
import { Failure, type FailureCode } from '../../../src/ports/failure.ts'

const MINUTE_MS = 60_000
const STALE_MS = 60 * MINUTE_MS
const PRIVATE = { registry: 'corp.test', name: 'team/app' }
const PUBLIC = { registry: 'corp.test', name: 'public/app' }
const OTHER = { registry: 'docker.io', name: 'library/app' }
const OWN = { registry: 'localhost', name: 'team/app' }
const BASIC = ['Basic realm="leat", charset="UTF-8"']

function pull(repository: Repository, reference = 'v1'): Wish {
  return { action: 'pull', repository, content: { kind: 'manifest', reference } }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

function from(authorization?: string, address = '127.0.0.1'): Caller {
  return { authorization, certificate: undefined, address, isLocal: true }
}

const ALICE = from(basic('alice', 'right'))

/** A registry that gives `public/app` to everybody and `team/app` to alice, and an agent before it. */
function open({
  next = new EverybodyAccess(async () => true),
  takesPasswords = true,
}: {
  next?: AccessControl
  takesPasswords?: boolean
} = {}) {
  const asked: string[] = []
  const state: { now: number; failure: FailureCode | undefined; hang?: Promise<void> } = {
    now: 0,
    failure: undefined,
  }
  const rights: PullRights = {
    isUsed: true,
    staleMsOf: ({ registry }) => (registry === 'corp.test' ? STALE_MS : undefined),
    async confirm(repository, content, login) {
      const what = content.kind === 'manifest' ? content.reference : content.kind
      asked.push(`${login?.user ?? '-'}:${login?.password ?? '-'} ${repositoryKey(repository)} ${what}`)
      await state.hang
      if (state.failure !== undefined) throw new Failure(state.failure, 'as told')
      const isRight = login?.user === 'alice' && login.password === 'right'
      if (repository.name !== PUBLIC.name && !isRight) throw new Failure('denied', 'no')
      if (what === 'none') throw new Failure('absent', 'none')
    },
  }
  const access = new PullerAccess(rights, {
    next,
    isCached: () => true,
    takesPasswords,
    now: () => state.now,
  })
  const decide = async (caller: Caller, ...wishes: Wish[]) => {
    asked.length = 0
    return { decision: await access.decide(caller, wishes), asked: [...asked] }
  }
  return { access, decide, state }
}

const kindOf = async (decided: Promise<{ readonly decision: Decision }>): Promise<string> =>
  (await decided).decision.kind

test('an image that the registry gives to everybody needs no login', async () => {
  const { decide } = open()
  for (const caller of [from(), from(basic('', '')), ALICE]) {
    assert.equal(await kindOf(decide(caller, pull(PUBLIC))), 'allowed')
  }
})

test('any other image is given to whom the registry gives it, who is asked about once in five minutes', async () => {
  const { decide, state } = open()
  const first = await decide(ALICE, pull(PRIVATE))
  assert.equal(first.decision.kind, 'allowed')
  assert.deepEqual(first.asked, ['-:- corp.test/team/app v1', 'alice:right corp.test/team/app v1'])
  state.now += 4 * MINUTE_MS
  for (const reference of ['v1', 'v2']) {
    const next = await decide(ALICE, pull(PRIVATE, reference))
    assert.deepEqual([next.decision.kind, next.asked], ['allowed', []])
  }
  state.now += 2 * MINUTE_MS
  assert.equal((await decide(ALICE, pull(PRIVATE))).asked.length, 2)
})

test('a client that sends no login is asked for one, and one that has none is sent to the registry', async () => {
  const { decide } = open()
  assert.deepEqual((await decide(from(), pull(PRIVATE))).decision, {
    kind: 'login',
    challenges: BASIC,
    message: 'the registry gives this image only to those who log in; send the login for the registry',
  })
  const others = [basic('', ''), basic('alice', 'wrong'), basic('bob', 'right'), 'Bearer token', 'Digest x']
  for (const authorization of others)
    assert.equal(await kindOf(decide(from(authorization), pull(PRIVATE))), 'absent', authorization)
})

test('a right counts for its login and its repository only', async () => {
  const { decide } = open()
  await decide(ALICE, pull(PRIVATE))
  const more = { ...PRIVATE, name: 'team/more' }
  assert.deepEqual((await decide(ALICE, pull(more))).asked.length, 2)
  assert.equal(await kindOf(decide(from(basic('alice', 'right ')), pull(PRIVATE))), 'absent')
})

test('a denial counts for half a minute, and for one content', async () => {
  const { decide, state } = open()
  await decide(ALICE, pull(PRIVATE, 'none'))
  assert.deepEqual((await decide(ALICE, pull(PRIVATE, 'none'))).asked, [])
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE, 'v1'))), 'allowed')
  const wrong = from(basic('alice', 'wrong'))
  await decide(wrong, pull(PRIVATE))
  assert.deepEqual((await decide(wrong, pull(PRIVATE))).asked, [])
  state.now += MINUTE_MS
  assert.equal((await decide(wrong, pull(PRIVATE))).asked.length, 2)
})

test('a right ends when the registry denies it', async () => {
  const { decide, state } = open()
  await decide(ALICE, pull(PRIVATE))
  state.now += 6 * MINUTE_MS
  state.failure = 'denied'
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE))), 'absent')
  state.now += MINUTE_MS
  state.failure = 'unavailable'
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE))), 'unavailable')
})

test('while the registry cannot be asked, its last answer counts for the time of the settings', async () => {
  const { decide, state } = open()
  await decide(ALICE, pull(PRIVATE))
  await decide(from(), pull(PUBLIC))
  state.now += STALE_MS - 1
  for (const failure of ['unavailable', 'busy', 'stalled'] as const) {
    state.failure = failure
    assert.equal(await kindOf(decide(ALICE, pull(PRIVATE))), 'allowed')
    assert.equal(await kindOf(decide(from(), pull(PUBLIC))), 'allowed')
    assert.equal(await kindOf(decide(from(basic('alice', 'wrong')), pull(PRIVATE))), 'unavailable')
    // It may have a login that was right.
    assert.equal(await kindOf(decide(from(), pull(PRIVATE))), 'login')
  }
  state.now += 1
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE))), 'unavailable')
})

test('while the registry hangs, its last answer counts for clients whose questions find no slot, too', async () => {
  const { access, decide, state } = open()
  await decide(ALICE, pull(PRIVATE))
  state.now += 6 * MINUTE_MS
  state.failure = 'unavailable'
  await decide(ALICE, pull(PRIVATE))
  const end = new Deferred<void>()
  state.hang = end.promise
  const pulls = Array.from({ length: 65 }, (_, at) => access.decide(ALICE, [pull(PRIVATE, `v${at}`)]))
  const last = pulls.pop()
  assert.equal((await last)?.kind, 'allowed')
  end.resolve()
  for (const each of pulls) assert.equal((await each).kind, 'allowed')
})

test('a right that the agent does not ask about because of its own limits does not count', async () => {
  const { decide, state } = open()
  await decide(ALICE, pull(PRIVATE))
  state.now += 6 * MINUTE_MS
  for (let n = 0; n < 30; n += 1) await decide(from(basic('alice', `guess ${n}`)), pull(PRIVATE))
  const got = await decide(ALICE, pull(PRIVATE))
  assert.deepEqual([got.decision.kind, got.asked], ['unavailable', []])
})

test('a content that the registry does not have takes no right away', async () => {
  const { decide, state } = open()
  await decide(ALICE, pull(PRIVATE))
  state.now += 6 * MINUTE_MS
  const missing = await decide(ALICE, pull(PRIVATE, 'none'))
  assert.deepEqual(missing.asked, [
    '-:- corp.test/team/app none',
    'alice:right corp.test/team/app none',
    'alice:right corp.test/team/app v1',
  ])
  state.now += 6 * MINUTE_MS
  state.failure = 'unavailable'
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE))), 'allowed')
})

test('a registry that says to those without a right that there is nothing takes the right away', async () => {
  const { decide, state } = open()
  await decide(ALICE, pull(PRIVATE))
  state.now += 6 * MINUTE_MS
  state.failure = 'absent'
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE, 'v2'))), 'absent')
  state.now += MINUTE_MS
  state.failure = 'unavailable'
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE))), 'unavailable')
})

test('a registry gets no login of a client whose request is for this agent, too', async () => {
  const { decide } = open()
  const push: Wish = { action: 'push', repository: OWN }
  const mounted = await decide(ALICE, push, pull(PRIVATE))
  assert.equal(mounted.decision.kind, 'forbidden')
  assert.deepEqual(mounted.asked, ['-:- corp.test/team/app v1'])
  assert.equal(await kindOf(decide(ALICE, push, pull(PUBLIC))), 'allowed')
})

test('no registry gets a password where passwords are logins of the agent', async () => {
  const { decide } = open({ takesPasswords: false })
  const got = await decide(ALICE, pull(PRIVATE))
  assert.equal(got.decision.kind, 'absent')
  assert.deepEqual(got.asked, ['-:- corp.test/team/app v1'])
  assert.equal(await kindOf(decide(from(), pull(PRIVATE))), 'absent')
})

test('everything else is decided by the rules of the agent', async () => {
  const seen: (readonly Wish[])[] = []
  const next: AccessControl = {
    async decide(_, wishes) {
      seen.push(wishes)
      return { kind: 'forbidden', message: 'by a rule' }
    },
    filterListable: async () => [],
  }
  const { decide } = open({ next })
  for (const wishes of [[pull(OTHER)], [{ action: 'push', repository: PRIVATE } as const], []]) {
    const got = await decide(ALICE, ...wishes)
    assert.equal(got.decision.kind, 'forbidden')
    assert.deepEqual([seen.at(-1), got.asked], [wishes, []])
  }
})

test('`/v2/` asks for a login without needing one', async () => {
  const { decide } = open()
  assert.deepEqual((await decide(from())).decision, {
    kind: 'allowed',
    identity: { name: undefined },
    challenges: BASIC,
  })
})

test('wrong logins of an address are limited, while those that are known go on', async () => {
  const { decide } = open()
  await decide(ALICE, pull(PRIVATE))
  for (let n = 0; n < 30; n += 1) await decide(from(basic('alice', `guess ${n}`)), pull(PRIVATE))
  const more = await decide(from(basic('alice', 'one more')), pull(PRIVATE))
  assert.deepEqual([more.decision.kind, more.asked], ['unavailable', []])
  assert.equal(await kindOf(decide(ALICE, pull(PRIVATE, 'v2'))), 'allowed')
  const other = from(basic('alice', 'guess'), '192.0.2.1')
  assert.equal(await kindOf(decide(other, pull(PRIVATE))), 'absent')
})

test('of such repositories those are listed that the client has a right to', async () => {
  const { access, decide } = open()
  const all = [OTHER, PRIVATE, PUBLIC]
  await decide(ALICE, pull(PRIVATE))
  assert.deepEqual(await access.filterListable(from(), all), [OTHER])
  await decide(from(), pull(PUBLIC))
  assert.deepEqual(await access.filterListable(from(), all), [OTHER, PUBLIC])
  assert.deepEqual(await access.filterListable(ALICE, all), all)
})

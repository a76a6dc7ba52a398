import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoginAccess } from '../../src/access/access-control.ts'
import { Challenges } from '../../src/access/challenges.ts'
import type { Login } from '../../src/access/logins/login.ts'
import type { AccessOptions } from '../../src/access/options/access-options.ts'
import { AccessRules } from '../../src/access/rules/access-rules.ts'
import type { Caller, Decision, Wish } from '../../src/ports/access.ts'

const APP = { registry: 'localhost', name: 'team/app' }
const OTHER = { registry: 'localhost', name: 'team/other' }
const PULL: Wish = { action: 'pull', repository: APP }
const PUSH: Wish = { action: 'push', repository: APP }
const REMOTE: Caller = {
  authorization: undefined,
  certificate: undefined,
  address: '192.0.2.1',
  isLocal: false,
}
const LOCAL: Caller = { ...REMOTE, address: '127.0.0.1', isLocal: true }
const TOKEN = {
  realm: 'https://login.test/token',
  service: 'registry.test',
  issuer: 'login.test',
  keys: { kind: 'pem', file: '/unused' },
} as const

const ALICE: Login = { kind: 'known', name: 'alice', grants: undefined }
const PULL_TOKEN: Login = {
  kind: 'known',
  name: 'alice',
  grants: ({ action, repository }) => action === 'pull' && repository?.name === APP.name,
}

interface Counted extends LoginAccess {
  logins: number
}

function access(options: AccessOptions, login: Login = { kind: 'anonymous' }): Counted {
  const find = (): Promise<Login> => {
    counted.logins += 1
    return Promise.resolve(login)
  }
  const counted: Counted = Object.assign(
    new LoginAccess({
      logins: { find },
      rules: new AccessRules(options),
      challenges: new Challenges(options, () => false),
    }),
    { logins: 0 },
  )
  return counted
}

function challengesOf(decision: Decision): readonly string[] {
  return decision.kind === 'login' ? decision.challenges : assert.fail(decision.kind)
}

const BASIC = 'Basic realm="leat", charset="UTF-8"'

test('what everybody may do is allowed without looking at a login', async () => {
  const open = access({ htpasswd: '/users' }, { kind: 'refused', message: 'wrong', isToken: false })
  assert.equal((await open.decide(LOCAL, [PULL])).kind, 'allowed')
  assert.equal((await open.decide({ ...LOCAL, authorization: 'Basic eDp5' }, [PULL])).kind, 'allowed')
  assert.equal(open.logins, 0)
  assert.equal((await open.decide(LOCAL, [PULL, PUSH])).kind, 'login')
})

test('a client without a login is asked for one', async () => {
  const both = access({ htpasswd: '/users', token: TOKEN })
  assert.deepEqual(challengesOf(await both.decide(REMOTE, [PULL, PUSH])), [
    'Bearer realm="https://login.test/token",service="registry.test",scope="repository:team/app:pull,push"',
    BASIC,
  ])
})

test('the probe of /v2/ asks for a login even where pulls are open, because clients log in by it', async () => {
  assert.deepEqual(challengesOf(await access({ htpasswd: '/users' }).decide(LOCAL, [])), [BASIC])
  const anonymous = access({ token: TOKEN, anonymous: ['pull'] })
  assert.deepEqual(challengesOf(await anonymous.decide(REMOTE, [])), [
    'Bearer realm="https://login.test/token",service="registry.test"',
  ])
  assert.equal((await access({ htpasswd: '/users' }, ALICE).decide(REMOTE, [])).kind, 'allowed')
})

test('where only certificates help, no login is asked for', async () => {
  const options: AccessOptions = { clientCertificates: { caFile: '/ca' } }
  const refused = await access(options).decide(REMOTE, [PULL])
  assert.equal(refused.kind, 'forbidden')
  assert.match(refused.kind === 'forbidden' ? refused.message : '', /by their certificates/)
  assert.equal((await access(options).decide(REMOTE, [])).kind, 'forbidden')
  assert.equal((await access(options).decide(LOCAL, [])).kind, 'allowed')
  assert.equal((await access(options, ALICE).decide(REMOTE, [PULL])).kind, 'allowed')
})

test('a user without the right is told so, by the own name', async () => {
  const rules = [{ who: ['alice'], names: ['team/app'], actions: ['pull'] as const }]
  const users = access({ htpasswd: '/users', rules }, ALICE)
  assert.deepEqual(await users.decide(REMOTE, [PULL]), { kind: 'allowed', identity: { name: 'alice' } })
  assert.deepEqual(await users.decide(REMOTE, [PULL, PUSH]), {
    kind: 'forbidden',
    message: 'alice may not push to localhost/team/app; no rule allows it',
  })
})

test('a wrong login is asked for again, and one of too many has to wait', async () => {
  const wrong = access({ htpasswd: '/users' }, { kind: 'refused', message: 'wrong', isToken: false })
  assert.deepEqual(await wrong.decide(REMOTE, []), { kind: 'login', challenges: [BASIC], message: 'wrong' })
  const slow = access({ htpasswd: '/users' }, { kind: 'slow-down', retryAfterMs: 5 })
  assert.deepEqual(await slow.decide(REMOTE, [PULL]), { kind: 'slow-down', retryAfterMs: 5 })
})

test('a token that does not allow something is asked to be replaced by one that does', async () => {
  const tokens = access({ token: TOKEN }, PULL_TOKEN)
  assert.deepEqual(await tokens.decide(REMOTE, [PULL]), { kind: 'allowed', identity: { name: 'alice' } })
  assert.equal((await tokens.decide(REMOTE, [])).kind, 'allowed')
  assert.deepEqual(challengesOf(await tokens.decide(REMOTE, [PULL, PUSH])), [
    'Bearer realm="https://login.test/token",service="registry.test",scope="repository:team/app:pull,push",error="insufficient_scope"',
  ])
  const expired = access({ token: TOKEN }, { kind: 'refused', message: 'expired', isToken: true })
  assert.match(challengesOf(await expired.decide(REMOTE, [PULL]))[0] ?? '', /error="invalid_token"$/)
})

test('rules for users give nothing to the holder of a token, rules for everybody do', async () => {
  const rules = [
    { who: ['alice', 'authenticated'], actions: ['push'] as const },
    { who: ['anonymous'], names: ['team/other'], actions: ['pull'] as const },
  ]
  const tokens = access({ token: TOKEN, rules }, PULL_TOKEN)
  assert.equal((await tokens.decide(REMOTE, [PUSH])).kind, 'login')
  assert.equal((await tokens.decide(REMOTE, [PULL, { action: 'pull', repository: OTHER }])).kind, 'allowed')
})

test('of the repositories those are shown that the client may list', async () => {
  const all = [APP, OTHER]
  const rules = [{ who: ['alice'], names: ['team/app'], actions: ['list'] as const }]
  assert.deepEqual(await access({ htpasswd: '/users', rules }, ALICE).filterListable(REMOTE, all), [APP])
  assert.deepEqual(await access({ htpasswd: '/users', rules }).filterListable(REMOTE, all), [])
  assert.deepEqual(await access({ htpasswd: '/users', rules }).filterListable(LOCAL, all), all)
  const wrong: Login = { kind: 'refused', message: 'wrong', isToken: false }
  assert.deepEqual(await access({ htpasswd: '/users' }, wrong).filterListable(REMOTE, all), [])
  const token: Login = { ...ALICE, grants: ({ repository }) => repository === undefined }
  assert.deepEqual(await access({ token: TOKEN }, token).filterListable(REMOTE, all), all)
  const one: Login = { ...ALICE, grants: ({ repository }) => repository === OTHER }
  assert.deepEqual(await access({ token: TOKEN }, one).filterListable(REMOTE, all), [OTHER])
})

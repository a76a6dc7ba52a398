import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessOptions } from '../../../src/access/options/access-options.ts'
import { AccessRules, type Applicant } from '../../../src/access/rules/access-rules.ts'
import type { Action } from '../../../src/ports/access.ts'

const ACTIONS: readonly Action[] = ['pull', 'push', 'delete', 'list']
const REMOTE: Applicant = { address: '192.0.2.1', isLocal: false, name: undefined }

/** The actions that are allowed with a repository, written as `localhost/team/app`. */
function allowed(options: AccessOptions, applicant: Partial<Applicant>, key = 'localhost/team/app'): string {
  const rules = new AccessRules(options)
  const slash = key.indexOf('/')
  const repository = { registry: key.slice(0, slash), name: key.slice(slash + 1) }
  return ACTIONS.filter((action) => rules.allows({ ...REMOTE, ...applicant }, { action, repository })).join(
    ' ',
  )
}

const ALL = 'pull push delete list'

test('without rules everybody with a login may do everything, and nobody else anything', () => {
  assert.equal(allowed({}, { name: 'alice' }), ALL)
  assert.equal(allowed({}, {}), '')
})

test('clients on this machine may pull and list without a login, unless the settings say otherwise', () => {
  assert.equal(allowed({}, { isLocal: true }), 'pull list')
  assert.equal(allowed({ loopback: 'open' }, { isLocal: true }), 'pull list')
  assert.equal(allowed({ loopback: 'login' }, { isLocal: true }), '')
  assert.equal(allowed({ rules: [] }, { isLocal: true }), 'pull list')
})

test('clients without a login may do what anonymous lists, and so may all others', () => {
  const options: AccessOptions = { anonymous: ['pull'], rules: [] }
  assert.equal(allowed(options, {}), 'pull')
  assert.equal(allowed(options, { name: 'alice' }), 'pull')
})

test('with rules only what one of them allows is allowed', () => {
  const options: AccessOptions = {
    rules: [
      { who: ['ci-*', 'spiffe://example.org/ns/ci/**'], names: ['team/**'], actions: ['pull', 'push'] },
      { who: ['admin'], actions: ['pull', 'push', 'delete', 'list'] },
      { who: ['authenticated'], names: ['docker.io/library/*'], actions: ['pull'] },
      { who: ['anonymous'], names: ['public/*'], actions: ['pull'], networks: ['10.0.0.0/8'] },
    ],
  }
  assert.equal(allowed(options, { name: 'ci-7' }), 'pull push')
  assert.equal(allowed(options, { name: 'ci-7/x' }), '')
  assert.equal(allowed(options, { name: 'ci-7' }, 'docker.io/team/app'), '')
  assert.equal(allowed(options, { name: 'spiffe://example.org/ns/ci/sa/x' }), 'pull push')
  assert.equal(allowed(options, { name: 'spiffe://example.org/ns/cix/sa/x' }), '')
  assert.equal(allowed(options, { name: 'admin' }, 'ghcr.io/any/thing'), ALL)
  assert.equal(allowed(options, { name: 'Admin' }), '')
  assert.equal(allowed(options, { name: 'alice' }, 'docker.io/library/alpine'), 'pull')
  assert.equal(allowed(options, {}, 'docker.io/library/alpine'), '')
  assert.equal(allowed(options, { address: '::ffff:10.1.2.3' }, 'localhost/public/a'), 'pull')
  assert.equal(allowed(options, { address: '11.1.2.3' }, 'localhost/public/a'), '')
  assert.equal(allowed(options, { name: 'alice', address: '10.1.2.3' }, 'localhost/public/a'), 'pull')
})

test('a user whose name is a word of the rules or a pattern is an ordinary user', () => {
  const options: AccessOptions = { rules: [{ who: ['admin'], actions: ['pull'] }] }
  for (const name of ['anonymous', 'authenticated', '*', '**', 'admi[n]', 'adm.n', ''])
    assert.equal(allowed(options, { name }), '', name)
})

test('the catalog may be read by whoever may list some names', () => {
  const rules = new AccessRules({ rules: [{ who: ['alice'], names: ['team/**'], actions: ['list'] }] })
  const wish = { action: 'list', repository: undefined } as const
  assert.equal(rules.allows({ ...REMOTE, name: 'alice' }, wish), true)
  assert.equal(rules.allows({ ...REMOTE, name: 'bob' }, wish), false)
})

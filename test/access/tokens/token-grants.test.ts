import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scopeText, tokenGrants } from '../../../src/access/tokens/token-grants.ts'
import type { Repository } from '../../../src/oci/names/repository.ts'
import type { Action } from '../../../src/ports/access.ts'

const OWN = { registry: 'localhost', name: 'team/app' }
const CORP = { registry: 'registry.corp.example', name: 'team/app' }
const CACHED = { registry: 'docker.io', name: 'team/app' }

function isHosted({ registry }: Repository): boolean {
  return registry === CORP.registry
}

function grant(name: string, ...actions: string[]): { type: string; name: string; actions: string[] } {
  return { type: 'repository', name, actions }
}

test('a token allows what its access claim lists, by the name that clients see', () => {
  const allows = tokenGrants([grant('team/app', 'pull', 'push')], isHosted)
  const table: readonly [Repository | undefined, Action, boolean][] = [
    [OWN, 'pull', true],
    [OWN, 'push', true],
    [OWN, 'list', true],
    [OWN, 'delete', false],
    [CORP, 'pull', true],
    [CACHED, 'pull', false],
    [{ registry: 'localhost', name: 'team/app2' }, 'pull', false],
    [{ registry: 'localhost', name: 'team' }, 'pull', false],
    [undefined, 'list', false],
  ]
  for (const [repository, action, expected] of table)
    assert.equal(allows({ repository, action }), expected, `${action} ${repository?.name}`)
})

test('a cached repository has its registry in its name', () => {
  const allows = tokenGrants([grant('docker.io/team/app', 'pull')], isHosted)
  assert.equal(allows({ repository: CACHED, action: 'pull' }), true)
  assert.equal(allows({ repository: OWN, action: 'pull' }), false)
})

test('a star is every action, and the catalog has an entry of its own', () => {
  const allows = tokenGrants(
    [grant('team/app', '*'), { type: 'registry', name: 'catalog', actions: ['*'] }],
    isHosted,
  )
  assert.equal(allows({ repository: OWN, action: 'delete' }), true)
  assert.equal(allows({ repository: undefined, action: 'list' }), true)
  assert.equal(allows({ repository: CACHED, action: 'pull' }), false)
})

test('entries of another type, patterns and empty lists allow nothing', () => {
  const entries = [
    { type: 'registry', name: 'team/app', actions: ['pull'] },
    { type: 'repository', name: 'team/*', actions: ['pull'] },
    { type: 'repository', name: 'team/app', actions: null },
    { type: 'repository', name: 'team/app', actions: ['PULL', 'pull,push'] },
  ]
  for (const entry of entries)
    assert.equal(tokenGrants([entry], isHosted)({ repository: OWN, action: 'pull' }), false)
  for (const claim of [undefined, null, []])
    assert.equal(tokenGrants(claim, isHosted)({ repository: OWN, action: 'pull' }), false)
})

test('a challenge has a scope for each repository', () => {
  const wishes = [
    { action: 'pull', repository: OWN },
    { action: 'push', repository: OWN },
    { action: 'pull', repository: CACHED },
    { action: 'list', repository: undefined },
  ] as const
  assert.equal(
    scopeText(wishes, isHosted),
    'repository:team/app:pull,push repository:docker.io/team/app:pull registry:catalog:*',
  )
  assert.equal(scopeText([], isHosted), '')
})

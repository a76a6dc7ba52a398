import assert from 'node:assert/strict'
import { test } from 'node:test'
import { covers, type NameRules, repositoryOf, splitTag } from '../../../src/oci/names/name-rules.ts'

const PLAIN: NameRules = {
  registry: undefined,
  defaultRegistry: 'docker.io',
  namePrefix: undefined,
  prefixes: [],
}

function served(name: string, rules: Partial<NameRules> = {}): string | undefined {
  const repository = repositoryOf(name, { ...PLAIN, ...rules })
  return repository && `${repository.registry} ${repository.name}`
}

test('an image is served under the registry in its name, or else under the default one', () => {
  assert.equal(served('busybox'), 'docker.io library/busybox')
  assert.equal(served('acme/app'), 'docker.io acme/app')
  assert.equal(served('ghcr.io/acme/app'), 'ghcr.io acme/app')
  assert.equal(served('localhost:5000/app'), 'localhost:5000 app')
})

test('with a registry of the rules the one in the name is left out', () => {
  assert.equal(served('busybox', { registry: 'reg.test' }), 'reg.test busybox')
  assert.equal(
    served('ghcr.io/acme/app', { registry: 'reg.test', namePrefix: 'mirror/' }),
    'reg.test mirror/acme/app',
  )
})

test('prefixes are compared with the name as people write it', () => {
  for (const prefix of ['busy', 'docker.io/busy', 'docker.io/library/']) {
    assert.equal(served('busybox', { prefixes: ['x', prefix] }), 'docker.io library/busybox', prefix)
  }
  assert.equal(served('acme/app', { prefixes: ['docker.io/library/', 'app'] }), undefined)
})

test('what is no name of a repository is not served', () => {
  assert.equal(served('Acme/App'), undefined)
  assert.equal(served('<none>'), undefined)
})

test('rules without a registry cover every repository', () => {
  const repository = { registry: 'ghcr.io', name: 'acme/app' }
  assert.equal(covers(PLAIN, repository), true)
  assert.equal(covers({ ...PLAIN, registry: 'reg.test' }, repository), false)
})

test('a reference without a tag means the latest one, and a port is no tag', () => {
  assert.deepEqual(splitTag('busybox:1.36'), { name: 'busybox', tag: '1.36' })
  assert.deepEqual(splitTag('localhost:5000/app'), { name: 'localhost:5000/app', tag: 'latest' })
})

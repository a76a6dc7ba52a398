import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplaceableFilter, repositoryFilter } from '../../../src/oci/names/repository-filter.ts'

const at = (key: string) => {
  const slash = key.indexOf('/')
  return { registry: key.slice(0, slash), name: key.slice(slash + 1) }
}

test('one star matches within one part of a path, two match any text', () => {
  const table: [pattern: string, key: string, allowed: boolean][] = [
    ['docker.io/library/*', 'docker.io/library/alpine', true],
    ['docker.io/library/*', 'docker.io/library/a/b', false],
    ['docker.io/library/*', 'docker.io/acme/app', false],
    ['ghcr.io/acme/**', 'ghcr.io/acme/app', true],
    ['ghcr.io/acme/**', 'ghcr.io/acme/a/b/c', true],
    ['ghcr.io/acme/**', 'ghcr.io/acmeevil/app', false],
    ['ghcr.io/acme/**', 'evil.ghcr.io/acme/app', false],
    ['*.example.com/a', 'reg.example.com/a', true],
    ['*.example.com/a', 'regxexample.com/a', false],
    ['**', 'ghcr.io/a/b', true],
    ['ghcr.io', 'ghcr.io/a/b', true],
    ['ghcr.io', 'ghcr.io.evil.com/a', false],
    ['alpine', 'docker.io/library/alpine', false],
    ['index.docker.io/alpine', 'docker.io/library/alpine', true],
    ['localhost:5000/a', 'localhost:5000/a', true],
    ['ghcr.io/a+b', 'ghcr.io/aab', false],
  ]
  for (const [pattern, key, allowed] of table)
    assert.equal(repositoryFilter([pattern])(at(key)), allowed, `${pattern} ${key}`)
})

test('without a list everything is allowed, with an empty list nothing', () => {
  assert.ok(repositoryFilter(undefined)(at('ghcr.io/a')))
  assert.ok(!repositoryFilter([])(at('ghcr.io/a')))
})

test('the patterns of a filter can be replaced while others use it', () => {
  const filter = new ReplaceableFilter(['ghcr.io/**'])
  const { isAllowed } = filter
  const repository = { registry: 'docker.io', name: 'library/alpine' }
  assert.equal(isAllowed(repository), false)
  filter.replace(['docker.io/library/*'])
  assert.equal(isAllowed(repository), true)
  filter.replace([])
  assert.equal(isAllowed(repository), false)
  filter.replace(undefined)
  assert.equal(isAllowed(repository), true)
})

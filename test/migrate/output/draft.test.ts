import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Draft } from '../../../src/migrate/output/draft.ts'

test('the first value of a setting counts, and each other one gets a sentence', () => {
  const draft = new Draft({ withPasswords: false })
  draft.set('listen', '127.0.0.1:1')
  draft.set('listen', '127.0.0.1:1')
  draft.set('listen', '127.0.0.1:2')
  draft.set('defaultNamespace', undefined)
  draft.upstream({ namespace: 'index.docker.io', tls: false })
  draft.upstream({ namespace: 'docker.io', tls: true, prefix: 'team' })
  assert.deepEqual(draft.finish(), {
    settings: { listen: '127.0.0.1:1', upstreams: [{ namespace: 'docker.io', tls: false, prefix: 'team' }] },
    notes: [
      'listen stays "127.0.0.1:1", so "127.0.0.1:2" is left out.',
      'docker.io has another tls already, so the second one is left out.',
    ],
  })
})

test('of several sources the last one is exclusive, so that all of them are asked', () => {
  const draft = new Draft({ withPasswords: false })
  draft.source({ dir: '/a', exclusive: true })
  draft.source({ docker: 'env', exclusive: true })
  assert.deepEqual(draft.finish().settings.sources, [{ dir: '/a' }, { docker: 'env', exclusive: true }])
})

test('a field that is not valid is left out, and the others stay', () => {
  const draft = new Draft({ withPasswords: true })
  draft.upstream({
    namespace: 'a.example',
    host: ['b.example/x'],
    prefix: '/x',
    userAgent: 'ok\nX: y',
    tagTtl: '1h',
  })
  draft.upstream({ namespace: 'b.example', username: 'u' })
  draft.upstream({ namespace: 'c.example', username: 'u', password: '' })
  const { settings, notes } = draft.finish()
  assert.deepEqual(settings.upstreams, [{ namespace: 'a.example', tagTtl: '1h' }])
  assert.equal(notes.length, 5)
  assert.match(notes.join('\n'), /prefix is "\/x"; expected a path such as mirror\/team/)
  assert.match(notes.join('\n'), /b\.example has a username without a password/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Draft } from '../../../src/migrate/output/draft.ts'
import { addEndpoints, endpointOf, registryItself } from '../../../src/migrate/output/mirrors.ts'

test('a URL is a host, with TLS or without, and a path after /v2/', () => {
  const draft = new Draft({ withPasswords: false })
  const parsed = (url: string) => {
    const { host, tls, prefix } = endpointOf(url, draft) ?? {}
    return [host, tls, prefix]
  }
  assert.deepEqual(parsed('https://a.example'), ['a.example', true, undefined])
  assert.deepEqual(parsed('http://a.example:5000/v2/x/y/'), ['a.example:5000', false, 'x/y'])
  assert.deepEqual(parsed('https://a.example/x'), [undefined, undefined, undefined])
  assert.deepEqual(parsed('ftp://a.example'), [undefined, undefined, undefined])
  assert.deepEqual(parsed('https://u:hunter2@a.example'), ['a.example', true, undefined])
  const notes = draft.finish().notes.join('\n')
  assert.match(notes, /credentials in the URL of a\.example are not copied/)
  assert.ok(!notes.includes('hunter2'))
})

test('hosts on this machine are left out in each way to write them', () => {
  const draft = new Draft({ withPasswords: false })
  const urls = ['http://127.0.0.2:1', 'http://localhost:1', 'http://[::1]:1']
  const local = urls.map((url) => endpointOf(url, draft)).filter((one) => one !== undefined)
  addEndpoints(draft, 'ghcr.io', [...local, registryItself('ghcr.io')])
  addEndpoints(draft, 'quay.io', local)
  addEndpoints(draft, 'not a registry', local)
  const { settings, notes } = draft.finish()
  assert.deepEqual(settings, {})
  assert.equal(notes.filter((note) => note.includes('is on this machine')).length, 3)
  assert.match(notes.join('\n'), /not a registry is not the name of a registry/)
})

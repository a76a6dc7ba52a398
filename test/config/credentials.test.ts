import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { loadSettings } from '../../src/config/load.ts'
import { SettingsError } from '../../src/config/values/settings-error.ts'
import { given } from './settings-file.ts'

test('UPSTREAM_CREDENTIALS overrides the file, and adds registries without an entry', async () => {
  const settings = await loadSettings(
    await given('upstreams:\n  - {namespace: docker.io, host: m.io, username: old, password: old}\n', {
      env: {
        UPSTREAM_CREDENTIALS: JSON.stringify({
          'registry-1.docker.io': { username: 'aaa', password: 'bbb' },
          'ghcr.io': { username: 'ccc', password: 'ddd' },
        }),
      },
    }),
  )
  const shown = settings.upstreams.map(({ namespace, hosts, credentials }) => [
    namespace,
    hosts,
    credentials?.kind === 'password' ? [credentials.username, credentials.password.reveal()] : credentials,
  ])
  assert.deepEqual(shown, [
    ['docker.io', ['m.io'], ['aaa', 'bbb']],
    ['ghcr.io', [], ['ccc', 'ddd']],
  ])
})

test('an invalid UPSTREAM_CREDENTIALS is refused, and the error does not repeat it', async () => {
  for (const variable of [
    'hunter2',
    '"hunter2"',
    '{"docker.io": hunter2}',
    '{"docker.io": {"username": "hunter2"}}',
    '{"docker.io": {"username": "a", "password": "hunter2", "hunter2": 1}}',
    '{"docker.io": {"username": "a", "password": ["hunter2"]}}',
    '{"https://hunter2": {"username": "a", "password": "b"}}',
    '{"docker.io": {"username": "a", "password": "hunter2"}, "index.docker.io": {"username": "a", "password": "hunter2"}}',
    '[]hunter2',
  ]) {
    const failure = await loadSettings(
      await given(undefined, { env: { UPSTREAM_CREDENTIALS: variable } }),
    ).then(
      () => assert.fail(variable),
      (error: unknown) => error,
    )
    assert.ok(failure instanceof SettingsError)
    assert.match(failure.message, /^UPSTREAM_CREDENTIALS must be JSON/)
    assert.ok(!inspect(failure, { depth: 10, showHidden: true }).includes('hunter2'), variable)
  }
})

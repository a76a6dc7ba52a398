import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { readProxies } from '../../src/config/proxies.ts'
import { SettingsError } from '../../src/config/values/settings-error.ts'

test('proxies come from the environment, and the lower-case variable wins', () => {
  assert.equal(readProxies({}), undefined)
  assert.equal(readProxies({ NO_PROXY: 'a', HTTP_PROXY: '' }), undefined)
  assert.deepEqual(readProxies({ https_proxy: 'http://p:1', HTTPS_PROXY: 'http://q:1', NO_PROXY: 'a,b' }), {
    https: 'http://p:1',
    exceptions: 'a,b',
  })
  assert.deepEqual(readProxies({ HTTP_PROXY: 'proxy.example.com:3128' }), {
    http: 'http://proxy.example.com:3128',
  })
})

test('a value that is not a proxy URL is refused, and the error does not repeat it', () => {
  for (const given of [
    'socks5://u:hunter2@p:1',
    'http://u:hunter2@',
    'http://[hunter2',
    'ftp://hunter2',
    '://hunter2',
  ]) {
    assert.throws(
      () => readProxies({ HTTPS_PROXY: given }),
      (error) => {
        assert.ok(error instanceof SettingsError)
        assert.match(error.message, /^HTTPS_PROXY must be a URL/)
        return !inspect(error, { showHidden: true, depth: 9 }).includes('hunter2')
      },
      given,
    )
  }
})

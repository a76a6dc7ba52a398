import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { Secret } from '../../../src/config/values/secret.ts'

test('only reveal returns the text of a secret', () => {
  const secret = new Secret('hunter2')
  const nested = { credentials: [{ secret }] }
  assert.equal(secret.reveal(), 'hunter2')
  for (const printed of [
    String(secret),
    `${secret}`,
    JSON.stringify(nested),
    inspect(nested, { depth: 10, showHidden: true }),
    inspect(secret, { customInspect: false, showHidden: true }),
    format('%s %o %O %j', secret, secret, secret, secret),
    JSON.stringify({ ...secret }),
    JSON.stringify(structuredClone({ ...nested.credentials[0]?.secret })),
  ]) {
    assert.ok(!printed.includes('hunter2'), printed)
  }
})

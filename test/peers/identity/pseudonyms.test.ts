import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pseudonyms } from '../../../src/peers/identity/pseudonyms.ts'
import { deriveSecret } from '../../../src/peers/identity/secret.ts'

test('agents with the same secret compute the same pseudonym for a name, and no other agents do', async () => {
  const [one, two] = await Promise.all([
    deriveSecret('the secret of one swarm'),
    deriveSecret('another secret'),
  ])
  const pseudonym = new Pseudonyms([one]).of('a name')
  assert.match(pseudonym, /^[0-9a-f]{64}$/)
  assert.equal(new Pseudonyms([one]).of('a name'), pseudonym)
  assert.notEqual(new Pseudonyms([one]).of('another name'), pseudonym)
  assert.notEqual(new Pseudonyms([two]).of('a name'), pseudonym)
})

test('while the secret is being rotated, pseudonyms of both secrets are recognized, and those of the first one are used', async () => {
  const [fresh, old] = await Promise.all([
    deriveSecret('the new secret of it'),
    deriveSecret('the old secret of it'),
  ])
  const both = new Pseudonyms([fresh, old])
  assert.equal(both.of('a name'), new Pseudonyms([fresh]).of('a name'))
  assert.deepEqual(both.all('a name'), [
    new Pseudonyms([fresh]).of('a name'),
    new Pseudonyms([old]).of('a name'),
  ])
})

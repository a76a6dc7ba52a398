import assert from 'node:assert/strict'
import { test } from 'node:test'
import { algorithmOf, hexOf, parseDigest } from '../../src/oci/digest.ts'

test('sha256 and sha512 are digests, everything else is not', () => {
  const short = parseDigest(`sha256:${'0f'.repeat(32)}`)
  const long = parseDigest(`sha512:${'0f'.repeat(64)}`)
  assert.ok(short !== undefined && long !== undefined)
  assert.equal(algorithmOf(short), 'sha256')
  assert.equal(algorithmOf(long), 'sha512')
  assert.equal(hexOf(long), '0f'.repeat(64))
  for (const text of [
    '',
    'sha256:',
    `sha256:${'0F'.repeat(32)}`,
    `sha256:${'0f'.repeat(31)}`,
    `sha512:${'0f'.repeat(32)}`,
    `md5:${'0f'.repeat(16)}`,
    `sha256:${'0f'.repeat(32)}\n`,
    ` sha256:${'0f'.repeat(32)}`,
  ]) {
    assert.equal(parseDigest(text), undefined, text)
  }
})

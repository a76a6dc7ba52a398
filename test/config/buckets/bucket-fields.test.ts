import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBucketUrl, parseServerUrl } from '../../../src/config/buckets/bucket-fields.ts'

test('a bucket has a name and perhaps a prefix', () => {
  assert.deepEqual(parseBucketUrl('s3://images'), { bucket: 'images', prefix: '' })
  assert.deepEqual(parseBucketUrl('s3://images.eu/'), { bucket: 'images.eu', prefix: '' })
  assert.deepEqual(parseBucketUrl('s3://images/a/b-1_c.d/'), { bucket: 'images', prefix: 'a/b-1_c.d' })
  for (const text of [
    '',
    'images',
    's3://',
    's3://A',
    's3://ab',
    's3://images/a//b',
    's3://images/..',
    's3://images/?x',
  ])
    assert.equal(parseBucketUrl(text), undefined, text)
})

test('a server has an http or https URL without credentials, query and fragment', () => {
  assert.equal(parseServerUrl('https://s3.example:9000'), 'https://s3.example:9000/')
  assert.equal(parseServerUrl('http://10.0.0.1/path/'), 'http://10.0.0.1/path/')
  for (const text of ['', 's3.example', 'ftp://x', 'https://u:p@x', 'https://x/?q', 'https://x/#f'])
    assert.equal(parseServerUrl(text), undefined, text)
})

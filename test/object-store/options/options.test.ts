import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bucketText, bucketUrl } from '../../../src/object-store/options/options.ts'

test('the bucket is a part of the host at AWS, and of the path at another server', () => {
  const urlOf = (options: Partial<Parameters<typeof bucketUrl>[0]>): string =>
    bucketUrl({ bucket: 'images', prefix: 'p', ...options }).href
  assert.equal(urlOf({ region: 'eu-central-1' }), 'https://images.s3.eu-central-1.amazonaws.com/')
  assert.equal(
    urlOf({ environment: { AWS_REGION: 'eu-west-1' } }),
    'https://images.s3.eu-west-1.amazonaws.com/',
  )
  assert.equal(urlOf({ bucket: 'a.b' }), 'https://s3.us-east-1.amazonaws.com/a.b/')
  assert.equal(urlOf({ endpoint: 'https://s3.example:9000' }), 'https://s3.example:9000/images/')
  assert.equal(
    urlOf({ endpoint: 'https://s3.example/base/', pathStyle: false }),
    'https://images.s3.example/base/',
  )
})

test('a bucket is named with its prefix', () => {
  assert.equal(bucketText({ bucket: 'images', prefix: 'a/b' }), 's3://images/a/b')
  assert.equal(bucketText({ bucket: 'images', prefix: '' }), 's3://images')
})

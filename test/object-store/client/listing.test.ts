import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseListing } from '../../../src/object-store/client/listing.ts'

const OF = { below: 'cache/', source: 's3://images/cache' }

function page(inner: string): string {
  return `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</ListBucketResult>`
}

test('a page of a listing gives the objects, and where the next one begins', () => {
  const object =
    '<Contents><Key>cache/a</Key><Size>3</Size><LastModified>2026-03-01T00:00:00Z</LastModified></Contents>'
  const next = '<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>'
  assert.deepEqual(parseListing(page(object + next), OF), {
    objects: [{ key: 'a', size: 3, modifiedAt: Date.parse('2026-03-01T00:00:00Z') }],
    folders: [],
    next: 'a',
  })
  assert.deepEqual(parseListing(page('<IsTruncated>false</IsTruncated>'), OF), {
    objects: [],
    folders: [],
    next: undefined,
  })
})

test('an answer that is no whole page is a failure, and not a list without objects', () => {
  const wrong = [
    '',
    '<html>Welcome</html>',
    '<Error><Code>InternalError</Code></Error>',
    page('').replace('</ListBucketResult>', ''),
    page('<IsTruncated>true</IsTruncated>'),
    page('<IsTruncated>true</IsTruncated><NextContinuationToken></NextContinuationToken>'),
  ]
  for (const xml of wrong)
    assert.throws(() => parseListing(xml, OF), { name: 'Failure', code: 'unavailable' }, xml)
})

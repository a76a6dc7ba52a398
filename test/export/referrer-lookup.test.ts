import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ImageReader } from '../../src/export/readers/image-reader.ts'
import { ReferrerLookup } from '../../src/export/referrer-lookup.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { Failure, type FailureCode } from '../../src/ports/failure.ts'
import { sha256 } from './fixture.ts'

const { signal } = new AbortController()
const subject = parseDigest(sha256(Buffer.from('subject'))) ?? assert.fail()
const repository = { registry: 'ghcr.io', name: 'acme/app' }

function readerWith(given: Partial<ImageReader>): ImageReader {
  const absent = async (): Promise<never> => {
    throw new Failure('absent', 'There is no such tag.')
  }
  return { manifest: absent, referrers: async () => [], blob: () => assert.fail(), ...given }
}

async function askAll(reader: ImageReader) {
  const lookup = new ReferrerLookup(reader, repository, { signal })
  return {
    listed: await lookup.listed(subject),
    tagged: await lookup.tagged(subject),
    problem: lookup.problem,
  }
}

function fails(code: FailureCode, message: string): () => Promise<never> {
  return async () => {
    throw new Failure(code, message)
  }
}

test('a manifest without referrers is no problem', async () => {
  assert.deepEqual(await askAll(readerWith({})), { listed: [], tagged: [], problem: undefined })
})

test('what cannot be asked is told, and what can be is found', async () => {
  const bytes = Buffer.from('{}')
  const signature = { bytes, mediaType: undefined, digest: undefined }
  const tag = `${subject.replace(':', '-')}.sig`
  const manifest: ImageReader['manifest'] = async (_, wanted) => {
    if (wanted === tag) return signature
    throw new Failure('stalled', 'Nobody has answered.')
  }
  for (const code of ['unavailable', 'busy', 'denied', 'absent'] as const) {
    const found = await askAll(readerWith({ manifest, referrers: fails(code, 'There is no answer.') }))
    assert.deepEqual(found.tagged, [{ tag, manifest: signature }])
    assert.equal(found.problem, 'There is no answer.', code)
  }
  assert.equal((await askAll(readerWith({ manifest }))).problem, 'Nobody has answered.')
})

test('a list that is wrong ends the export', async () => {
  await assert.rejects(askAll(readerWith({ referrers: fails('too-large', 'The list is too large.') })), {
    code: 'too-large',
  })
})

test('for a digest that is too long for a tag of cosign no tag is asked for', async () => {
  const long = parseDigest(`sha512:${'0'.repeat(128)}`) ?? assert.fail()
  const reader = readerWith({ manifest: fails('denied', 'This is no tag.') })
  const lookup = new ReferrerLookup(reader, repository, { signal })
  assert.deepEqual([await lookup.tagged(long), lookup.problem], [[], undefined])
})

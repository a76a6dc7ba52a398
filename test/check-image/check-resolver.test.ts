import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CheckResolver } from '../../src/check-image/check-resolver.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { CHECK_REPOSITORY } from '../../src/oci/names/check-repository.ts'
import type { Content } from '../../src/ports/content.ts'
import type { Resolver } from '../../src/ports/resolver.ts'

const OPTIONS = { signal: new AbortController().signal }
const OTHER = { registry: 'docker.io', name: 'library/alpine' }

/** A resolver that says which of its methods was called. */
function nextResolver(): { readonly next: Resolver; readonly calls: string[] } {
  const calls: string[] = []
  const next = new Proxy({} as Resolver, {
    get: (_target, name) => async () => {
      calls.push(String(name))
    },
  })
  return { next, calls }
}

async function bytesOf(content: Content): Promise<Uint8Array> {
  const bytes = new Uint8Array(content.size)
  assert.equal(await content.readable(0, OPTIONS), content.size)
  const half = await content.read(bytes.subarray(0, content.size >> 1), 0)
  assert.equal(half + (await content.read(bytes.subarray(half), half)), content.size)
  await content.close()
  return bytes
}

test('every tag is an image of its own, all parts of which can be read', async () => {
  const resolver = new CheckResolver(nextResolver().next)
  const answers = await Promise.all(
    ['one', 'two'].map((tag) => resolver.manifestByTag(CHECK_REPOSITORY, tag, OPTIONS)),
  )
  assert.notEqual(answers[0]?.digest, answers[1]?.digest)
  for (const { digest, mediaType, size, body } of answers) {
    assert.ok(body instanceof Uint8Array)
    assert.equal(digestOf(body), digest)
    assert.equal((await resolver.manifestByDigest(CHECK_REPOSITORY, digest, OPTIONS)).digest, digest)
    assert.equal((await resolver.manifestHead(CHECK_REPOSITORY, digest, OPTIONS)).size, size)
    const parsed = parseManifest(body, mediaType)
    assert.ok(parsed.ok)
    const parts = JSON.parse(Buffer.from(body).toString())
    for (const part of [parts.config, ...parts.layers]) {
      const { content } = await resolver.blob(CHECK_REPOSITORY, part.digest, OPTIONS)
      assert.equal(digestOf(await bytesOf(content)), part.digest)
      assert.equal((await resolver.blobHead(CHECK_REPOSITORY, part.digest, OPTIONS)).size, part.size)
    }
  }
})

test('what the check image does not have is absent, and the registry is not asked', async () => {
  const { next, calls } = nextResolver()
  const resolver = new CheckResolver(next)
  const digest = digestOf(Buffer.from('other'))
  for (const asked of [
    resolver.blob(CHECK_REPOSITORY, digest, OPTIONS),
    resolver.blobHead(CHECK_REPOSITORY, digest, OPTIONS),
    resolver.manifestHead(CHECK_REPOSITORY, digest, OPTIONS),
    resolver.manifestByDigest(CHECK_REPOSITORY, digest, OPTIONS),
    resolver.referrers(CHECK_REPOSITORY, digest, OPTIONS),
  ])
    await assert.rejects(asked, { code: 'absent' })
  assert.deepEqual((await resolver.tags(CHECK_REPOSITORY, OPTIONS)).tags, [])
  assert.equal(await resolver.isPrivate(CHECK_REPOSITORY), false)
  assert.deepEqual(calls, [])
})

test('every other repository is the next resolver’s', async () => {
  const { next, calls } = nextResolver()
  const resolver = new CheckResolver(next)
  const digest = digestOf(Buffer.from('other'))
  await resolver.blob(OTHER, digest, OPTIONS)
  await resolver.blobHead(OTHER, digest, OPTIONS)
  await resolver.manifestHead(OTHER, digest, OPTIONS)
  await resolver.manifestByDigest(OTHER, digest, OPTIONS)
  await resolver.manifestByTag(OTHER, 'v1', OPTIONS)
  await resolver.tags(OTHER, OPTIONS)
  await resolver.referrers(OTHER, digest, OPTIONS)
  await resolver.repositories()
  await resolver.isPrivate({ registry: CHECK_REPOSITORY.registry, name: 'other' })
  assert.deepEqual(calls, [
    'blob',
    'blobHead',
    'manifestHead',
    'manifestByDigest',
    'manifestByTag',
    'tags',
    'referrers',
    'repositories',
    'isPrivate',
  ])
})

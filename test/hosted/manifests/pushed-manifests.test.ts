import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PushedManifests } from '../../../src/hosted/manifests/pushed-manifests.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { keep, readContent } from '../../conformance/blob-steps.ts'
import { folder, opened } from '../../store/folder.ts'
import { NEVER } from '../lab.ts'

test('a small manifest is read once, and counts as used each time; a large one is given as a content', async (t) => {
  const { blobs } = await opened(t, { path: await folder(t) })
  const used: string[] = []
  let opens = 0
  const manifests = new PushedManifests({
    open: (digest) => {
      opens += 1
      return blobs.open(digest)
    },
    touch: (digest) => used.push(digest),
  })
  const body = (digest: Parameters<typeof manifests.body>[0]) =>
    manifests.body(digest, OCI_MANIFEST, { signal: NEVER })
  const small = await keep(blobs, Buffer.from('{"small":true}'))
  assert.deepEqual(await body(small), new Uint8Array(Buffer.from('{"small":true}')))
  assert.deepEqual(await body(small), new Uint8Array(Buffer.from('{"small":true}')))
  assert.deepEqual([opens, used], [1, [small]])

  const large = Buffer.alloc(64 * 1024 + 1, 'x')
  const content = await body(await keep(blobs, large))
  assert.ok(content !== undefined && !(content instanceof Uint8Array))
  assert.deepEqual(await readContent(content), large)
  await content.close()
})

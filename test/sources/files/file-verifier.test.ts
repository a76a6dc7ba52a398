import assert from 'node:assert/strict'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileAt } from '../../../src/sources/files/file-tree.ts'
import { FileVerifier } from '../../../src/sources/files/file-verifier.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { temporaryFolder } from './files.ts'

test('a manifest does not wait until a large layer is hashed', async (t) => {
  const folder = await temporaryFolder(t)
  const verifier = new FileVerifier()
  t.after(() => verifier.close())
  await writeFile(join(folder, 'manifest'), 'small')
  const layer = await open(join(folder, 'layer'), 'w')
  await layer.truncate(2 * 1024 ** 3)
  await layer.close()
  const large = (await fileAt(join(folder, 'layer'))) ?? assert.fail('no layer')
  const small = (await fileAt(join(folder, 'manifest'))) ?? assert.fail('no manifest')
  let isLayerHashed = false
  const verifying = verifier.verify(large, digestOf(Buffer.from('other'))).then(
    () => assert.fail('the layer has other bytes'),
    () => {
      isLayerHashed = true
    },
  )
  await verifier.verify(small, digestOf(Buffer.from('small')))
  assert.equal(isLayerHashed, false)
  await verifier.close()
  await verifying
})

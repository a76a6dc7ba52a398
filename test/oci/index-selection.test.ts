import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePlatforms, selectFromIndex } from '../../src/oci/index-selection.ts'
import type { Descriptor } from '../../src/oci/manifest.ts'
import { platformText } from '../../src/oci/platform.ts'
import { digestOf } from '../../testkit/memory/digests.ts'

function descriptor(name: string, more: Partial<Descriptor> = {}): Descriptor {
  return {
    digest: digestOf(Buffer.from(name)),
    size: 1,
    mediaType: undefined,
    artifactType: undefined,
    platform: undefined,
    annotations: {},
    isForeign: false,
    ...more,
  }
}

function imageFor(architecture: string): Descriptor {
  return descriptor(architecture, { platform: { os: 'linux', architecture, variant: undefined } })
}

function attestationOf(image: Descriptor): Descriptor {
  return descriptor(`attestation of ${image.digest}`, {
    platform: { os: 'unknown', architecture: 'unknown', variant: undefined },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': image.digest,
    },
  })
}

function selection(...platforms: string[]) {
  const parsed = parsePlatforms(platforms, 'all')
  assert.ok(parsed.ok)
  return parsed.value
}

test('the images of the requested platforms are selected, with their attestations', () => {
  const [amd, arm] = [imageFor('amd64'), imageFor('arm64')]
  const [amdAttestation, armAttestation] = [attestationOf(amd), attestationOf(arm)]
  const index = [amd, arm, amdAttestation, armAttestation]
  assert.deepEqual(selectFromIndex(index, selection('linux/arm64')), {
    images: [arm],
    attestations: [armAttestation],
    missing: [],
  })
  assert.deepEqual(selectFromIndex(index, 'all').images, index)
  const { images, missing } = selectFromIndex(index, selection('linux/amd64', 'linux/s390x'))
  assert.deepEqual(images, [amd])
  assert.deepEqual(missing.map(platformText), ['linux/s390x'])
})

test('a manifest without a platform is selected for every platform', () => {
  const plain = descriptor('plain')
  const { images, missing } = selectFromIndex([plain, imageFor('amd64')], selection('linux/s390x'))
  assert.deepEqual([images, missing], [[plain], []])
})

test('an index without images lacks every requested platform', () => {
  for (const index of [[], [attestationOf(imageFor('amd64'))]])
    assert.deepEqual(selectFromIndex(index, selection('linux/amd64')).missing.map(platformText), [
      'linux/amd64',
    ])
})

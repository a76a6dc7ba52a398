import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Descriptor } from '../../../src/oci/manifest.ts'
import { platformText } from '../../../src/oci/platform.ts'
import { choose } from '../../../src/warm/images/choice.ts'
import { parseWanted } from '../../../src/warm/images/order.ts'
import { digestOf } from '../../../testkit/memory/memory-resolver.ts'

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

function on(architecture: string): Descriptor {
  return descriptor(architecture, { platform: { os: 'linux', architecture, variant: undefined } })
}

function attesting(to: Descriptor): Descriptor {
  return descriptor(`about ${to.digest}`, {
    platform: { os: 'unknown', architecture: 'unknown', variant: undefined },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': to.digest,
    },
  })
}

function wanted(...platforms: string[]) {
  const found = parseWanted(platforms)
  assert.ok(found.ok)
  return found.value
}

test('of an index what is wanted is taken, with what attests to it apart', () => {
  const [amd, arm] = [on('amd64'), on('arm64')]
  const [aboutAmd, aboutArm] = [attesting(amd), attesting(arm)]
  const index = [amd, arm, aboutAmd, aboutArm]
  assert.deepEqual(choose(index, wanted('linux/arm64')), {
    taken: [arm],
    attestations: [aboutArm],
    missing: [],
  })
  assert.deepEqual(choose(index, 'all').taken, index)
  const { taken, missing } = choose(index, wanted('linux/amd64', 'linux/s390x'))
  assert.deepEqual(taken, [amd])
  assert.deepEqual(missing.map(platformText), ['linux/s390x'])
})

test('what names no platform may be for any', () => {
  const plain = descriptor('plain')
  const { taken, missing } = choose([plain, on('amd64')], wanted('linux/s390x'))
  assert.deepEqual([taken, missing], [[plain], []])
})

test('an index of attestations alone, or of nothing, has nothing for anybody', () => {
  for (const index of [[], [attesting(on('amd64'))]])
    assert.deepEqual(choose(index, wanted('linux/amd64')).missing.map(platformText), ['linux/amd64'])
})

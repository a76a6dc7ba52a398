import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pushedImages } from '../../../src/copies/notifications/pushed-images.ts'
import { referenceText } from '../../../src/oci/names/reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

function imagesIn(json: unknown): readonly string[] {
  const images = pushedImages(json)
  assert.ok(images.ok, JSON.stringify(images))
  return images.value.map(referenceText)
}

test('a list of images is taken as it is', () => {
  assert.deepEqual(imagesIn({ images: ['alpine:3', `ghcr.io/acme/app:v1@${DIGEST}`] }), [
    'docker.io/library/alpine:3',
    `ghcr.io/acme/app:v1@${DIGEST}`,
  ])
})

test('of the envelope of the distribution registry, pushed tags count', () => {
  const event = (action: string, target: object) => ({
    id: 'x',
    action,
    target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 3, ...target },
    request: { host: 'reg.corp:5000', method: 'PUT' },
    actor: {},
  })
  const events = [
    event('push', { repository: 'team/app', tag: 'v1', digest: DIGEST }),
    event('push', { repository: 'team/app', digest: DIGEST }),
    event('pull', { repository: 'team/app', tag: 'v1', digest: DIGEST }),
    event('delete', { repository: 'team/app', tag: 'v1' }),
  ]
  assert.deepEqual(imagesIn({ events }), [`reg.corp:5000/team/app:v1@${DIGEST}`])
})

test('of Harbor, pushed artifacts count', () => {
  const event = (type: string) => ({
    type,
    occur_at: 1,
    operator: 'admin',
    event_data: {
      resources: [{ digest: DIGEST, tag: 'v1', resource_url: 'harbor.corp/team/app:v1' }],
      repository: { name: 'app', namespace: 'team', repo_full_name: 'team/app', repo_type: 'private' },
    },
  })
  assert.deepEqual(imagesIn(event('PUSH_ARTIFACT')), [`harbor.corp/team/app:v1@${DIGEST}`])
  assert.deepEqual(imagesIn(event('DELETE_ARTIFACT')), [])
})

test('of GitHub packages, published tags count', () => {
  const published = (action: string, name: string) => ({
    action,
    registry_package: {
      name: 'app',
      namespace: 'Acme',
      package_type: 'CONTAINER',
      package_version: {
        version: DIGEST,
        package_url: 'ghcr.io/Acme/app:v1',
        container_metadata: { tag: { name, digest: DIGEST } },
      },
    },
    repository: {},
  })
  assert.deepEqual(imagesIn(published('published', 'v1')), [`ghcr.io/acme/app:v1@${DIGEST}`])
  assert.deepEqual(imagesIn(published('updated', 'v1')), [])
  assert.deepEqual(imagesIn(published('published', '')), [])
  const { registry_package: inside, ...outside } = published('published', 'v1')
  assert.deepEqual(imagesIn({ ...outside, package: inside }), [`ghcr.io/acme/app:v1@${DIGEST}`])
})

test('anything else is refused with a sentence', () => {
  for (const json of [
    undefined,
    null,
    [],
    'x',
    {},
    { images: 'alpine' },
    { images: Array(1001).fill('a') },
  ]) {
    const images = pushedImages(json)
    assert.ok(!images.ok)
    assert.match(images.problem, /^the body is no notification of a registry; send /)
  }
  const wrong = pushedImages({ images: ['A B'] })
  assert.ok(!wrong.ok && wrong.problem.startsWith('the notification names no image: '))
})

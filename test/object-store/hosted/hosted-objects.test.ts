import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '../../../src/oci/digest.ts'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { NEVER } from '../bucket-fixture.ts'
import { APP, blobOf, hostedObjects } from './hosted-lab.ts'

function signatureOf(subject: Digest) {
  const descriptor = { mediaType: OCI_MANIFEST, digest: subject, size: 7 }
  const config = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: digestOf(Buffer.from('{}')),
    size: 2,
  }
  return { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [], subject: descriptor }
}

const DAY_MS = 24 * 60 * 60 * 1000
const FOLDER = 'docker/registry/v2/repositories/localhost/team/app'
const CURRENT = `${FOLDER}/_manifests/tags/v1/current/link`

test('a tag that another agent moves at the same time is moved again, and ends at the last push', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  const [mine, other] = [await addManifest('mine'), await addManifest('other')]
  const conditions: unknown[] = []
  fake.faultOf = ({ method, key, headers }) => {
    if (method !== 'PUT' || key !== CURRENT) return undefined
    conditions.push(headers['if-none-match'] ?? headers['if-match'])
    // The other agent is faster twice: once it makes the tag, and once it moves it.
    if (conditions.length <= 2)
      fake.objects.put(CURRENT, Buffer.from(conditions.length === 1 ? other : `${other}\n`))
    return undefined
  }
  await objects.setTag(APP, 'v1', mine, NEVER)
  assert.equal(await objects.tag(APP, 'v1', NEVER), mine)
  assert.equal(conditions.length, 3)
  assert.equal(conditions[0], '*')
  assert.notEqual(conditions[1], conditions[2])
})

test('a tag is set where the server knows no conditional writes', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  fake.knowsConditions = false
  const [one, two] = [await addManifest('one'), await addManifest('two')]
  await objects.setTag(APP, 'v1', one, NEVER)
  await objects.setTag(APP, 'v1', two, NEVER)
  assert.equal(await objects.tag(APP, 'v1', NEVER), two)
  assert.equal(await objects.removeTag(APP, 'v1', NEVER), true)
  assert.equal(await objects.tag(APP, 'v1', NEVER), undefined)
})

test('a tag that moves for ever gives the push up', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  const manifest = await addManifest('one')
  let moves = 0
  fake.faultOf = ({ method, key }) => {
    if (method === 'PUT' && key === CURRENT)
      fake.objects.put(CURRENT, Buffer.from(digestOf(Buffer.from(`${moves++}`))))
    return undefined
  }
  await assert.rejects(objects.setTag(APP, 'v1', manifest, NEVER), { code: 'busy' })
})

test('a removed manifest takes the tags with it that refer to it then, and no other', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  const [one, two] = [await addManifest('one'), await addManifest('two')]
  for (const tag of ['v1', 'v2', 'v3']) await objects.setTag(APP, tag, one, NEVER)
  await objects.setTag(APP, 'v2', two, NEVER)
  // Another agent moves v3 between the look at it and its removal.
  fake.faultOf = ({ method, key }) => {
    if (method === 'DELETE' && key.endsWith('tags/v3/current/link')) fake.objects.put(key, Buffer.from(two))
    return undefined
  }
  const content = { repository: APP, kind: 'manifest', digest: one } as const
  assert.equal(await objects.remove(content, NEVER), true)
  assert.deepEqual(await objects.tags(APP, NEVER), ['v2', 'v3'])
  assert.equal(await objects.presence(content, NEVER), 'absent')
  assert.equal(await objects.remove(content, NEVER), false)
  const left = fake.objects.keys().filter((key) => key.includes('/tags/v1/'))
  assert.deepEqual(left, [])
})

test('a removal of a manifest that was interrupted is finished by the next one', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  const subject = await addManifest('subject')
  const bytes = Buffer.from(JSON.stringify(signatureOf(subject)))
  const digest = digestOf(bytes)
  const content = { repository: APP, kind: 'manifest', digest } as const
  for (const rest of ['/tags/v1/', '/_referrers/']) {
    await objects.addManifest(APP, { digest, bytes, subject }, NEVER)
    await objects.setTag(APP, 'v1', digest, NEVER)
    fake.faultOf = ({ method, key }) =>
      method === 'DELETE' && key.includes(rest)
        ? { kind: 'error', status: 403, code: 'AccessDenied' }
        : undefined
    await assert.rejects(objects.remove(content, NEVER), { code: 'denied' })
    fake.faultOf = () => undefined
    assert.equal(await objects.remove(content, NEVER), true, rest)
    assert.deepEqual(await objects.tags(APP, NEVER), [])
    assert.deepEqual(await objects.referrers(APP, subject, NEVER), [])
    assert.equal(await objects.remove(content, NEVER), false)
  }
  // An agent of an earlier version removed the link first.
  await objects.addManifest(APP, { digest, bytes, subject: undefined }, NEVER)
  await objects.setTag(APP, 'v1', digest, NEVER)
  const link = fake.objects.keys().find((key) => key.includes(`revisions/sha256/${digest.slice(7)}`))
  fake.objects.delete(link ?? assert.fail())
  assert.equal(await objects.remove(content, NEVER), true)
  assert.deepEqual(await objects.tags(APP, NEVER), [])
})

test('the link of a manifest that is removed while a tag is set to it is written again', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  const digest = await addManifest('one')
  const link = fake.objects.keys().find((key) => key.includes('revisions')) ?? assert.fail()
  fake.faultOf = ({ method, key }) => {
    if (method === 'PUT' && key === CURRENT) fake.objects.delete(link)
    return undefined
  }
  await objects.setTag(APP, 'v1', digest, NEVER)
  assert.equal(fake.objects.get(link)?.bytes.toString(), digest)
})

test('a content is present with its link and its bytes, and an old link is made young', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  const digest = await addManifest('one')
  const content = { repository: APP, kind: 'manifest', digest } as const
  assert.equal(await objects.presence(content, NEVER), 'present')
  assert.equal(await objects.presence({ ...content, kind: 'blob' }, NEVER), 'absent')
  const link = fake.objects.keys().find((key) => key.includes('revisions')) ?? assert.fail()
  const old = Date.now() - 2 * DAY_MS
  const age = (): void => void fake.objects.put(link, Buffer.from(digest), old)
  age()
  // An agent that may only read leaves it as it is.
  fake.faultOf = ({ method }) =>
    method === 'PUT' ? { kind: 'error', status: 403, code: 'AccessDenied' } : undefined
  assert.equal(await objects.presence(content, NEVER), 'present')
  fake.faultOf = () => undefined
  assert.equal(await objects.presence(content, NEVER), 'renewed')
  assert.ok((fake.objects.get(link)?.modifiedAt ?? 0) > old)
  fake.objects.delete(fake.objects.keys().find((key) => key.endsWith('/data')) ?? assert.fail())
  assert.equal(await objects.presence(content, NEVER), 'absent')
})

test('a blob whose old bytes cannot be made young is sent again, and one without bytes is not mounted', async (t) => {
  const { fake, objects } = await hostedObjects(t)
  const blob = blobOf(Buffer.from('blob'))
  await objects.addBlob(APP, blob, NEVER)
  const data = fake.objects.keys().find((key) => key.endsWith('/data')) ?? assert.fail()
  const old = Date.now() - 2 * DAY_MS
  fake.objects.put(data, Buffer.from('blob'), old)
  fake.faultOf = ({ headers }) => {
    if (headers['x-amz-copy-source'] === undefined) return undefined
    fake.objects.delete(data)
    return undefined
  }
  await objects.addBlob(APP, blobOf(Buffer.from('blob')), NEVER)
  assert.equal(fake.objects.get(data)?.bytes.toString(), 'blob')
  const other = { registry: 'localhost', name: 'team/other' }
  assert.equal(await objects.mountBlob(other, blob.digest, NEVER), true)
  assert.equal(await objects.mountBlob(other, digestOf(Buffer.from('none')), NEVER), false)
})

test('a repository that has something is told from one that has nothing', async (t) => {
  const { objects, addManifest } = await hostedObjects(t)
  assert.equal(await objects.tags(APP, NEVER), undefined)
  await addManifest('one')
  assert.deepEqual(await objects.tags(APP, NEVER), [])
})

test('only repositories of wanted registries are listed, and other registries are not looked through', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t)
  for (const repository of [
    APP,
    { registry: 'localhost', name: 'team' },
    { registry: 'reg.corp:5000', name: 'team/app' },
    { registry: 'docker.io', name: 'library/alpine' },
  ])
    await addManifest('one', repository)
  fake.requests.length = 0
  const wanted = (registry: string): boolean => registry === 'localhost' || registry === 'reg.corp:5000'
  const found = await objects.repositories(wanted, NEVER)
  assert.deepEqual(found.map(({ registry, name }) => `${registry} ${name}`).sort(), [
    'localhost team',
    'localhost team/app',
    'reg.corp:5000 team/app',
  ])
  assert.ok(fake.requests.every(({ query }) => !query.includes('docker.io')))
})

test('a bucket of one registry has its repositories without a name of a registry', async (t) => {
  const { fake, objects, addManifest } = await hostedObjects(t, { registry: 'localhost' })
  await addManifest('one')
  assert.ok(fake.objects.keys().some((key) => key.includes('/repositories/team/app/_manifests/')))
  const found = await objects.repositories(() => true, NEVER)
  assert.deepEqual(found, [APP])
  const other = { registry: 'reg.corp', name: 'app' }
  await assert.rejects(addManifest('one', other), /cannot have repositories of reg.corp/)
})

test('a bucket that does not answer in time is paused after five questions', async (t) => {
  const { fake, objects, source } = await hostedObjects(t, { answerMs: 20 })
  fake.faultOf = () => ({ kind: 'silent' })
  for (let i = 0; i < 5; i += 1) await assert.rejects(objects.tag(APP, 'v1', NEVER), { code: 'stalled' })
  await assert.rejects(objects.tag(APP, 'v1', NEVER), { code: 'busy' })
  assert.equal(source.state.circuit.state, 'open')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pushImage, sampleImage, startHostedServer } from '../hosted-server.ts'
import { ALPINE, requestHttp1, startTestServer } from '../test-server.ts'

test('the catalog lists allowed repositories under names that clients can request, in pages', async (t) => {
  const { port, resolver } = await startTestServer(t, { allow: ['docker.io/**', 'localhost:5000/**'] })
  resolver.putBlob({ registry: 'localhost:5000', name: 'app' }, Buffer.from('x'))
  resolver.putBlob(ALPINE, Buffer.from('y'))
  resolver.putBlob({ registry: 'ghcr.io', name: 'hidden/app' }, Buffer.from('z'))
  const all = await requestHttp1(port, '/v2/_catalog')
  assert.deepEqual(JSON.parse(all.body.toString()), {
    repositories: ['docker.io/library/alpine', 'localhost__5000/app'],
  })
  const first = await requestHttp1(port, '/v2/_catalog?n=1')
  assert.deepEqual(JSON.parse(first.body.toString()), { repositories: ['docker.io/library/alpine'] })
  assert.equal(first.headers['link'], '</v2/_catalog?n=1&last=docker.io%2Flibrary%2Falpine>; rel="next"')
  const rest = await requestHttp1(port, '/v2/_catalog?n=1&last=docker.io%2Flibrary%2Falpine')
  assert.deepEqual(JSON.parse(rest.body.toString()), { repositories: ['localhost__5000/app'] })
  assert.equal(rest.headers['link'], undefined)
})

test('the catalog calls a repository of the agent itself as it is pushed', async (t) => {
  const { port } = await startHostedServer(t)
  await pushImage(port, 'team/app', 'v1', sampleImage())
  const { body } = await requestHttp1(port, '/v2/_catalog')
  assert.deepEqual(JSON.parse(body.toString()).repositories, ['team/app'])
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createUpstreams } from '../../../src/upstream/upstreams.ts'
import { open } from '../opened.ts'

const { signal } = new AbortController()

test('tags are read from all pages and returned in ASCII order', async (t) => {
  const { server, upstreams, repository } = await open(t)
  const { manifest } = server.addImage('team/app', 'latest')
  const names = Array.from({ length: 2500 }, (_, i) => `v${i}`)
  for (const name of [...names, 'A', '_x']) server.addTag('team/app', name, manifest)
  server.addTag('team/app', 'not/a tag', manifest)
  const expected = [...names, 'A', '_x', 'latest'].sort()
  assert.deepEqual(await upstreams.tags(repository, { signal }), expected)
  assert.equal(server.requests.length, 3)
})

test('an invalid list of tags is a failure; null is an empty list', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.fault('tags/list', { status: 200, body: '{"tags": null}', times: 1 })
  assert.deepEqual(await upstreams.tags(repository, { signal }), [])
  for (const body of ['<html>', '{"tags": "a"}', '']) {
    server.heal()
    server.fault('tags/list', { status: 200, body })
    await assert.rejects(upstreams.tags(repository, { signal }), { code: 'unavailable' })
  }
})

test('a list of tags with too many pages is a failure', async (t) => {
  const { server, upstreams, repository } = await open(t)
  server.addImage('team/app', 'v1')
  let page = 0
  const endless = createServer((_, res) => {
    page += 1
    res.setHeader('link', `</v2/team/app/tags/list?page=${page}>; rel="next"`)
    res.end('{"tags": ["a"]}')
  }).listen(0, '127.0.0.1')
  await once(endless, 'listening')
  t.after(() => endless.close())
  const host = `127.0.0.1:${(endless.address() as AddressInfo).port}`
  const others = createUpstreams({ entries: [{ namespace: host, tls: false }] })
  t.after(() => others.close())
  await assert.rejects(others.tags({ ...repository, registry: host }, { signal }), { code: 'too-large' })
  assert.equal(page, 200)
  await upstreams.tags(repository, { signal })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Events, subscribe } from '../../src/observe/events.ts'
import type { RedirectedRequest } from '../../src/ports/redirects/redirected-host.ts'
import { ConfiguredHost } from '../../src/redirects/redirected-host.ts'

const PARTS = { userAgent: 'leat/test', proxies: undefined }
const TO = 'https://us-docker.pkg.dev/v2/project/repo/'
const HOST = 'images.example.dev'

function request(host: ConfiguredHost, name: string): RedirectedRequest {
  const repository = host.repositoryOf(name)
  assert.ok(repository !== undefined)
  const sender = { address: '127.0.0.1', forwardedFor: undefined, forwarded: undefined }
  return { repository, wanted: { kind: 'manifest', reference: 'v1' }, query: '', isGet: true, sender }
}

test('with mode redirect the client is sent to the registry, which is told as an event', async (t) => {
  const host = new ConfiguredHost({ host: HOST, to: TO }, PARTS)
  const told: Events['redirect.answered'][] = []
  t.after(subscribe('redirect.answered', (event) => told.push(event)))
  const location = await host.locate(request(host, 'app'))
  assert.equal(location, `${TO}app/manifests/v1`)
  assert.deepEqual(told, [
    {
      host: HOST,
      target: 'upstream',
      kind: 'manifest',
      repository: { registry: 'us-docker.pkg.dev', name: 'project/repo/app' },
    },
  ])
})

test('with mode serve the agent answers itself', async () => {
  const host = new ConfiguredHost({ host: HOST, to: TO, mode: 'serve' }, PARTS)
  assert.equal(await host.locate(request(host, 'app')), undefined)
  assert.match(host.page(undefined).html, /<td>app<\/td><td>1<\/td>/)
})

test('the page counts manifests that are sent for, and not questions for their headers', async () => {
  const host = new ConfiguredHost({ host: HOST, to: TO }, PARTS)
  await host.locate({ ...request(host, 'asked'), isGet: false })
  await host.locate(request(host, 'pulled'))
  const { html } = host.page(HOST)
  assert.match(html, /<td>pulled<\/td><td>1<\/td>/)
  assert.ok(!html.includes('asked'))
})

test('the page shows the configured host, with the port that the client has used', () => {
  const one = new ConfiguredHost({ host: HOST, to: TO }, PARTS)
  assert.match(one.page(`${HOST.toUpperCase()}:5000`).html, /docker pull images\.example\.dev:5000\/NAME:TAG/)
  assert.match(one.page('10.0.0.7:5000').html, /docker pull images\.example\.dev\/NAME:TAG/)
  const any = new ConfiguredHost({ host: '*', to: TO }, PARTS)
  assert.match(any.page('10.0.0.7:5000').html, /docker pull 10\.0\.0\.7:5000\/NAME:TAG/)
  assert.match(any.page("x'(y)").html, /docker pull HOST\/NAME:TAG/)
})

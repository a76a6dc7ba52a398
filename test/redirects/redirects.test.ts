import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfiguredRedirects } from '../../src/redirects/redirects.ts'

const PARTS = { userAgent: 'leat/test', proxies: undefined }
const TO = 'https://us-docker.pkg.dev/v2/project/repo/'
const OTHER = 'https://ghcr.io/v2/acme/'

function registryOf(redirects: ConfiguredRedirects, host: string | undefined, ns?: string) {
  return redirects.find({ host, ns })?.repositoryOf('app')?.registry
}

test('a host is found whatever its case and port, and with a final dot', () => {
  const redirects = new ConfiguredRedirects([{ host: 'images.example.dev', to: TO }], PARTS)
  for (const host of [
    'images.example.dev',
    'IMAGES.Example.dev:443',
    'images.example.dev.',
    'images.example.dev.:80',
    'images.example.dev:',
  ])
    assert.equal(registryOf(redirects, host), 'us-docker.pkg.dev', host)
  for (const host of [
    undefined,
    '',
    'example.dev',
    'x.images.example.dev',
    'images.example.dev..',
    'images.example.devx',
    'images%2eexample.dev',
  ])
    assert.equal(registryOf(redirects, host), undefined, host)
})

test('a request whose ns names another registry is one to a mirror', () => {
  const redirects = new ConfiguredRedirects([{ host: 'images.example.dev', to: TO }], PARTS)
  assert.equal(registryOf(redirects, 'images.example.dev', 'docker.io'), undefined)
  assert.equal(registryOf(redirects, 'images.example.dev', 'x y'), undefined)
  assert.equal(
    registryOf(redirects, 'images.example.dev:5000', 'images.example.dev:5000'),
    'us-docker.pkg.dev',
  )
  assert.equal(registryOf(redirects, 'images.example.dev', ''), 'us-docker.pkg.dev')
})

test('the entry for every host is for those that no other entry has', () => {
  const redirects = new ConfiguredRedirects(
    [
      { host: '*', to: TO },
      { host: 'images.example.dev', to: OTHER },
    ],
    PARTS,
  )
  assert.equal(registryOf(redirects, 'images.example.dev'), 'ghcr.io')
  assert.equal(registryOf(redirects, '10.0.0.7:8080'), 'us-docker.pkg.dev')
  assert.equal(registryOf(redirects, undefined), 'us-docker.pkg.dev')
})

test('a URL that is none of a registry stops the construction', () => {
  assert.throws(
    () => new ConfiguredRedirects([{ host: 'x', to: 'http://x/v2/' }], PARTS),
    /is no https URL with \/v2\//,
  )
})

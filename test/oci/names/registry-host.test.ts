import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameOnRegistry, parseRegistryHost, registryInPath } from '../../../src/oci/names/registry-host.ts'

test('a registry has one name, whatever name a client uses', () => {
  const table: Record<string, string> = {
    'docker.io': 'docker.io',
    'index.docker.io': 'docker.io',
    'registry-1.docker.io': 'docker.io',
    'GHCR.io': 'ghcr.io',
    localhost: 'localhost',
    'localhost:5000': 'localhost:5000',
    localhost__5000: 'localhost:5000',
    'my-reg.example.com:8443': 'my-reg.example.com:8443',
    '[::1]:5000': '[::1]:5000',
    '[fe80::1]': '[fe80::1]',
    '10.0.0.1:5000': '10.0.0.1:5000',
  }
  for (const [text, host] of Object.entries(table)) assert.equal(parseRegistryHost(text), host, text)
})

test('a text that is not a host is refused', () => {
  for (const text of [
    '',
    ':5000',
    'a:',
    'a:0',
    'a:65536',
    'a:b',
    'a/b',
    'a b',
    '-a',
    'a-',
    'a..b',
    '.',
    '::1',
    'a@b',
    'a\r\nb',
    'http://a',
    'a'.repeat(300),
  ]) {
    assert.equal(parseRegistryHost(text), undefined, text)
  }
})

test('a port that is written into a path is parsed back', () => {
  assert.equal(registryInPath('localhost:5000'), 'localhost__5000')
  assert.equal(parseRegistryHost(registryInPath('localhost:5000')), 'localhost:5000')
  assert.equal(registryInPath('ghcr.io'), 'ghcr.io')
})

test('only names of one part on Docker Hub are under library', () => {
  assert.equal(nameOnRegistry('docker.io', 'alpine'), 'library/alpine')
  assert.equal(nameOnRegistry('docker.io', 'acme/app'), 'acme/app')
  assert.equal(nameOnRegistry('ghcr.io', 'app'), 'app')
})

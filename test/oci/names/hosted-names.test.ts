import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HostedNames } from '../../../src/oci/names/hosted-names.ts'
import { repositoryKey } from '../../../src/oci/names/repository.ts'

const PATTERNS = ['team/**', 'registry.corp.example/**', '*.apps.example/web/*', 'solo']

function find(name: string, host: string | undefined, ns?: string): string | undefined {
  const found = new HostedNames(PATTERNS).find({ name, ns, host })
  return found && repositoryKey(found)
}

test('a name without a registry is hosted by this agent, at whatever address it is asked', () => {
  assert.equal(find('team/app', '127.0.0.1:5050'), 'localhost/team/app')
  assert.equal(find('team/app/web', 'node7:5050'), 'localhost/team/app/web')
  assert.equal(find('team/app', undefined), 'localhost/team/app')
  assert.equal(find('solo', 'localhost:5050'), 'localhost/solo')
  assert.equal(find('other/app', '127.0.0.1:5050'), undefined)
  assert.equal(find('team', '127.0.0.1:5050'), undefined)
})

test('a name is hosted for the host that the client has asked', () => {
  assert.equal(find('app', 'registry.corp.example'), 'registry.corp.example/app')
  assert.equal(find('app', 'Registry.Corp.Example:443'), 'registry.corp.example/app')
  assert.equal(find('web/a', 'eu.apps.example'), 'eu.apps.example/web/a')
  assert.equal(find('web/a/b', 'eu.apps.example'), undefined)
  assert.equal(find('app', 'evil.example'), undefined)
})

test('a client that names another registry never gets an image of this agent', () => {
  assert.equal(find('team/app', '127.0.0.1:5050', 'docker.io'), undefined)
  assert.equal(find('team/app', '127.0.0.1:5050', 'ghcr.io'), undefined)
  assert.equal(find('team/app', '127.0.0.1:5050', '127.0.0.1:5000'), undefined)
  assert.equal(find('team/app', undefined, 'localhost'), undefined)
})

test('containerd may name this agent as the registry', () => {
  assert.equal(find('team/app', '127.0.0.1:5050', '127.0.0.1:5050'), 'localhost/team/app')
  assert.equal(find('team/app', '127.0.0.1:5050', 'localhost:5050'), 'localhost/team/app')
  assert.equal(find('team/app', 'node7:5050', 'node7:5050'), 'localhost/team/app')
})

test('patterns decide about repositories that a request has named in full', () => {
  const names = new HostedNames(PATTERNS)
  assert.equal(names.isHosted({ registry: 'localhost', name: 'team/app' }), true)
  assert.equal(names.isHosted({ registry: 'docker.io', name: 'team/app' }), false)
  assert.equal(names.isHosted({ registry: 'registry.corp.example', name: 'a/b' }), true)
  assert.equal(names.isHosted({ registry: 'registry.corp.example:5000', name: 'a/b' }), false)
  assert.equal(new HostedNames([]).isHosted({ registry: 'localhost', name: 'a' }), false)
})

test('a name that no repository can have is not hosted', () => {
  assert.equal(find('team/../app', '127.0.0.1:5050'), undefined)
  assert.equal(find('team/UPPER', '127.0.0.1:5050'), undefined)
  assert.equal(find(`team/${'a'.repeat(250)}`, '127.0.0.1:5050'), undefined)
})

test('the registries are known of which there may be hosted repositories', () => {
  const names = new HostedNames([...PATTERNS, 'reg.corp:5000/app'])
  for (const registry of ['localhost', 'registry.corp.example', 'eu.apps.example', 'reg.corp:5000'])
    assert.equal(names.hasRegistry(registry), true, registry)
  for (const registry of ['docker.io', 'apps.example', 'reg.corp', ''])
    assert.equal(names.hasRegistry(registry), false, registry)
})

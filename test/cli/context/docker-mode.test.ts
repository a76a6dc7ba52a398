import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dockerSource, withRegistryVariables } from '../../../src/cli/context/docker-mode.ts'

const REGISTRY = {
  REGISTRY_LISTEN_ADDR: ':8080',
  REGISTRY_CERT_PATH: '/tls.crt',
  REGISTRY_KEY_PATH: '/tls.key',
}

function envOf(flags: Record<string, string>, env: Record<string, string>) {
  return withRegistryVariables({ flags, env, defaultFile: '/none' }).env
}

test('with --docker, listener and certificate may be given as a registry in front of Docker takes them', () => {
  const env = envOf({ docker: 'true' }, REGISTRY)
  assert.deepEqual(
    [env['LEAT_LISTEN'], env['LEAT_TLS_CERT'], env['LEAT_TLS_KEY']],
    ['0.0.0.0:8080', '/tls.crt', '/tls.key'],
  )
  assert.equal(envOf({}, { ...REGISTRY, LEAT_DOCKER: 'true' })['LEAT_LISTEN'], '0.0.0.0:8080')
})

test('Leat’s own flags and variables win, and without --docker nothing changes', () => {
  assert.equal(envOf({ docker: 'true', listen: 'x' }, REGISTRY)['LEAT_LISTEN'], undefined)
  assert.equal(envOf({ docker: 'true' }, { ...REGISTRY, LEAT_LISTEN: 'x' })['LEAT_LISTEN'], 'x')
  assert.equal(envOf({}, REGISTRY)['LEAT_LISTEN'], undefined)
})

test('prefixes are separated by spaces', () => {
  assert.deepEqual(dockerSource({ REGISTRY_PREFIXES: ' acme/  mine ' }).prefixes, ['acme/', 'mine'])
  assert.deepEqual(dockerSource({}).prefixes, [])
})

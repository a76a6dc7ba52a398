import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FileProblem } from '../../../src/lib/watched-file.ts'
import { findInDockerConfig, parseDockerConfig } from '../../../src/upstream/auth/docker-config.ts'

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') })
const find = (config: object, host: string, name = 'team/app') =>
  findInDockerConfig(parseDockerConfig(JSON.stringify(config), 'config.json'), host, name)
const basic = (username: string, password: string) => ({ credential: { kind: 'basic', username, password } })

test('the credential of a host is found under every spelling of the key', () => {
  for (const key of ['r.example', 'https://r.example', 'https://r.example/v2/', 'http://R.example/v1/']) {
    assert.deepEqual(find({ auths: { [key]: auth('u:p:q') } }, 'r.example'), basic('u', 'p:q'))
  }
  assert.equal(find({ auths: { 'r.example:5000': auth('u:p') } }, 'r.example'), undefined)
})

test('the credential of Docker Hub is found under its old name', () => {
  const config = { auths: { 'https://index.docker.io/v1/': auth('u:p') } }
  assert.deepEqual(find(config, 'registry-1.docker.io'), basic('u', 'p'))
})

test('the most specific key wins', () => {
  const config = { auths: { 'r.io': auth('a:1'), 'r.io/team': auth('b:2'), 'r.io/team/app2': auth('c:3') } }
  assert.deepEqual(find(config, 'r.io', 'team/app'), basic('b', '2'))
  assert.deepEqual(find(config, 'r.io', 'team/app2'), basic('c', '3'))
  assert.deepEqual(find(config, 'r.io', 'other'), basic('a', '1'))
})

test('the helper of a host wins over auths, and auths over the credential store', () => {
  const all = { credHelpers: { 'r.io': 'own' }, auths: { 'r.io': auth('u:p') }, credsStore: 'store' }
  assert.deepEqual(find(all, 'r.io'), { helper: 'own', server: 'r.io' })
  assert.deepEqual(find({ ...all, credHelpers: {} }, 'r.io'), basic('u', 'p'))
  assert.deepEqual(find({ ...all, credHelpers: {}, auths: { 'r.io': {} } }, 'r.io'), {
    helper: 'store',
    server: 'r.io',
  })
  assert.deepEqual(find({ credsStore: 'store' }, 'docker.io'), {
    helper: 'store',
    server: 'https://index.docker.io/v1/',
  })
  assert.equal(find({}, 'r.io'), undefined)
})

test('identity tokens are distinguished from passwords', () => {
  const identity = { credential: { kind: 'identity', username: '', token: 't' } }
  assert.deepEqual(find({ auths: { 'r.io': auth('<token>:t') } }, 'r.io'), identity)
  assert.deepEqual(find({ auths: { 'r.io': { identitytoken: 't' } } }, 'r.io'), identity)
})

test('an invalid file is a problem whose message does not quote the file', () => {
  for (const text of ['{"auths": {"r.io": "SECRET"}}', '{SECRET', '"SECRET"']) {
    assert.throws(
      () => parseDockerConfig(text, '/etc/x.json'),
      (error) =>
        error instanceof FileProblem && /x\.json/.test(error.message) && !/SECRET/.test(error.message),
    )
  }
})

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readDockerHost } from '../../../src/sources/docker/docker-host.ts'
import { temporaryFolder } from '../files/files.ts'

test('without variables Docker is at its socket', async () => {
  const host = await readDockerHost('env', {})
  assert.deepEqual(
    [host.socketPath, host.tls, host.apiVersion],
    ['/var/run/docker.sock', undefined, undefined],
  )
})

test('the variables of Docker’s client are understood', async (t) => {
  const folder = await temporaryFolder(t)
  for (const name of ['ca', 'cert', 'key']) await writeFile(join(folder, `${name}.pem`), name)
  const host = await readDockerHost('env', {
    DOCKER_HOST: 'tcp://build.test:2376',
    DOCKER_API_VERSION: 'v1.41',
    DOCKER_CERT_PATH: folder,
    DOCKER_TLS_VERIFY: '1',
  })
  assert.deepEqual(
    [host.origin, host.apiVersion, host.tls?.isVerified],
    ['https://build.test:2376', '1.41', true],
  )
  assert.equal(host.tls?.ca.toString(), 'ca')
})

test('a host in the settings goes before DOCKER_HOST', async () => {
  const host = await readDockerHost('unix:///run/other.sock', { DOCKER_HOST: 'tcp://build.test:2375' })
  assert.equal(host.socketPath, '/run/other.sock')
})

for (const [given, env, message] of [
  [
    'env',
    { DOCKER_HOST: 'ssh://me@build.test' },
    /^ssh:\/\/me@build\.test is not a Docker host; write unix:/,
  ],
  ['env', { DOCKER_API_VERSION: 'new' }, /^DOCKER_API_VERSION is new; write a version such as 1\.43\.$/],
  [
    'tcp://a.test:1',
    { DOCKER_CERT_PATH: '/nowhere' },
    /certificate of Docker's client cannot be read: .*\/nowhere\/ca\.pem/,
  ],
] as const) {
  test(`${given} with ${JSON.stringify(env)} is refused with a sentence`, async () => {
    await assert.rejects(readDockerHost(given, env), { message })
  })
}

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { freePort } from '../../../testkit/daemon.ts'
import { requirePrograms, requireRoot } from '../../../testkit/programs.ts'
import { buildImage } from '../../../testkit/registries/image.ts'
import { startServing } from '../../cli/agent-process.ts'
import { DockerDaemon } from './docker-daemon.ts'

test('agent serve --docker serves a remote daemon over TLS, with the variables of other tools', async (t) => {
  const programs = requirePrograms(t, ['dockerd', 'docker', 'containerd', 'skopeo'])
  if (programs === undefined || !requireRoot(t)) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const certificates = makeCertificates(['127.0.0.1'])
  const certs = join(folder, 'certs')
  await mkdir(certs)
  for (const name of ['ca', 'cert', 'key'] as const) {
    await writeFile(join(certs, `${name}.pem`), certificates[name], { mode: 0o600 })
  }
  const port = await freePort()
  const daemon = await DockerDaemon.start(t, programs, join(folder, 'docker'), [
    ...['--host', `tcp://127.0.0.1:${port}`, '--tlsverify'],
    ...['--tlscacert', join(certs, 'ca.pem')],
    ...['--tlscert', join(certs, 'cert.pem'), '--tlskey', join(certs, 'key.pem')],
  ])
  await daemon.load('acme/app:v1', buildImage('remote'))
  await daemon.load('other/app:v1', buildImage('another'))
  const agent = await startServing(['--docker', '--data', join(folder, 'data')], {
    DOCKER_HOST: `tcp://127.0.0.1:${port}`,
    DOCKER_CERT_PATH: certs,
    DOCKER_TLS_VERIFY: '1',
    REGISTRY_PREFIXES: 'acme/ mine/',
  })
  addCleanup(t, () => agent.kill())
  const statusOf = async (name: string) =>
    (await fetch(`http://${agent.registry}/v2/${name}/manifests/v1`, { method: 'HEAD' })).status
  assert.equal(await statusOf('acme/app'), 200)
  assert.equal(await statusOf('other/app'), 404, 'its name has no such prefix')
  assert.equal(await statusOf('acme/none'), 404, 'Docker does not have it')
})

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { pullByCri, removeByCri } from '../../runtimes/cri-client.ts'
import { PODMAN_FLAGS, setUpPodman, startContainerd } from './host-runtimes.ts'
import { assertPulledThroughAgent, REF, runRuntimeCommand, startInstallLab } from './install-lab.ts'

/** An agent with TLS, and the flags of an install with the right certificate authority and with a wrong one. */
async function startTlsLab(t: TestContext, names: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const { ca, cert, key } = makeCertificates(['127.0.0.1'])
  const files = { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca, 'other.crt': makeCertificates().ca }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const at = (name: string) => join(folder, name)
  const lab = await startInstallLab(t, names, `tlsCert: ${at('tls.crt')}\ntlsKey: ${at('tls.key')}\n`)
  const flags = (name: string) => ['--tls-cert', at('tls.crt'), '--ca-file', at(name)]
  return lab === undefined ? undefined : { lab, right: flags('ca.crt'), wrong: flags('other.crt') }
}

test('containerd pulls over TLS from an agent whose certificate authority was given to install', async (t) => {
  const started = await startTlsLab(t, ['containerd'])
  if (started === undefined) return
  const { lab, right, wrong } = started
  const { host, socket } = await startContainerd(t, lab, (fresh) =>
    runRuntimeCommand('install', fresh, lab.agent.address, '--write-config', ...wrong),
  )
  await assert.rejects(pullByCri(socket, REF), 'the certificate is signed by another authority')
  assert.doesNotMatch(await runRuntimeCommand('install', host, lab.agent.address, ...right), /now: /)
  await assertPulledThroughAgent(lab, () => pullByCri(socket, REF))
  await removeByCri(socket, REF)
})

test('podman pulls over TLS from an agent whose certificate authority was given to install', async (t) => {
  const started = await startTlsLab(t, ['podman'])
  if (started === undefined) return
  const { lab, right, wrong } = started
  const { host, before, podman } = await setUpPodman(t, lab)
  await runRuntimeCommand('install', host, lab.agent.address, ...PODMAN_FLAGS, ...wrong)
  await assert.rejects(podman('pull', '--quiet', REF), 'the certificate is signed by another authority')
  await runRuntimeCommand('install', host, lab.agent.address, ...PODMAN_FLAGS, ...right)
  await assertPulledThroughAgent(lab, () => podman('pull', '--quiet', REF))
  await podman('rmi', '--all', '--force')
  await runRuntimeCommand('uninstall', host, lab.agent.address)
  assert.deepEqual(await host.snapshot(), before)
})

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificates } from '../../../testkit/certificates.ts'
import { pullByCri, removeByCri } from '../../runtimes/cri-client.ts'
import { FOR_PODMAN, setUpPodman, startContainerd } from './host-runtimes.ts'
import { assertPulledThroughAgent, REF, runtime, startLab } from './install-lab.ts'

/** An agent that speaks TLS, and what an install is told of it: truly, and so that its certificate is nobody's. */
async function startTlsLab(t: TestContext, names: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'leat-tls-'))
  t.after(() => rm(folder, { recursive: true }))
  const { ca, cert, key } = makeCertificates(['127.0.0.1'])
  const files = { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca, 'other.crt': makeCertificates().ca }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const at = (name: string) => join(folder, name)
  const lab = await startLab(t, names, `tlsCert: ${at('tls.crt')}\ntlsKey: ${at('tls.key')}\n`)
  const told = (name: string) => ['--tls-cert', at('tls.crt'), '--ca-file', at(name)]
  return lab === undefined ? undefined : { lab, right: told('ca.crt'), wrong: told('other.crt') }
}

test('containerd pulls over TLS from an agent whose certificate is signed by whom install has named', async (t) => {
  const started = await startTlsLab(t, ['containerd'])
  if (started === undefined) return
  const { lab, right, wrong } = started
  const { host, socket } = await startContainerd(t, lab, (fresh) =>
    runtime('install', fresh, lab.agent.address, '--write-config', ...wrong),
  )
  await assert.rejects(pullByCri(socket, REF), 'signed by somebody else')
  assert.doesNotMatch(await runtime('install', host, lab.agent.address, ...right), /now: /)
  await assertPulledThroughAgent(lab, () => pullByCri(socket, REF))
  await removeByCri(socket, REF)
})

test('podman pulls over TLS from an agent whose certificate is signed by whom install has named', async (t) => {
  const started = await startTlsLab(t, ['podman'])
  if (started === undefined) return
  const { lab, right, wrong } = started
  const { host, before, podman } = await setUpPodman(t, lab)
  await runtime('install', host, lab.agent.address, ...FOR_PODMAN, ...wrong)
  await assert.rejects(podman('pull', '--quiet', REF), 'signed by somebody else')
  await runtime('install', host, lab.agent.address, ...FOR_PODMAN, ...right)
  await assertPulledThroughAgent(lab, () => podman('pull', '--quiet', REF))
  await podman('rmi', '--all', '--force')
  await runtime('uninstall', host, lab.agent.address)
  assert.deepEqual(await host.snapshot(), before)
})

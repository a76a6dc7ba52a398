import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { INSTALL_RECORD_PATH } from '../../src/runtimes/files/install-record.ts'
import type { MirrorSettings } from '../../src/runtimes/files/plan.ts'
import { install, show, uninstall } from '../../src/runtimes/operations.ts'
import { makeAuthority } from '../../testkit/certificates.ts'
import { Host } from './host.ts'
import { CERTS, CONFIG, CONFIG_2, DAEMON, MIRROR, optionsFor } from './install-fixture.ts'
import { parseDocument } from './toml-document.ts'

const FILES = {
  [CONFIG]: CONFIG_2,
  [`${CERTS}/corp/ca.crt`]: 'PEM',
  [DAEMON]: '{}',
}
const { ca } = makeAuthority()
const REMOTE: MirrorSettings = { ...MIRROR, address: '10.0.0.7:5050', isLoopback: false, tls: { ca } }
/** Where each runtime looks for the CA. */
const CA_PATHS = [
  `${CERTS}/leat-ca.crt`,
  '/etc/containers/certs.d/10.0.0.7:5050/leat-ca.crt',
  '/etc/docker/certs.d/10.0.0.7:5050/leat-ca.crt',
]

test('an agent with TLS is configured with an https URL and its CA', async (t) => {
  const host = await Host.make(t, FILES)
  const before = await host.snapshot()
  const reports = await install(REMOTE, optionsFor(host))
  assert.ok(reports.every(({ pointsHere, notes }) => pointsHere === true && notes.length === 0))
  for (const path of CA_PATHS) {
    const copy = (await host.read(path)) ?? assert.fail(path)
    assert.equal(new X509Certificate(copy).fingerprint256, new X509Certificate(ca).fingerprint256)
  }
  const mirror = {
    'https://10.0.0.7:5050': {
      capabilities: ['pull', 'resolve'],
      dial_timeout: '200ms',
      ca: `${CERTS}/leat-ca.crt`,
    },
  }
  assert.deepEqual(parseDocument((await host.read(`${CERTS}/_default/hosts.toml`)) ?? ''), { host: mirror })
  // The certificate that containerd found by itself is named, and the CA of the agent does not count as one.
  assert.deepEqual(parseDocument((await host.read(`${CERTS}/corp/hosts.toml`)) ?? ''), {
    ca: ['ca.crt'],
    host: mirror,
  })
  const podman = (await host.read('/etc/containers/registries.conf.d/50-leat.conf')) ?? ''
  assert.match(podman, /location = "10\.0\.0\.7:5050\/docker\.io"/)
  assert.doesNotMatch(podman, /insecure/)
  assert.deepEqual(JSON.parse((await host.read(DAEMON)) ?? ''), {
    'registry-mirrors': ['https://10.0.0.7:5050'],
  })

  const installed = await host.snapshot()
  const again = await install(REMOTE, optionsFor(host))
  assert.ok(again.every(({ files }) => files.every(({ state }) => state === 'current')))
  assert.ok(again.every(({ followUp }) => followUp === undefined))
  // Without a CA, show uses that of the install record.
  const shown = await show({ ...REMOTE, tls: { ca: undefined } }, optionsFor(host))
  assert.ok(shown.every(({ pointsHere }) => pointsHere === true))
  const plain = await show({ ...REMOTE, tls: undefined }, optionsFor(host))
  assert.ok(plain.every(({ pointsHere }) => pointsHere === false))
  assert.deepEqual(await host.snapshot(), installed)

  await uninstall(REMOTE, optionsFor(host))
  assert.deepEqual(await host.snapshot(), before)
})

test('podman checks the certificate of an agent on this machine too', async (t) => {
  const host = await Host.make(t)
  await install({ ...MIRROR, tls: { ca } }, { ...optionsFor(host), runtimes: ['crio'] })
  const podman = (await host.read('/etc/containers/registries.conf.d/50-leat.conf')) ?? ''
  assert.doesNotMatch(podman, /insecure/)
  assert.ok(await host.read('/etc/containers/certs.d/127.0.0.1:5050/leat-ca.crt'))
})

test('without a CA the host has to trust the certificate, and a note says so', async (t) => {
  const host = await Host.make(t, FILES)
  const reports = await install({ ...REMOTE, tls: { ca: undefined } }, optionsFor(host))
  for (const { notes, pointsHere } of reports) {
    assert.equal(pointsHere, true)
    assert.match(
      notes.join(),
      /https:\/\/10\.0\.0\.7:5050 is used only if this host trusts .* give --ca-file/,
    )
  }
  for (const path of CA_PATHS) assert.equal(await host.read(path), undefined)
})

test('a change from HTTP to TLS and back restores the files', async (t) => {
  const host = await Host.make(t, FILES)
  const http = { ...REMOTE, tls: undefined }
  const only = { ...optionsFor(host), runtimes: ['containerd', 'docker'] as const }
  await install(http, only)
  const first = await host.snapshot()
  const [containerd] = await install(REMOTE, only)
  assert.equal(containerd?.followUp, undefined, 'containerd reads these files at every pull')
  await install(http, only)
  for (const path of CA_PATHS) assert.equal(await host.read(path), undefined)
  const { [INSTALL_RECORD_PATH.slice(1)]: _recordAfter, ...after } = await host.snapshot()
  const { [INSTALL_RECORD_PATH.slice(1)]: _recordBefore, ...before } = first
  assert.deepEqual(after, before)
})

test('without an install record, the copies of the CA are found and removed', async (t) => {
  const host = await Host.make(t, FILES)
  await install(REMOTE, optionsFor(host))
  await rm(host.at('/var'), { recursive: true })
  await uninstall(REMOTE, optionsFor(host))
  for (const path of CA_PATHS) assert.equal(await host.read(path), undefined)
})

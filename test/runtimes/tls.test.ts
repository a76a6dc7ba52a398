import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { LEDGER_PATH } from '../../src/runtimes/files/ledger.ts'
import { RUNTIMES, type Wanted } from '../../src/runtimes/files/plan.ts'
import { install, show, uninstall } from '../../src/runtimes/settings.ts'
import { makeAuthority } from '../../testkit/certificates.ts'
import { Host, WANTED } from './host.ts'
import { parsed } from './parsed.ts'

const CONFIG = '/etc/containerd/config.toml'
const CERTS = '/etc/containerd/certs.d'
const FILES = {
  [CONFIG]: `version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "${CERTS}"\n`,
  [`${CERTS}/corp/ca.crt`]: 'PEM',
  '/etc/docker/daemon.json': '{}',
}
const { ca } = makeAuthority()
const FAR: Wanted = { ...WANTED, address: '10.0.0.7:5050', isLoopback: false, tls: { ca } }
/** Where each runtime looks for who has signed it. */
const COPIES = [
  `${CERTS}/leat-ca.crt`,
  '/etc/containers/certs.d/10.0.0.7:5050/leat-ca.crt',
  '/etc/docker/certs.d/10.0.0.7:5050/leat-ca.crt',
]

function options(host: Host) {
  return { root: host.root, runtimes: RUNTIMES, isRehearsal: false }
}

test('an agent that speaks TLS is asked by https, with who has signed its certificate', async (t) => {
  const host = await Host.make(t, FILES)
  const before = await host.everything()
  const reports = await install(FAR, options(host))
  assert.ok(reports.every(({ pointsHere, notes }) => pointsHere === true && notes.length === 0))
  for (const path of COPIES) {
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
  assert.deepEqual(parsed((await host.read(`${CERTS}/_default/hosts.toml`)) ?? ''), { host: mirror })
  // What containerd has found there by itself is named, and ours is not taken for that.
  assert.deepEqual(parsed((await host.read(`${CERTS}/corp/hosts.toml`)) ?? ''), {
    ca: ['ca.crt'],
    host: mirror,
  })
  const podman = (await host.read('/etc/containers/registries.conf.d/50-leat.conf')) ?? ''
  assert.match(podman, /location = "10\.0\.0\.7:5050\/docker\.io"/)
  assert.doesNotMatch(podman, /insecure/)
  assert.deepEqual(JSON.parse((await host.read('/etc/docker/daemon.json')) ?? ''), {
    'registry-mirrors': ['https://10.0.0.7:5050'],
  })

  const installed = await host.everything()
  const again = await install(FAR, options(host))
  assert.ok(again.every(({ files }) => files.every(({ state }) => state === 'current')))
  assert.ok(again.every(({ followUp }) => followUp === undefined))
  // A look remembers who has signed it, as it remembers the registries.
  const looked = await show({ ...FAR, tls: { ca: undefined } }, options(host))
  assert.ok(looked.every(({ pointsHere }) => pointsHere === true))
  const plain = await show({ ...FAR, tls: undefined }, options(host))
  assert.ok(plain.every(({ pointsHere }) => pointsHere === false))
  assert.deepEqual(await host.everything(), installed)

  await uninstall(FAR, options(host))
  assert.deepEqual(await host.everything(), before)
})

test('on this machine too certificates are checked, and podman is not told to do without', async (t) => {
  const host = await Host.make(t)
  await install({ ...WANTED, tls: { ca } }, { ...options(host), runtimes: ['crio'] })
  const podman = (await host.read('/etc/containers/registries.conf.d/50-leat.conf')) ?? ''
  assert.doesNotMatch(podman, /insecure/)
  assert.ok(await host.read('/etc/containers/certs.d/127.0.0.1:5050/leat-ca.crt'))
})

test('when nobody is named who has signed it, the host has to trust them, and that is said', async (t) => {
  const host = await Host.make(t, FILES)
  const reports = await install({ ...FAR, tls: { ca: undefined } }, options(host))
  for (const { notes, pointsHere } of reports) {
    assert.equal(pointsHere, true)
    assert.match(notes.join(), /https:\/\/10\.0\.0\.7:5050 only if this host trusts .* give --ca-file/)
  }
  for (const path of COPIES) assert.equal(await host.read(path), undefined)
})

test('from HTTP to TLS and back only what has to change does', async (t) => {
  const host = await Host.make(t, FILES)
  const http = { ...FAR, tls: undefined }
  const only = { ...options(host), runtimes: ['containerd', 'docker'] as const }
  await install(http, only)
  const first = await host.everything()
  const [containerd] = await install(FAR, only)
  assert.equal(containerd?.followUp, undefined, 'it reads all of that at every pull')
  await install(http, only)
  for (const path of COPIES) assert.equal(await host.read(path), undefined)
  const { [LEDGER_PATH.slice(1)]: _memory, ...now } = await host.everything()
  const { [LEDGER_PATH.slice(1)]: _before, ...then } = first
  assert.deepEqual(now, then)
})

test('the copies are found also when nobody remembers them', async (t) => {
  const host = await Host.make(t, FILES)
  await install(FAR, options(host))
  await rm(host.at('/var'), { recursive: true })
  await uninstall(FAR, options(host))
  for (const path of COPIES) assert.equal(await host.read(path), undefined)
})

import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { checkRuntimes } from '../../src/doctor/checks/runtimes.ts'
import type { Runtime } from '../../src/runtimes/files/plan.ts'
import { install, show, uninstall } from '../../src/runtimes/operations.ts'
import { findingLines } from '../doctor/finding-lines.ts'
import { Host } from './host.ts'
import { MIRROR, MIRROR_URL } from './install-fixture.ts'

/** Compiled tests are below `.build`, which has no copy of the files. */
const FOLDER = fileURLToPath(new URL('../../../test/runtimes/distributions', import.meta.url))
const ADDRESS = { host: '127.0.0.1', port: 5050 }

interface Distribution {
  readonly name: string
  readonly runtime?: Runtime
  /** containerd's own configuration. */
  readonly config?: string
  /** Files that name the mirror after an install. */
  readonly mirrors: readonly string[]
  /** What is left to do after an install without `--write-config`. Nothing: the runtime asks the agent at once. */
  readonly todo?: RegExp
  /** Whether `--write-config` does it. */
  readonly isDoneByWriteConfig?: boolean
}

const CERTS = '/etc/containerd/certs.d'
const NO_CONFIG_PATH = /^config_path is not set in .*\/config\.toml, so containerd does not look for mirrors/

const DISTRIBUTIONS: readonly Distribution[] = [
  { name: 'eks-al2023', mirrors: [`${CERTS}/_default/hosts.toml`] },
  { name: 'bottlerocket', mirrors: [`${CERTS}/_default/hosts.toml`] },
  {
    name: 'gke-cos',
    mirrors: ['/etc/containerd/hosts.d/_default/hosts.toml', '/etc/containerd/hosts.d/docker.io/hosts.toml'],
  },
  { name: 'aks', mirrors: [`${CERTS}/_default/hosts.toml`] },
  ...['k3s', 'rke2'].map((name) => {
    const folder = `/var/lib/rancher/${name}/agent/etc/containerd`
    return {
      name,
      config: `${folder}/config.toml`,
      mirrors: [`${folder}/certs.d/_default/hosts.toml`, `${folder}/certs.d/docker.io/hosts.toml`],
    }
  }),
  {
    name: 'kind',
    mirrors: [`${CERTS}/_default/hosts.toml`],
    todo: NO_CONFIG_PATH,
    isDoneByWriteConfig: true,
  },
  { name: 'minikube', mirrors: [`${CERTS}/_default/hosts.toml`, `${CERTS}/docker.io/hosts.toml`] },
  {
    name: 'talos',
    config: '/etc/cri/containerd.toml',
    mirrors: ['/etc/cri/conf.d/hosts/_default/hosts.toml'],
  },
  {
    name: 'microk8s',
    config: '/var/snap/microk8s/current/args/containerd.toml',
    mirrors: ['_default', 'docker.io', 'localhost:32000'].map(
      (host) => `/var/snap/microk8s/8511/args/certs.d/${host}/hosts.toml`,
    ),
  },
  { name: 'openshift', runtime: 'crio', mirrors: ['/etc/containers/registries.conf.d/50-leat.conf'] },
  {
    name: 'flatcar',
    mirrors: [`${CERTS}/_default/hosts.toml`],
    todo: NO_CONFIG_PATH,
    isDoneByWriteConfig: true,
  },
]

for (const distribution of DISTRIBUTIONS) {
  const { name, runtime = 'containerd', config, mirrors, todo, isDoneByWriteConfig = false } = distribution
  const containerdConfig = config ?? MIRROR.containerdConfig
  const mirror = { ...MIRROR, containerdConfig }

  test(`a node of ${name} is installed, checked and restored`, async (t) => {
    const host = await Host.make(t)
    await cp(join(FOLDER, name), host.root, { recursive: true, verbatimSymlinks: true })
    const before = await host.snapshot()
    const options = { root: host.root, runtimes: [runtime], isDryRun: false }
    const check = async (): Promise<readonly string[]> => {
      const node = { root: host.root, containerdConfig, runtimes: [runtime] }
      return findingLines(
        await checkRuntimes(node, { address: ADDRESS, isTls: false, signal: t.signal }),
      ).filter((line) => !line.startsWith('not-checked'))
    }

    const [report] = await install(mirror, options)
    assert.equal(report?.failure, undefined)
    for (const path of mirrors) {
      const text = (await host.read(path)) ?? assert.fail(`${path} was not written`)
      assert.match(
        text,
        runtime === 'crio' ? /location = "127\.0\.0\.1:5050\// : new RegExp(MIRROR_URL),
        path,
      )
    }
    const left = report?.todo ?? []
    if (todo === undefined) assert.deepEqual(left, [])
    else assert.match(left.join('\n'), todo)
    assert.match((await check())[0] ?? '', todo === undefined ? /^ok: / : /^problem: .*but are ignored$/)

    if (isDoneByWriteConfig) {
      const [written] = await install({ ...mirror, writeConfig: true }, options)
      assert.deepEqual(written?.todo, [])
      assert.match((await check())[0] ?? '', /^ok: /)
    }
    const [shown] = await show(mirror, options)
    assert.equal(shown?.failure, undefined)

    await uninstall(mirror, options)
    assert.deepEqual(await host.snapshot(), before)
  })
}

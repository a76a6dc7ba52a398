import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RuntimeFailure } from '../../../src/runtimes/files/failure.ts'
import { HostFiles } from '../../../src/runtimes/files/host-files.ts'
import { InstallRecord } from '../../../src/runtimes/files/install-record.ts'
import { removeMarked } from '../../../src/runtimes/files/markers.ts'
import { OriginalFiles } from '../../../src/runtimes/files/original-files.ts'
import {
  type ContainerdConfig,
  readContainerdConfig,
  withConfigPath,
} from '../../../src/runtimes/kinds/containerd-config.ts'
import { Host } from '../host.ts'
import { parseDocument } from '../toml-document.ts'

const PATH = '/etc/containerd/config.toml'
const V2 = 'plugins."io.containerd.grpc.v1.cri"'
const V3 = "plugins.'io.containerd.cri.v1.images'"

async function read(t: TestContext, content: Readonly<Record<string, string>>): Promise<ContainerdConfig> {
  const host = await Host.make(t, content)
  const files = new HostFiles(host.root)
  const originals = new OriginalFiles(files, await InstallRecord.open(files), {
    removeOwnPart: (text) => text,
  })
  return await readContainerdConfig(PATH, originals)
}

const DEFAULTS: ContainerdConfig = {
  version: 2,
  file: PATH,
  fileVersion: 2,
  folders: undefined,
  isCriOff: false,
  isList: false,
  localPullSetting: undefined,
  conflict: undefined,
  misplaced: undefined,
}

test('config_path is found in every version of the file', async (t) => {
  const table: readonly [what: string, text: string, expected: Partial<ContainerdConfig>][] = [
    ['nothing', '', { version: 1, fileVersion: 1 }],
    [
      'version 1',
      '[plugins.cri.registry]\nconfig_path = "/a"',
      { version: 1, fileVersion: 1, folders: ['/a'] },
    ],
    [
      'version 2',
      `version = 2\n[${V2}.registry]\nconfig_path = "/a:/b"`,
      { folders: ['/a', '/b'], isList: true },
    ],
    [
      'a colon at the end',
      `version = 2\n[${V2}.registry]\nconfig_path = "/a:"`,
      { folders: ['/a'], isList: true },
    ],
    ['an empty path', `version = 2\n[${V2}.registry]\nconfig_path = ""`, {}],
    ['inline', `version = 2\n${V2} = { registry = { config_path = "/a" } }`, { folders: ['/a'] }],
    [
      'version 3',
      `version = 3\n[${V3}.registry]\nconfig_path = '/a'`,
      { version: 3, fileVersion: 3, folders: ['/a'] },
    ],
    [
      'version 4',
      `version = 4\n[${V3}.registry]\nconfig_path = '/a'`,
      { version: 4, fileVersion: 4, folders: ['/a'] },
    ],
    [
      'local pulls',
      `version = 3\n[${V3}]\nuse_local_image_pull = true`,
      { version: 3, fileVersion: 3, localPullSetting: 'use_local_image_pull = true' },
    ],
    [
      'no CRI, as Docker ships it',
      'disabled_plugins = ["cri"]',
      { version: 1, fileVersion: 1, isCriOff: true },
    ],
    [
      'old mirrors',
      `version = 2\n[${V2}.registry.mirrors."x"]\nendpoint = []`,
      { conflict: 'registry.mirrors', localPullSetting: 'registry.mirrors' },
    ],
    ['no old mirrors', `version = 2\n[${V2}.registry.mirrors]`, {}],
    [
      'old TLS',
      `version = 2\n[${V2}.registry.configs."x".tls]\nca_file = ""`,
      { conflict: 'registry.configs."x".tls', localPullSetting: 'registry.configs' },
    ],
    [
      'the name of 1.x in a file of 2.x',
      `version = 3\n[${V2}.registry]\nconfig_path = "/a"`,
      {
        version: 3,
        fileVersion: 3,
        misplaced: `${PATH} has config_path under plugins."io.containerd.grpc.v1.cri", which version 3 of that file does not know`,
      },
    ],
  ]
  for (const [what, text, expected] of table) {
    assert.deepEqual(await read(t, { [PATH]: text }), { ...DEFAULTS, ...expected }, what)
  }
  assert.deepEqual(await read(t, {}), DEFAULTS, 'no file at all')
})

test('the settings are known with which containerd does not use the transfer service', async (t) => {
  const table: readonly [text: string, setting: string | undefined][] = [
    [`[${V3}]\ndiscard_unpacked_layers = true`, 'discard_unpacked_layers = true'],
    [`[${V3}]\nimage_pull_with_sync_fs = true`, 'image_pull_with_sync_fs = true'],
    [`[${V3}]\ndisable_snapshot_annotations = false`, 'disable_snapshot_annotations = false'],
    [`[${V3}]\ndisable_snapshot_annotations = true`, undefined],
    [`[${V3}]\nmax_concurrent_downloads = 10`, 'max_concurrent_downloads = 10'],
    [`[${V3}]\nmax_concurrent_downloads = 3`, undefined],
    [`[${V3}.registry.auths."https://x"]\nauth = ""`, 'registry.auths'],
    [`[${V3}.registry.configs."x".auth]\nusername = ""`, 'registry.configs'],
    [`[${V3}.registry.configs]`, undefined],
  ]
  for (const [text, setting] of table) {
    const { localPullSetting } = await read(t, { [PATH]: `version = 3\n${text}` })
    assert.equal(localPullSetting, setting, text)
  }
  const older = `version = 2\n[${V2}.containerd]\ndiscard_unpacked_layers = true`
  assert.equal((await read(t, { [PATH]: older })).localPullSetting, 'discard_unpacked_layers = true')
})

test('imported files override the file that imports them, and are read once even in a circle', async (t) => {
  const main = `version = 2\nimports = ["conf.d/*.toml", "/etc/containerd/config.toml"]\n[${V2}.registry]\nconfig_path = "/a"`
  const other = '/etc/containerd/conf.d/b.toml'
  const replaced = await read(t, { [PATH]: main, [other]: `version = 2\n[${V2}]\nsandbox_image = "x"` })
  assert.deepEqual(replaced, { ...DEFAULTS, file: other }, 'containerd 1.x replaces the section of a plugin')
  const next = await read(t, { [PATH]: main, [other]: `version = 2\n[${V2}.registry]\nconfig_path = "/b"` })
  assert.deepEqual(next, { ...DEFAULTS, file: other, folders: ['/b'] })
  const newer = main.replace('version = 2', 'version = 3').replace(V2, V3)
  const added = await read(t, { [PATH]: newer, [other]: `version = 3\n[${V3}]\nsnapshotter = "x"` })
  assert.deepEqual(added.folders, ['/a'], 'containerd 2.x adds to it')
})

test('config_path is set with a minimal change, and removed again', () => {
  const table: readonly [what: string, version: number, before: string, line: RegExp][] = [
    [
      'a table for it',
      2,
      `version = 2\n\n  [${V2}.registry] # here\n    # why\n    [${V2}.registry.auths]\n`,
      /# here\n# leat: begin/,
    ],
    [
      'an empty one',
      2,
      `version = 2\n[${V2}.registry]\n      config_path = ""\n\n[debug]\n`,
      /was {7}config_path = ""\n/,
    ],
    [
      'no table',
      2,
      'version = 2\n[debug]\n  level = "x"',
      /\[plugins\."io\.containerd\.grpc\.v1\.cri"\.registry\]\n/,
    ],
    [
      'other config_paths',
      3,
      `version = 3\n[plugins."io.containerd.transfer.v1.local"]\nconfig_path = ""\n[${V3}.registry]\nconfig_path = ''`,
      /was config_path = ''/,
    ],
    ['version 1', 1, '[plugins.cri]\n', /\[plugins\.cri\.registry\]/],
  ]
  for (const [what, version, before, line] of table) {
    const after = withConfigPath(before, { ...DEFAULTS, version }, '/certs')
    assert.match(after, line, what)
    assert.equal(removeMarked(after).text, before, what)
    const { plugins } = parseDocument(after) as {
      plugins: Record<string, { registry?: { config_path?: string } }>
    }
    const plugin =
      { 1: 'cri', 2: 'io.containerd.grpc.v1.cri', 3: 'io.containerd.cri.v1.images' }[version] ?? ''
    assert.equal(plugins[plugin]?.registry?.config_path, '/certs', what)
  }
  assert.equal(parseDocument(withConfigPath(undefined, DEFAULTS, '/certs'))['version'], 2)
  assert.throws(
    () => withConfigPath(`version = 2\n${V2} = { registry = {} }\n`, DEFAULTS, '/certs'),
    (error) =>
      error instanceof RuntimeFailure &&
      /add config_path = "\/certs" under \[plugins\."io/.test(error.message),
  )
})

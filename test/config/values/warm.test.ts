import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'
import { SettingsError } from '../../../src/config/values/settings-error.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-settings-'))
})

after(() => rm(folder, { recursive: true }))

async function warmIn(yaml: string) {
  const file = join(folder, 'config.yaml')
  await writeFile(file, yaml)
  return (await loadSettings({ flags: { config: file }, env: {}, defaultFile: '/none' })).warm
}

test('the warm setting is a list of references, or of maps with options', async () => {
  const plain = { platforms: [], referrers: false, pin: false }
  const yaml = `warm:
  - docker.io/library/alpine:3
  - alpine
  - { image: ghcr.io/acme/app:v1, platforms: [linux/arm64, linux/x86_64], referrers: true, pin: true }
  - { image: ghcr.io/acme/other, platforms: all }
`
  assert.deepEqual(await warmIn(yaml), [
    { image: 'docker.io/library/alpine:3', ...plain },
    { image: 'alpine', ...plain },
    { image: 'ghcr.io/acme/app:v1', platforms: ['linux/arm64', 'linux/amd64'], referrers: true, pin: true },
    { image: 'ghcr.io/acme/other', ...plain, platforms: ['all'] },
  ])
})

test('a mistake in the warm setting is refused with its line and what is allowed', async () => {
  for (const [yaml, expected] of [
    ['warm:\n  - Alpine\n', /yaml:2: warm\[0\] is "Alpine"; expected an image such as /],
    ['warm:\n  - { pin: true }\n', /yaml:2: warm\[0\] has no image; expected one such as /],
    ['warm:\n  - { image: a, platforms: [linux] }\n', /platforms\[0\] is "linux"; expected os\/architecture/],
    ['warm:\n  - { image: a, platforms: [all, linux/arm64] }\n', /lists all and single platforms/],
    ['warm:\n  - { image: a, platform: all }\n', /unknown setting "platform"; did you mean platforms\?/],
    ['warm: alpine\n', /warm has no value; expected a list of images/],
  ] as const) {
    await assert.rejects(warmIn(yaml), (error) => {
      assert.ok(error instanceof SettingsError)
      assert.match(error.message, expected)
      return true
    })
  }
})

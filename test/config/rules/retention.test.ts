import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { loadSettings } from '../../../src/config/load.ts'

const DAY = 24 * 60 * 60 * 1000
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-settings-'))
})

after(() => rm(folder, { recursive: true }))

async function rulesIn(yaml: string) {
  const file = join(folder, 'config.yaml')
  await writeFile(file, yaml)
  return (await loadSettings({ flags: { config: file }, env: {}, defaultFile: '/none' })).hostedRetention
}

test('a rule names repositories and the conditions that keep their tags', async () => {
  const yaml = `hostedRetention:
  - names: ["team/**", registry.corp/x]
    keepTags: ["v*"]
    keepLast: 10
    keepFor: 30d
    keepPulledWithin: 14d
    untagged: 7d
  - { names: team/app, keepLast: 0 }
`
  assert.deepEqual(await rulesIn(yaml), [
    {
      names: ['team/**', 'registry.corp/x'],
      keepTags: ['v*'],
      keepLast: 10,
      keepForMs: 30 * DAY,
      keepPulledWithinMs: 14 * DAY,
      untaggedMs: 7 * DAY,
    },
    { names: ['team/app'], keepLast: 0 },
  ])
})

test('a mistake in a rule is refused with its line and what is allowed', async () => {
  for (const [yaml, expected] of [
    ['hostedRetention:\n', /hostedRetention has no value; expected a list of rules/],
    ['hostedRetention:\n  - keepLast: 3\n', /config.yaml:2: hostedRetention\[0\] has no names/],
    ['hostedRetention:\n  - names: []\n', /hostedRetention\[0\] has no names/],
    [
      'hostedRetention:\n  - names: [team]\n    keepLast: -1\n',
      /:3: .*keepLast.* is "-1"; expected a number/,
    ],
    [
      'hostedRetention:\n  - names: [team]\n    keepTag: [v*]\n',
      /unknown setting "keepTag"; did you mean keepTags/,
    ],
    ['hostedRetention:\n  - names: [team]\n    keepFor: 3 weeks\n', /expected a duration/],
    ['hostedRetention:\n  - names: [Team]\n', /expected a repository of this agent/],
    ['hostedGrace: soon\n', /hostedGrace is "soon"; expected a duration/],
    ['hosted: ["https://x"]\n', /hosted\[0\] has a wrong value; expected a repository of this agent/],
  ] as const) {
    await assert.rejects(rulesIn(yaml), { name: 'SettingsError', message: expected }, yaml)
  }
})

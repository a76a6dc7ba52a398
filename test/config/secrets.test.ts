import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { configFileSchema } from '../../src/config/json-schema.ts'
import { loadSettings } from '../../src/config/load.ts'
import { settingsYaml, showSettings } from '../../src/config/shown-settings.ts'
import type { JsonSchema } from '../../src/config/values/format.ts'
import { SettingsError } from '../../src/config/values/settings-error.ts'
import { fc } from '../../testkit/property-runs.ts'
import { given } from './settings-file.ts'

const CANARY = 'cAnArY7'
/** What people write by mistake where a host, a name or a path is expected. */
const IN_URL = `https://ada:${CANARY}@registry.corp/v2/`
const FORMS = [IN_URL, `ada:${CANARY}@registry.corp`, `https://registry.corp/v2/?token=${CANARY}`]

type Path = readonly string[]

/** Where the schema takes a text; `[]` is an item of a list. */
function textPaths({ anyOf, properties, items, type }: JsonSchema, at: Path = []): readonly Path[] {
  const branches = [anyOf, ...(items === undefined ? [] : [[items]])].flat() as (JsonSchema | undefined)[]
  const below = branches.flatMap((one) =>
    one === undefined ? [] : textPaths(one, one === items ? [...at, '[]'] : at),
  )
  const named = Object.entries((properties ?? {}) as Record<string, JsonSchema>).flatMap(([name, one]) =>
    textPaths(one, [...at, name]),
  )
  return type === 'object' || type === 'array' || anyOf !== undefined ? [...named, ...below] : [at]
}

/** Settings with the value at one path, or at several. */
function withValue(into: unknown, [first, ...rest]: Path, value: string): unknown {
  if (first === undefined) return value
  if (first === '[]') return [withValue(Array.isArray(into) ? into[0] : undefined, rest, value)]
  const map = typeof into === 'object' && into !== null ? (into as Record<string, unknown>) : {}
  return { ...map, [first]: withValue(map[first], rest, value) }
}

/** All that is said about these settings: the mistakes, or what `agent config show` prints. */
async function toldOf(yaml: string): Promise<{ readonly text: string; readonly isAccepted: boolean }> {
  const sources = await given(yaml)
  try {
    await loadSettings(sources)
    return { text: settingsYaml(await showSettings(sources)), isAccepted: true }
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error))
    return { text: [...error.mistakes, error.stack, String(error.cause)].join('\n'), isAccepted: false }
  }
}

/** Maps in lists lack what they need, so each field is checked once with it. */
const NEEDED: Readonly<Record<string, unknown>> = {
  upstreams: [{ namespace: 'docker.io', username: 'ada', password: 'x' }],
  warm: [{ image: 'alpine' }],
  webhooks: [{ url: 'https://hooks.corp/x' }],
  sources: [{ dir: '/srv' }],
  redirects: [{ host: 'a.corp', to: 'https://b.corp/v2/' }],
  hostedRetention: [{ names: ['team/**'] }],
  objectStore: { url: 's3://bucket', region: 'eu-central-1' },
  auth: { token: { realm: 'https://login.corp', service: 'a', issuer: 'b', key: '/k' } },
}

const PATHS = [...new Set(textPaths(configFileSchema()).map((path) => path.join('.')))].map((path) =>
  path.split('.'),
)

test('the texts of all settings are found', () => {
  const names = PATHS.map((path) => path.join('.'))
  for (const name of ['upstreams.[].realms.[]', 'upstreams.[].password', 'listen', 'auth.token.jwks'])
    assert.ok(names.includes(name), `${name} in ${names.join(' ')}`)
})

test('a URL with a password is shown nowhere, whatever setting it is given for', async () => {
  for (const path of PATHS) {
    const [name = ''] = path
    for (const base of [{}, { [name]: NEEDED[name] }]) {
      const yaml = stringify(withValue(base, path, IN_URL))
      assert.ok(yaml.includes(CANARY))
      const { text } = await toldOf(yaml)
      assert.ok(!text.includes(CANARY), `${yaml}\n${text}`)
    }
  }
  const all = PATHS.reduce<unknown>((settings, path) => withValue(settings, path, IN_URL), {})
  const { text, isAccepted } = await toldOf(stringify(all))
  assert.ok(!isAccepted && !text.includes(CANARY), text)
})

test('no error repeats a text in which a password or a token may be', async () => {
  for (const path of PATHS) {
    for (const form of FORMS) {
      const { text, isAccepted } = await toldOf(stringify(withValue({}, path, form)))
      assert.ok(isAccepted || !text.includes(CANARY), `${path.join('.')}: ${text}`)
    }
  }
})

test('no error repeats a key in which a password may be', async () => {
  for (const form of FORMS) {
    for (const settings of [
      { [form]: 'x' },
      { upstreams: [{ namespace: 'docker.io', [form]: { [form]: 'x' } }] },
      { upstreams: { [form]: ['x'] } },
    ]) {
      const { text, isAccepted } = await toldOf(stringify(settings))
      assert.ok(!isAccepted && !text.includes(CANARY), text)
    }
  }
})

test('the secrets of settings that are in use are hidden', async () => {
  const yaml = stringify({
    upstreams: [{ namespace: 'docker.io', username: 'ada', password: CANARY }],
    webhooks: [{ url: `https://hooks.corp/${CANARY}` }],
    auth: {
      token: {
        realm: 'https://a.corp',
        service: 'a',
        issuer: 'b',
        jwks: `https://a.corp/keys?key=${CANARY}`,
      },
    },
  })
  const { text, isAccepted } = await toldOf(yaml)
  assert.ok(isAccepted && !text.includes(CANARY), text)
  assert.match(text, /jwks: https:\/\/a\.corp\/keys\?\*\*\*/)
})

test('no mistake of YAML around a password repeats it', async () => {
  const special = fc.string({ unit: fc.constantFrom(...'@*&!%|>\'"{}[]#,?:-`\\ \tq'), maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(special, special, async (before, after) => {
      const yaml = `upstreams:\n  - namespace: docker.io\n    username: ada\n    password: ${before}${CANARY}${after}\n`
      const { text } = await toldOf(yaml)
      assert.ok(!text.includes(CANARY), `${yaml}\n${text}`)
    }),
    { numRuns: 100 },
  )
})

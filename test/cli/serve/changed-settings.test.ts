import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOptions } from '../../../src/cli/context/agent-options.ts'
import { changedLive, needingRestart, withLive } from '../../../src/cli/serve/changed-settings.ts'
import { loadSettings } from '../../../src/config/load.ts'
import type { Settings } from '../../../src/config/schema.ts'
import { given } from '../../config/settings-file.ts'

const TERMINAL = { env: {}, version: '1.2.3' }
const load = async (yaml: string): Promise<Settings> => loadSettings(await given(yaml))

test('a setting that a running agent takes over is told apart from one that needs a restart', async () => {
  const before = await load('zone: a\nmaxBytes: 1GiB\n')
  const after = await load('zone: b\nmaxBytes: 2GiB\nlogLevel: debug\n')
  assert.deepEqual(changedLive(before, after, TERMINAL), ['maxBytes', 'logLevel'])
  assert.deepEqual(needingRestart(before, after), ['zone'])
  assert.deepEqual(needingRestart(before, before), [])
})

test('a password is a change, although settings hide it', async () => {
  const upstreams = (password: string): string =>
    `upstreams: [{ namespace: a.test, username: u, password: ${password} }]\n`
  const [one, same, other] = [
    await load(upstreams('x')),
    await load(upstreams('x')),
    await load(upstreams('y')),
  ]
  assert.deepEqual(changedLive(one, same, TERMINAL), [])
  assert.deepEqual(changedLive(one, other, TERMINAL), ['upstreams'])
})

test('what follows from a setting that needs a restart stays as it was at the start', async () => {
  const redirect = (name: string): string =>
    `redirects: [{ host: x.test, to: "https://a.test/v2/${name}/" }]\n`
  const atStart = await load(`peersSecretFile: /s\nmaxUpload: 1MiB\n${redirect('old')}`)
  const now = await load(`maxUpload: 2MiB\n${redirect('new')}`)
  const env = { UpstreamRegistry: 'https://b.test/v2/' }
  const options = agentOptions(withLive(atStart, now), { ...TERMINAL, env })
  assert.deepEqual(options.allow, ['a.test/old/**', 'b.test/**'])
  assert.equal(options.peers?.maxUpload, 2 * 1024 * 1024)
  assert.deepEqual(needingRestart(atStart, withLive(atStart, now)), [])
})

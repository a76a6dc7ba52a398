import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { stringify } from 'yaml'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { startUpstream } from '../../agent/running-agent.ts'
import { folder } from '../../store/folder.ts'
import { startServing } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

const CANARY = 'cAnArY7'

interface Problems {
  readonly problems: readonly string[]
  readonly webhooks: readonly { readonly problem: string | null }[]
}

/** Asks for the status until it is as wanted. */
async function statusWith(admin: string, isWanted: (status: Problems) => boolean): Promise<void> {
  for (;;) {
    const status = (await (await fetch(`http://${admin}/api/v1/status`)).json()) as Problems
    if (isWanted(status)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function startWithSecrets(t: TestContext) {
  const upstream = await startUpstream(t)
  upstream.requireBasic('ada', CANARY)
  for (const tag of ['v1', 'v2']) upstream.addImage('app', tag)
  const path = await folder(t)
  const config = join(path, 'config.yaml')
  const settings = {
    upstreams: [
      { namespace: 'up.test', host: [upstream.host], tls: false, username: 'ada', password: CANARY },
    ],
    webhooks: [{ url: `http://127.0.0.1:1/${CANARY}` }],
  }
  await writeFile(config, stringify(settings))
  const serving = await startServing(
    ['--data', join(path, 'data'), '--config', config, '--log-level', 'trace'],
    { UPSTREAM_CREDENTIALS: JSON.stringify({ 'other.test': { username: 'eve', password: CANARY } }) },
  )
  addCleanup(t, () => serving.kill())
  return { upstream, config, settings, ...serving }
}

test('no log, report or metric of an agent has a secret of its settings, also after pulls that fail', async (t) => {
  const { upstream, config, settings, registry, admin, logLines, signal } = await startWithSecrets(t)
  const get = async (tag: string): Promise<number> =>
    (await fetch(`http://${registry}/v2/up.test/app/manifests/${tag}`)).status
  assert.equal(await get('v1'), 200)
  upstream.requireBasic('ada', 'another one')
  assert.notEqual(await get('v2'), 200)
  const [upstreamSettings] = settings.upstreams
  const wrong = { ...upstreamSettings, host: `https://ada:${CANARY}@registry.corp` }
  await writeFile(config, stringify({ ...settings, upstreams: [wrong] }))
  signal('SIGHUP')
  await statusWith(admin, ({ problems, webhooks }) => problems.length > 0 && webhooks[0]?.problem !== null)

  const paths = ['status', 'pulls', 'history', 'blobs', 'images', 'why?subject=up.test/app:v2']
  const reports = await Promise.all(
    [...paths.map((path) => `api/v1/${path}`), 'metrics', 'readyz'].map(async (path) =>
      (await fetch(`http://${admin}/${path}`)).text(),
    ),
  )
  const commands = await Promise.all(
    [['status'], ['ls'], ['why', 'up.test/app:v2'], ['config', 'check', config]].map((args) =>
      runInProcess([...args, ...(args[0] === 'config' ? [] : ['--admin', admin])]),
    ),
  )
  const told = [...reports, JSON.stringify(logLines), ...commands.flatMap(({ out, err }) => [out, err])]
  assert.match(told.join('\n'), /has credentials in a URL/)
  for (const text of told) assert.ok(!text.includes(CANARY), text)
})

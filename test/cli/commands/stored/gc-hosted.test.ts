import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createAgent } from '../../../../src/agent.ts'
import { OCI_MANIFEST } from '../../../../src/oci/media-types.ts'
import { addCleanup } from '../../../../testkit/cleanup.ts'
import { digestOf } from '../../../../testkit/memory/digests.ts'
import { imageOf } from '../../../hosted/lab.ts'
import { type CommandResult, runAgent } from '../../agent-process.ts'

interface HostingAgent {
  /** Pushes an image of one config, and gives its digest. */
  push(name: string, tag: string, salt: string): Promise<string>
  /** Runs a command on the agent or, after `stop`, on its folder. */
  run(...args: string[]): Promise<CommandResult>
  stop(): Promise<void>
}

async function startHosting(t: TestContext): Promise<HostingAgent> {
  const data = await mkdtemp(join(tmpdir(), 'leat-hosted-'))
  addCleanup(t, () => rm(data, { recursive: true }))
  const loopback = { host: '127.0.0.1', port: 0 }
  const hosted = { names: ['team/**'], graceMs: 0 }
  const agent = createAgent({ data, listen: loopback, admin: loopback, hosted })
  await agent.start()
  let isRunning = true
  const stop = async (): Promise<void> => {
    if (isRunning) await agent.stop({ drainMs: 0 })
    isRunning = false
  }
  addCleanup(t, stop)
  const { registry, admin } = agent.addresses
  const send = async (method: string, path: string, body: Uint8Array, type: string): Promise<void> => {
    const url = `http://127.0.0.1:${registry.port}/v2/${path}`
    const answer = await fetch(url, { method, body, headers: { 'content-type': type } })
    assert.equal(answer.status, 201, await answer.text())
  }
  return {
    stop,
    push: async (name, tag, salt) => {
      const config = Buffer.from(`{"salt":"${salt}"}`)
      const digest = digestOf(config)
      await send('POST', `${name}/blobs/uploads/?digest=${digest}`, config, 'application/octet-stream')
      const manifest = imageOf({ config: digest, configSize: config.length, layers: [] })
      await send('PUT', `${name}/manifests/${tag}`, manifest, OCI_MANIFEST)
      return digestOf(manifest)
    },
    run: (...args) =>
      runAgent([...args, ...(isRunning ? ['--admin', `127.0.0.1:${admin?.port}`] : ['--data', data])], {
        LEAT_HOSTED_GRACE: '0s',
        LEAT_HOSTED: 'team/**',
      }),
  }
}

test('ls, status and why show what is hosted, and rm removes a hosted tag', async (t) => {
  const { push, run } = await startHosting(t)
  const digest = await push('team/app', '1', 'a')
  const { out } = await run('ls')
  assert.match(out, /\nteam\/app:1 .* whole .* hosted/)
  assert.match((await run('status')).out, /\nhosted +\d+ B in 2 blobs\n/)
  const why = (await run('why', 'team/app:1')).out
  assert.match(why, /localhost\/team\/app:1/)
  assert.match(why, /pushed .* hosted on this node/)
  assert.match(why, /hosted: +localhost\/team\/app/)
  assert.match(why, /A request is served what was pushed\./)
  const byDigest = await run('rm', digest)
  assert.equal(byDigest.code, 1)
  assert.match(
    byDigest.err,
    /^agent: sha256:\w+ was pushed to localhost\/team\/app: remove its tags by their names/,
  )
  assert.match((await run('rm', 'team/app:1')).out, new RegExp(`^Removed team/app:1 \\(${digest}\\)`))
  assert.doesNotMatch((await run('ls')).out, /team\/app/)
})

for (const location of ['a running agent', 'a folder without an agent'] as const) {
  test(`${location}: gc --hosted names and removes what no tag needs`, async (t) => {
    const { push, run, stop } = await startHosting(t)
    const old = await push('team/app', '1', 'old')
    await push('team/app', '1', 'new')
    if (location !== 'a running agent') await stop()
    const dry = await run('gc', '--hosted', '--dry-run')
    assert.equal(dry.code, 0, dry.err)
    assert.ok(dry.out.includes(`manifest ${old} of localhost/team/app, `))
    assert.ok(dry.out.includes(`stored manifest ${old}, `))
    assert.match(
      dry.out,
      /\nWould remove 0 tags, and 2 contents of repositories; 2 blobs \(.*\) of the store\.\n$/,
    )
    const { out } = await run('gc', '--hosted')
    assert.equal(out, dry.out.replace('Would remove', 'Removed'))
    const json = (await run('gc', '--hosted', '--json')).out
    assert.deepEqual(JSON.parse(json), { tags: 0, links: 0, blobs: 0, bytes: 0 })
    const wrong = await run('gc', '--dry-run')
    assert.deepEqual([wrong.code, wrong.err], [2, 'agent: --dry-run is for --hosted and --object-store\n'])
  })
}

for (const location of ['a running agent', 'a folder without an agent'] as const) {
  test(`${location}: a hosted image is exported by its name without a registry`, async (t) => {
    const { push, run, stop } = await startHosting(t)
    const digest = await push('team/app', '1', 'a')
    if (location !== 'a running agent') await stop()
    const target = await mkdtemp(join(tmpdir(), 'leat-hosted-'))
    addCleanup(t, () => rm(target, { recursive: true }))
    const { code, err } = await run('export', 'team/app:1', '--to', `oci:${target}`)
    assert.equal(code, 0, err)
    const index = await readFile(join(target, 'index.json'), 'utf8')
    assert.ok(index.includes(digest))
    assert.ok(index.includes('"localhost/team/app:1"'))
  })
}

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startServing } from '../agent-process.ts'
import { runInProcess } from '../run-in-process.ts'

const TO = 'https://us-docker.pkg.dev/v2/project/repo/'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leat-redirects-'))
})

after(() => rm(folder, { recursive: true }))

test('with UpstreamRegistry in its environment, agent serve redirects every host and serves nothing else', async (t) => {
  const running = await startServing(['--data', join(folder, 'one')], { UpstreamRegistry: TO, PORT: '80' })
  t.after(() => running.kill())
  const get = (path: string) => fetch(`http://${running.registry}${path}`, { redirect: 'manual' })
  const manifest = await get('/v2/app/manifests/v1')
  assert.deepEqual([manifest.status, manifest.headers.get('location')], [307, `${TO}app/manifests/v1`])
  assert.equal((await get('/healthz')).status, 200)
  assert.match(await (await get('/')).text(), new RegExp(`docker pull ${running.registry}/app:TAG`))
  assert.equal((await get('/v2/library/alpine/manifests/3?ns=docker.io')).status, 404)
  const metrics = await (await fetch(`http://${running.admin}/metrics`)).text()
  assert.match(metrics, /^leat_redirects_total\{host="\*",target="upstream"\} 1$/m)
})

test('an UpstreamRegistry that is no registry stops the start with a sentence', async () => {
  const args = ['serve', '--data', join(folder, 'two'), '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0']
  const { code, err } = await runInProcess(args, { UpstreamRegistry: 'http://us-docker.pkg.dev/v2/' })
  assert.equal(code, 2)
  assert.match(err, /^agent: UpstreamRegistry has a wrong value; expected an https URL [^\n]*\n$/)
})

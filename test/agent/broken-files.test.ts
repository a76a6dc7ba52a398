import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../store/folder.ts'
import { startAgent, startUpstream } from './running-agent.ts'

test('credentials that break later are used as they were, and the agent says so until they are repaired', async (t) => {
  const upstream = await startUpstream(t)
  upstream.requireBasic('ada', 'right')
  for (const tag of ['v1', 'v2']) upstream.addImage('app', tag, [randomBytes(100)])
  const passwordFile = join(await folder(t), 'password')
  await writeFile(passwordFile, 'right')
  const entry = { namespace: 'up.test', hosts: [upstream.host], tls: false, username: 'ada', passwordFile }
  const running = await startAgent(t, { upstream, upstreams: { entries: [entry] } })
  const read = async (path: string): Promise<string> => {
    const { admin } = running.agent.addresses
    return (await fetch(`http://127.0.0.1:${admin?.port}${path}`)).text()
  }
  assert.equal((await running.get('app/manifests/v1')).status, 200)
  assert.equal(await read('/readyz'), 'ready\n')

  await rm(passwordFile)
  const explained = JSON.parse(await read('/api/v1/why?subject=up.test/app:v2'))
  assert.equal((await running.get('app/manifests/v2')).status, 200)
  const problem = `${passwordFile} cannot be read: ENOENT; its last good content is used`
  assert.equal(await read('/readyz'), `ready\nproblem: ${problem}\n`)
  assert.deepEqual(JSON.parse(await read('/api/v1/status')).problems, [problem])
  assert.deepEqual(explained.problems, [problem], 'the explanation looks at the file before anybody pulls')

  await writeFile(passwordFile, 'right')
  await running.get('app/manifests/v3')
  assert.equal(await read('/readyz'), 'ready\n')
})
